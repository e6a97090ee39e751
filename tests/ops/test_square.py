"""Images in squares, and maps taken out of them again."""

import torch

from perpixel.ops.square import from_square, to_square


def test_what_is_added_is_black_at_the_right_and_bottom() -> None:
    image, black = torch.ones(1, 2, 3, 5), torch.tensor([-1.0, -2.0])
    square = to_square(image, black, 5)
    assert torch.equal(square[..., :3, :], image)
    assert torch.equal(square[..., 3:, :], black.view(1, 2, 1, 1).expand(1, 2, 2, 5))


def test_maps_of_the_square_come_back_at_the_images_size() -> None:
    ramp = torch.linspace(0, 1, 8).expand(1, 1, 8, 8)
    assert from_square(ramp, (6, 16)).shape == (1, 1, 6, 16)
    assert torch.equal(from_square(ramp, (6, 8)), ramp[..., :6, :])


def test_bicubic_interpolation_to_the_same_size_changes_nothing() -> None:
    maps = torch.randn(1, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(from_square(maps, (7, 4), "bicubic"), maps[..., :4])
