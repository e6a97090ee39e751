"""What a run begins from."""

from pathlib import Path

import pytest
import torch

from perpixel.encoders.classifier import build_classifier
from perpixel.errors import UsageError, WeightsError
from perpixel.models.catalog import build
from perpixel.recipes.fcn import FCN16S, FCN32S, VOC_MEAN
from perpixel.recipes.segnet import SEGNET_BASIC
from perpixel.runs.initial_weights import choose_source, load_initial_weights
from perpixel.training.files import save_model
from perpixel.weights import Pretrained, names
from perpixel.weights.known import KNOWN
from perpixel.weights.transplant import make_plan
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


def on_meta(classifier: str) -> Pretrained:
    """Return a full classifier's tensors, without their numbers."""
    with torch.device("meta"):
        state = build_classifier(classifier).state_dict()
    layers = [*names.layers(classifier), *names.norms(classifier)]
    keys = [f"{layer}.{end}" for layer in layers for end in ("weight", "bias", "running_mean", "running_var")]
    held = {key: state[own] for key in keys if (own := names.own_key(classifier, key)) in state}
    return Pretrained(held, classifier, None, classifier)


# Tensors that are taken: a weight and a bias a layer, four a norm
BEGUN = {
    ("fcn32s", "vgg16"): 30, ("fcn8s-at-once", "vgg16"): 30, ("fcn32s-alexnet", "caffenet"): 14,
    ("fcn32s-googlenet", "googlenet-caffe"): 114, ("segnet", "vgg16"): 26, ("segnet", "vgg16-bn"): 78,
    ("deconvnet", "vgg16"): 30, ("deeplab-v1-largefov", "vgg16"): 30, ("deeplab-v1-4x4", "vgg16"): 30,
    ("deeplab-v1-7x7", "vgg16"): 30, ("deeplab-v2-vgg16-aspp-l", "vgg16"): 26 + 4 * 4,
    ("deeplab-v2-resnet101", "resnet101-msra"): 520,
}  # fmt: skip


@pytest.mark.parametrize(("model", "classifier"), BEGUN)
def test_every_papers_network_takes_its_classifier(model: str, classifier: str) -> None:
    """At full width: every layer of the trunk has its place, and fc6 and fc7 theirs where they are wanted."""
    with torch.device("meta"):
        network = build(model, num_classes=21)
    plan = make_plan(network, on_meta(classifier), None)
    assert (plan.missing, plan.unexpected, plan.misshapen) == ([], [], [])
    assert len(plan.taken) == BEGUN[model, classifier]
    state = network.state_dict()
    assert all(value.shape == state[key].shape for key, value in plan.values.items())


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
