"""What a run begins from."""

from pathlib import Path

import pytest
import torch

from perpixel.errors import UsageError, WeightsError
from perpixel.models.catalog import build
from perpixel.recipes.fcn import FCN16S, FCN32S, VOC_MEAN
from perpixel.recipes.segnet import SEGNET_BASIC
from perpixel.runs.initial_weights import choose_source, load_initial_weights
from perpixel.training.files import save_model
from perpixel.weights.known import KNOWN
from tests.weights.files import write_caffe, write_torchvision

WIDTH = 0.125


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PERPIXEL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def test_a_recipe_without_its_weights_says_how_to_get_them() -> None:
    source, (remark,) = choose_source(None, FCN32S)
    assert source == "none"
    assert "fresh weights" in remark
    assert "perpixel weights get vgg16-imagenet" in remark


def test_a_recipe_takes_weights_that_are_at_hand_and_says_so(cache: Path) -> None:
    path = write_caffe(cache / KNOWN["vgg16-caffe"].file)
    source, (remark,) = choose_source(None, FCN32S)
    assert source == str(path)
    assert "--weights none" in remark
    assert choose_source("none", FCN32S) == ("none", ())


def test_a_narrow_network_is_not_given_the_full_ones_weights(cache: Path) -> None:
    write_caffe(cache / KNOWN["vgg16-caffe"].file)
    source, (remark,) = choose_source(None, FCN32S.replace(width=0.25))
    assert source == "none"
    assert "width 0.25" in remark


def test_a_recipe_whose_weights_are_fetched_by_hand_says_where_they_go() -> None:
    _, (remark,) = choose_source(None, FCN16S)
    assert "fcn32s-heavy-pascal.caffemodel" in remark


def test_a_recipe_that_begins_fresh_says_nothing() -> None:
    assert choose_source(None, SEGNET_BASIC) == ("none", ())


def test_a_name_that_is_asked_for_is_found_or_refused(cache: Path) -> None:
    path = write_caffe(cache / KNOWN["vgg16-caffe"].file)
    assert choose_source("vgg16-caffe", FCN32S) == (str(path), ())
    with pytest.raises(UsageError, match="weights list"):
        choose_source("vgg61", FCN32S)


def test_a_classifier_trained_on_other_pixels_is_folded_and_it_is_said(tmp_path: Path) -> None:
    """Torchvision's VGG-16 under FCN's BGR − mean."""
    path = write_torchvision(tmp_path / "net.pth")
    network, plain = (build("fcn32s", num_classes=3, width=WIDTH) for _ in range(2))
    line = load_initial_weights(network, str(path), VOC_MEAN)
    load_initial_weights(plain, str(path))
    assert "Took from" in line
    assert "conv1_1 folded from (RGB" in line
    assert "to BGR − (104.007" in line
    assert "30 of 32 tensors" in line
    name = "encoder.features.stages.stage1.conv1_1.weight"
    std = torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1)
    torch.testing.assert_close(network.state_dict()[name], (plain.state_dict()[name] / std).flip(1))


def test_the_same_network_for_other_classes_keeps_all_but_its_scores(tmp_path: Path) -> None:
    source, network = (build("fcn32s", num_classes=classes, width=WIDTH) for classes in (3, 5))
    save_model(tmp_path / "old.safetensors", source.state_dict(), {})
    line = load_initial_weights(network, str(tmp_path / "old.safetensors"))
    assert "fresh: score_fr.bias, score_fr.weight" in line
    assert torch.equal(network.state_dict()["encoder.fc6.bias"], source.state_dict()["encoder.fc6.bias"])


def test_a_network_of_another_width_is_left_as_it_was(tmp_path: Path) -> None:
    save_model(tmp_path / "old.safetensors", build("fcn32s", num_classes=3, width=WIDTH).state_dict(), {})
    network = build("fcn32s", num_classes=3, width=2 * WIDTH)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(WeightsError, match="Nothing was loaded"):
        load_initial_weights(network, str(tmp_path / "old.safetensors"))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
