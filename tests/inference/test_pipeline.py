"""All of the pipeline together: passes, tiles, the CRF, and what is told of them."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from perpixel.crf.options import CrfOptions
from perpixel.data.normalization import Normalization
from perpixel.data.palette import distinct_colors
from perpixel.errors import UsageError
from perpixel.inference import plan, refining
from perpixel.inference.options import Blend, Options
from perpixel.inference.proposals import Proposals, predict_with_proposals
from perpixel.inference.segmenter import Segmenter
from perpixel.inference.uncertainty import monte_carlo, tile_seed
from perpixel.models.unet import UNet

CRF = CrfOptions(bilateral=(2.0, 6.0, 20.0), spatial=(1.0, 2.0), iterations=3)


def segmenter(network: nn.Module, num_classes: int = 3) -> Segmenter:
    norm = Normalization(mean=(127.5,) * 3, std=(50.0,) * 3)
    names = tuple(f"class {index}" for index in range(num_classes))
    return Segmenter(network, names, distinct_colors(num_classes), norm)


def dropping() -> Segmenter:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(8, 3, 1)
    return segmenter(nn.Sequential(*layers))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), np.uint8)


# ---- passes with dropout -------------------------------------------------------------------------------


def test_samples_are_the_passes_of_bayesian_segnet() -> None:
    """Mean and variance over passes, as `monte_carlo` has them; the draw depends on the seed and nothing else."""
    pixels, bayes = noise(20, 30), dropping()
    result = bayes.predict(pixels, Options(samples=6), uncertainty=True)
    image = torch.from_numpy(bayes.normalization.apply(pixels))
    expected = monte_carlo(bayes.network, image, samples=6, seed=tile_seed(0, (0, 0)))
    maps = result.uncertainty
    assert maps is not None
    np.testing.assert_allclose(result.probabilities, expected.mean[0], atol=1e-6)
    np.testing.assert_allclose(maps.variance, expected.variance[0], atol=1e-6)
    np.testing.assert_allclose(maps.entropy, expected.entropy[0], atol=1e-5)
    np.testing.assert_allclose(maps.mutual_information, expected.mutual_information[0], atol=1e-5)
    assert np.array_equal(result.prediction, result.probabilities.argmax(0))


def test_predictions_with_dropout_can_be_repeated_and_drawn_anew() -> None:
    pixels, bayes = noise(20, 30), dropping()
    first = bayes.probabilities(pixels, Options(samples=2, tile=(16, 16)))
    bayes.probabilities(noise(9, 9), Options(samples=3))
    assert np.array_equal(bayes.probabilities(pixels, Options(samples=2, tile=(16, 16))), first)
    assert not np.array_equal(bayes.probabilities(pixels, Options(samples=2, tile=(16, 16), seed=1)), first)


def test_each_tile_has_a_dropout_of_its_own() -> None:
    pixels = np.full((16, 32, 3), 90, np.uint8)
    tiles = dropping().probabilities(pixels, Options(samples=1, tile=(16, 16), overlap=0))
    assert not np.array_equal(tiles[:, :, 2:14], tiles[:, :, 18:30])


def test_uncertainty_is_blended_over_tiles_and_bounded() -> None:
    options = Options(samples=4, tile=(16, 16), overlap=8)
    maps = dropping().predict(noise(30, 41), options, uncertainty=True).uncertainty
    assert maps is not None
    assert maps.variance is not None
    assert maps.mutual_information is not None
    assert maps.variance.shape == (3, 30, 41)
    assert 0 <= maps.variance.min() <= maps.variance.max() <= 0.25
    assert maps.mutual_information.min() >= 0
    assert (maps.mutual_information <= maps.entropy + 1e-6).all()
    assert maps.entropy.max() <= np.log(3) + 1e-6


def test_without_passes_there_is_an_entropy_and_nothing_else() -> None:
    result = dropping().predict(noise(12, 13), uncertainty=True)
    p = result.probabilities
    assert result.uncertainty is not None
    np.testing.assert_allclose(result.uncertainty.entropy, -(p * np.log(p)).sum(0), atol=1e-5)
    assert result.uncertainty.variance is result.uncertainty.mutual_information is None
    assert dropping().predict(noise(12, 13)).uncertainty is None


def test_samples_of_a_network_without_dropout_are_refused() -> None:
    plain = segmenter(nn.Conv2d(3, 3, 1))
    for ask in (plain.check, lambda options: plain.predict(noise(4, 4), options)):
        with pytest.raises(UsageError, match="expected a network with dropout"):
            ask(Options(samples=2))
    plain.check(Options())


# ---- tiles ---------------------------------------------------------------------------------------------


def test_unets_overlap_tile_is_its_prediction_of_the_whole_image() -> None:
    """Fig. 2: unpadded, 92 pixels are lost on each side. Tiles that share 184 and cut in the middle fit exactly."""
    torch.manual_seed(0)
    unet = segmenter(UNet(3, width=0.0625))
    pixels = noise(60, 700)
    whole = unet.probabilities(pixels)
    tiled = unet.probabilities(pixels, Options(tile=(416, 416), overlap=184, blend="none"))
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    less = unet.probabilities(pixels, Options(tile=(416, 416), overlap=64, blend="none"))
    assert np.abs(less - whole).max() > 1e-3


@pytest.mark.parametrize("blend", ["linear", "hann", "none", "mean"])
def test_every_blend_gives_probabilities(blend: Blend) -> None:
    found = dropping().probabilities(noise(40, 50), Options(tile=(24, 24), overlap=8, blend=blend))
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)


def test_tiles_tell_how_they_agree_and_whole_images_have_no_seams() -> None:
    tiled = dropping().predict(noise(40, 50), Options(tile=(24, 24), overlap=12))
    assert tiled.seams is not None
    assert tiled.seams.edge is not None
    assert tiled.seams.blended == 0  # each pixel sees one around it, and a quarter of the overlap is three
    assert dropping().predict(noise(40, 50)).seams is None


def test_an_image_can_be_read_tile_by_tile() -> None:
    bayes, pixels, options = dropping(), noise(50, 60), Options(tile=(32, 32), overlap=8)
    largest = 0

    def read(rows: slice, columns: slice) -> np.ndarray:
        nonlocal largest
        largest = max(largest, (rows.stop - rows.start) * (columns.stop - columns.start))
        return pixels[rows, columns]

    found = np.full((3, 50, 60), np.nan, np.float32)
    for rows, columns, values in bayes.stream(read, (50, 60), options):
        found[:, rows, columns] = values.numpy()
    assert np.array_equal(found, bayes.probabilities(pixels, options))
    assert largest == 32 * 32


def test_proposals_take_the_place_of_the_look_at_the_whole() -> None:
    boxes, pixels = segmenter(nn.Conv2d(3, 3, 1)), noise(120, 150)
    found = boxes.probabilities(pixels, Options(proposals=Proposals(least_side=50, side=64)))
    assert np.array_equal(found, predict_with_proposals(boxes, pixels, Proposals(least_side=50, side=64)).numpy())
    assert not np.allclose(found, boxes.probabilities(pixels))


# ---- the CRF -------------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Put a blur of 5 x 5 in the CRF's place, and note what it is given."""
    given: list[tuple[int, ...]] = []

    def blur(probabilities: torch.Tensor, pixels: Any, crf: CrfOptions) -> torch.Tensor:
        assert probabilities.shape[1:] == pixels.shape[:2]
        given.append(tuple(probabilities.shape))
        return nn.functional.avg_pool2d(probabilities[None], 5, 1, 2, count_include_pad=False)[0]

    monkeypatch.setattr("perpixel.inference.segmenter.refined", blur)
    return given


def test_the_crf_sees_the_whole_image_even_where_the_network_sees_tiles(calls: list[tuple[int, ...]]) -> None:
    pixels, crf = noise(40, 50), dropping()
    whole = crf.probabilities(pixels, Options(crf=CRF))
    tiled = crf.probabilities(pixels, Options(crf=CRF, tile=(24, 24), overlap=8))
    assert calls == [(3, 40, 50), (3, 40, 50)]
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_what_does_not_fit_is_refined_in_areas_that_overlap(
    calls: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "STRIDE", 1)
    pixels, crf = noise(150, 170), dropping()
    whole = crf.probabilities(pixels, Options(crf=CRF))
    crf.memory = 90 * 90 * (plan.CRF_BYTES + 3 * plan.CRF_CLASS_BYTES)
    calls.clear()
    parts = crf.probabilities(pixels, Options(crf=CRF))
    assert len(calls) > 3
    assert max(height * width for _, height, width in calls) <= 90 * 90
    np.testing.assert_allclose(
        parts, whole, atol=1e-5
    )  # 2 pixels around, of 7 that areas share at least and do not count


def test_uncertainty_is_the_networks_and_not_the_crfs(calls: list[tuple[int, ...]]) -> None:
    before = dropping().predict(noise(20, 30), Options(samples=3), uncertainty=True)
    after = dropping().predict(noise(20, 30), Options(samples=3, crf=CRF), uncertainty=True)
    assert calls
    assert after.uncertainty is not None
    assert before.uncertainty is not None
    for name, values in before.uncertainty.arrays().items():
        assert np.array_equal(after.uncertainty.arrays()[name], values)
    assert not np.allclose(after.probabilities, before.probabilities)


def test_the_crf_takes_colours_as_levels_of_eight_bits() -> None:
    pixels = noise(5, 6)
    assert refining.eight_bit_levels(pixels) is pixels
    sixteen = pixels.astype(np.uint16) * np.uint16(257)
    np.testing.assert_allclose(refining.eight_bit_levels(sixteen), pixels)


def test_the_crf_lets_labels_follow_an_edge() -> None:
    """A vertical edge of colour at column 20, and probabilities that know of it only vaguely."""
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:, 20:] = 200
    vague = nn.Conv2d(3, 2, 1)
    nn.init.zeros_(vague.weight)
    with torch.no_grad():
        vague.bias.zero_()
        vague.weight[1] = 0.02
    soft = segmenter(nn.Sequential(nn.AvgPool2d(11, 1, 5, count_include_pad=False), vague), num_classes=2)
    noisy = pixels + np.random.default_rng(0).integers(0, 9, pixels.shape, np.uint8)
    before = soft.predict(noisy).probabilities[1]
    after = soft.predict(noisy, Options(crf=CrfOptions(backend="torch"))).probabilities[1]
    contrast = [p[:, 20:23].mean() - p[:, 17:20].mean() for p in (before, after)]
    assert contrast[1] > 3 * contrast[0]
    assert all(left <= right + 1e-3 for left, right in itertools.pairwise(after.mean(0)))
