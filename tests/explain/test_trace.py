"""The layer table of any network, against the published figures."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from perpixel.errors import UsageError
from perpixel.explain.layers import KINDS
from perpixel.explain.trace import explain
from perpixel.explain.watch import IMAGE
from perpixel.models.catalog import MODELS, build, count_parameters


def meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return build(name)


@pytest.mark.parametrize("name", MODELS)
def test_looking_finds_what_the_catalogue_says(name: str) -> None:
    """Field and stride of the coarsest map, and every parameter in exactly one row."""
    size = (320, 320) if name == "transfernet" else (97, 141)  # TransferNet resizes others, and its cells with them
    row, explained = MODELS[name], explain(meta(name), size, name=name)
    assert (explained.output_stride, explained.receptive_field) == (row.output_stride, row.receptive_field)
    assert sum(layer.parameters for layer in explained.layers) == explained.parameters == count_parameters(name)
    assert explained.layers[0].inputs == (IMAGE,)
    assert {layer.type for layer in explained.layers} <= set(KINDS)
    assert explained.macs == sum(layer.macs for layer in explained.layers) > 0


def test_the_trunk_of_fcn_is_the_released_one() -> None:
    """voc-fcn8s/net.py at 500 pixels: size, field, stride and place of element 0 of every map."""
    rows = {row.name.split(".")[-1]: row for row in explain(meta("fcn8s"), (500, 500)).layers}
    expected = {
        "conv1_1": (698, 3, 1, -99),
        "conv1_2": (698, 5, 1, -99),
        "conv2_2": (349, 14, 2, -98.5),
        "conv3_3": (175, 40, 4, -97.5),
        "conv4_3": (88, 92, 8, -95.5),
        "conv5_3": (44, 196, 16, -91.5),
        "fc6": (16, 404, 32, 12.5),
        "fc7": (16, 404, 32, 12.5),
        "score_fr": (16, 404, 32, 12.5),
    }
    for name, (size, field, stride, start) in expected.items():
        row = rows[name]
        assert (row.output[1:], row.receptive_field, row.stride, row.start) == ((size, size), field, stride, start)


def test_the_last_map_of_an_aligned_network_starts_at_pixel_zero() -> None:
    for name in ("fcn32s", "fcn8s", "segnet", "unet-same"):
        last = explain(meta(name), (224, 224)).layers[-1]
        assert (last.stride, last.start) == (1, 0), name


def test_multiply_adds_are_the_products_of_a_convolution() -> None:
    """Out, times in, times kernel, times places; a deconvolution the same over the places it reads."""
    network = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.Conv2d(8, 8, 3, groups=4), nn.ConvTranspose2d(8, 2, 4, stride=2)
    )
    rows = explain(network, (16, 20)).layers
    assert [row.macs for row in rows] == [8 * 3 * 25 * 8 * 10, 8 * 2 * 9 * 6 * 8, 8 * 2 * 16 * 6 * 8]
    assert [row.detail for row in rows] == ["5 x 5, stride 2", "3 x 3, 4 groups", "4 x 4, stride 2"]


def test_skips_and_switches_are_known_by_the_rows_they_come_from() -> None:
    rows = explain(meta("unet-same"), (64, 64)).layers
    joins = [row for row in rows if row.type == "concatenation"]
    assert [{rows[source].type for source in row.inputs} for row in joins] == [{"batch norm", "deconvolution"}] * 4
    rows = explain(meta("segnet"), (64, 64)).layers
    pairs = [(rows[row.switches_of].name, row.output) for row in rows if row.switches_of is not None]
    assert [output[1:] for _, output in pairs] == [(4, 4), (8, 8), (16, 16), (32, 32), (64, 64)]


class Foreign(nn.Module):
    """A network of somebody's own: functional layers, methods, a gate, torch's own unpooling, an affine."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.second = nn.Conv2d(4, 4, 3, padding=2, dilation=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return a map of the image's size."""
        features = self.first(image) * self.scale
        pooled, indices = functional.max_pool2d(features, 2, return_indices=True)
        gated = self.second(pooled).sigmoid() * pooled
        up = functional.max_unpool2d(gated, indices, 2, output_size=list(features.shape[-2:]))
        half = functional.interpolate(functional.avg_pool2d(image, 4), scale_factor=4, mode="bilinear")
        return torch.cat((up[..., 1:-1, 1:-1], functional.pad(half, (-1, -1, -1, -1))), 1).relu_()


def test_any_module_is_followed_through_functions_and_methods() -> None:
    rows = explain(Foreign(), (16, 16)).layers
    table = [(row.type, row.output, row.stride, row.receptive_field, row.start) for row in rows]
    assert table == [
        ("convolution", (4, 16, 16), 1, 3, 0),
        ("weights", (4, 16, 16), 1, 3, 0),
        ("max pooling", (4, 8, 8), 2, 4, 0.5),
        ("convolution", (4, 8, 8), 2, 12, 0.5),
        ("product", (4, 8, 8), 2, 12, 0.5),
        ("unpooling", (4, 16, 16), 1, 12, 0),
        ("average pooling", (1, 4, 4), 4, 4, 1.5),
        ("interpolation", (1, 16, 16), 1, 8, 0),
        ("concatenation", (5, 14, 14), 1, 12, 1),
    ]
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in Foreign().parameters())


def test_a_classifier_keeps_its_rows_where_its_field_is_lost() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 7))
    rows = explain(network, (12, 12)).layers
    assert [(row.type, row.receptive_field, row.macs) for row in rows] == [
        ("convolution", 3, 4 * 3 * 9 * 100), ("average pooling", 12, 0), ("linear", None, 28),
    ]  # fmt: skip


def test_the_module_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    network[2].eval()
    weight = network[0].weight
    explain(network, (8, 8))
    assert [part.training for part in network] == [True, True, False]
    assert network[0].weight is weight
    assert weight.device.type == "cpu"
    assert not network[0]._forward_hooks
    assert network[1].num_batches_tracked == 0


def test_channels_may_be_shuffled_and_split() -> None:
    class Shuffled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(4, 4, 3, padding=1, groups=2)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            first, second = image.chunk(2, dim=1)
            return (
                self.convolution(torch.cat((second, first), 1)).unflatten(1, (2, 2)).transpose(1, 2).flatten(1, 2) + 1
            )

    explained = explain(nn.Sequential(Shuffled(), nn.MaxPool2d(2), Shuffled()), (8, 8))
    assert [row.receptive_field for row in explained.layers if row.type == "convolution"] == [3, 8]


def test_maps_that_are_stacked_and_summed_are_added() -> None:
    row = explain(meta("deep-contextual"), (64, 64)).layers[-1]
    assert (row.type, len(row.inputs)) == ("addition", 3)


class Asking(nn.Module):
    """A network that reads values on its way."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the image, pooled if it is dark."""
        return functional.avg_pool2d(image, 2) if image.mean().item() < 1 else image


def test_a_module_that_asks_for_values_is_run_for_real() -> None:
    (row,) = explain(Asking(), (6, 8)).layers
    assert (row.type, row.output) == ("average pooling", (3, 3, 4))


def test_an_image_that_does_not_fit_is_refused_with_a_remedy() -> None:
    with pytest.raises(UsageError, match=r"explain: expected a network that takes an image of shape \(1, 3, 2, 2\)"):
        explain(nn.Conv2d(3, 1, 5), (2, 2))
