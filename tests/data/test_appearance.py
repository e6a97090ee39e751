"""perpixel.data.appearance: colours, blur and noise, in the strength asked for."""

import numpy as np
import pytest

from perpixel.data.appearance import vary_appearance


def noise(height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_nothing_asked_for_changes_nothing() -> None:
    pixels = noise(8, 9, 3)
    assert np.array_equal(vary_appearance(pixels, 0, 0, 0, rng()), pixels)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_of_any_channels_and_depth_can_vary(channels: int, dtype: type) -> None:
    pixels = noise(8, 9, channels).astype(dtype)
    shown = vary_appearance(pixels, 1, 0, 0, rng())
    assert (shown.shape, shown.dtype) == (pixels.shape, dtype)
    assert not np.array_equal(shown, pixels)


def test_colours_vary_within_the_limits_stated() -> None:
    """Brightness ±50 %, and a gain of ±15 % on each channel; a flat grey image has no contrast to vary."""
    flat = np.full((4, 4, 3), 10_000, np.uint16)
    means = np.stack([vary_appearance(flat, 1, 0, 0, rng(seed)).mean((0, 1)) for seed in range(200)]) / 10_000
    assert 0.5 * 0.85 <= means.min() < 0.55
    assert 1.4 < means.max() <= 1.5 * 1.15


def test_contrast_turns_about_the_images_own_mean() -> None:
    """A 12-bit image in a 16-bit file must not be driven to black."""
    pixels = (noise(32, 32, 1).astype(np.uint16) + 500) * 2
    for seed in range(30):
        assert vary_appearance(pixels, 1, 0, 0, rng(seed)).mean() == pytest.approx(pixels.mean(), rel=0.75)
        assert vary_appearance(pixels, 1, 0, 0, rng(seed)).min() > 0


def test_saturation_leaves_grey_pixels_in_proportion() -> None:
    grey = np.repeat(noise(16, 16, 1) // 2, 3, axis=2)
    shown = vary_appearance(grey.astype(np.uint16) * 100, 1, 0, 0, rng(3)).reshape(-1, 3).astype(float)
    fit = np.polyfit(grey[..., 0].ravel(), shown, 1)
    assert np.abs(np.outer(grey[..., 0].ravel(), fit[0]) + fit[1] - shown).max() < 2


def test_noise_has_the_strength_asked_for_at_most() -> None:
    flat = np.full((64, 64, 1), 30_000, np.uint16)
    stds = [vary_appearance(flat, 0, 0, 0.02, rng(seed)).std() for seed in range(40)]
    assert 0.6 * 0.02 * 65535 < max(stds) < 1.1 * 0.02 * 65535


def test_blur_keeps_the_mean_and_smooths() -> None:
    pixels = noise(64, 64, 1)
    shown = vary_appearance(pixels, 0, 2, 0, rng())
    assert shown.mean() == pytest.approx(pixels.mean(), abs=1.5)
    assert shown.std() < 0.6 * pixels.std()


def test_blur_keeps_a_flat_image_flat() -> None:
    flat = np.full((9, 5, 2), 200, np.uint8)
    assert (vary_appearance(flat, 0, 3, 0, rng()) == 200).all()
