"""Draw the page of synthetic objects: pictures above, their masks below.

python docs/make_object_pictures.py --out docs/images/objects.png
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from perpixel.data.palette import distinct_colors
from perpixel.data.synthetic.objects import OBJECTS, scene

SIZE = (112, 112)
COLUMNS = 7
GAP = 6


def page(seed: int) -> Image.Image:
    """Return two rows of pictures, each with its masks below."""
    colors = np.array([(244, 244, 244), *distinct_colors(len(OBJECTS))], np.uint8)
    shown = [scene((seed, index), SIZE) for index in range(2 * COLUMNS)]
    rows = [shown[:COLUMNS], shown[COLUMNS:]]
    tiles = [[pixels for pixels, _ in row] for row in rows], [[colors[target] for _, target in row] for row in rows]
    height, width = 4 * (SIZE[0] + GAP) - GAP, COLUMNS * (SIZE[1] + GAP) - GAP
    sheet = Image.new("RGB", (width, height), "white")
    for kind, part in enumerate(tiles):
        for row, pictures in enumerate(part):
            for column, picture in enumerate(pictures):
                place = (column * (SIZE[1] + GAP), (2 * row + kind) * (SIZE[0] + GAP))
                sheet.paste(Image.fromarray(picture), place)
    return sheet


def main() -> None:
    """Write the page with 256 colours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/objects.png"))
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    page(given.seed).quantize(256, dither=Image.Dither.NONE).save(given.out, optimize=True)


if __name__ == "__main__":
    main()
