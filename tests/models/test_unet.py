"""The paper's U-Net: sizes, the mirrored border, tiles, and the released variant."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from perpixel.models.unet import MARGINS, UNet, Window, input_size, mirrored, output_size, overlap_tile, reflected

CPU = torch.device("cpu")


def narrow(**options: object) -> UNet:
    torch.manual_seed(0)
    return UNet(2, in_channels=1, width=1 / 16, **options).eval()  # type: ignore[arg-type]


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_fig_1_and_the_release_have_their_counts() -> None:
    """A last up-convolution of 128 channels, 32,832 more, and a wider level after it, 36,864."""
    with torch.device("meta"):
        figure, release = UNet(2, in_channels=1), UNet(2, in_channels=1, released=True)
    assert count(figure) == 31_030_658
    assert count(release) == 31_100_354 == 31_030_658 + 32_832 + 36_864


def test_it_has_23_convolutional_layers() -> None:
    """Fig. 1: 18 of 3 x 3, 4 up-convolutions and the last 1 x 1."""
    with torch.device("meta"):
        layers = [layer for layer in UNet(2).modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    sides = [layer.kernel_size[0] for layer in layers]
    assert (sides.count(3), sides.count(2), sides.count(1)) == (18, 4, 1)
    assert all(layer.bias is not None for layer in layers)


def test_every_map_has_the_size_of_fig_1() -> None:
    with torch.device("meta"):
        network = UNet(2, in_channels=1, padding="valid")
    sizes = []
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.register_forward_hook(lambda _, __, out: sizes.append(out.shape[-1]))
    assert network(torch.empty(1, 1, 572, 572, device="meta")).shape == (1, 2, 388, 388)
    down = [570, 568, 282, 280, 138, 136, 66, 64, 30, 28]
    up = [56, 54, 52, 104, 102, 100, 200, 198, 196, 392, 390, 388, 388]
    assert sizes == down + up


def test_skips_are_cropped_to_the_middle() -> None:
    """Fig. 1: 568 to 392, 280 to 200, 136 to 104, 64 to 56; the same at every legal size."""
    skips, joined = (568, 280, 136, 64), (392, 200, 104, 56)
    assert tuple((skip - size) // 2 for skip, size in zip(skips, joined, strict=True)) == MARGINS


@pytest.mark.parametrize(("pixels", "logits"), [(188, 4), (204, 20), (572, 388), (604, 420), (700, 516)])
def test_the_size_formula(pixels: int, logits: int) -> None:
    assert output_size(pixels) == logits
    assert input_size(logits) == pixels
    with torch.device("meta"):
        network = UNet(2, width=0.01, padding="valid")
        assert network(torch.empty(1, 3, pixels, 188)).shape[-2:] == (logits, 4)


@given(st.integers(1, 4000))
def test_mirroring_adds_no_more_than_it_must(size: int) -> None:
    pixels = input_size(size)
    assert size <= output_size(pixels) < size + 16


@pytest.mark.parametrize(("size", "near"), [(500, "492 or 508"), (571, "556 or 572"), (16, "188"), (187, "188")])
def test_an_illegal_size_is_answered_with_the_nearest_legal_ones(size: int, near: str) -> None:
    """Odd sizes are padded by popular ports; the paper's network does not fit them."""
    with pytest.raises(ValueError, match=rf"188 or more, got {size}\. Give {near}, or build it with padding"):
        narrow(padding="valid")(torch.zeros(1, 1, size, 188))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 40])
def test_the_border_is_reflected_as_often_as_it_takes(size: int) -> None:
    """Against walking back and forth: 0 1 2 1 0 1 2 and so on."""
    place, step, walk = 0, 1, []
    for _ in range(300):
        walk.append(place)
        if size > 1 and not 0 <= place + step < size:
            step = -step
        place += step if size > 1 else 0
    found = reflected(Window(-150, 300), size, CPU)
    assert found[150:].tolist() == walk[:150]
    assert found[:151].flip(0).tolist() == walk[:151]


def test_mirroring_is_numpys_reflection() -> None:
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    expected = torch.nn.functional.pad(image, (2, 3, 1, 2), mode="reflect")
    assert torch.equal(mirrored(image, Window(-1, 6), Window(-2, 9)), expected)


def test_a_mirroring_network_is_the_bare_one_on_the_mirrored_image() -> None:
    mirroring, bare = narrow(), narrow(padding="valid")
    image = torch.randn(1, 1, 20, 36)
    padded = torch.from_numpy(np.pad(image[0, 0].numpy(), 92, mode="reflect"))[None, None]
    torch.testing.assert_close(mirroring(image), bare(padded))


def test_no_logit_has_seen_a_border() -> None:
    """On a constant image they repeat every 16 pixels, as the deconvolutions do; `unet-same` could not do this."""
    logits = narrow()(torch.full((1, 1, 50, 37), 0.7))
    torch.testing.assert_close(logits[..., 16:, :], logits[..., :-16, :])
    torch.testing.assert_close(logits[..., 16:], logits[..., :-16])


@pytest.mark.parametrize(("size", "tile"), [((33, 20), 20), ((97, 64), 68), ((1, 70), 36)])
def test_tiles_give_what_the_whole_image_gives(size: tuple[int, int], tile: int) -> None:
    """Fig. 2: each tile brings all the context its logits need."""
    network = narrow().double()
    image = torch.randn(1, 1, *size, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(overlap_tile(network, image, tile), network(image))


@pytest.mark.parametrize("tile", [4, 101, 384])
def test_tiles_of_other_sizes_are_refused(tile: int) -> None:
    with pytest.raises(ValueError, match=f"16k − 124 logits, 20 or more, got {tile}"):
        overlap_tile(narrow(), torch.zeros(1, 1, 8, 8), tile)


def test_an_unknown_padding_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mirror or valid, got 'same'\. For zeros, take unet-same"):
        UNet(2, padding="same")  # type: ignore[arg-type]


def test_the_release_puts_upsampled_features_first_and_the_figure_the_skip() -> None:
    for released in (False, True):
        network = narrow(released=released)
        seen: list[torch.Tensor] = []
        network.decoder[-1].register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        nn.init.constant_(network.upsample["upconv_u1d_u0a"].weight, 0)
        nn.init.constant_(network.upsample["upconv_u1d_u0a"].bias, -1)
        network.segment(torch.randn(1, 1, 188, 188))
        channels = 8
        if released:  # a ReLU has cut them off
            assert not seen[0][:, :-channels].any()
        else:
            assert (seen[0][:, channels:] == -1).all()


def test_the_skip_of_the_512_level_carries_dropout_and_the_others_do_not() -> None:
    """phseg_v5 drops in place after the 512 and the 1024 level."""
    network = UNet(2, in_channels=1, width=1 / 8).train()
    kept: dict[int, torch.Tensor] = {}
    for level, stage in zip((3, 2, 1, 0), network.decoder, strict=True):
        stage.register_forward_pre_hook(lambda _, inputs, level=level: kept.update({level: inputs[0]}))
    outputs: list[torch.Tensor] = []
    for stage in network.encoder:
        stage.register_forward_hook(lambda _, __, out: outputs.append(out))
    torch.manual_seed(0)
    network.segment(torch.randn(1, 1, 188, 188))
    for level, margin in enumerate(MARGINS):
        width = outputs[level].shape[1]
        skip = outputs[level][..., margin:-margin, margin:-margin]
        assert torch.equal(kept[level][:, :width], skip) is (level != 3)


def test_layers_carry_the_releases_names() -> None:
    with torch.device("meta"):
        names = [name for name, layer in UNet(2).named_modules() if hasattr(layer, "weight")]
    short = [name.rpartition(".")[2] for name in names]
    assert short[:3] == ["conv_d0a-b", "conv_d0b-c", "conv_d1a-b"]
    assert {"upconv_d4c_u3a", "upconv_u1d_u0a", "conv_u3b-c", "conv_u0c-d", "conv_u0d-score"} <= set(short)
    assert len(set(short)) == 23


def test_first_weights_are_gaussian_with_variance_two_over_the_inputs() -> None:
    """Sec. 3: σ = √(2 / N), N the incoming nodes of one neuron; Caffe counts 4 x outputs for a deconvolution."""
    torch.manual_seed(0)
    figure, release = UNet(2, width=0.5), UNet(2, width=0.5, released=True)
    convolution = figure.encoder[3][0]
    assert convolution.weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)
    deepest = [network.upsample["upconv_d4c_u3a"].weight.std().item() for network in (figure, release)]
    assert deepest == pytest.approx([(2 / 512) ** 0.5, (2 / 1024) ** 0.5], rel=0.02)
