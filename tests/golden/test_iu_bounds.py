"""How good a coarse prediction can be at most: masks made coarse and fine again, scored against themselves.

FCN, arXiv:1411.4038, App. A gives the mean IU of such predictions on PASCAL VOC 2011 val: 50.9 at a stride of 128,
73.3, 86.1, 92.8, 96.4, and 98.5 at a stride of 4. Streets have thinner things than VOC's, so the bounds lie lower;
their order and their way of falling are the same.
"""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores

MASKS = Path(os.environ.get("PERPIXEL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "camvid" / "masks"
PUBLISHED = {128: 0.509, 64: 0.733, 32: 0.861, 16: 0.928, 8: 0.964, 4: 0.985}
CLASSES = 11
EVERY = 10  # one mask in ten: neighbours in the video are alike


def coarse_and_fine(target: Tensor, stride: int) -> Tensor:
    """Keep the id in the middle of each cell, and paint the whole cell with it."""
    height, width = target.shape
    rows = ((torch.arange(height) // stride) * stride + stride // 2).clamp(max=height - 1)
    columns = ((torch.arange(width) // stride) * stride + stride // 2).clamp(max=width - 1)
    return target[rows][:, columns]


@pytest.fixture(scope="module")
def bounds() -> dict[int, float]:
    """Return the mean IU by stride, over validation masks."""
    if not MASKS.is_dir():
        pytest.skip("no camvid beside the project")
    counts = {stride: Confusion(CLASSES) for stride in (*PUBLISHED, 1)}
    for path in sorted((MASKS / "val").glob("*.png"))[::EVERY]:
        mask = torch.from_numpy(np.asarray(Image.open(path)).astype(np.int64))
        for stride, confusion in counts.items():
            coarse = coarse_and_fine(mask, stride)
            known = (mask < CLASSES) & (coarse < CLASSES)  # what is unlabelled is no prediction either
            confusion.add(torch.where(known, mask, 255), coarse.where(known, 0))
    scores = {stride: Scores.from_confusion(confusion).mean_iou for stride, confusion in counts.items()}
    return {stride: score for stride, score in scores.items() if score is not None}


def test_finer_strides_allow_more(bounds: dict[int, float]) -> None:
    ordered = [bounds[stride] for stride in PUBLISHED]
    assert ordered == sorted(ordered)
    assert len(set(ordered)) == len(PUBLISHED)
    assert bounds[1] == 1


def test_each_halving_gains_less_than_the_one_before(bounds: dict[int, float]) -> None:
    """As published: 22.4, 12.8, 6.7, 3.6 and 2.1 points; here from 64 on, coarser cells hold whole streets."""
    for scores, strides in ((PUBLISHED, list(PUBLISHED)), (bounds, [64, 32, 16, 8, 4])):
        gains = [scores[fine] - scores[coarse] for coarse, fine in pairwise(strides)]
        assert gains == sorted(gains, reverse=True)


def test_streets_ask_for_finer_strides_than_objects_do(bounds: dict[int, float]) -> None:
    """A pole is a few pixels wide: every stride costs a street more than twice what it costs VOC, or half of all."""
    for stride, published in PUBLISHED.items():
        assert bounds[stride] < max(1 - 2 * (1 - published), 0.5)


@pytest.mark.parametrize("stride", PUBLISHED)
def test_cells_as_large_as_things_lose_nothing(stride: int) -> None:
    """A chessboard of cells is its own coarse form."""
    rows, columns = torch.arange(3 * stride)[:, None] // stride, torch.arange(2 * stride) // stride
    board = (rows + columns) % 2
    assert torch.equal(coarse_and_fine(board, stride), board)
    assert not torch.equal(coarse_and_fine(board, 2 * stride), board)
