"""`perpixel.weights.load`: whole classifiers, from files of each format."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from perpixel.encoders.classifier import CLASSIFIERS as BUILT
from perpixel.encoders.classifier import build_classifier
from perpixel.errors import WeightsError
from perpixel.weights import load, read
from perpixel.weights.classifier import FED
from perpixel.weights.names import CLASSIFIERS, caffe_names, layers, norms, own_key, torchvision_names
from perpixel.weights.pixels import TORCHVISION, VGG, same
from tests.weights.caffe_writer import new_net
from tests.weights.files import write_caffe, write_torchvision


def own_keys(classifier: str) -> set[str]:
    with torch.device("meta"):
        state = build_classifier(classifier).state_dict()
    return {key for key in state if not key.endswith("num_batches_tracked")}


@pytest.mark.parametrize("classifier", BUILT)
def test_every_classifiers_keys_are_known_here(classifier: str) -> None:
    """The tables of names stand below the networks on the ladder; this keeps the two together."""
    assert classifier in CLASSIFIERS
    ours = {own_key(classifier, f"{name}.weight") for name in (*layers(classifier), *norms(classifier))}
    assert ours == {key for key in own_keys(classifier) if key.endswith(".weight")}


@pytest.mark.parametrize("classifier", BUILT)
def test_every_classifier_is_fed_what_its_row_says(classifier: str) -> None:
    assert same(FED.get(classifier, TORCHVISION), BUILT[classifier].pixels)


def torchvision_state(classifier: str, width: float) -> dict[str, Tensor]:
    """Return a narrow classifier's tensors under torchvision's keys, as a file of theirs holds them."""
    torch.manual_seed(3)
    state = build_classifier(classifier, num_classes=10, width=width).state_dict()
    theirs = {own_key(classifier, f"{ours}.x")[:-2]: name for name, ours in torchvision_names(classifier).items()}
    return {f"{theirs[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": value for key, value in state.items()}


@pytest.mark.parametrize("classifier", ["alexnet", "vgg11-bn", "googlenet", "resnet18", "resnet50"])
def test_a_file_of_torchvision_loads_strictly(classifier: str, tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    state = torchvision_state(classifier, 0.0625)
    torch.save(state | {"aux1.fc1.weight": torch.zeros(1)}, path)
    network = build_classifier(classifier, num_classes=10, width=0.0625)
    network.load_state_dict(load(path, classifier))
    again = torchvision_state(classifier, 0.0625)
    kept = {key: value for key, value in state.items() if "conv1." not in key and key.split(".")[0] != "conv1"}
    assert all(torch.equal(again[key], value) for key, value in kept.items())


def msra_file(path: Path) -> tuple[Path, dict[str, Tensor]]:
    """Write a narrow ResNet-50 as Caffe does: norms in two layers, sums with a count, a bias in conv1."""
    torch.manual_seed(5)
    network = build_classifier("resnet50-msra", num_classes=10, width=0.0625)
    state = {key: torch.rand(value.shape) + 0.5 for key, value in network.state_dict().items()}
    written = []
    for theirs, ours in caffe_names("resnet50-msra").items():
        at = own_key("resnet50-msra", f"{ours}.x")[:-1]
        if theirs.startswith("bn"):
            sums = state[f"{at}running_mean"] * 4, state[f"{at}running_var"] * 4, torch.tensor([4.0])
            written.append((theirs, "BatchNorm", sums))
        elif theirs.startswith("scale"):
            written.append((theirs, "Scale", (state[f"{at}weight"], state[f"{at}bias"])))
        elif theirs == "fc1000":
            written.append((theirs, "InnerProduct", (state[f"{at}weight"], state[f"{at}bias"])))
        elif theirs == "conv1":
            written.append((theirs, "Convolution", (state[f"{at}weight"], torch.full((8,), 0.25))))
        else:
            written.append((theirs, "Convolution", (state[f"{at}weight"],)))
    path.write_bytes(new_net(written))
    return path, state


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize("classifier", ["vgg16", "alexnet-caffe", "googlenet", "googlenet-caffe", "resnet50-msra"])
def test_a_classifiers_own_state_dict_comes_back(classifier: str, ending: str, tmp_path: Path) -> None:
    state = build_classifier(classifier, num_classes=10, width=1 / 16).state_dict()
    path = tmp_path / f"own.{ending}"
    (torch.save if ending == "pth" else save_file)(state, path)
    loaded = load(path, classifier)
    expected = {key for key in state if not key.endswith("num_batches_tracked") and ".aux" not in f".{key}"}
    assert set(loaded) == expected
    assert all(torch.equal(value, state[key]) for key, value in loaded.items())


def test_a_caffe_resnet_joins_its_norms_and_takes_conv1s_bias_into_the_mean(tmp_path: Path) -> None:
    """The released ResNet-50 has a bias in conv1, the deeper two have none."""
    path, state = msra_file(tmp_path / "ResNet-50-model.caffemodel")
    loaded = load(path, "resnet50-msra")
    state["encoder.bn1.running_mean"] = state["encoder.bn1.running_mean"] - 0.25
    assert loaded.keys() == {key for key in state if not key.endswith("num_batches_tracked")}
    for key, value in loaded.items():
        torch.testing.assert_close(value, state[key])


def test_the_first_layer_is_folded_to_what_the_classifier_is_fed(tmp_path: Path) -> None:
    """A Caffe VGG behind torchvision's pixels: the same features of the same picture, inside the border."""
    path = write_caffe(tmp_path / "net.caffemodel")
    as_released, folded = load(path, "vgg16", pixels=VGG), load(path, "vgg16")
    pixels = 255 * torch.rand(1, 3, 9, 9)

    def features(state: dict[str, Tensor], image: Tensor) -> Tensor:
        at = "encoder.stages.stage1.conv1_1"
        return functional.conv2d(image, state[f"{at}.weight"], state[f"{at}.bias"])

    caffe = (pixels - torch.tensor(VGG.mean).view(3, 1, 1)).flip(1)
    ours = (pixels - torch.tensor(TORCHVISION.mean).view(3, 1, 1)) / torch.tensor(TORCHVISION.std).view(3, 1, 1)
    torch.testing.assert_close(features(folded, ours), features(as_released, caffe), rtol=1e-4, atol=1e-3)


def test_without_a_bias_the_fold_goes_into_the_mean_behind(tmp_path: Path) -> None:
    """Torchvision's GoogLeNet expects (x − 0.5) / 0.5; its row is fed as the others are."""
    path = tmp_path / "googlenet.pth"
    state = torchvision_state("googlenet", 0.0625)
    torch.save(state, path)
    loaded = load(path, "googlenet")
    assert not torch.equal(loaded["encoder.conv1.bn.running_mean"], state["conv1.bn.running_mean"])
    pixels = 255 * torch.rand(1, 3, 15, 15).double()
    theirs = functional.conv2d((pixels - 127.5) / 127.5, state["conv1.conv.weight"].double())
    theirs = theirs - state["conv1.bn.running_mean"].double().view(-1, 1, 1)
    mean, std = (torch.tensor(v).double().view(3, 1, 1) for v in (TORCHVISION.mean, TORCHVISION.std))
    ours = functional.conv2d((pixels - mean) / std, loaded["encoder.conv1.conv.weight"].double())
    ours = ours - loaded["encoder.conv1.bn.running_mean"].double().view(-1, 1, 1)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_what_convert_stores_is_read_back_the_same(tmp_path: Path) -> None:
    held = read(write_caffe(tmp_path / "net.caffemodel"))
    save_file(held.tensors, tmp_path / "net.safetensors", metadata=held.facts())
    again = read(tmp_path / "net.safetensors")
    assert (again.classifier, again.pixels) == ("vgg16", VGG)
    assert all(torch.equal(again.tensors[key], value) for key, value in held.tensors.items())


def test_another_classifiers_file_is_refused_with_lists_and_a_guess(tmp_path: Path) -> None:
    path = write_torchvision(tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"3 missing .*conv3_4.*It looks like vgg16") as raised:
        load(path, "vgg19")
    assert raised.value.missing == ("conv3_4.weight", "conv4_4.weight", "conv5_4.weight")
