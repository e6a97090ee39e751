"""DeconvNet's way of seeing an image: fifty looks at likely objects, each of its own size, joined pixel by pixel.

    image --box--> crop, black outside -> resized to 224 x 224 -> network -> scores -> resized to the box
                                                                                          |
    probabilities <- softmax <- scores of the image <- largest, sum or mean <-------------+
                                                       zero outside the box

A pixel outside a box scores zero there for every class. So the largest of all looks is never negative, and where no
box lies every class is as likely as any other; such pixels are given to the background by a touch.

Source: Noh, Hong & Han, "DeconvNet", ICCV 2015, arXiv:1505.04366, eq. 1 and 2 (recalled); HyeonwooNoh/DeconvNet,
    inference/generate_EDeconvNet_CRF_results.m, util/preprocess_image_bb.m.
Differs: "mean" is ours: the sum divided by how many boxes cover a pixel. Where nothing is large enough for a box, or no
    class is background, the whole image is looked at too.
Letters: C channels, K classes, H W pixels, h w of a box's part inside the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from perpixel.data.normalization import Normalization
from perpixel.data.windows import Box, background_id
from perpixel.errors import UsageError
from perpixel.inference.boxes import CONTEXT, COUNT, LEAST_SIDE, Finder, find_boxes
from perpixel.ops.resize import resize

Aggregate = Literal["max", "sum", "mean"]

SIDE = 224
BATCH = 8
TOUCH = 1e-6  # to the background's score where no box lies


@dataclass(frozen=True)
class Proposals:
    """How likely objects are found, looked at and joined.

    Args:
        finder: See `perpixel.inference.boxes`.
        aggregate: "max" as released and in the paper's eq. 1; "sum" as in its eq. 2; "mean" of the boxes on a pixel.
        count: Boxes at most; 50 in the paper.
        context: A box's square is this much longer than its longer side.
        least_side: Smaller squares are left out, in pixels of the image; 112 as released.
        side: Of the crop that the network sees, in pixels; 224 as released.

    Raises:
        UsageError: A value cannot be used.
    """

    finder: Finder = "windows"
    aggregate: Aggregate = "max"
    count: int = COUNT
    context: float = CONTEXT
    least_side: int = LEAST_SIDE
    side: int = SIDE

    def __post_init__(self) -> None:
        if self.finder not in get_args(Finder):
            raise UsageError(
                f"--proposals: expected {' or '.join(get_args(Finder))}, got {self.finder!r}. windows needs no OpenCV."
            )
        if self.aggregate not in get_args(Aggregate):
            raise UsageError(f"proposals: expected max, sum or mean, got {self.aggregate!r}. The paper takes max.")
        if min(self.count, self.side) < 1 or self.context <= 0 or self.least_side < 0:
            raise UsageError(
                f"proposals: expected positive numbers, got {self}. DeconvNet's are count {COUNT}, context {CONTEXT}, "
                f"least_side {LEAST_SIDE} and side {SIDE}."
            )


DEFAULT = Proposals()


class Trained(Protocol):
    """What is needed of a `Segmenter`."""

    network: nn.Module
    normalization: Normalization
    device: torch.device
    classes: tuple[str, ...]


def predict_with_proposals(
    segmenter: Trained, pixels: NDArray[Any], proposals: Proposals | Sequence[Box] = DEFAULT,
    aggregate: Aggregate | None = None,
) -> Float[Tensor, "K H W"]:  # fmt: skip
    """Return an image's probabilities, from looks at likely objects.

    Args:
        segmenter: Trained, as `perpixel.load` returns it.
        pixels: (H, W, C), as `segmenter.read` returns them.
        proposals: How to find boxes, or the boxes themselves, as they are to be cut.
        aggregate: In place of the one that `proposals` names.

    Returns: On the segmenter's device; they sum to 1 over K. Where the classes have no background, or nothing is
        large enough for a box, the whole image is looked at too.
    """
    return to_probabilities(score_image(segmenter, pixels, proposals, aggregate), background_id(segmenter.classes))


@torch.inference_mode()
def score_image(
    segmenter: Trained, pixels: NDArray[Any], proposals: Proposals | Sequence[Box] = DEFAULT,
    aggregate: Aggregate | None = None,
) -> Float[Tensor, "K H W"]:  # fmt: skip
    """Return an image's scores before softmax; see `predict_with_proposals`."""
    how = proposals if isinstance(proposals, Proposals) else DEFAULT
    boxes = _boxes_of(pixels, how) if isinstance(proposals, Proposals) else list(proposals)
    if background_id(segmenter.classes) is None or not boxes:
        boxes = [Box(0, 0, *pixels.shape[:2]).square(1.0), *boxes]
    image = torch.from_numpy(segmenter.normalization.apply(pixels)).to(segmenter.device)
    black = torch.from_numpy(segmenter.normalization.apply(0 * pixels[:1, :1])).to(segmenter.device)
    return proposal_scores(
        segmenter.network, image, boxes, aggregate or how.aggregate, len(segmenter.classes), how.side, black
    )


@torch.inference_mode()
def proposal_scores(
    network: nn.Module,
    image: Float[Tensor, "1 C H W"],
    boxes: Sequence[Box],
    aggregate: Aggregate,
    num_classes: int,
    side: int = SIDE,
    black: Float[Tensor, "1 C 1 1"] | float = 0.0,
) -> Float[Tensor, "K H W"]:
    """Return the image's scores, joined over its boxes; 0 where no box lies.

    Memory holds the scores of the image, and those of eight crops.

    Args:
        network: image -> logits of K classes, at the image's size.
        image: Normalised as the network was trained.
        boxes: In pixels; they may leave the image.
        aggregate: "max" with zero, "sum", or "mean" of the boxes that cover a pixel.
        num_classes: K.
        side: Of the crops that the network sees.
        black: What lies outside the image, normalised too.

    Raises:
        UsageError: `aggregate` is something else.
    """
    if aggregate not in get_args(Aggregate):
        raise UsageError(f"proposals: expected max, sum or mean, got {aggregate!r}. The paper takes max.")
    height, width = image.shape[-2:]
    scores = image.new_zeros(num_classes, height, width, dtype=torch.float32)
    covered = image.new_zeros(height, width, dtype=torch.float32)
    places = [place for box in boxes if (place := _Place.of(box, height, width))]
    for start in range(0, len(places), BATCH):
        some = places[start : start + BATCH]
        looks = network(torch.cat([place.crop(image, side, black) for place in some])).float()
        for place, look in zip(some, looks, strict=True):
            _join(scores[:, place.rows, place.columns], place.uncrop(look), aggregate)
            covered[place.rows, place.columns] += 1
    return scores / covered.clamp(min=1) if aggregate == "mean" else scores


def to_probabilities(scores: Float[Tensor, "K H W"], background: int | None) -> Float[Tensor, "K H W"]:
    """Return the softmax over K; where all scores are 0, the background is ahead by a millionth."""
    if background is not None:
        nowhere = (scores == 0).all(0)
        scores = scores.clone()
        scores[background] += TOUCH * nowhere
    return scores.softmax(0)


@dataclass(frozen=True)
class _Place:
    """A box in whole pixels, and the part of it that lies inside the image.

    Args:
        top: First row; may be negative, like `left`.
        left: First column.
        size: (rows, columns) of the box.
        inside: (H, W) of the image.
    """

    top: int
    left: int
    size: tuple[int, int]
    inside: tuple[int, int]

    @classmethod
    def of(cls, box: Box, height: int, width: int) -> "_Place | None":
        """Return None where nothing of the box lies inside."""
        top, left = round(box.top), round(box.left)
        size = max(1, round(box.bottom) - top), max(1, round(box.right) - left)
        outside = top >= height or left >= width or top + size[0] <= 0 or left + size[1] <= 0
        return None if outside else cls(top, left, size, (height, width))

    @property
    def rows(self) -> slice:
        return slice(max(self.top, 0), min(self.top + self.size[0], self.inside[0]))

    @property
    def columns(self) -> slice:
        return slice(max(self.left, 0), min(self.left + self.size[1], self.inside[1]))

    def crop(self, image: Tensor, side: int, black: Tensor | float) -> Float[Tensor, "1 C side side"]:
        """Return the box as the network sees it."""
        part = image[:, :, self.rows, self.columns] - black
        above, before = self.rows.start - self.top, self.columns.start - self.left
        below = self.size[0] - above - part.shape[2]
        after = self.size[1] - before - part.shape[3]
        return resize(functional.pad(part, (before, after, above, below)) + black, (side, side))

    def uncrop(self, scores: Float[Tensor, "K side side"]) -> Float[Tensor, "K h w"]:
        """Return the network's scores at the box's own size, without what lies outside the image."""
        full = resize(scores[None], self.size)[0]
        above, before = self.rows.start - self.top, self.columns.start - self.left
        height, width = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        return full[:, above : above + height, before : before + width]


def _join(scores: Tensor, look: Tensor, aggregate: Aggregate) -> None:
    if aggregate == "max":
        torch.maximum(scores, look, out=scores)
    else:
        scores.add_(look)


def _boxes_of(pixels: NDArray[Any], how: Proposals) -> list[Box]:
    return find_boxes(pixels, how.finder, how.count, how.context, how.least_side)
