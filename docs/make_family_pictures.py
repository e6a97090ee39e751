"""Make the pictures of docs/explanation/the-family.md: nothing but networks, arithmetic and drawn scenes.

python docs/make_family_pictures.py        writes docs/images/family/*.png
"""

from pathlib import Path

import numpy as np
import torch
from make_pictures import below, beside
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn
from torch.nn import functional

import perpixel
from perpixel.data.synthetic import scene
from perpixel.explain.effective import effective_receptive_field, side
from perpixel.explain.trace import explain
from perpixel.ops.resize_convolution import checkerboard_energy, resize_convolution
from perpixel.ops.unpool import max_pool, max_unpool

OUT = Path(__file__).parent / "images" / "family"
SIDE = 240
FIELDS = {  # name -> how many pixels of the image to show
    "fcn32s": 512,
    "segnet": 512,
    "deeplab-v1-largefov": 512,
    "unet-same": 512,
    "frrn-a": 512,
}


def main() -> None:
    """Write every picture."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name, picture in {"fields": fields(), "switches": switches(), "checkerboards": checkerboards()}.items():
        picture.save(OUT / f"{name}.png", optimize=True)
        print(OUT / f"{name}.png", picture.size)


def fields() -> Image.Image:
    """Return what fresh networks see, as a frame, and what they use, as light."""
    panels = []
    for name, length in FIELDS.items():
        torch.manual_seed(0)
        network = perpixel.build(name, num_classes=4, width=0.125)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d) and not layer.weight.any():
                nn.init.normal_(layer.weight, std=0.1)
        energy = effective_receptive_field(network, (length, length), samples=2)
        sees = explain(network, (length, length)).layers[-1].receptive_field or 0
        panels.append(_field(energy, sees, f"{name}: sees {sees}, uses {side(energy)}"))
    return beside(panels)


def _field(energy: Tensor, sees: int, caption: str) -> Image.Image:
    light = (energy / energy.max()).sqrt().clamp(0, 1)
    shades = (255 * light).byte().numpy()
    picture = Image.fromarray(np.stack([shades, (0.8 * shades).astype(np.uint8), 60 + shades // 4 * 3], -1))
    middle, half = energy.shape[0] / 2, min(sees / 2, energy.shape[0] / 2 - 2)
    frame = (middle - half, middle - half, middle + half, middle + half)
    ImageDraw.Draw(picture).rectangle(frame, outline="#ffffff", width=3)
    return captioned(picture.resize((SIDE, SIDE), Image.Resampling.BOX), caption)


def switches() -> Image.Image:
    """Return a drawn scene pooled three times, then enlarged with and without the switches."""
    pixels, _ = scene(3, (160, 240))
    grey = torch.from_numpy(pixels).float().mean(-1)[None, None] / 255
    pooled, kept = grey, []
    for _ in range(3):
        pooled, where = max_pool(pooled)
        kept.append(where)
    sparse = pooled
    for where in reversed(kept):
        sparse = max_unpool(sparse, where)
    bilinear = functional.interpolate(pooled, grey.shape[-2:], mode="bilinear")
    maps = {
        "the scene": grey,
        "pooled three times": functional.interpolate(pooled, grey.shape[-2:]),
        "enlarged bilinearly (FCN)": bilinear,
        "put back by switches (SegNet)": functional.max_pool2d(sparse, 3, 1, 1),
    }
    return beside([captioned(shade(values).resize((330, 220)), words) for words, values in maps.items()])


def checkerboards() -> Image.Image:
    """Return a smooth map enlarged by three layers with random weights, and how much of each is a grid."""
    torch.manual_seed(1)
    rows = torch.linspace(-1, 1, 40)
    smooth = torch.exp(-3 * (rows[:, None] ** 2 + rows**2))[None, None].expand(1, 4, 40, 40)
    maps = {
        "deconvolution 3 x 3": functional.conv_transpose2d(smooth, torch.rand(4, 1, 3, 3), stride=2),
        "deconvolution 4 x 4": functional.conv_transpose2d(smooth, torch.rand(4, 1, 4, 4), stride=2),
        "resize-convolution 3 x 3": resize_convolution(smooth, torch.rand(1, 4, 3, 3)),
    }
    panels = []
    for words, values in maps.items():
        inside = values[..., 4:-4, 4:-4]
        share = 100 * checkerboard_energy(inside, 2)
        panels.append(
            captioned(
                shade(inside).resize((3 * SIDE // 2,) * 2, Image.Resampling.NEAREST), f"{words}: {share:.1f} % grid"
            )
        )
    return beside(panels)


def shade(values: Tensor) -> Image.Image:
    """Return a map's first channel, from its least value, black, to its largest, white."""
    plane = values[0, 0]
    return Image.fromarray((255 * (plane - plane.min()) / (plane.max() - plane.min())).byte().numpy()).convert("RGB")


def captioned(picture: Image.Image, words: str) -> Image.Image:
    """Return a picture with a line of words below it."""
    line = Image.new("RGB", (picture.width, 20), "white")
    ImageDraw.Draw(line).text((2, 3), words, "#2e3440", ImageFont.load_default(12))
    return below([picture, line])


if __name__ == "__main__":
    main()
