"""From classifiers to segmenters: what is taken, what is changed, what is refused."""

from pathlib import Path

import pytest
import torch
from torch import nn

from perpixel.encoders.vgg import VGG, VGG16_WIDTHS, VGG19_WIDTHS, scaled_widths
from perpixel.errors import WeightsError
from perpixel.models.catalog import build
from perpixel.weights import read, transplant
from perpixel.weights.pixels import TORCHVISION, Pixels
from perpixel.weights.pixels import VGG as CAFFE_VGG
from perpixel.weights.reading import Pretrained
from perpixel.weights.surgery import decimate, kept_channels, widen_input
from tests.tiny import same_weights, weights_of
from tests.weights.caffe_writer import new_net
from tests.weights.files import (
    HIDDEN,
    caffe_vgg16,
    torchvision_vgg16,
    vgg16_tensors,
    write_caffe,
    write_torchvision,
)

WIDTH = 0.125


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    return read(write_torchvision(tmp_path_factory.mktemp("weights") / "classifier.pth"))


def test_fcn_gets_the_whole_classifier_but_its_last_layer(held: Pretrained) -> None:
    """FCN Sec. 4.1: fc6 and fc7 become convolutions; the scores start anew."""
    network = build("fcn8s", num_classes=4, width=WIDTH)
    done = transplant(network, held)
    layers, state = vgg16_tensors(), network.state_dict()
    assert torch.equal(state["encoder.features.stages.stage1.conv1_1.weight"], layers[0][0])
    assert torch.equal(state["encoder.features.stages.stage5.conv5_3.bias"], layers[12][1])
    assert torch.equal(state["encoder.fc6.weight"], layers[13][0].view(HIDDEN, 64, 7, 7))
    assert torch.equal(state["encoder.fc7.weight"], layers[14][0].view(HIDDEN, HIDDEN, 1, 1))
    assert len(done.taken) == 30
    assert {key for key in done.fresh if key.startswith("score")} == {
        f"score_{name}.{ending}" for name in ("fr", "pool4", "pool3") for ending in ("weight", "bias")
    }


def test_caffes_file_and_torchvisions_give_the_same_network(tmp_path: Path, held: Pretrained) -> None:
    one, other = (build("fcn32s", num_classes=4, width=WIDTH) for _ in range(2))
    other.load_state_dict(one.state_dict())
    transplant(one, held)
    transplant(other, read(write_caffe(tmp_path / "classifier.caffemodel")))
    assert same_weights(weights_of(one), weights_of(other))


def test_segnets_decoder_stays_as_it_was(held: Pretrained) -> None:
    """Its layers have the encoder's names, and some its shapes."""
    network = build("segnet", num_classes=4, width=WIDTH)
    before = weights_of(network)
    done = transplant(network, held)
    assert all(key.startswith("encoder.stages") for key in done.taken)
    assert len(done.taken) == 26
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in done.fresh)


def test_the_fold_keeps_the_features_of_the_same_picture(held: Pretrained) -> None:
    """Inside the border, a network for Caffe's pixels sees what torchvision's saw."""
    pixels = 255 * torch.rand(1, 3, 24, 24)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (TORCHVISION.mean, TORCHVISION.std))
    vgg = torch.tensor(CAFFE_VGG.mean).view(1, 3, 1, 1)
    networks = [build("fcn32s", num_classes=4, width=WIDTH, padding=1) for _ in range(2)]
    transplant(networks[0], held)
    done = transplant(networks[1], held, wanted=CAFFE_VGG)
    one, other = (network.get_submodule("encoder.features.stages.stage1.conv1_1") for network in networks)
    assert "conv1_1 folded from (RGB" in done.notes[0]
    theirs, ours = one((pixels - mean) / std), other((pixels - vgg).flip(1))
    torch.testing.assert_close(ours[..., 1:-1, 1:-1], theirs[..., 1:-1, 1:-1], rtol=1e-4, atol=1e-4)


def test_nothing_is_folded_where_the_pixels_agree(held: Pretrained) -> None:
    network = build("fcn32s", num_classes=4, width=WIDTH)
    done = transplant(network, held, wanted=TORCHVISION)
    assert not any("folded" in note for note in done.notes)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_a_fourth_channel_stands_where_the_normalization_puts_it(held: Pretrained, order: str) -> None:
    """`bgr` hands all channels over reversed: depth, blue, green, red."""
    network = build("fcn32s", num_classes=4, in_channels=4, width=WIDTH)
    wanted = Pixels((*TORCHVISION.mean, 30.0), (*TORCHVISION.std, 9.0), order)  # type: ignore[arg-type]
    transplant(network, held, wanted)
    weight = network.state_dict()["encoder.features.stages.stage1.conv1_1.weight"]
    expected = widen_input(vgg16_tensors()[0][0], 4)
    torch.testing.assert_close(weight, expected if order == "rgb" else expected.flip(1))


def test_a_grey_network_gets_the_sum_of_the_colours(held: Pretrained) -> None:
    network = build("fcn32s", num_classes=4, in_channels=1, width=WIDTH)
    transplant(network, held)
    weight = network.state_dict()["encoder.features.stages.stage1.conv1_1.weight"]
    torch.testing.assert_close(weight, vgg16_tensors()[0][0].sum(1, keepdim=True))


class LargeFOV(nn.Module):
    """DeepLab's form: fc6 of 3 x 3 and a quarter of the channels, fc7 likewise."""

    def __init__(self, kernel: int = 3, hidden: int = HIDDEN // 4) -> None:
        super().__init__()
        self.encoder = VGG(widths=scaled_widths(VGG16_WIDTHS, WIDTH))
        self.fc6 = nn.Conv2d(64, hidden, kernel, dilation=12)
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.fc8 = nn.Conv2d(hidden, 5, 1)


@pytest.mark.parametrize("kernel", [3, 4])
def test_fc6_is_decimated_and_both_hidden_layers_thinned(held: Pretrained, kernel: int) -> None:
    network = LargeFOV(kernel)
    done = transplant(network, held)
    kept = kept_channels(HIDDEN, HIDDEN // 4)
    layers = vgg16_tensors()
    assert torch.equal(network.fc6.weight, decimate(layers[13][0].view(HIDDEN, 64, 7, 7), kernel)[kept])
    assert torch.equal(network.fc6.bias, layers[13][1][kept])
    assert torch.equal(network.fc7.weight[..., 0, 0], layers[14][0][kept][:, kept])
    assert "fc8.weight" in done.fresh
    assert any(note.startswith("fc6 made") for note in done.notes)


def test_a_released_fcn_brings_its_scores_where_the_classes_agree(tmp_path: Path) -> None:
    path = tmp_path / "fcn32s.caffemodel"
    score = torch.randn(4, HIDDEN, 1, 1), torch.randn(4)
    path.write_bytes(new_net([*caffe_vgg16()[:-1], ("score_fr", "Convolution", score)]))
    four, five = (build("fcn32s", num_classes=classes, width=WIDTH) for classes in (4, 5))
    assert transplant(four, read(path)).fresh == ()
    assert torch.equal(four.state_dict()["score_fr.weight"], score[0])
    assert set(transplant(five, read(path)).fresh) == {"score_fr.weight", "score_fr.bias"}


class Lists(nn.Module):
    """A trunk of another depth."""

    def __init__(self, widths: list[list[int]]) -> None:
        super().__init__()
        self.encoder = VGG(widths=widths)


def refused(network: nn.Module, held: Pretrained) -> WeightsError:
    before = weights_of(network)
    with pytest.raises(WeightsError, match="Nothing was loaded") as raised:
        transplant(network, held)
    assert same_weights(before, weights_of(network))
    return raised.value


def test_a_deeper_network_misses_layers_and_nothing_is_loaded(held: Pretrained) -> None:
    error = refused(Lists(scaled_widths(VGG19_WIDTHS, WIDTH)), held)
    assert error.missing == tuple(f"encoder.stages.stage{n}.conv{n}_4.weight" for n in (3, 4, 5))
    assert error.unexpected == error.misshapen == ()
    assert "looks like vgg16" in str(error)
    assert "most like vgg19" in str(error)


def test_a_shallower_network_has_no_place_for_layers(held: Pretrained) -> None:
    error = refused(Lists([stage[:2] for stage in scaled_widths(VGG16_WIDTHS, WIDTH)]), held)
    assert error.unexpected == ("conv3_3.weight", "conv4_3.weight", "conv5_3.weight")


def test_a_trunk_that_was_cut_takes_the_layers_that_it_has(held: Pretrained) -> None:
    network = build("activation-maps", num_classes=4, width=WIDTH, stages=4)
    done = transplant(network, held)
    assert not any(key.startswith("conv5") for key in done.taken.values())
    assert "encoder.stages.stage4.conv4_3.weight" in done.taken
    assert any(note.startswith("left out, as the trunk is cut before them: conv5_1") for note in done.notes)


def test_a_network_of_another_width_lists_shapes_and_advises(held: Pretrained) -> None:
    error = refused(build("fcn32s", num_classes=4, width=0.25), held)
    assert len(error.misshapen) == 30
    assert error.misshapen[0].endswith("8 x 3 x 3 x 3 in the file, 16 x 3 x 3 x 3 here")
    assert "--set width=1" in str(error)
    assert "and 24 more" in str(error)


def test_a_network_of_other_names_is_refused(held: Pretrained) -> None:
    error = refused(nn.Linear(2, 2), held)
    assert len(error.unexpected) == 13
    assert "none known here" in str(error)


def test_vggs_from_before_2017_number_their_classifier_otherwise(tmp_path: Path, held: Pretrained) -> None:
    """Jcjohnson's vgg16-00b39a1b.pth has classifier.1, 4 and 6."""
    path = tmp_path / "old.pth"
    torch.save(torchvision_vgg16(dense=(1, 4, 6)), path)
    assert same_weights(read(path).tensors, held.tensors)


def test_norms_that_have_no_place_are_folded_and_not_lost() -> None:
    """vgg16-bn under FCN, which has none: the same features of the same image."""
    torch.manual_seed(4)
    source = VGG(widths=scaled_widths(VGG16_WIDTHS, WIDTH), batch_norm=True).eval()
    for key, value in source.state_dict().items():
        if ".bn" in key and value.is_floating_point():
            value.uniform_(0.5, 1.5)
    state = source.state_dict()
    held = Pretrained({key.split(".", 2)[2]: value for key, value in state.items()}, "vgg16-bn", None, "a file")
    network = build("fcn32s", num_classes=3, width=WIDTH, padding=1)
    done = transplant(network, held)
    assert "13 batch normalisations folded into convolutions" in done.notes
    image = torch.randn(1, 3, 40, 40)
    ours = network.get_submodule("encoder.features")(image)[-1]
    torch.testing.assert_close(ours, source(image)[-1], rtol=1e-3, atol=1e-4)
