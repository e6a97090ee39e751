"""A picture of a heatmap: the photo in grey, warm where the class is, and what the colours mean.

    +------------------------+
    | photo, coloured        |
    +------------------------+
    | title                  |
    | 0 [dark ... bright] 93 %
    | note                   |
    +------------------------+

Letters: H W pixels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from perpixel.data.palette import displayable
from perpixel.data.shades import colors

INK, FAINT, PAPER = (38, 40, 48), (118, 122, 134), (255, 255, 255)
NARROWEST, LONGEST = 480, 1600  # pixels: smaller photos are enlarged, larger ones shrunk

STRONGEST = 0.8  # share of colour over the photo


def draw_heatmap(pixels: NDArray[Any], probabilities: NDArray[np.float32], title: str, note: str = "") -> Image.Image:
    """Draw where a class is.

    Args:
        pixels: The photo, (H, W, C).
        probabilities: (H, W), 0 to 1; colours reach from 0 to the highest.
        title: Which class, which network.
        note: One more line, such as a warning.

    Returns: An RGB picture.
    """
    highest = float(probabilities.max())
    share = probabilities / highest if highest > 0 else np.zeros_like(probabilities)
    picture = fitted(Image.fromarray(mixed(displayable(pixels), share)))
    strip = key(picture.width, title, highest, note)
    joined = Image.new("RGB", (picture.width, picture.height + strip.height), PAPER)
    joined.paste(picture, (0, 0))
    joined.paste(strip, (0, picture.height))
    return joined


def mixed(pixels: NDArray[np.uint8], share: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay colours over the photo in grey, the more the warmer."""
    grey = (pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    opacity = STRONGEST * share.clip(0, 1)[..., None]
    mixture = grey + opacity * (colors(share) - grey)
    return np.rint(mixture).clip(0, 255).astype(np.uint8)


def fitted(picture: Image.Image) -> Image.Image:
    """Return a picture wide enough for its key and no longer than a screen."""
    longer = max(picture.size)
    times = min(LONGEST / longer, max(1.0, NARROWEST / picture.width))
    if times == 1.0:
        return picture
    size = (max(1, round(picture.width * times)), max(1, round(picture.height * times)))
    return picture.resize(size, Image.Resampling.BICUBIC)


def key(width: int, title: str, highest: float, note: str) -> Image.Image:
    """Draw the title, the scale from 0 to the highest probability, and the note."""
    text = max(11, min(22, width // 34))
    font, small = ImageFont.load_default(size=text), ImageFont.load_default(size=max(10, text * 4 // 5))
    line, margin = round(text * 1.7), text
    lines = 2 + bool(note)
    strip = Image.new("RGB", (width, lines * line + margin), PAPER)
    draw = ImageDraw.Draw(strip)
    draw.text((margin, margin // 2 + line // 2), shortened(title, font, width - 2 * margin), INK, font, "lm")
    middle = margin // 2 + line + line // 2
    most = f"{highest:.1%}" if highest < 0.1 else f"{highest:.0%}"
    bar = (margin + round(small.getlength("0 ")), width - margin - round(small.getlength(f" {most}")))
    draw.text((margin, middle), "0", FAINT, small, "lm")
    draw.text((width - margin, middle), most, FAINT, small, "rm")
    if bar[1] > bar[0]:
        ramp = colors(np.linspace(0, 1, bar[1] - bar[0])[None].repeat(text * 2 // 3, axis=0))
        strip.paste(Image.fromarray(np.rint(ramp).astype(np.uint8)), (bar[0], middle - text // 3))
    if note:
        place = (margin, margin // 2 + 2 * line + line // 2)
        draw.text(place, shortened(note, small, width - 2 * margin), FAINT, small, "lm")
    return strip


def shortened(text: str, font: Any, width: int) -> str:
    """Return a text that fits, with its end cut off if need be."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
