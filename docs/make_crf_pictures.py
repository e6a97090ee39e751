"""Make the pictures of docs/explanation/crf.md, from drawn scenes alone.

python docs/make_crf_pictures.py        writes docs/images/crf/*.png

No network is trained. What one would say is made from the truth: its classes averaged over cells of 8 × 8 pixels,
with noise on each cell's logits, enlarged bilinearly, as networks with output stride 8 do.
"""

from pathlib import Path

import numpy as np
import torch
from make_pictures import below, beside
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional

from perpixel import refine
from perpixel.crf.kernels import bilateral_features
from perpixel.crf.torch_lattice import Lattice
from perpixel.data.palette import legend, overlay
from perpixel.data.synthetic import CLASSES, COLORS, scene
from perpixel.metrics import Boundary, Confusion, Scores

OUT = Path(__file__).parent / "images" / "crf"
SIZE = (192, 256)
STRIDE = 8
SEED = 12
DEFAULT = ((4.0, 49.0, 5.0), (3.0, 3.0))


def main() -> None:
    """Write every picture."""
    OUT.mkdir(parents=True, exist_ok=True)
    pixels, truth = scene(SEED, SIZE)
    said = network(truth)
    pictures = {
        "steps": steps(pixels, truth, said),
        "deviations": deviations(pixels, truth, said),
        "normalizations": normalizations(pixels, truth, said),
        "hurts": hurts(pixels, truth, said),
    }
    for name, picture in pictures.items():
        picture.quantize(256, dither=Image.Dither.NONE).save(OUT / f"{name}.png", optimize=True)
        print(OUT / f"{name}.png", picture.size)


def network(truth: np.ndarray) -> np.ndarray:
    """Return probabilities (K, H, W) such as a network of output stride 8 gives."""
    known = torch.from_numpy(np.where(truth < len(CLASSES), truth, CLASSES.index("road"))).long()
    shares = functional.one_hot(known, len(CLASSES)).permute(2, 0, 1)[None].float()
    coarse = functional.avg_pool2d(shares, STRIDE).add(0.02).log()
    coarse += 0.7 * torch.randn(coarse.shape, generator=torch.Generator().manual_seed(SEED))
    return functional.interpolate(coarse, truth.shape, mode="bilinear").softmax(1)[0].numpy()


def steps(pixels: np.ndarray, truth: np.ndarray, said: np.ndarray) -> Image.Image:
    """Return the scene, its truth, and what is left after 0, 1, 2, 5 and 10 updates."""
    panels = [captioned(Image.fromarray(pixels), "the scene"), panel(pixels, truth, "its truth")]
    for count, words in {0: "the network", 1: "1 update", 2: "2 updates", 5: "5 updates", 10: "10 updates"}.items():
        found = refine(said, pixels, *DEFAULT, iterations=count)
        panels.append(scored(pixels, truth, found, words))
    sizes = legend(list(zip(CLASSES, COLORS, strict=True)), panels[0].width, 11)
    rest = Image.new("RGB", panels[0].size, "white")
    rest.paste(sizes, (0, 0))
    return below([beside(panels[:4]), beside([*panels[4:], rest])])


def deviations(pixels: np.ndarray, truth: np.ndarray, said: np.ndarray) -> Image.Image:
    """Return the bilateral kernel alone, wider in pixels downwards and in levels to the right."""
    rows = []
    for xy in (5, 20, 80):
        row = []
        for rgb in (2, 5, 15, 50):
            found = refine(said, pixels, (4, xy, rgb), None)
            row.append(scored(pixels, truth, found, f"{xy} px, {rgb} levels"))
        rows.append(beside(row))
    return below(rows)


def normalizations(pixels: np.ndarray, truth: np.ndarray, said: np.ndarray) -> Image.Image:
    """Return how much of the scene is near and alike, for every pixel, and what each normalisation makes of it."""
    features = torch.from_numpy(bilateral_features(pixels, 49, 5).reshape(-1, 5))
    alike = Lattice.of(features).filter(torch.ones(len(features), 1)).reshape(SIZE)
    light = (alike.log() - alike.log().min()) / (alike.log().max() - alike.log().min())
    words = f"n: {alike.min():.1f} (black) to {alike.max():.0f} (white)"
    panels = [captioned(Image.fromarray((255 * light).byte().numpy()).convert("RGB"), words)]
    usual = 4 / float(alike.median())
    for name, weight in {"symmetric": 4.0, "after": 4.0, "none": float(f"{usual:.2g}")}.items():
        found = refine(said, pixels, (weight, 49, 5), None, normalization=name)
        panels.append(scored(pixels, truth, found, f"{name}, weight {weight:g}"))
    return beside(panels)


def hurts(pixels: np.ndarray, truth: np.ndarray, said: np.ndarray) -> Image.Image:
    """Return what a heavy spatial kernel does to thin things."""
    settings = {"the default": DEFAULT, "spatial 8, 10 px": ((4.0, 49.0, 5.0), (8.0, 10.0))}
    panels = [panel(pixels, truth, "truth"), scored(pixels, truth, said, "the network")]
    panels += [scored(pixels, truth, refine(said, pixels, *kernels), words) for words, kernels in settings.items()]
    return beside(panels)


def scored(pixels: np.ndarray, truth: np.ndarray, found: np.ndarray, words: str) -> Image.Image:
    """Return a prediction laid over the scene, with its mean IoU in all and near borders."""
    ids = found.argmax(0)
    whole = Scores.from_confusion(Confusion(len(CLASSES)).add(truth, ids)).mean_iou or 0
    near = Boundary(len(CLASSES), widths=(2,)).add(truth, ids).scores()[2].mean_iou or 0
    return panel(pixels, ids, f"{words}: {100 * whole:.0f}, near borders {100 * near:.0f}")


def panel(pixels: np.ndarray, ids: np.ndarray, words: str) -> Image.Image:
    """Return classes laid over the scene, with a line of words below."""
    return captioned(overlay(pixels, ids, COLORS, 0.7), words)


def captioned(picture: Image.Image, words: str) -> Image.Image:
    """Return a picture with a line of words below it."""
    line = Image.new("RGB", (picture.width, 18), "white")
    ImageDraw.Draw(line).text((2, 2), words, "#2e3440", ImageFont.load_default(12))
    return below([picture, line])


if __name__ == "__main__":
    main()
