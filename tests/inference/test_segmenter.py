"""A segmenter labels whole images of any size, however large."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perpixel.data.normalization import Normalization
from perpixel.data.palette import distinct_colors
from perpixel.errors import UsageError
from perpixel.inference import plan
from perpixel.inference import segmenter as module
from perpixel.inference.options import Options
from perpixel.inference.segmenter import Segmenter


def random_segmenter(num_classes: int = 4, scale: float = 1.0) -> Segmenter:
    """Build two random 3 × 3 convolutions: every pixel sees 2 pixels around it."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, num_classes, 3, padding=1))
    norm = Normalization(mean=(127.5,) * 3, std=(50.0,) * 3)
    names = tuple(f"class {i}" for i in range(num_classes))
    return Segmenter(network, names, distinct_colors(num_classes), norm, scale)


RANDOM = random_segmenter()


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, channels), np.uint8)


def test_each_pixel_is_the_class_with_the_largest_logit(levels: Segmenter) -> None:
    pixels = noise(9, 13)
    result = levels.predict(pixels)
    assert result.prediction.dtype == np.int64
    assert np.array_equal(result.prediction, pixels.argmax(2))
    assert np.array_equal(result.pixels, pixels)


def test_probabilities_are_the_softmax_of_the_logits(levels: Segmenter) -> None:
    pixels = noise(6, 5) // 32
    expected = torch.from_numpy(pixels).float().softmax(2).permute(2, 0, 1).numpy()
    result = levels.predict(pixels)
    assert result.probabilities.dtype == np.float32
    np.testing.assert_allclose(result.probabilities, expected, rtol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2), (37, 53)])
@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_any_size_goes_in_and_comes_out(size: tuple[int, int], scale: float) -> None:
    result = random_segmenter(scale=scale).predict(noise(*size), Options(scales=(0.5, 1.0, 1.5), flip=True))
    assert result.prediction.shape == size
    assert result.probabilities.shape == (4, *size)
    np.testing.assert_allclose(result.probabilities.sum(0), 1, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(20, 60), st.integers(20, 60))
def test_tiles_change_nothing_where_their_overlap_covers_the_receptive_field(
    height: int, width: int, tile_height: int, tile_width: int
) -> None:
    pixels = noise(height, width)  # each pixel sees 2 pixels around it: a quarter of the overlap
    tiled = Options(tile=(tile_height, tile_width), overlap=8)
    np.testing.assert_allclose(RANDOM.probabilities(pixels, tiled), RANDOM.probabilities(pixels), rtol=1e-4, atol=1e-6)


def test_images_above_the_bound_are_tiled_without_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noise(130, 170)
    whole = RANDOM.predict(pixels).prediction
    largest = 0

    def watch(_: nn.Module, given: tuple[torch.Tensor]) -> None:
        nonlocal largest
        largest = max(largest, given[0][0, 0].numel())

    monkeypatch.setattr(RANDOM, "memory", 64 * 64 * (plan.NETWORK_BYTES + 4 * plan.CLASS_BYTES))
    hook = RANDOM.network.register_forward_pre_hook(watch)
    tiled = RANDOM.predict(pixels).prediction
    hook.remove()
    assert largest <= 64 * 64
    assert np.array_equal(tiled, whole)


def test_probabilities_that_are_too_many_are_computed_when_asked_for(
    levels: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = noise(8, 8) // 32
    kept = levels.predict(pixels)
    monkeypatch.setattr(module, "KEPT_BYTES", 0)
    lazy = levels.predict(pixels)
    assert lazy.kept is None
    assert levels.predict(pixels, probabilities=True).kept is not None
    assert np.array_equal(lazy.probabilities, kept.probabilities)


def test_a_mirrored_look_makes_the_prediction_of_a_mirror_image_its_mirror_image() -> None:
    pixels, options = noise(12, 15), Options(flip=True)
    straight = RANDOM.probabilities(pixels, options)
    mirrored = RANDOM.probabilities(np.ascontiguousarray(pixels[:, ::-1]), options)
    np.testing.assert_allclose(straight, mirrored[:, :, ::-1], rtol=1e-5)


def test_scales_are_fused_by_the_mean_of_probabilities() -> None:
    pixels = noise(20, 24)
    alone = [RANDOM.probabilities(pixels, Options(scales=(scale,))) for scale in (0.5, 1.0)]
    together = RANDOM.probabilities(pixels, Options(scales=(0.5, 1.0)))
    np.testing.assert_allclose(together, np.mean(alone, axis=0), rtol=1e-4, atol=1e-6)


def test_scales_are_fused_by_the_largest_logits() -> None:
    """DeepLab v2, Sec. 4.1.2: the maximum of the score maps at each position."""
    pixels = noise(20, 24)
    alone = [RANDOM.probabilities(pixels, Options(scales=(s,), fusion="max")) for s in (0.5, 1.0)]
    together = RANDOM.probabilities(pixels, Options(scales=(0.5, 1.0), fusion="max"))
    winners = np.stack([p.argmax(0) for p in alone])
    assert (together.argmax(0)[None] == winners).any(0).all()


def test_dropout_and_batch_statistics_are_off() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5))
    norm = Normalization(mean=(0.0,), std=(255.0,))
    segmenter = Segmenter(network, ("a", "b"), distinct_colors(2), norm)
    pixels = noise(4, 4, 1)
    assert np.array_equal(segmenter.probabilities(pixels), segmenter.probabilities(pixels))
    assert network[1].num_batches_tracked == 0


def test_a_network_with_other_classes_than_named_is_refused(levels: Segmenter) -> None:
    wrong = Segmenter(levels.network, ("a", "b"), distinct_colors(2), levels.normalization)
    with pytest.raises(UsageError, match="expected logits of shape"):
        wrong.predict(noise(3, 3))


def test_sixteen_bit_networks_are_told_by_their_normalization() -> None:
    norm = Normalization(mean=(30_000.0,), std=(9_000.0,))
    segmenter = Segmenter(nn.Conv2d(1, 2, 1), ("a", "b"), distinct_colors(2), norm)
    assert segmenter.read(np.full((2, 2), 255, np.uint8)).max() == 65535


def test_a_prepared_segmenter_gives_the_same_labels() -> None:
    pixels = noise(21, 34)
    expected = random_segmenter().probabilities(pixels)
    prepared = random_segmenter().prepare((21, 34))
    np.testing.assert_allclose(prepared.probabilities(pixels), expected, atol=1e-5)


def test_many_images_are_prepared_for_at_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def note(network: nn.Module, image_size: tuple[int, int], in_channels: int, ways: None) -> nn.Module:
        sizes.append((image_size, in_channels))
        return network

    monkeypatch.setattr("perpixel.inference.segmenter.prepare_for_inference", note)
    few, many = random_segmenter().expect(7), random_segmenter().expect(8)
    for height in (20, 30):
        few.ids(noise(height, 34))
        many.ids(noise(height, 34))
    assert sizes == [((20, 34), 3)]


def test_pixels_that_were_read_are_predicted_like_their_source() -> None:
    segmenter, pixels = random_segmenter(), noise(3, 8)
    one, other = segmenter.predict(pixels), segmenter.predict_pixels(segmenter.read(pixels))
    assert np.array_equal(one.probabilities, other.probabilities)
