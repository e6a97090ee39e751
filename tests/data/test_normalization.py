"""perpixel.data.normalization: units, channel order and memory."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from perpixel.data.normalization import Normalization
from perpixel.errors import UsageError

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
RGB = Normalization(mean=(10, 20, 30), std=(1, 2, 4))


def test_each_channel_is_shifted_and_divided() -> None:
    expected = (PIXELS.astype(np.float64) - [10, 20, 30]) / [1, 2, 4]
    image = RGB.apply(PIXELS)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected.transpose(0, 3, 1, 2), rtol=1e-6)


def test_one_image_becomes_a_batch_of_one() -> None:
    assert np.array_equal(RGB.apply(PIXELS[0]), RGB.apply(PIXELS)[:1])


def test_bgr_reverses_the_channels_after_normalising_them() -> None:
    bgr = Normalization(mean=(10, 20, 30), std=(1, 2, 4), order="bgr")
    np.testing.assert_allclose(bgr.apply(PIXELS), RGB.apply(PIXELS)[:, ::-1], rtol=1e-6)


def test_sixteen_bits_are_in_their_own_units() -> None:
    pixels = np.full((4, 4, 1), 40_000, np.uint16)
    assert (Normalization(mean=(30_000,), std=(5_000,)).apply(pixels) == 2).all()


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_torch_takes_it_as_channels_last_without_copying(order: str) -> None:
    image = Normalization(mean=(0, 0, 0), std=(1, 1, 1), order=order).apply(PIXELS)  # type: ignore[arg-type]
    tensor = torch.from_numpy(image)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert tensor.data_ptr() == image.ctypes.data


def test_the_pixels_are_not_changed() -> None:
    pixels = PIXELS.astype(np.float32)
    RGB.apply(pixels)
    assert np.array_equal(pixels, PIXELS)


def test_a_channel_that_never_varies_is_only_shifted() -> None:
    assert Normalization.from_statistics([5, 6], [0, 3]) == Normalization(mean=(5, 6), std=(1, 3))


def test_it_survives_being_written_and_read() -> None:
    assert Normalization.model_validate_json(RGB.model_dump_json()) == RGB


def test_pixels_of_another_number_of_channels_are_refused() -> None:
    with pytest.raises(UsageError, match=r"\(H, W, 3\).*got \(5, 7, 1\)"):
        RGB.apply(PIXELS[0, ..., :1])


@pytest.mark.parametrize(
    ("mean", "std"), [((1,), (1, 2)), ((), ()), ((0,), (0,)), ((0,), (-1,)), ((float("nan"),), (1,))]
)
def test_statistics_that_cannot_be_used_are_refused(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="expected"):
        Normalization(mean=mean, std=std)
