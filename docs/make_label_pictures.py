"""Make the pictures of docs/explanation/few-and-weak-labels.md, from one or two trained runs.

python docs/make_label_pictures.py [--decouplednet RUN] [--transfernet RUN]

The runs are those that `benchmarks/few_labels.py --folder F` and `benchmarks/weak_labels.py --folder W` leave in
F/seed-0/decoupled-10 and W/seed-0/transfernet. Writes docs/images/labels/*.png.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_pictures import below, beside
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from perpixel.data.dataset import Dataset
from perpixel.data.palette import colorize
from perpixel.data.shades import colors
from perpixel.inference.per_label import predict_labels
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.load import load
from perpixel.runs.run import Run

OUT = Path(__file__).parent / "images" / "labels"
SIDE = 144  # of a picture, in pixels
LABELS = 3  # in an image
IMAGES = 2
LETTERS = 12
Cell = tuple[NDArray[np.uint8] | None, str]


def main() -> None:
    """Read the arguments and write the pictures of the runs that are given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--decouplednet", type=Path)
    parser.add_argument("--transfernet", type=Path)
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    for name, draw in (("decouplednet", decoupled), ("transfernet", transferred)):
        run = getattr(arguments, name)
        if run is None:
            continue
        segmenter, dataset = load(run, "cpu"), Run.open(run).open_data()
        strips = [draw(segmenter, dataset, *shown) for shown in chosen(segmenter, dataset)]
        page = below(strips).quantize(256, dither=Image.Dither.NONE)
        page.save(OUT / f"{name}.png", optimize=True)
        print(OUT / f"{name}.png", page.size)


def chosen(segmenter: Segmenter, dataset: Dataset) -> Iterator[tuple[NDArray[Any], NDArray[np.uint8], list[int]]]:
    """Yield the first test images that show so many labels, all of which the network finds."""
    network: Any = segmenter.network
    count = 0
    for pair in dataset.pairs("test"):
        pixels, target = dataset.read(pair)
        there = [int(i) - 1 for i in np.unique(target) if i]  # in drawn objects the background is class 0
        belief = network.classify(seen(segmenter, pixels)).sigmoid()[0]
        if len(there) == LABELS and (belief > 0.5).nonzero().flatten().tolist() == there:
            yield pixels, target, there
            count += 1
        if count == IMAGES:
            return


def seen(segmenter: Segmenter, pixels: NDArray[Any]) -> Tensor:
    """Return pixels as the network takes them, (1, C, H, W)."""
    image = torch.from_numpy(segmenter.normalization.apply(pixels))
    return image if image.ndim == 4 else image[None]


def one_hot(network: Any, label: int) -> Tensor:
    """Return a label vector, (1, L)."""
    vector = torch.zeros(1, network.num_labels)
    vector[0, label] = 1
    return vector


@torch.inference_mode()
def decoupled(
    segmenter: Segmenter, dataset: Dataset, pixels: NDArray[Any], target: NDArray[np.uint8], labels: list[int]
) -> Image.Image:
    """Draw what DecoupledNet's classifier points at for each label, what is cut out for it, and all together."""
    network: Any = segmenter.network
    image, palette = seen(segmenter, pixels), dataset.palette
    found = predict_labels(network, pixels, segmenter.normalization, network.background, None, labels=labels)
    maps = [network.activation_map(image, one_hot(network, label))[0].clamp(min=0).sum(0).numpy() for label in labels]
    together = segmenter.predict_pixels(pixels).prediction
    apart = found.maps.max(0)
    names = [dataset.classes[label + 1] for label in labels]
    rows: list[list[Cell]] = [
        [
            (pixels, "image"), *((shaded(part), f"activation: {name}") for part, name in zip(maps, names, strict=True)),
            (shaded(apart, 1.0), "any of them"),
        ],
        [
            (colorize(target, palette), "truth"),
            *((shaded(part, 1.0), f"cut out: {name}") for part, name in zip(found.maps, names, strict=True)),
            (colorize(together, palette), "aggregated"),
        ],
    ]  # fmt: skip
    return grid(rows)


@torch.inference_mode()
def transferred(
    segmenter: Segmenter, dataset: Dataset, pixels: NDArray[Any], target: NDArray[np.uint8], labels: list[int]
) -> Image.Image:
    """Draw where TransferNet's labels look, what resembles that, what is cut out, and all before and after the CRF."""
    network: Any = segmenter.network
    image, palette = seen(segmenter, pixels), dataset.palette
    attended = [network.attend(image, one_hot(network, label)) for label in labels]
    plain, refined = (
        predict_labels(network, pixels, segmenter.normalization, network.background, *crf, labels=labels)
        for crf in ((None,), ())
    )
    masked = dataset.mask_ids
    names = [dataset.classes[label + 1] + ("" if label + 1 in masked else " (tags)") for label in labels]
    rows: list[list[Cell]] = [
        [
            (pixels, "image"),
            *((shaded(a[0][0, 0].numpy()), f"attention: {name}") for a, name in zip(attended, names, strict=True)),
            (colorize(plain.prediction, palette), "aggregated"),
        ],
        [
            (colorize(target, palette), "truth"),
            *((shaded(a.density[0, 0].numpy()), "densified") for a in attended),
            (colorize(refined.prediction, palette), "after the CRF"),
        ],
        [(None, ""), *((shaded(part, 1.0), "cut out") for part in plain.maps), (None, "")],
    ]  # fmt: skip
    return grid(rows)


def shaded(values: NDArray[Any], highest: float | None = None) -> NDArray[np.uint8]:
    """Return colours of a map, from 0 to its highest value."""
    share = values / max(float(values.max()) if highest is None else highest, 1e-9)
    return colors(share.clip(0, 1)).round().astype(np.uint8)


def grid(rows: list[list[Cell]]) -> Image.Image:
    """Draw rows of captioned pictures."""
    return below([beside([cell(*content) for content in row]) for row in rows])


def cell(picture: NDArray[np.uint8] | None, words: str) -> Image.Image:
    """Draw a picture at its side, with a line of words below it."""
    sheet = Image.new("RGB", (SIDE, SIDE + 20), "white")
    if picture is not None:
        sheet.paste(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.NEAREST), (0, 0))
    ImageDraw.Draw(sheet).text((2, SIDE + 3), words, "#2e3440", ImageFont.load_default(LETTERS))
    return sheet


if __name__ == "__main__":
    main()
