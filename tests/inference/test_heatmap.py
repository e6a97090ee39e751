"""Heatmaps of a photo."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from perpixel.encoders.classifier import Classifier, build_classifier
from perpixel.errors import UsageError
from perpixel.inference.heatmap import class_heatmap, find_class, read_names, shrunk

TABBY = ["tench", "tabby, tabby cat", "Egyptian cat", "tiger_cat"]


def brightness_classifier() -> Classifier:
    """Return a narrow ResNet whose class 1 is bright pixels, wherever they are."""
    classifier = build_classifier("resnet18", num_classes=2, width=1 / 16).eval()
    for parameter in classifier.parameters():
        nn.init.zeros_(parameter)
    for name, layer in classifier.encoder.named_modules():
        if isinstance(layer, nn.BatchNorm2d) and (name == "bn1" or name.endswith("downsample.1")):
            nn.init.ones_(layer.weight)
        if isinstance(layer, nn.Conv2d) and (name == "conv1" or name.endswith("downsample.0")):
            middle = layer.kernel_size[0] // 2
            nn.init.ones_(layer.weight[:, :1, middle, middle])
    nn.init.constant_(classifier.head.get_submodule("fc").weight[1, :1], 9.0)
    return classifier


def test_a_class_is_found_where_it_is() -> None:
    """Element i of ResNet's map lies at pixel 32·i."""
    pixels = np.zeros((256, 320, 3), np.uint8)
    pixels[120:136, 216:232] = 255
    found = class_heatmap("resnet18", brightness_classifier(), pixels, index=1)
    row, column = np.unravel_index(found.probabilities.argmax(), found.probabilities.shape)
    assert (abs(row - 128) <= 1, abs(column - 224) <= 1) == (True, True)
    assert found.probabilities.max() > 0.9
    assert found.probabilities[20, 20] == pytest.approx(0.5)
    assert found.probabilities.shape == (256, 320)
    assert found.shape == (8, 10)


def test_without_a_class_the_strongest_is_taken() -> None:
    pixels = np.full((64, 64, 3), 255, np.uint8)
    found = class_heatmap("resnet18", brightness_classifier(), pixels)
    assert found.index == 1
    assert [index for index, _ in found.strongest] == [1, 0]


def test_large_photos_are_shrunk_for_looking_and_the_heat_is_not() -> None:
    pixels = np.zeros((600, 900, 3), np.uint8)
    assert shrunk(pixels, 480).shape == (480, 720, 3)
    assert shrunk(pixels, 0) is pixels
    found = class_heatmap("resnet18", brightness_classifier(), pixels, index=0, shorter_side=96)
    assert found.probabilities.shape == (600, 900)
    assert found.shape == (3, 5)


def test_probabilities_of_all_classes_sum_to_one_everywhere() -> None:
    torch.manual_seed(0)
    classifier = build_classifier("vgg11", num_classes=3, width=1 / 32).eval()
    pixels = np.random.default_rng(0).integers(0, 255, (250, 130, 3), np.uint8)
    total = sum(class_heatmap("vgg11", classifier, pixels, index).probabilities for index in range(3))
    np.testing.assert_allclose(total, np.ones((250, 130)), rtol=1e-5)


def test_names_come_one_a_line_or_as_json(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("tench\n\ntabby\n\n")
    (tmp_path / "b.json").write_text(json.dumps(["tench", "tabby"]))
    (tmp_path / "c.json").write_text(json.dumps({"0": ["n01440764", "tench"], "1": ["n02123045", "tabby"]}))
    assert read_names(tmp_path / "a.txt") == ["tench", "", "tabby"]
    assert read_names(tmp_path / "b.json") == read_names(tmp_path / "c.json") == ["tench", "tabby"]


@pytest.mark.parametrize("content", [b"", b"[1, 2", b"\xff\xfe\x00"])
def test_files_without_names_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "names").write_bytes(content)
    with pytest.raises(UsageError, match="--names: expected"):
        read_names(tmp_path / "names")


@pytest.mark.parametrize(
    ("word", "index"), [("281", 281), ("tench", 0), ("Tiger cat", 3), ("egyptian", 2), ("tabby", 1)]
)
def test_classes_are_found_by_number_name_or_part_of_a_name(word: str, index: int) -> None:
    assert find_class(word, TABBY) == index


@pytest.mark.parametrize(
    ("word", "message"),
    [("cat", "3 hold 'cat': 1 tabby, tabby cat, 2 Egyptian cat, 3 tiger_cat"), ("tensh", "Did you mean 'tench'")],
)
def test_doubtful_classes_are_asked_about(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_class(word, TABBY)
