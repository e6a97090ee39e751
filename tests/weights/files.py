"""Files of pretrained classifiers in miniature: the real formats and names, an eighth of the width."""

from pathlib import Path

import torch
from torch import Tensor

from perpixel.weights import names
from tests.weights.caffe_writer import Layers, new_net, old_net

VGG16_TORCHVISION = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # features.N, torchvision/models/vgg.py
VGG16_WIDTHS = (8, 8, 16, 16, 32, 32, 32, 64, 64, 64, 64, 64, 64)  # FCN at width 0.125
HIDDEN = 512


def vgg16_tensors(seed: int = 0, kernel: int = 7) -> list[tuple[Tensor, Tensor]]:
    """Return weight and bias of the thirteen convolutions and three fully connected layers."""
    generator = torch.Generator().manual_seed(seed)
    inputs = (3, *VGG16_WIDTHS[:-1])
    shapes = [(outs, ins, 3, 3) for outs, ins in zip(VGG16_WIDTHS, inputs, strict=True)]
    dense = [(HIDDEN, VGG16_WIDTHS[-1] * kernel * kernel), (HIDDEN, HIDDEN), (1000, HIDDEN)]
    return [
        (torch.randn(*shape, generator=generator) / 10, torch.randn(shape[0], generator=generator) / 10)
        for shape in (*shapes, *dense)
    ]


def torchvision_vgg16(seed: int = 0, dense: tuple[int, int, int] = (0, 3, 6)) -> dict[str, Tensor]:
    """Return a state dict with torchvision's keys."""
    layers = [f"features.{n}" for n in VGG16_TORCHVISION] + [f"classifier.{n}" for n in dense]
    state = {}
    for name, (weight, bias) in zip(layers, vgg16_tensors(seed), strict=True):
        state[f"{name}.weight"], state[f"{name}.bias"] = weight, bias
    return state


def caffe_vgg16(seed: int = 0) -> Layers:
    """Return layers with Caffe's names."""
    kinds = ["Convolution"] * 13 + ["InnerProduct"] * 3
    return [
        (name, kind, blobs) for name, kind, blobs in zip(names.layers("vgg16"), kinds, vgg16_tensors(seed), strict=True)
    ]


def write_torchvision(path: Path, seed: int = 0) -> Path:
    torch.save(torchvision_vgg16(seed), path)
    return path


def write_caffe(path: Path, seed: int = 0, old: bool = True) -> Path:
    path.write_bytes((old_net if old else new_net)(caffe_vgg16(seed)))
    return path
