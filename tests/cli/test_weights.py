"""`perpixel weights`, without a network."""

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from perpixel.cli.main import main
from perpixel.weights.known import KNOWN
from tests.weights.files import write_caffe, write_torchvision


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PERPIXEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["weights", *words])
    return int(ended.value.code or 0)


def test_the_list_names_every_known_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in KNOWN)


def test_the_list_as_json_says_what_is_here(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache.mkdir()
    write_caffe(cache / KNOWN["vgg16-caffe"].file)
    assert run("list", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert [name for name, row in rows.items() if row["cached"]] == ["vgg16-caffe"]
    assert not rows["alexnet-caffe"]["fetched"]


def test_get_prints_where_the_file_is(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache.mkdir()
    path = write_caffe(cache / KNOWN["vgg16-caffe"].file)
    assert run("get", "vgg16-imagenet") == 0
    assert capsys.readouterr().out.strip() == str(path)


@pytest.mark.parametrize(("words", "message"), [
    (("get",), "expected a name of `perpixel weights list`"),
    (("get", "vgg61"), "no known weights"),
    (("get", "alexnet-caffe"), "put it at"),
    (("convert",), "expected a FILE"),
    (("convert", "net.pth", "--out", "net.onnx"), "ends in .safetensors"),
    (("convert", "net.pth", "--as", "vgg61"), "no classifier named 'vgg61'"),
])  # fmt: skip
def test_what_cannot_be_done_ends_with_one_message(
    words: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_torchvision(tmp_path / "net.pth")
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_convert_writes_our_names_and_what_the_network_expects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_caffe(tmp_path / "VGG_ILSVRC_16_layers.caffemodel")
    assert run("convert", "VGG_ILSVRC_16_layers.caffemodel") == 0
    assert "vgg16.safetensors: vgg16, 32 tensors" in capsys.readouterr().out
    with safe_open(tmp_path / "vgg16.safetensors", framework="pt") as file:
        assert "conv5_3.weight" in file.keys()  # noqa: SIM118 - it is no mapping
        assert json.loads(file.metadata()["pixels"])["order"] == "bgr"
    assert run("convert", "VGG_ILSVRC_16_layers.caffemodel") == 2  # nothing is overwritten
    assert "is there already" in capsys.readouterr().err


def test_convert_takes_the_name_that_was_asked_where_names_tie(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Configurations C and D of VGG share their layers' names."""
    write_caffe(tmp_path / "c.caffemodel")
    assert run("convert", "c.caffemodel", "--as", "vgg16-1x1", "--out", "c.safetensors", "--json") == 0
    assert json.loads(capsys.readouterr().out)["classifier"] == "vgg16-1x1"
