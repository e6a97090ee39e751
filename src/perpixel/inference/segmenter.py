"""Predict a whole image of any size with any network: image -> logits.

    pixels -> tiles -> normalise -> looks, each with its scale, mirror and angle     looks.py
                                 -> probabilities, fused over the looks
                                 -> mean over passes with dropout, and their spread  uncertainty.py
           -> blended over tiles, compared where they overlap                        tiles.py, seams.py
           -> refined by a CRF, area by area                                         refining.py
           -> argmax

Letters: N = 1 image, C channels, K classes, H W pixels.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from perpixel.data.masks import MaskCoding
from perpixel.data.normalization import Normalization
from perpixel.errors import UsageError
from perpixel.inference.ensemble import check_alike, check_networks, predict_together
from perpixel.inference.looks import fused_probabilities
from perpixel.inference.options import DEFAULT, Options
from perpixel.inference.pixels import Source, as_pixels
from perpixel.inference.plan import MEMORY
from perpixel.inference.prediction import Prediction, Probabilities
from perpixel.inference.prepared import chosen_ways, prepare_for_inference
from perpixel.inference.proposals import predict_with_proposals
from perpixel.inference.refining import refined, refined_by_label
from perpixel.inference.seams import Seams
from perpixel.inference.streaming import Carry, Read, Refine, Stream
from perpixel.inference.tiles import Block
from perpixel.inference.uncertainty import (
    UncertaintyMaps,
    check_dropout,
    sampling,
    seeded,
    summary,
    tile_seed,
)
from perpixel.ops.class_ids import class_ids
from perpixel.ops.resize import scaled_size

KEPT_BYTES = 64 * 10**6  # of probabilities that are kept without being asked for
MANY = 8  # images that repay the time of preparing for them


class Segmenter:
    """A trained network, and what it takes to use it on photos.

    Args:
        network: image (N, C, H, W) -> logits (N, K, H, W). It is moved, and put in evaluation mode.
        classes: K names in the order of the ids.
        palette: K colours.
        normalization: What the network expects of pixels.
        scale: The size at which it sees an image, relative to the file (a recipe's `image_scale`).
        coding: How the data set's masks store class ids, for `original_values`.
        device: Where it runs; None leaves it where it is.
        bits: Of a channel, 8 or 16; None tells by the normalisation.

    Attributes:
        memory: Bytes that one look, or one area of a CRF, may take; larger images are cut up.
        partner: A second network, for `Options.ensemble`; see `join`.
    """

    def __init__(
        self,
        network: nn.Module,
        classes: Sequence[str],
        palette: Sequence[tuple[int, int, int]],
        normalization: Normalization,
        scale: float = 1.0,
        coding: MaskCoding | None = None,
        device: torch.device | str | None = None,
        bits: int | None = None,
    ) -> None:
        if len(palette) != len(classes):
            raise UsageError(
                f"Segmenter: expected a colour for each of {len(classes)} classes, got {len(palette)}. "
                "Use perpixel.data.palette.distinct_colors."
            )
        self.device = torch.device(device) if device is not None else _device(network)
        self.network = network.eval().to(self.device)
        if self.device.type == "cpu":
            self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.classes, self.palette = tuple(classes), tuple(palette)
        self.normalization, self.scale, self.coding = normalization, scale, coding
        self.bits = bits or (16 if max(map(abs, normalization.mean)) > 255 else 8)
        self.memory = MEMORY
        self.partner: Segmenter | None = None
        self._prepares = False
        self._given: Mapping[str, str] | None = None  # ways to prepare in
        self._ways: dict[str, str] | None = None

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.classes)

    @property
    def channels(self) -> int:
        """C, of an image."""
        return self.normalization.channels

    @property
    def ways(self) -> dict[str, str] | None:
        """Which way each layer is computed, after `prepare`; None before it."""
        return None if self._ways is None else dict(self._ways)

    def prepare(self, image_size: tuple[int, int], ways: Mapping[str, str] | None = None) -> "Segmenter":
        """Make prediction faster for images of about this size, and return self; labels change by rounding alone.

        It takes the time of a few images, so it pays for many. Every size is still accepted.

        Args:
            image_size: (H, W) in pixels of the image.
            ways: `Segmenter.ways` of another that was prepared: results are then the same to the bit.
        """
        self._prepares = False
        seen = scaled_size(image_size, self.scale)
        self.network = prepare_for_inference(self.network, seen, self.channels, ways)
        self._ways = chosen_ways(self.network)
        return self

    def expect(self, images: int, ways: Mapping[str, str] | None = None) -> "Segmenter":
        """Say how many images will come, and return self; if it pays, the first one begins with `prepare`.

        `perpixel predict` and `evaluate` do it.

        Args:
            images: 8 or more make a CPU prepare.
            ways: Prepare in any case, and as another did; see `prepare`.
        """
        self._prepares = (images >= MANY or ways is not None) and self.device.type == "cpu"
        self._given = ways
        return self

    def join(self, other: "Segmenter") -> "Segmenter":
        """Take another network as the second of an ensemble, and return self; `Options.ensemble` then asks it too.

        Raises:
            UsageError: It knows other classes, or sees other pixels.
        """
        check_alike(self, other)
        self.partner = other
        return self

    def predict(
        self, source: Source, options: Options = DEFAULT, *, probabilities: bool = False, uncertainty: bool = False
    ) -> Prediction:
        """Label every pixel.

        Memory stays below about 4 GB however large the image is, besides 8 bytes a pixel for the ids
        and 4·K bytes a pixel for probabilities and for variances, where those are asked for.

        Args:
            source: A path, a PIL image, or uint8 or uint16 pixels (H, W, C) or (H, W).
            options: Looks, passes, tiles, CRF.
            probabilities: Keep them even where they need more than 64 MB.
            uncertainty: Also tell how unsure the network is, before the CRF: entropy, and with `options.samples` the
                variance of each class and the mutual information.

        Raises:
            DataError: The file cannot be read, or its channels do not fit the network.
            UsageError: Not an image, or samples of a network without dropout.
        """
        return self.predict_pixels(self.read(source), options, probabilities=probabilities, uncertainty=uncertainty)

    def predict_pixels(
        self,
        pixels: NDArray[Any],
        options: Options = DEFAULT,
        *,
        probabilities: bool = False,
        uncertainty: bool = False,
    ) -> Prediction:
        """Label every pixel of what `read` returned, perhaps in another thread; see `predict`."""
        height, width = pixels.shape[:2]
        keep = probabilities or 4 * self.num_classes * height * width <= KEPT_BYTES
        seams = Seams(self.num_classes)
        ids, kept, maps = self._predict(pixels, options, keep, uncertainty, seams)
        return Prediction(
            pixels, ids.astype(np.int64), self.classes, self.palette, self.coding, kept,
            compute=lambda: self.probabilities(pixels, options), uncertainty=maps, seams=seams or None,
        )  # fmt: skip

    def read(self, source: Source) -> NDArray[Any]:
        """Return the pixels (H, W, C) that the network expects."""
        return as_pixels(source, self.channels, self.bits)

    def ids(self, pixels: NDArray[Any], options: Options = DEFAULT, seams: Seams | None = None) -> NDArray[np.uint8]:
        """Return class ids (H, W) of what `read` returned, and nothing else; `seams` is told how tiles agree."""
        return self._predict(pixels, options, keep=False, seams=seams)[0]

    def probabilities(self, pixels: NDArray[Any], options: Options = DEFAULT) -> Probabilities:
        """Return probabilities (K, H, W) of what `read` returned."""
        kept = self._predict(pixels, options, keep=True)[1]
        assert kept is not None
        return kept

    def check(self, options: Options) -> None:
        """Refuse, before the first image, options that this network cannot follow.

        Raises:
            UsageError: Samples of a network without dropout; an ensemble without a second network, or a product where
                there are no scores.
        """
        if options.samples:
            check_dropout(self.network)
        if options.ensemble is not None:
            check_networks(options.ensemble, self, self.partner)

    def blocks(self, pixels: NDArray[Any], options: Options = DEFAULT) -> Iterator[Block]:
        """Yield probabilities part by part, each as soon as it is known, from the top to the bottom.

        A small image is one block. Nothing of a block is kept here.
        """
        return self.stream(lambda rows, columns: pixels[rows, columns], pixels.shape[:2], options)

    def stream(
        self,
        read: Read,
        size: Sequence[int],
        options: Options = DEFAULT,
        *,
        seams: Seams | None = None,
        uncertainty: bool = False,
        first: int = 0,
        carry: Carry | None = None,
    ) -> Iterator[Block]:
        """Yield probabilities of an image that need never be in memory as a whole; see `blocks`.

        Args:
            read: Called with rows and columns, once for each tile, and once more for each area with a CRF; returns
                their pixels (h, w, C), as `Segmenter.read` would. Or None where nothing is to be seen:
                probabilities are then 0 (not with a CRF, nor with uncertainty).
            size: (H, W) in pixels.
            options: Looks, passes, tiles, CRF.
            seams: Told how neighbouring tiles agree.
            uncertainty: Blocks hold more than K maps: the entropy, and with passes before it variances (K) and
                after it the mutual information.
            first: What lies above this row is not needed; see `tiles.blend`.
            carry: Holds what tiles and the tiles below them share; see `tiles.blend`.
        """

        def estimate(pixels: NDArray[Any], place: tuple[int, int]) -> Tensor:
            return self._estimate(pixels, place, options, uncertainty)

        image = Stream(
            read, estimate, options, self.num_classes, self.scale, self.memory, seams, uncertainty, self.device,
            self._refine(),
        )  # fmt: skip
        yield from image.blocks(size, first, carry)

    def _refine(self) -> Refine:
        """Return what a CRF does: where the network asks for it, each label is refined by itself."""
        background = getattr(self.network, "background", None)
        if background is None or not getattr(self.network, "refined_by_label", False):
            return refined
        return partial(refined_by_label, background=background)

    def _predict(
        self,
        pixels: NDArray[Any],
        options: Options,
        keep: bool,
        uncertainty: bool = False,
        seams: Seams | None = None,
    ) -> tuple[NDArray[np.uint8], Probabilities | None, UncertaintyMaps | None]:
        size, ids = pixels.shape[:2], np.empty(pixels.shape[:2], np.uint8)
        count, kept = self.num_classes, None
        maps: NDArray[np.float32] | None = None
        for rows, columns, values in self.stream(
            lambda r, c: pixels[r, c], size, options, seams=seams, uncertainty=uncertainty
        ):
            ids[rows, columns] = class_ids(values[:count]).cpu().numpy()
            if keep:
                kept = np.empty((count, *size), np.float32) if kept is None else kept
                kept[:, rows, columns] = values[:count].cpu().numpy()
            if uncertainty:
                maps = np.empty((len(values) - count, *size), np.float32) if maps is None else maps
                maps[:, rows, columns] = values[count:].cpu().numpy()
        return ids, kept, None if maps is None else UncertaintyMaps.unstack(maps)

    @torch.inference_mode()
    def _estimate(
        self, pixels: NDArray[Any], place: tuple[int, int], options: Options, uncertainty: bool
    ) -> Float[Tensor, "_ h w"]:
        """Return the probabilities of one tile, and where passes are measured their variances and mean entropy.

        Args:
            pixels: (h, w, C).
            place: Its first row and column, from which its dropout is drawn.
            options: Looks and passes.
            uncertainty: Measure the passes.
        """
        if self._prepares:
            self.prepare((pixels.shape[0], pixels.shape[1]), self._given)
        if not options.samples:
            return self._look(pixels, options)
        with sampling(self.network), seeded(tile_seed(options.seed, place), self.device):
            passes = summary(self._look(pixels, options)[None] for _ in range(options.samples))
        if not uncertainty:
            return passes.mean[0]
        return torch.cat([passes.mean[0], passes.variance[0], passes.expected_entropy])

    def _look(self, pixels: NDArray[Any], options: Options) -> Float[Tensor, "K h w"]:
        if options.ensemble is not None:
            assert self.partner is not None, "see check"
            return predict_together(self, self.partner, pixels, options.proposals, options.ensemble.method)
        if options.proposals is not None:
            return predict_with_proposals(self, pixels, options.proposals)
        image = torch.from_numpy(self.normalization.apply(pixels)).to(self.device)
        return fused_probabilities(self.network, image, options, self.scale, self.num_classes)


def _device(network: nn.Module) -> torch.device:
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
