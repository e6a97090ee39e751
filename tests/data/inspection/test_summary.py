"""A summary of thousands of pairs is small, and forgets no count."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from perpixel.data.inspection.histogram import count_values
from perpixel.data.inspection.scan import ImageFacts, MaskFacts, PairFacts
from perpixel.data.inspection.summary import BATCH, Summary
from perpixel.data.pairs import Pair


def facts(mask: np.ndarray, sums: tuple[int, ...] = (10,), squares: tuple[int, ...] = (60,)) -> PairFacts:
    size = (mask.shape[0], mask.shape[1])
    colors = mask.ndim == 3
    image = ImageFacts(size, len(sums), 8, False, 1, sums, squares, bytes(16))
    return PairFacts(image, MaskFacts(size, colors, False, 8, False, False, {}, count_values(mask)))


def pairs(count: int) -> tuple[Pair, ...]:
    return tuple(Pair(str(n), "train", Path(f"{n}.png"), Path(f"m{n}.png")) for n in range(count))


def test_a_noisy_pair_leaves_less_than_four_kilobytes() -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    summary = Summary(pairs(1))
    summary.add(0, facts(noisy))
    assert len(pickle.dumps(summary.records[0])) < 4096


def test_counts_of_many_pairs_are_added_up_as_they_come() -> None:
    summary = Summary(pairs(3 * BATCH))
    for index in reversed(range(3 * BATCH)):
        summary.add(index, facts(np.array([[0, 1], [1, 1]], np.uint8)))
    assert summary.total(False).of(1) == (9 * BATCH, 3 * BATCH, 0)
    assert len(summary.counts["train"]._waiting[False]) <= BATCH


def test_grey_images_count_in_every_channel_of_coloured_ones() -> None:
    summary = Summary(pairs(2))
    mask = np.zeros((1, 2), np.uint8)
    summary.add(0, facts(mask, (10,), (60,)))
    summary.add(1, facts(mask, (0, 4, 6), (0, 10, 20)))
    mean, deviation = summary.statistics(3, 8) or ((), ())
    assert mean == (2.5, 3.5, 4.0)
    assert deviation == pytest.approx(((60 / 4 - 2.5**2) ** 0.5, (70 / 4 - 3.5**2) ** 0.5, 2.0))


def test_without_a_training_image_there_are_no_statistics() -> None:
    assert Summary(pairs(1)).statistics(3, 8) is None


def test_ids_count_as_greys_among_colours() -> None:
    summary = Summary(pairs(1))
    summary.add(0, facts(np.full((2, 2), 9, np.uint8)))
    assert summary.total(True).of(0x090909)[0] == 4
