"""An image's probabilities, part by part from the top to the bottom, so that nobody need hold all of them.

    area  ── tiles ── estimate ── blend ── entropy ──┐          without a CRF there is one area,
      └──────────── pixels ──────────────────────── CRF ── blend    and blocks leave as tiles are done

Letters: C channels, K classes, H W pixels, h w of a part.
"""

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from perpixel.crf.options import CrfOptions
from perpixel.inference.options import Options
from perpixel.inference.plan import MEMORY, plan_areas, plan_tiles
from perpixel.inference.refining import refined
from perpixel.inference.seams import Seams
from perpixel.inference.tiles import Block, blend
from perpixel.inference.uncertainty import entropy

Read = Callable[[slice, slice], NDArray[Any] | None]
Estimate = Callable[[NDArray[Any], tuple[int, int]], Float[Tensor, "_ h w"]]
Carry = MutableMapping[int, Tensor]
Refine = Callable[[Float[Tensor, "K h w"], NDArray[Any], CrfOptions], Float[Tensor, "K h w"]]


@dataclass(frozen=True)
class Stream:
    """One image on its way through the pipeline.

    Args:
        read: From rows and columns to their pixels (h, w, C), or None where nothing is to be seen: probabilities
            are then 0. Not with a CRF, nor with `uncertainty`.
        estimate: From a tile's pixels, and its first row and column, to its K probabilities, and with
            `uncertainty` and passes also K variances and their mean entropy.
        options: Tiles and CRF.
        num_classes: K.
        scale: The size at which the network sees an image, relative to the image.
        memory: Bytes that one look, or one area of a CRF, may take.
        seams: Told how neighbouring tiles agree.
        uncertainty: Blocks hold more than K maps: the entropy, and with passes before it variances (K) and after it
            the mutual information.
        device: Where probabilities are.
        refine: What the CRF does with an area's probabilities and pixels.
    """

    read: Read
    estimate: Estimate
    options: Options
    num_classes: int
    scale: float = 1.0
    memory: float = MEMORY
    seams: Seams | None = None
    uncertainty: bool = False
    device: torch.device | str = "cpu"
    refine: Refine = refined

    def blocks(self, size: Sequence[int], first: int = 0, carry: Carry | None = None) -> Iterator[Block]:
        """Yield finished parts.

        Args:
            size: (H, W) of the image, in pixels.
            first: What lies above this row is not needed; see `tiles.blend`.
            carry: Holds what tiles and the tiles below them share; see `tiles.blend`.
        """
        if self.options.crf is None:
            yield from self._network(slice(0, size[0]), slice(0, size[1]), first, carry)
            return
        areas = plan_areas(size, self.options.crf, self.num_classes, self.memory)
        yield from blend(*areas, self._area, self.seams, first=first, carry=carry)

    def _network(self, rows: slice, columns: slice, first: int = 0, carry: Carry | None = None) -> Iterator[Block]:
        """Yield what the network says of a part of an image, in the part's own rows and columns."""

        def compute(r: slice, c: slice) -> Tensor:
            r, c = _shifted(r, rows.start), _shifted(c, columns.start)
            pixels = self.read(r, c)
            if pixels is None:
                return torch.zeros(self.num_classes, r.stop - r.start, c.stop - c.start, device=self.device)
            return self.estimate(pixels, (r.start, c.start))

        size = rows.stop - rows.start, columns.stop - columns.start
        plan = plan_tiles(size, self.options, self.num_classes, self.scale, self.memory)
        for block in blend(*plan, compute, self.seams, first=first, carry=carry):
            yield block._replace(values=self._with_entropy(block.values)) if self.uncertainty else block

    def _area(self, rows: slice, columns: slice) -> Float[Tensor, "_ h w"]:
        """Return a part of an image with its probabilities refined, and nothing else changed."""
        assert self.options.crf is not None
        whole: Tensor | None = None
        for r, c, values in self._network(rows, columns):
            if whole is None:
                whole = values.new_empty(len(values), rows.stop - rows.start, columns.stop - columns.start)
            whole[:, r, c] = values
        assert whole is not None
        pixels = self.read(rows, columns)
        assert pixels is not None
        whole[: self.num_classes] = self.refine(whole[: self.num_classes], pixels, self.options.crf)
        return whole

    @torch.inference_mode()
    def _with_entropy(self, values: Float[Tensor, "_ h w"]) -> Float[Tensor, "_ h w"]:
        """Append the entropy, and in place of the passes' mean entropy the mutual information."""
        whole = entropy(values[None, : self.num_classes])
        if len(values) == self.num_classes:
            return torch.cat([values, whole])
        return torch.cat([values[:-1], whole, (whole - values[-1:]).clamp(min=0)])


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
