"""Files of any format and none, by their bytes."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from perpixel.errors import WeightsError
from perpixel.weights import read
from perpixel.weights.known import BEGINNINGS, KNOWN, candidates
from perpixel.weights.pixels import TORCHVISION_FEATURES, VGG
from perpixel.weights.reading import locate, recognize_format
from tests.weights.files import torchvision_vgg16, write_caffe, write_torchvision


def test_a_format_is_told_from_bytes_and_not_from_a_name(tmp_path: Path) -> None:
    assert recognize_format(write_torchvision(tmp_path / "a.caffemodel")) == "torch"
    assert recognize_format(write_caffe(tmp_path / "b.pth")) == "caffemodel"
    save_file({"x": torch.zeros(2)}, tmp_path / "c.pth")
    assert recognize_format(tmp_path / "c.pth") == "safetensors"


@pytest.mark.parametrize(("start", "message"), [
    (b"", "is empty"),
    (b"<!DOCTYPE html>", "web page"),
    (b"\n <html>", "web page"),
    (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
])  # fmt: skip
def test_what_is_often_saved_in_a_files_place_is_named(tmp_path: Path, start: bytes, message: str) -> None:
    path = tmp_path / "vgg16.pth"
    path.write_bytes(start)
    with pytest.raises(WeightsError, match=message):
        read(path)


def test_a_damaged_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(100)}, tmp_path / "x.safetensors")
    data = (tmp_path / "x.safetensors").read_bytes()
    (tmp_path / "x.safetensors").write_bytes(data[:-50])
    with pytest.raises(WeightsError, match="not a readable safetensors"):
        read(tmp_path / "x.safetensors")


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    state = torchvision_vgg16()
    state["features.0.bias"][0] = torch.nan
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"not finite, in conv1_1\.bias"):
        read(tmp_path / "x.pth")


def test_a_known_file_without_a_classifier_leaves_its_useless_layers_behind(tmp_path: Path) -> None:
    """Torchvision's vgg16_features file holds no valid fully connected layers."""
    state = torchvision_vgg16()
    state["classifier.0.weight"][:] = torch.nan
    path = tmp_path / KNOWN["vgg16-features"].file
    torch.save(state, path)
    held = read(path)
    assert held.pixels == TORCHVISION_FEATURES
    assert held.origin == "vgg16-features"
    assert not any(key.startswith("fc") for key in held.tensors)


def test_halves_become_floats(tmp_path: Path) -> None:
    torch.save({key: value.half() for key, value in torchvision_vgg16().items()}, tmp_path / "x.pth")
    assert {value.dtype for value in read(tmp_path / "x.pth").tensors.values()} == {torch.float32}


def test_a_run_is_read_by_its_directory(tmp_path: Path) -> None:
    save_file({"score.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    assert read(tmp_path).tensors.keys() == {"score.weight"}


def test_a_name_takes_the_best_file_that_the_cache_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The authors' own file first; a file put there by hand has the same standing."""
    monkeypatch.setenv("PERPIXEL_CACHE", str(tmp_path))
    write_torchvision(tmp_path / KNOWN["vgg16-caffe-pth"].file)
    monkeypatch.setattr("perpixel.weights.download.require_digest", lambda path, digest: None)
    held = read("vgg16-imagenet")
    assert (held.origin, held.pixels) == ("vgg16-caffe-pth", VGG)
    write_caffe(tmp_path / KNOWN["vgg16-caffe"].file)
    assert read("vgg16-imagenet").origin == "vgg16-caffe"


def test_an_unknown_name_says_which_is_near() -> None:
    with pytest.raises(WeightsError, match=r"Did you mean 'vgg16-imagenet'\?.*weights list"):
        locate("vgg16-imagnet")


def test_every_beginning_stands_for_known_files() -> None:
    assert all(name in KNOWN for files in BEGINNINGS.values() for name in files)
    assert candidates("vgg19-caffe") == ("vgg19-caffe",)
    assert candidates("nothing") == ()


def test_known_files_have_names_of_their_own_and_digests_where_published() -> None:
    """The digest of a torchvision file stands in its name, and is the start of its SHA-256."""
    files = [known.file for known in KNOWN.values()]
    assert len(set(files)) == len(files)
    for known in KNOWN.values():
        assert "/" not in known.file
        assert not known.file.startswith(".")
        if known.url.startswith("https://download.pytorch.org"):
            assert known.digest == "sha256:" + known.file.removesuffix(".pth").rpartition("-")[2]


def test_the_reference_lists_every_known_file_and_name() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "weights.md").read_text(encoding="utf-8")
    for name, known in KNOWN.items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` | {known.classifier} |")]
        assert known.file in row
        assert known.digest.partition(":")[2][:8] in row
    for name, files in BEGINNINGS.items():
        assert f"| `{name}` | {', '.join(f'`{file}`' for file in files)} |" in text
