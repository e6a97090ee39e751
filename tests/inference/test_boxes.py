"""Boxes: where DeconvNet looks."""

import numpy as np
import pytest

from perpixel.data.windows import Box
from perpixel.errors import UsageError
from perpixel.inference.boxes import best_finder, choose, find_boxes, selective_search, windows


def test_boxes_whose_shorter_side_is_below_112_are_skipped_before_fifty_are_counted() -> None:
    """HyeonwooNoh/DeconvNet, inference/generate_EDeconvNet_CRF_results.m."""
    small, large = Box(0, 0, 111, 300), Box(0, 0, 112, 112)
    assert choose([small] * 60 + [large] * 60) == [large] * 50


@pytest.mark.parametrize("size", [(375, 500), (500, 333), (120, 900), (40, 30)])
def test_windows_cover_the_image_at_every_level(size: tuple[int, int]) -> None:
    for level in (1.0, 0.5, 0.33):
        covered = np.zeros(size, bool)
        for box in windows(size, (level,)):
            assert box.bottom - box.top == pytest.approx(box.right - box.left)
            covered[max(0, round(box.top)) : round(box.bottom), max(0, round(box.left)) : round(box.right)] = True
        assert covered.all()


def test_the_first_window_is_the_whole_image_made_square() -> None:
    assert next(windows((100, 200))) == Box(-50, 0, 150, 200)


def test_voc_sized_images_get_no_more_than_fifty_windows() -> None:
    """The paper looks at 50 proposals (Sec. 6.1)."""
    boxes = find_boxes(np.zeros((375, 500, 3), np.uint8), "windows", count=1000)
    assert 10 < len(boxes) <= 50


def test_numbers_that_cannot_be_used_are_refused() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(UsageError, match=r"DeconvNet's are 50, 1\.2 and 112"):
        find_boxes(pixels, count=0)
    with pytest.raises(UsageError, match="expected selective-search or windows, got 'edgebox'"):
        find_boxes(pixels, "edgebox")  # type: ignore[arg-type]


def test_without_opencv_windows_are_taken_and_selective_search_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    assert best_finder() == "windows"
    with pytest.raises(UsageError, match=r"perpixel\[proposals\]"):
        selective_search(np.zeros((8, 8, 3), np.uint8))


def _two_things() -> np.ndarray:
    pixels = np.full((150, 200, 3), (90, 120, 90), np.uint8)
    pixels[30:90, 20:80] = (220, 40, 40)
    pixels[60:140, 120:180] = (40, 40, 220)
    return pixels


def test_selective_search_finds_things_of_one_colour_and_always_the_same_boxes() -> None:
    """OpenCV's own order is random."""
    pytest.importorskip("cv2.ximgproc")
    found = selective_search(_two_things())
    assert max(Box(30, 20, 90, 80).iou(box) for box in found) > 0.8
    assert max(Box(60, 120, 140, 180).iou(box) for box in found) > 0.8
    assert found == selective_search(_two_things())
    assert all(one.iou(other) <= 0.7 for i, one in enumerate(found) for other in found[:i])


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_selective_search_takes_any_depth_and_any_channels(channels: int) -> None:
    pytest.importorskip("cv2.ximgproc")
    pixels = np.repeat(_two_things()[:, :, :1], channels, axis=2).astype(np.uint16) * 257
    assert selective_search(pixels)


def test_selective_search_of_a_large_image_gives_boxes_in_its_own_pixels() -> None:
    pytest.importorskip("cv2.ximgproc")
    large = _two_things().repeat(6, axis=0).repeat(6, axis=1)
    assert max(Box(180, 120, 540, 480).iou(box) for box in selective_search(large)) > 0.8
