"""What a run begins from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from perpixel.data.normalization import Normalization
from perpixel.encoders.classifier import build_classifier
from perpixel.errors import UsageError, WeightsError
from perpixel.models.catalog import build
from perpixel.models.fcn import FCN32s
from perpixel.models.fcn_variants import LateFusionFCN
from perpixel.recipes.fcn import FCN16S, FCN32S, VOC_MEAN
from perpixel.recipes.fcn_scenes import COLOR_HHA_MEAN, HHA_MEAN, NYUD_COLOR_HHA, NYUD_MEAN
from perpixel.recipes.segnet import SEGNET_BASIC
from perpixel.runs import initial_weights
from perpixel.runs.initial_weights import choose_source, load_initial_weights, parse_sources
from perpixel.runs.run import Record, Run, versions, write_record
from perpixel.runs.start import Wishes, prepare_resume, prepare_run
from perpixel.training.batches import normalize
from perpixel.training.files import save_model
from perpixel.weights import Pretrained, names
from perpixel.weights.known import KNOWN
from perpixel.weights.transplant import make_plan
from tests.tiny import write_tiny
from tests.weights.files import write_caffe, write_torchvision

WIDTH = 0.125
CONV1_BIAS = "encoder.features.stages.stage1.conv1_1.bias"


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


# ---- networks of several parts -----------------------------------------------------------------------------


def write_run(path: Path, normalization: Normalization) -> FCN32s:
    """Write a run of a narrow FCN-32s that was fed such pixels, and return the network."""
    network = FCN32s(3, width=WIDTH)
    torch.nn.init.normal_(network.score_fr.weight)
    write_tiny(path)
    record = Record(
        **versions(), command="", seed=0, device="cpu", data=("tiny",), fingerprint="", num_classes=3, in_channels=3,
        initial_weights="none", normalization=normalization, recipe=FCN32S.replace(width=WIDTH),
    )  # fmt: skip
    write_record(path, record)
    save_model(path / "model.safetensors", network.state_dict(), {})
    return network.eval()


def test_each_half_of_late_fusion_answers_as_the_run_it_is_from(tmp_path: Path) -> None:
    """Colour was fed BGR and is now fed RGB: the first layer is turned round, and the scores stay."""
    color, hha = write_run(tmp_path / "color", NYUD_MEAN), write_run(tmp_path / "hha", HHA_MEAN)
    network = LateFusionFCN(3, width=WIDTH).eval()
    sources = {"color": str(tmp_path / "color"), "hha": str(tmp_path / "hha")}
    line = load_initial_weights(network, sources, COLOR_HHA_MEAN)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 20, 30, 6), np.uint8)
    fed = [
        normalize(torch.from_numpy(pixels[..., :3]), NYUD_MEAN),
        normalize(torch.from_numpy(pixels[..., 3:]), HHA_MEAN),
    ]
    with torch.inference_mode():
        expected = (color(fed[0]) + hha(fed[1])) / 2
        answered = network(normalize(torch.from_numpy(pixels), COLOR_HHA_MEAN))
    torch.testing.assert_close(answered, expected, rtol=1e-4, atol=1e-3)
    assert line.count("Took 32 of 32") == 2
    assert line.count("folded") == 1
    assert "folded from BGR" in line


def test_one_file_begins_both_halves_each_for_its_own_pixels(tmp_path: Path) -> None:
    path = write_torchvision(tmp_path / "net.pth")
    network, plain = LateFusionFCN(3, width=WIDTH), FCN32s(3, width=WIDTH)
    line = load_initial_weights(network, str(path), COLOR_HHA_MEAN)
    load_initial_weights(plain, str(path), HHA_MEAN)
    assert line.count("30 of 32 tensors") == 2
    state = network.state_dict()
    for name, value in plain.encoder.state_dict().items():
        assert torch.equal(state[f"hha.encoder.{name}"], value)
    assert not torch.equal(state["color.encoder.features.stages.stage1.conv1_1.bias"], plain.state_dict()[CONV1_BIAS])


def test_a_run_of_late_fusion_begins_another_whole(tmp_path: Path) -> None:
    source, network = (LateFusionFCN(classes, width=WIDTH) for classes in (3, 5))
    save_model(tmp_path / "old.safetensors", source.state_dict(), {})
    line = load_initial_weights(network, str(tmp_path / "old.safetensors"), COLOR_HHA_MEAN)
    assert "fresh: color.score_fr.bias, color.score_fr.weight, hha" in line
    assert torch.equal(network.hha.encoder.fc6.bias, source.hha.encoder.fc6.bias)


def test_reversed_channels_are_counted_from_the_other_end() -> None:
    """The network sees 6 to 1: its first three are the image's last."""
    six = Normalization(mean=(1, 2, 3, 4, 5, 6), std=(1,) * 6, order="bgr")
    assert initial_weights._channels_of(six, 0, 3).mean == (4, 5, 6)
    assert initial_weights._channels_of(six, 3, 6).mean == (1, 2, 3)


def test_a_recipe_of_two_sources_asks_for_both_runs() -> None:
    source, (remark,) = choose_source(None, NYUD_COLOR_HHA)
    assert source == "none"
    assert "fresh weights, and will not reach the paper's figures" in remark
    assert "fcn32s-nyud-color (color) and fcn32s-nyud-hha (hha)" in remark
    assert remark.endswith("--weights color=RUN hha=RUN.")


def test_a_part_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = write_torchvision(tmp_path / "net.pth")
    with pytest.raises(UsageError, match=r"LateFusionFCN has no part 'depth'\. Its parts: color, hha\."):
        load_initial_weights(LateFusionFCN(3, width=WIDTH), {"depth": str(path)})
    with pytest.raises(UsageError, match=r"FCN32s has no part 'color'\. It takes one source"):
        load_initial_weights(FCN32s(3, width=WIDTH), {"color": str(path)})


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ((), None),
        (("none",), "none"),
        (("color=a", "hha=b=c"), {"color": "a", "hha": "b=c"}),
        (("color=a",), {"color": "a"}),
    ],
)
def test_sources_are_read_as_one_or_by_part(words: tuple[str, ...], meant: object) -> None:
    assert parse_sources(words) == meant


def test_a_file_with_an_equals_sign_in_its_name_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rate=3.pth"
    path.touch()
    assert parse_sources([str(path)]) == str(path)


@pytest.mark.parametrize("words", [("a", "b"), ("color=a", "color=b"), ("color=",), ("=a",)])
def test_sources_that_are_neither_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="--weights: expected one source, or PART=SOURCE once for each part"):
        parse_sources(words)


def write_six_channels(root: Path) -> Path:
    """Write a data set whose images have another three channels beside their colours."""
    write_tiny(root)
    for path in sorted((root / "images").rglob("*.png")):
        with Image.open(path) as image:
            pixels = np.asarray(image)
        np.save(path.with_suffix(".npy"), np.dstack([pixels, 255 - pixels]))
        path.unlink()
    spec = (root / "dataset.yaml").read_text()
    (root / "dataset.yaml").write_text(f"{spec}channels: 6\n")
    return root


def test_late_fusion_is_prepared_from_two_runs_and_again_before_its_first_step(tmp_path: Path) -> None:
    color, hha = write_run(tmp_path / "color", NYUD_MEAN), write_run(tmp_path / "hha", HHA_MEAN)
    sources = {"color": str(tmp_path / "color"), "hha": str(tmp_path / "hha")}
    wishes = Wishes(recipe="fcn32s-nyud-color-hha", weights=sources, settings=(f"width={WIDTH}",))
    prepared = prepare_run([write_six_channels(tmp_path / "data")], tmp_path / "run", wishes)
    again = prepare_resume(tmp_path / "run")
    assert Run.open(tmp_path / "run").record.initial_weights == sources
    assert prepared.remarks[0].startswith("color: Took 32 of 32 tensors")
    for network in (prepared.network, again.network):
        assert torch.equal(network.get_parameter("hha.encoder.fc6.weight"), hha.encoder.fc6.weight)
        first = network.get_parameter("color.encoder.features.stages.stage1.conv1_1.weight")
        torch.testing.assert_close(first, color.encoder.features.stages.stage1.conv1_1.weight.flip(1))


def test_late_fusion_of_colours_alone_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    wishes = Wishes(model="fcn32s-late-fusion", settings=(f"width={WIDTH}",))
    with pytest.raises(UsageError, match=r"expected in_channels of more than 3 colours, got 3\. Give colour and HHA"):
        prepare_run([write_tiny(tmp_path / "data")], tmp_path / "run", wishes)
    assert not (tmp_path / "run" / "run.yaml").exists()
