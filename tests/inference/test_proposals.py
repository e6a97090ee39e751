"""DeconvNet's joining of looks at proposals, and its ensemble with FCN-8s."""

import pytest
import torch
from torch import Tensor, nn

from perpixel.data.windows import Box
from perpixel.errors import UsageError
from perpixel.inference.proposals import (
    Proposals,
    predict_with_proposals,
    proposal_scores,
    to_probabilities,
)
from tests.labelled import draw, segmenter


class Constant(nn.Module):
    """Say the same of every crop, of each crop another thing."""

    def __init__(self, *scores: tuple[float, ...]) -> None:
        super().__init__()
        self.scores, self.seen = torch.tensor(scores), 0

    def forward(self, image: Tensor) -> Tensor:
        mine = self.scores[self.seen : self.seen + len(image)]
        self.seen += len(image)
        return mine[:, :, None, None].expand(-1, -1, *image.shape[-2:])


IMAGE = torch.zeros(1, 3, 20, 30)
LEFT, RIGHT, ALL = Box(0, 0, 20, 20), Box(0, 10, 20, 30), Box(0, 0, 20, 30)


def scores(aggregate: str, boxes: list[Box], *each: tuple[float, ...]) -> Tensor:
    return proposal_scores(Constant(*each), IMAGE, boxes, aggregate, len(each[0]), side=8)  # type: ignore[arg-type]


def test_the_largest_score_of_all_boxes_is_taken_and_none_is_below_zero() -> None:
    """ICCV 2015, eq. 1, on score maps that are zero outside their boxes; released as a maximum with zeros."""
    joined = scores("max", [LEFT, RIGHT], (1.0, -2.0), (3.0, -1.0))
    assert joined[0, 0, [0, 15, 29]].tolist() == [1, 3, 3]
    assert (joined[1] == 0).all()


def test_sums_are_over_the_boxes_that_lie_on_a_pixel() -> None:
    """ICCV 2015, eq. 2."""
    joined = scores("sum", [LEFT, RIGHT], (1.0, -2.0), (3.0, -1.0))
    assert joined[:, 5, [0, 15, 29]].T.tolist() == [[1, -2], [4, -3], [3, -1]]


def test_means_divide_by_the_boxes_that_lie_on_a_pixel() -> None:
    joined = scores("mean", [LEFT, RIGHT], (1.0, -2.0), (3.0, -1.0))
    assert joined[:, 5, [0, 15, 29]].T.tolist() == [[1, -2], [2, -1.5], [3, -1]]


def test_where_no_box_lies_every_score_is_zero_and_the_background_is_ahead() -> None:
    joined = scores("max", [Box(0, 0, 20, 10)], (-1.0, 2.0, 5.0))
    probabilities = to_probabilities(joined, background=1)
    assert (joined[:, :, 10:] == 0).all()
    assert (probabilities[:, :, 10:].argmax(0) == 1).all()
    assert (probabilities[:, :, :10].argmax(0) == 2).all()
    assert probabilities[:, 0, 29].tolist() == pytest.approx([1 / 3] * 3, abs=1e-5)


def test_a_box_may_leave_the_image_and_what_lies_outside_is_black() -> None:
    class Mean(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image.mean((2, 3), keepdim=True).expand_as(image)[:, :2]

    ones = torch.ones(1, 3, 20, 30)
    half = Box(-10, 0, 10, 20)
    joined = proposal_scores(Mean(), ones, [half], "sum", 2, side=40, black=-3.0)
    assert joined[0, 0, 0].item() == pytest.approx((1 - 3) / 2)
    assert (joined[0, :10, :20] != 0).all()
    assert (joined[0, 10:] == 0).all()
    assert (joined[0, :, 20:] == 0).all()


def test_boxes_wholly_outside_are_no_looks() -> None:
    assert (scores("max", [Box(30, 0, 60, 30), Box(0, -40, 20, -10)], (1.0,)) == 0).all()


def test_a_crop_of_the_networks_own_side_is_neither_resized_nor_moved() -> None:
    image = torch.randn(1, 3, 20, 30)
    box = Box(3, 7, 15, 19)
    joined = proposal_scores(nn.Identity(), image, [box], "sum", 3, side=12)
    assert torch.equal(joined[:, 3:15, 7:19], image[0, :, 3:15, 7:19])
    assert torch.count_nonzero(joined) == 3 * 12 * 12


@pytest.mark.parametrize("aggregate", ["max", "sum", "mean"])
def test_the_order_of_boxes_does_not_matter(aggregate: str) -> None:
    torch.manual_seed(0)
    network, image = nn.Conv2d(3, 4, 3, padding=1), torch.randn(1, 3, 25, 31)
    boxes = [Box(-4, 3, 17, 24), Box(2, 2, 11, 11), Box(9, 10, 30, 31), *[Box(i, i, i + 9, i + 9) for i in range(9)]]
    one, other = (
        proposal_scores(network, image, order, aggregate, 4, side=16)  # type: ignore[arg-type]
        for order in (boxes, boxes[::-1])
    )
    assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("aggregate", ["max", "sum", "mean"])
def test_a_segmenter_labels_an_image_by_its_proposals(aggregate: str) -> None:
    """Its classes have no background, so the whole image is looked at too."""
    pixels, target = draw(0, (24, 24))
    pixels, target = pixels.repeat(4, 0).repeat(4, 1), target.repeat(4, 0).repeat(4, 1)
    how = Proposals(aggregate=aggregate, least_side=8, context=1.0, side=96)  # type: ignore[arg-type]
    probabilities = predict_with_proposals(segmenter(), pixels, how)
    assert torch.allclose(probabilities.sum(0), torch.ones(96, 96))
    assert (probabilities.argmax(0).numpy() == target).mean() > 0.9


def test_boxes_may_be_given_and_an_image_without_any_is_looked_at_as_a_whole() -> None:
    pixels, _ = draw(0)
    ready = segmenter()
    ready.classes = ("background", "b", "c")
    given = predict_with_proposals(ready, pixels, [Box(0, 0, 12, 4)])
    assert given[:, :, 8:].argmax(0).unique().tolist() == [0]
    assert predict_with_proposals(ready, pixels, Proposals()).shape == (3, 12, 16)


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(UsageError, match="expected max, sum or mean, got 'product'"):
        Proposals(aggregate="product")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="DeconvNet's are count 50"):
        Proposals(count=0)
