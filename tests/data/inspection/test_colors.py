"""Class colours are found among smooth edges and JPEG noise."""

import io

import numpy as np
import pytest
from PIL import Image

from perpixel.data.inspection.colors import judge_colors, nearest_color
from perpixel.data.inspection.histogram import pack_colors
from perpixel.data.inspection.known import CAMVID, VOC
from perpixel.data.inspection.names import ClassList
from perpixel.data.inspection.problems import Findings

TEAL, ROSE = (0, 128, 128), (220, 60, 120)


def paint(ids: np.ndarray, colors: list[tuple[int, int, int]]) -> np.ndarray:
    return np.array(colors, np.uint8)[ids]


def test_exact_colours_are_the_classes_black_first(evidence_of, stripes) -> None:
    findings = Findings()
    verdict = judge_colors(evidence_of([paint(stripes([0, 1, 2]), [ROSE, (0, 0, 0), TEAL])]), findings)
    assert verdict.colors == ((0, 0, 0), TEAL, ROSE)
    assert verdict.tolerance == 0
    assert not findings.problems()


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_smooth_edges_and_jpeg_noise_are_no_classes(format: str, evidence_of, discs) -> None:
    masks = [_saved(discs(TEAL, ROSE, "RGB", seed), format) for seed in range(4)]
    findings = Findings()
    verdict = judge_colors(evidence_of(masks, lossy=format == "JPEG"), findings)
    assert len(verdict.classes) == 2
    assert np.abs(np.array(verdict.colors) - [TEAL, ROSE]).max() <= 4
    assert verdict.tolerance > 100  # of two classes, every mixture belongs to the nearer
    assert [(p.kind, p.outcome) for p in findings.problems()] == [
        ("jpeg mask" if format == "JPEG" else "smooth edges", "mended")
    ]


def test_small_discs_of_five_colours_survive_jpeg(discs, evidence_of) -> None:
    """Chroma is stored at half the resolution, and no area is quite flat."""
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (128, 64, 128)]
    masks = [_saved(discs((0, 0, 0), colors[seed % 5], "RGB", seed, smooth=False), "JPEG") for seed in range(15)]
    verdict = judge_colors(evidence_of(masks, lossy=True), Findings())
    assert verdict.colors == tuple(sorted([(0, 0, 0), *colors]))
    assert verdict.tolerance == 48


def test_listed_colours_bring_their_names(evidence_of, stripes) -> None:
    listed = ClassList(("sea", "coral", "sand"), "label_colors.txt", colors=(TEAL, ROSE, (9, 9, 9)))
    verdict = judge_colors(evidence_of([paint(stripes([0, 1]), [ROSE, TEAL])], listed=listed), Findings())
    assert (verdict.classes, verdict.colors) == (("sea", "coral", "sand"), listed.colors)


@pytest.mark.parametrize("coding", [CAMVID, VOC])
def test_a_public_data_set_is_known_by_its_colours(coding, evidence_of, stripes) -> None:
    colors = [*coding.colors[:12], coding.void_color]
    verdict = judge_colors(evidence_of([paint(stripes(list(range(len(colors)))), colors)]), Findings())
    assert verdict.classes == coding.classes
    assert verdict.ignored == (int(pack_colors(np.array(coding.void_color))),)


def test_a_listed_void_is_ignored(evidence_of, stripes) -> None:
    listed = ClassList(("sea", "coral", "Void"), "label_colors.txt", colors=(TEAL, ROSE, (0, 0, 0)))
    masks = [paint(stripes([0, 1, 2]), [ROSE, TEAL, (0, 0, 0)])]
    verdict = judge_colors(evidence_of(masks, listed=listed), Findings())
    assert (verdict.classes, verdict.ignored) == (("sea", "coral"), (0,))


def test_photos_in_the_place_of_masks_are_refused(evidence_of) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    findings = Findings()
    judge_colors(evidence_of([noise]), findings)
    (problem,) = findings.problems()
    assert problem.fatal
    assert "these look like photos" in problem.message


def test_the_nearest_class_within_the_tolerance() -> None:
    values = pack_colors(np.array([[10, 0, 0], [250, 0, 0], [120, 0, 0]], np.uint8)).astype(np.int64)
    assert list(nearest_color(values, ((0, 0, 0), (255, 0, 0)), 20)) == [0, 1, -1]


def _saved(image: Image.Image, format: str) -> np.ndarray:
    file = io.BytesIO()
    image.save(file, format)
    return np.asarray(Image.open(file).convert("RGB"))
