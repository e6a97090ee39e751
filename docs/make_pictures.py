"""Make README's picture: scenes, their true labels and a run's predictions, side by side.

    perpixel demo
    python docs/make_pictures.py demo/run demo/scenes --out docs/images/street.png

Scenes are taken from the split `test`, which the run never saw, evenly spread; none is chosen by its score.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import perpixel
from perpixel.data.dataset import open_dataset
from perpixel.data.palette import colorize, legend

PANEL_WIDTH = 320
GAP = 6


def main() -> None:
    """Read the arguments and write the picture."""
    parser = argparse.ArgumentParser(description="Make README's picture from a run and its scenes.")
    parser.add_argument("run", type=Path)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images/street.png"))
    parser.add_argument("--rows", type=int, default=2)
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args()
    picture = draw(arguments.run, arguments.scenes, arguments.split, arguments.rows)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(arguments.out, optimize=True)
    print(arguments.out, picture.size)


def draw(run: Path, scenes: Path, split: str, rows: int) -> Image.Image:
    """Return `rows` scenes as image | truth | prediction, with the classes' names below."""
    segmenter, data = perpixel.load(run), open_dataset(scenes)
    pairs = data.pairs(split)
    strips = []
    for index in np.linspace(0, len(pairs) - 1, rows).round().astype(int):
        pixels, target = data.read(pairs[index])
        prediction = segmenter.predict(pixels).prediction
        panels = (pixels, colorize(target, data.palette), colorize(prediction, data.palette))
        strips.append(beside([enlarge(panel) for panel in panels]))
    names = legend(list(zip(data.classes, data.palette, strict=True)), strips[0].width, text_size=17)
    return below([*strips, names])


def enlarge(pixels: np.ndarray) -> Image.Image:
    """Return pixels at the panels' width, each one still a square."""
    times = max(1, round(PANEL_WIDTH / pixels.shape[1]))
    return Image.fromarray(pixels.repeat(times, 0).repeat(times, 1))


def beside(panels: list[Image.Image]) -> Image.Image:
    """Return panels in a row, on white."""
    width = sum(panel.width for panel in panels) + GAP * (len(panels) - 1)
    row, left = Image.new("RGB", (width, panels[0].height), "white"), 0
    for panel in panels:
        row.paste(panel, (left, 0))
        left += panel.width + GAP
    return row


def below(strips: list[Image.Image]) -> Image.Image:
    """Return strips one below the other, on white."""
    height = sum(strip.height for strip in strips) + GAP * (len(strips) - 1)
    page, top = Image.new("RGB", (strips[0].width, height), "white"), 0
    for strip in strips:
        page.paste(strip, (0, top))
        top += strip.height + GAP
    return page


if __name__ == "__main__":
    main()
