"""Class activation maps: an average of scores, and a score of averages (Zhou et al., CVPR 2016, Sec. 2)."""

import pytest
import torch
from torch import nn

from perpixel.encoders.encoder import Encoder
from perpixel.errors import UsageError
from perpixel.models.activation_maps import ActivationMaps, layered

NARROW = 1 / 16
LABELS = 3


def network(**options: object) -> ActivationMaps:
    torch.manual_seed(0)
    options = {"encoder": "vgg11-bn", "width": NARROW, **options}
    return ActivationMaps(LABELS + 1, **options).eval()  # type: ignore[arg-type]


def image(height: int = 48, width: int = 64) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_the_score_of_averaged_features_is_the_average_of_the_maps() -> None:
    """Sec. 2, equations 1 and 2."""
    maps = network()
    features = maps.encoder(image())[-1].mean((-2, -1))
    score = nn.functional.linear(features, maps.score.weight.flatten(1), maps.score.bias)
    torch.testing.assert_close(maps.classify(image()), score)


def test_pixels_above_the_share_of_the_highest_value_are_the_labels() -> None:
    maps = network(output_stride=8)
    nn.init.constant_(maps.score.bias, 5.0)  # every label is there
    values = maps.activation_maps(image())
    highest = maps.cells(image()).amax((-2, -1))
    relative = values / highest[..., None, None]
    expected = torch.where(relative.amax(1) > maps.share, relative.argmax(1) + 1, 0)
    assert torch.equal(maps(image()).argmax(1), expected)


def test_a_label_that_is_not_found_is_nowhere() -> None:
    maps = network(threshold=0.5)
    nn.init.zeros_(maps.score.weight)
    maps.score.bias.data = torch.tensor([-4.0, 4.0, -4.0])
    assert set(maps(image()).argmax(1).unique().tolist()) <= {0, 2}


def test_where_nothing_is_background_every_pixel_has_a_label() -> None:
    maps = network(background=-1)
    assert maps.num_labels == LABELS + 1
    assert maps(image()).shape == (2, LABELS + 1, 48, 64)


def test_without_background_the_labels_found_share_the_pixels_where_all_are_unlikely_too() -> None:
    maps = network(background=-1, output_stride=8)
    nn.init.zeros_(maps.score.weight)
    maps.score.bias.data = torch.tensor([-5.0, -6.0, -1.0, -7.0])
    assert (maps(image()).argmax(1) == 2).all(), "the likeliest, since none is found"
    nn.init.normal_(maps.score.weight)
    maps.score.bias.data = torch.tensor([-99.0, -99.0, -99.0, 99.0])
    assert (maps(image()).argmax(1) == 3).all(), "the one that is found"


def test_a_square_of_one_side_is_seen_whatever_the_image_is() -> None:
    maps = network(input_size=32)
    assert maps.cells(image(40, 100)).shape[-2:] == (2, 2)
    assert maps(image(40, 100)).shape == (2, LABELS + 1, 40, 100)
    assert maps(image(32, 32)).equal(network()(image(32, 32)))


def test_probabilities_add_up_to_one() -> None:
    torch.testing.assert_close(network()(image()).exp().sum(1), torch.ones(2, 48, 64))


@pytest.mark.parametrize("option", [{"share": 1.5}, {"threshold": -0.1}, {"input_size": -32}])
def test_numbers_out_of_their_range_are_refused_by_name(option: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"expected {next(iter(option))}"):
        network(**option)


def test_a_vgg_of_fewer_stages_sees_less_around_a_cell() -> None:
    maps = network(stages=4, output_stride=8)
    assert "stage5" not in maps.encoder.stages  # type: ignore[operator]
    assert maps.cells(image()).shape == (2, LABELS, 6, 8)
    assert maps(image()).shape == (2, LABELS + 1, 48, 64)


def test_stages_of_another_librarys_encoder_cannot_be_left_out() -> None:
    with pytest.raises(UsageError, match="expected one of our encoders to cut, got timm:resnet18"):
        layered(Encoder(), "timm:resnet18")


def test_a_resnet_of_fewer_stages_sees_less_around_a_cell() -> None:
    maps = network(encoder="resnet18", stages=4, output_stride=8)
    assert not hasattr(maps.encoder, "layer4")
    assert maps(torch.randn(1, 3, 33, 40)).shape[-2:] == (33, 40)
