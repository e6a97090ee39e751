"""perpixel.data.synthetic.scene: seeded, of any size, with every class, and not trivial."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perpixel.data.masks import IGNORE
from perpixel.data.synthetic import CLASSES, scene
from perpixel.errors import UsageError


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**9), st.integers(16, 150), st.integers(16, 150))
def test_any_seed_and_size_gives_pixels_and_ids(seed: int, height: int, width: int) -> None:
    pixels, target = scene(seed, (height, width))
    assert (pixels.shape, pixels.dtype) == ((height, width, 3), np.uint8)
    assert (target.shape, target.dtype) == ((height, width), np.uint8)
    assert set(np.unique(target).tolist()) <= {*range(len(CLASSES)), IGNORE}


def test_another_process_draws_the_same_scene() -> None:
    program = (
        "import hashlib; from perpixel.data.synthetic import scene; p, t = scene((3, 4), (48, 64));"
        "print(hashlib.sha256(p.tobytes() + t.tobytes()).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    pixels, target = scene((3, 4), (48, 64))
    assert there.stdout.strip() == hashlib.sha256(pixels.tobytes() + target.tobytes()).hexdigest()


def test_other_seeds_give_other_scenes() -> None:
    first, second = (scene(seed, (48, 64))[1] for seed in (0, 1))
    assert (first != second).mean() > 0.05


def test_twenty_scenes_show_every_class_and_the_unlabelled_bonnet() -> None:
    counts = sum(np.bincount(scene(seed, (96, 128))[1].ravel(), minlength=256) for seed in range(20))
    shares = np.asarray(counts) / (20 * 96 * 128)
    assert (shares[: len(CLASSES)] > 0.005).all()
    assert shares[: len(CLASSES)].max() < 0.5
    assert 0 < shares[IGNORE] < 0.1


def test_poles_are_wide_enough_to_be_learned() -> None:
    """At 128×160 the median run of pole pixels along a row is at least two."""
    runs: list[int] = []
    pole = CLASSES.index("pole")
    for seed in range(8):
        padded = np.pad(scene(seed, (128, 160))[1] == pole, ((0, 0), (1, 1))).astype(np.int8)
        edges = np.diff(padded, axis=1)
        runs += (np.argwhere(edges < 0)[:, 1] - np.argwhere(edges > 0)[:, 1]).tolist()
    assert 2 <= np.median(runs) <= 5


def test_colour_alone_does_not_tell_the_classes() -> None:
    """The commonest class of each colour (in 4096 bins, on the same pixels) is far from the truth."""
    samples = [scene(seed, (96, 128)) for seed in range(12)]
    bins = np.concatenate([(pixels // 16).reshape(-1, 3) @ [1, 16, 256] for pixels, _ in samples])
    ids = np.concatenate([target.ravel() for _, target in samples])
    known = ids != IGNORE
    table = np.zeros((4096, len(CLASSES)), np.int64)
    np.add.at(table, (bins[known], ids[known]), 1)
    assert table.max(1).sum() / known.sum() < 0.75


@pytest.mark.parametrize("size", [(15, 100), (100, 15), (0, 0)])
def test_sizes_at_which_nothing_is_seen_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=r"at least 16×16 pixels"):
        scene(0, size)
