"""perpixel.refine: the whole CRF."""

import sys

import numpy as np
import pytest
import torch

import perpixel
from perpixel.crf.kernels import Kernel, bilateral_features, spatial_features
from perpixel.errors import UsageError
from tests.crf import brute_force
from tests.crf.scenes import scene

pytest.importorskip("numba")

BILATERAL, SPATIAL = (4.0, 12.0, 20.0), (2.0, 3.0)


def exactly(probabilities: np.ndarray, pixels: np.ndarray, normalization: str, iterations: int = 5) -> np.ndarray:
    """Refine by definition."""
    size = pixels.shape[:2]
    features = [bilateral_features(pixels, *BILATERAL[1:]), spatial_features(*size, SPATIAL[1])]
    matrices = [brute_force.normalized(brute_force.kernel_matrix(each), normalization) for each in features]
    return brute_force.mean_field(probabilities, matrices, [BILATERAL[0], SPATIAL[0]], iterations)


@pytest.mark.parametrize("normalization", ["symmetric", "after"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_lattice_comes_near_the_sum_over_all_pairs(seed: int, normalization: str) -> None:
    """Normalising takes the lattice's gain out; what remains moves probabilities by about a hundredth."""
    probabilities, pixels, _ = scene(seed)
    ours = perpixel.refine(probabilities, pixels, BILATERAL, SPATIAL, 5, normalization)
    exact = exactly(probabilities, pixels, normalization)
    assert np.abs(ours - exact).mean() < 0.02
    assert (ours.argmax(axis=0) == exact.argmax(axis=0)).mean() > 0.98


@pytest.mark.parametrize("normalization", ["symmetric", "after", "none"])
@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_the_exact_spatial_filter_is_the_sum_over_all_pairs(normalization: str, backend: str) -> None:
    probabilities, pixels, _ = scene(0)
    exactly = {"spatial_filter": "gaussian", "backend": backend}
    ours = perpixel.refine(probabilities, pixels, None, (0.2, 2.5), 3, normalization, **exactly)
    matrix = brute_force.normalized(brute_force.kernel_matrix(spatial_features(20, 26, 2.5)), normalization)
    assert ours == pytest.approx(brute_force.mean_field(probabilities, [matrix], [0.2], 3), abs=2e-4)


def test_refining_finds_the_edges() -> None:
    """Noise of the size of the signal is gone where colour tells."""
    probabilities, pixels, target = scene(7, size=(60, 80))
    before = (probabilities.argmax(axis=0) == target).mean()
    after = (perpixel.refine(probabilities, pixels, (4, 20, 15), (1, 2)).argmax(axis=0) == target).mean()
    assert before < 0.8
    assert after > 0.97


def test_probabilities_that_are_the_same_everywhere_stay_so() -> None:
    _, pixels, _ = scene(0)
    probabilities = np.broadcast_to(np.array([0.5, 0.5], np.float32)[:, None, None], (2, 20, 26))
    assert perpixel.refine(probabilities, pixels) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 7, 8, 9, 16, 21, 24, 40, 255])
def test_any_number_of_classes_gives_probabilities(classes: int) -> None:
    """Rows are padded to 2, 4 or eights and read in 24s; what is padding must not show."""
    rng = np.random.default_rng(classes)
    probabilities = rng.dirichlet(np.ones(classes), (12, 15)).transpose(2, 0, 1).astype(np.float32)
    pixels = rng.integers(0, 256, (12, 15, 3), np.uint8)
    compiled = perpixel.refine(probabilities, pixels)
    assert compiled.shape == probabilities.shape
    assert compiled.dtype == np.float32
    assert compiled.sum(axis=0) == pytest.approx(1, abs=1e-5)
    assert compiled == pytest.approx(perpixel.refine(probabilities, pixels, backend="torch"), abs=1e-4)


def test_one_class_is_certain() -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    assert (perpixel.refine(np.ones((1, 4, 5), np.float32), pixels) == 1).all()


def test_no_iteration_only_clips() -> None:
    """What is below 1e-5 becomes it, as in unary_from_softmax of pydensecrf."""
    probabilities = np.array([1, 0], np.float32)[:, None, None] * np.ones((1, 3, 4), np.float32)
    refined = perpixel.refine(probabilities, np.zeros((3, 4, 3), np.uint8), iterations=0)
    assert refined[1] == pytest.approx(1e-5 / (1 + 1e-5), rel=1e-4)


@pytest.mark.parametrize("normalization", ["symmetric", "after", "none"])
def test_both_backends_agree(normalization: str) -> None:
    probabilities, pixels, _ = scene(3)
    weights = (0.02, 12.0, 20.0), (0.02, 3.0)
    answers = [
        perpixel.refine(probabilities, pixels, *weights, 10, normalization, backend=backend)
        for backend in ("numba", "torch")
    ]
    assert answers[0] == pytest.approx(answers[1], abs=1e-4)


@pytest.mark.parametrize("weight", [2.0, np.array([1.0, 2, 3, 4]), np.arange(16.0).reshape(4, 4) / 10])
@pytest.mark.parametrize("compatible", [False, True])
def test_kernels_of_ones_own_and_learned_weights_agree_with_torch(weight: object, compatible: bool) -> None:
    probabilities, pixels, _ = scene(4)
    kernel = Kernel(bilateral_features(pixels[..., :1], 9, 25), weight)
    compatibility = np.random.default_rng(0).uniform(0, 1, (4, 4)) if compatible else None
    answers = [
        perpixel.refine(probabilities, pixels, None, kernels=[kernel], compatibility=compatibility, backend=backend)
        for backend in ("numba", "torch")
    ]
    assert answers[0] == pytest.approx(answers[1], abs=1e-4)


def test_compatibility_is_a_cost_by_definition() -> None:
    probabilities, pixels, _ = scene(5)
    compatibility = np.random.default_rng(1).uniform(0, 2, (4, 4))
    features = spatial_features(20, 26, 2.0)
    ours = perpixel.refine(
        probabilities, pixels, None, (1, 2.0), 3, compatibility=compatibility, spatial_filter="gaussian"
    )
    matrix = brute_force.normalized(brute_force.kernel_matrix(features), "symmetric")
    assert ours == pytest.approx(brute_force.mean_field(probabilities, [matrix], [1.0], 3, compatibility), abs=2e-4)


def test_potts_said_as_a_matrix_is_potts() -> None:
    probabilities, pixels, _ = scene(6)
    said = perpixel.refine(probabilities, pixels, compatibility=1 - np.eye(4))
    assert said == pytest.approx(perpixel.refine(probabilities, pixels), abs=1e-5)


def test_a_kernel_given_as_features_is_the_built_in_one() -> None:
    probabilities, pixels, _ = scene(8)
    kernel = Kernel(bilateral_features(pixels, 12, 20).reshape(-1, 5), 4.0)
    given = perpixel.refine(probabilities, pixels, None, SPATIAL, kernels=[kernel])
    assert given == pytest.approx(perpixel.refine(probabilities, pixels, BILATERAL, SPATIAL), abs=1e-5)


@pytest.mark.parametrize("channels", [None, 1, 6])
def test_images_of_any_bands_are_taken(channels: int | None) -> None:
    probabilities, pixels, _ = scene(9)
    grey = pixels.mean(axis=-1)
    bands = grey if channels is None else np.repeat(grey[..., None], channels, axis=-1).astype(np.uint16) * 100
    scale = 1 if channels is None else 100
    refined = perpixel.refine(probabilities, bands, (4, 12, 20 * scale), SPATIAL)
    assert refined.sum(axis=0) == pytest.approx(1, abs=1e-5)
    assert (refined.argmax(axis=0) != probabilities.argmax(axis=0)).any()


def test_without_any_kernel_nothing_moves() -> None:
    probabilities, pixels, _ = scene(0)
    assert perpixel.refine(probabilities, pixels, None, None) == pytest.approx(probabilities, abs=1e-4)


@pytest.mark.parametrize("classes", [2, 4, 5, 26])
def test_threads_do_not_change_a_bit(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perpixel.crf.lattice.WORTH_WAKING", 0)
    probabilities, pixels, _ = scene(1, classes=classes, size=(97, 131))
    before = torch.get_num_threads()
    answers = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            answers.append(perpixel.refine(probabilities, pixels))
    finally:
        torch.set_num_threads(before)
    assert all(np.array_equal(answers[0], other) for other in answers[1:])


def test_tiles_equal_the_whole_where_no_edge_reaches() -> None:
    """One iteration looks no further than a few deviations; and tiles keep the lattice's origin."""
    probabilities, pixels, _ = scene(2, size=(40, 200))
    kernels = (1.0, 2.0, 30.0), (1.0, 1.0)
    whole = perpixel.refine(probabilities, pixels, *kernels, 1)
    tiled = perpixel.refine(probabilities, pixels, *kernels, 1, tile=(40, 110))
    middle = slice(95, 105)  # both tiles end ten pixels or more from here
    outside = np.r_[0:70, 130:200]
    assert tiled[..., outside] == pytest.approx(whole[..., outside], abs=1e-5)
    assert tiled[..., middle] == pytest.approx(whole[..., middle], abs=0.02)


def test_an_image_smaller_than_a_tile_is_done_whole() -> None:
    probabilities, pixels, _ = scene(2)
    assert np.array_equal(perpixel.refine(probabilities, pixels, tile=(64, 64)), perpixel.refine(probabilities, pixels))


def test_half_precision_and_double_precision_are_taken() -> None:
    probabilities, pixels, _ = scene(2)
    for kind in (np.float16, np.float64):
        refined = perpixel.refine(probabilities.astype(kind), pixels)
        assert refined.dtype == np.float32
        assert refined == pytest.approx(perpixel.refine(probabilities, pixels), abs=0.02)


def test_without_numba_torch_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities, pixels, _ = scene(2)
    expected = perpixel.refine(probabilities, pixels, backend="torch")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "perpixel.crf.mean_field")
    assert np.array_equal(perpixel.refine(probabilities, pixels), expected)
    with pytest.raises(UsageError, match=r"pip install 'perpixel\[fast\]'"):
        perpixel.refine(probabilities, pixels, backend="numba")


GOOD = np.full((2, 4, 6), 0.5, np.float32)
IMAGE = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)


@pytest.mark.parametrize(
    ("probabilities", "pixels", "more", "said"),
    [
        (GOOD[0], IMAGE, {}, r"\(K, H, W\), got \(4, 6\)"),
        (GOOD[None], IMAGE, {}, "Take one image of the batch"),
        (GOOD[:, :0], IMAGE[:0], {}, r"got \(2, 0, 6\)"),
        (GOOD.astype(np.int64), IMAGE, {}, "as floats, got int64"),
        (GOOD * np.nan, IMAGE, {}, "finite probabilities"),
        (GOOD - 3, IMAGE, {}, "If these are logits"),
        (GOOD / 2, IMAGE, {}, "sum to 1 over the classes, got 0.5 to 0.5"),
        (GOOD, IMAGE[:3], {}, r"size 4 × 6, got \(3, 6, 3\)"),
        (GOOD, IMAGE.transpose(2, 0, 1), {}, "Move the channels last"),
        (GOOD, IMAGE.transpose(1, 0, 2), {}, "exchanged: a rotated photo"),
        (GOOD, IMAGE / 255, {}, "Multiply them by 255"),
        (GOOD, IMAGE * np.nan, {}, "finite pixels"),
        (GOOD, IMAGE, {"kernels": [Kernel(np.zeros((3, 3, 2)))]}, "features .H, W, d. of 4 × 6"),
        (GOOD, IMAGE, {"kernels": [Kernel(np.zeros((4, 6, 2)), np.ones(3))]}, r"got \(3,\)"),
        (GOOD, IMAGE, {"kernels": [Kernel(np.full((4, 6, 2), np.inf))]}, "finite features"),
        (GOOD, IMAGE, {"compatibility": np.eye(3)}, r"compatibility \(2, 2\)"),
        (GOOD, IMAGE, {"bilateral": (4, 49, 1e-6), "backend": "numba"}, "Take larger deviations"),
        (GOOD, IMAGE, {"spatial": (4, 1e-30), "backend": "numba"}, "Take larger deviations"),
    ],
)
def test_what_does_not_fit_is_said(probabilities: np.ndarray, pixels: np.ndarray, more: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        perpixel.refine(probabilities, pixels, **more)


def test_the_answer_is_pydensecrfs() -> None:
    """The reference is pydensecrf2 of PyPI; benchmarks/crf.py compares larger images."""
    densecrf = pytest.importorskip("pydensecrf.densecrf")
    utils = pytest.importorskip("pydensecrf.utils")
    probabilities, pixels, _ = scene(11, classes=5, size=(64, 80))
    reference = densecrf.DenseCRF2D(80, 64, 5)
    reference.setUnaryEnergy(utils.unary_from_softmax(probabilities))
    reference.addPairwiseGaussian(sxy=3, compat=3)
    reference.addPairwiseBilateral(sxy=49, srgb=5, rgbim=np.ascontiguousarray(pixels), compat=4)
    theirs = np.array(reference.inference(10)).reshape(5, 64, 80)
    assert np.abs(perpixel.refine(probabilities, pixels) - theirs).max() < 1e-4
