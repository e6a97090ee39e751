"""Tiles cover the image and blend."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perpixel.crf.tiles import ramp, refine_tiled, spans


@given(length=st.integers(1, 500), tile=st.integers(16, 200), share=st.floats(0, 0.5))
def test_spans_cover_a_line_and_overlap_enough(length: int, tile: int, share: float) -> None:
    overlap = int(tile * share)
    found = spans(length, tile, overlap)
    assert found[0].start == 0
    assert found[-1].stop == length
    assert all(span.stop - span.start <= tile for span in found)
    assert all(before.stop - after.start >= overlap for before, after in itertools.pairwise(found))


def test_a_tile_weighs_less_towards_a_seam_and_not_towards_the_images_edge() -> None:
    assert list(ramp(slice(0, 6), 10, 2)) == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3])
    assert list(ramp(slice(4, 10), 10, 2)) == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1])


@given(height=st.integers(1, 90), width=st.integers(1, 90), overlap=st.integers(0, 10))
def test_tiles_that_agree_are_put_together_unchanged(height: int, width: int, overlap: int) -> None:
    whole = np.random.default_rng(0).uniform(0, 1, (2, height, width)).astype(np.float32)
    parts = refine_tiled(whole.shape, (20, 30), overlap, lambda rows, columns: whole[:, rows, columns])
    assert parts == pytest.approx(whole, abs=1e-6)
