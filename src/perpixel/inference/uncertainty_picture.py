"""A picture of how unsure a prediction is: the photo and its maps in a row, each above its scale.

    +-------+ +-------+ +-------+ +-------+
    | photo | |entropy| |  var. | |mutual |
    +-------+ +-------+ +-------+ +-------+
              0 ▁▂▃▅▆▇█ 1.39

The entropy's colours reach to ln K, which is the same for all images; those of the others to each one's highest.

Letters: K classes, H W pixels.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from perpixel.data.palette import displayable
from perpixel.data.shades import colors
from perpixel.inference.uncertainty import UncertaintyMaps

PANEL = 480  # pixels of a panel's longer side at most
NARROWEST = 200  # pixels, so that the words below it fit
GAP, INK, FAINT, PAPER = 8, (38, 40, 48), (118, 122, 134), (255, 255, 255)


def draw_uncertainty(pixels: NDArray[Any], maps: UncertaintyMaps, num_classes: int) -> Image.Image:
    """Draw the photo, the entropy, and with passes the variance, averaged over classes, and the mutual information.

    Args:
        pixels: The photo, (H, W, C).
        maps: From `Segmenter.predict(…, uncertainty=True)`.
        num_classes: K.

    Returns: An RGB picture.
    """
    panels = [_panel(Image.fromarray(displayable(pixels)), "image", None)]
    panels.append(_shaded(maps.entropy, "entropy, in nats", math.log(max(num_classes, 2))))
    if maps.variance is not None:
        variance = maps.variance.mean(0)
        panels.append(_shaded(variance, "variance over passes", float(variance.max())))
    if maps.mutual_information is not None:
        information = maps.mutual_information
        panels.append(_shaded(information, "mutual information, in nats", float(information.max())))
    picture = Image.new("RGB", (sum(p.width + GAP for p in panels) - GAP, panels[0].height), PAPER)
    left = 0
    for panel in panels:
        picture.paste(panel, (left, 0))
        left += panel.width + GAP
    return picture


def _shaded(values: NDArray[np.float32], title: str, highest: float) -> Image.Image:
    share = values / highest if highest > 0 else np.zeros_like(values)
    return _panel(Image.fromarray(np.rint(colors(share.clip(0, 1))).astype(np.uint8)), title, highest)


def _panel(picture: Image.Image, title: str, highest: float | None) -> Image.Image:
    """Return a picture of a common size above its title and scale."""
    times = max(min(PANEL / max(picture.size), 1.0), NARROWEST / picture.width)
    size = (max(1, round(picture.width * times)), max(1, round(picture.height * times)))
    shown = picture.resize(size, Image.Resampling.NEAREST if times > 1 else Image.Resampling.BOX)
    panel = Image.new("RGB", (shown.width, shown.height + 44), PAPER)
    panel.paste(shown, (0, 0))
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(13)
    draw.text((2, shown.height + 12), title, INK, font, "lm")
    if highest is not None:
        _scale(panel, draw, shown.height + 32, f"{highest:.2g}")
    return panel


def _scale(panel: Image.Image, draw: ImageDraw.ImageDraw, middle: int, most: str) -> None:
    font = ImageFont.load_default(12)
    draw.text((2, middle), "0", FAINT, font, "lm")
    draw.text((panel.width - 2, middle), most, FAINT, font, "rm")
    start, stop = 14, panel.width - 8 - round(font.getlength(most))
    ramp = colors(np.linspace(0, 1, stop - start)[None].repeat(9, axis=0))
    panel.paste(Image.fromarray(np.rint(ramp).astype(np.uint8)), (start, middle - 4))
