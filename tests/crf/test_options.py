"""The CRF's options, and the papers' numbers."""

import json

import pytest

from perpixel.crf.options import PRESETS, CrfOptions, find_preset
from perpixel.errors import UsageError


def test_options_survive_json() -> None:
    options = CrfOptions((4, 121, 5), None, 5, "after", tile=(512, 512))
    assert CrfOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options


@pytest.mark.parametrize(
    ("name", "bilateral", "spatial", "iterations", "normalization"),
    [
        # Project pages of DeepLab v1 and v2, as copied in torchlake's comments and CoinCheung/Deeplab-Large-FOV.
        ("deeplab-v1-largefov", (4, 121, 5), (3, 3), 10, "after"),
        ("deeplab-v1-msc-largefov", (4, 83, 5), (3, 3), 10, "after"),
        # kazuto1011/deeplab-pytorch, configs/voc12.yaml.
        ("deeplab-v2-resnet101", (4, 67, 3), (3, 1), 10, "after"),
        # HyeonwooNoh/DeconvNet, generate_EDeconvNet_CRF_results.m.
        ("deconvnet", (5, 20, 3), (3, 3), 10, "symmetric"),
        # torrvision/crfasrnn, TVG_CRFRNN_new_deploy.prototxt.
        ("crf-as-rnn", (5, 160, 3), (3, 3), 10, "after"),
        # lucasb-eyer/pydensecrf, examples/inference.py.
        ("pydensecrf", (10, 80, 13), (3, 3), 5, "symmetric"),
    ],
)
def test_presets_have_the_released_numbers(
    name: str, bilateral: tuple, spatial: tuple, iterations: int, normalization: str
) -> None:
    preset = PRESETS[name]
    assert (preset.bilateral, preset.spatial) == (bilateral, spatial)
    assert (preset.iterations, preset.normalization) == (iterations, normalization)


def test_an_unknown_preset_is_answered_with_the_likeliest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'deeplab-v1-largefov'"):
        find_preset("deeplabv1-largefov")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"bilateral": (4, 49)}, "bilateral as 3 numbers"),
        ({"bilateral": (4, 0, 5)}, "deviations above 0"),
        ({"bilateral": (-1, 49, 5)}, "weight of at least 0"),
        ({"spatial": (3, float("nan"))}, "spatial as 2 numbers"),
        ({"iterations": -1}, "iterations from 0"),
        ({"iterations": 2.5}, "iterations from 0"),
        ({"normalization": "before"}, "normalization to be one of symmetric, after, none"),
        ({"spatial_filter": "box"}, "spatial_filter to be one of"),
        ({"backend": "cuda"}, "backend to be one of"),
        ({"tile": (8, 512)}, "at least 16 pixels"),
        ({"sigma": 3}, "got \\['sigma'\\]"),
    ],
)
def test_what_cannot_be_used_is_refused(values: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        CrfOptions.from_dict(values)
