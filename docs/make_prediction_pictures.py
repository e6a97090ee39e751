"""Make the pictures of docs/explanation/prediction.md: nothing but drawn scenes, and a network trained on them.

python docs/make_prediction_pictures.py        trains for a minute or so, writes docs/images/prediction/*.png

With `--run RUN` it takes an earlier training of a network with dropout.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from make_family_pictures import captioned
from make_pictures import below, beside
from PIL import Image, ImageDraw

import perpixel
from perpixel.data.palette import colorize, legend
from perpixel.data.shades import colors
from perpixel.data.synthetic import scene, write_scenes
from perpixel.inference.options import Options
from perpixel.inference.prediction import Prediction
from perpixel.inference.segmenter import Segmenter
from perpixel.inference.uncertainty_picture import draw_uncertainty
from perpixel.runs.start import Wishes
from perpixel.training.recipe import Budget

OUT = Path(__file__).parent / "images" / "prediction"
SIZE = (128, 160)
SEEN = 5  # a scene's seed beyond those trained on
SETTINGS = (
    "image_scale=1", "crop_size=[112,144]", "batch_size=4", "validations=3", "augmentation.scale=[1,1]",
    "augmentation.color=0", "class_weights=none", "optimizer.learning_rate=0.004", "width=0.2",
)  # fmt: skip
TILE = 64
CAPTIONS = {
    "the whole image at once": None,
    "tiles of 64, no overlap": Options(tile=(TILE, TILE), overlap=0),
    "overlap 32, blend none": Options(tile=(TILE, TILE), overlap=32, blend="none"),
    "overlap 32, blend linear": Options(tile=(TILE, TILE), overlap=32),
}


def main() -> None:
    """Read the arguments and write both pictures."""
    parser = argparse.ArgumentParser(description="Make the pictures of docs/explanation/prediction.md.")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--iterations", type=int, default=350)
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        run = arguments.run or train(Path(folder), arguments.iterations)
        segmenter = perpixel.load(run)
        pictures = {"uncertainty": uncertainty(segmenter), "seams": seams(segmenter)}
    for name, picture in pictures.items():
        picture.quantize(256, dither=Image.Dither.NONE).save(OUT / f"{name}.png", optimize=True)
        print(OUT / f"{name}.png", picture.size)


def train(folder: Path, iterations: int) -> Path:
    """Train Bayesian SegNet-Basic on scenes; return its run."""
    write_scenes(folder / "scenes", {"train": 320, "val": 16}, SIZE)
    wishes = Wishes(
        model="bayesian-segnet-basic", preset="quick", budget=Budget(iterations=iterations), seed=0, settings=SETTINGS
    )
    perpixel.train(folder / "scenes", out=folder / "run", wishes=wishes)
    return folder / "run"


def uncertainty(segmenter: Segmenter) -> Image.Image:
    """Return a scene, its prediction, what is unsure about it, and the variance of each class."""
    pixels, _ = scene(10_000 + SEEN, SIZE)
    result = segmenter.predict(pixels, Options(samples=50), uncertainty=True)
    assert result.uncertainty is not None
    assert result.uncertainty.variance is not None
    variance = result.uncertainty.variance
    highest = float(variance.max())
    classes = [
        captioned(shaded(plane / highest), f"variance: {name}")
        for name, plane in zip(segmenter.classes, variance, strict=True)
    ]
    labels = captioned(Image.fromarray(colorize(result.prediction, result.palette)).resize((200, 160), 0), "prediction")
    rows = [labels, *classes]
    maps = draw_uncertainty(pixels, result.uncertainty, segmenter.num_classes)
    return below([maps, *(beside(rows[start : start + 4]) for start in range(0, len(rows), 4))])


def shaded(share: np.ndarray) -> Image.Image:
    """Return a map in colours, from 0 to 1."""
    return Image.fromarray(np.rint(colors(share.clip(0, 1))).astype(np.uint8)).resize((200, 160), 0)


def seams(segmenter: Segmenter) -> Image.Image:
    """Return a wide scene labelled whole and in tiles, and below what is not as in the whole."""
    pixels = np.concatenate([scene(10_000 + seed, SIZE)[0] for seed in (SEEN + 1, SEEN + 2)], 1)
    whole = segmenter.predict(pixels)
    rows = [row(segmenter, pixels, whole, words, options) for words, options in CAPTIONS.items()]
    names = legend(list(zip(segmenter.classes, segmenter.palette, strict=True)), rows[0].width)
    return below([*rows, names])


def row(
    segmenter: Segmenter, pixels: np.ndarray, whole: Prediction, words: str, options: Options | None
) -> Image.Image:
    """Return one prediction beside where it differs from that of the whole, tiles drawn over it."""
    if options is None:
        panels = [captioned(twice(pixels), "the image"), captioned(labelled(whole), words)]
        return beside(panels)
    result = segmenter.predict(pixels, options)
    differs = result.prediction != whole.prediction
    score = "" if result.seams is None else f"; seams: {result.seams.blended:.1%}"
    changed = np.where(differs[..., None], (214, 39, 40), (235, 236, 240)).astype(np.uint8)
    return beside(
        [
            captioned(labelled(result), words + score),
            captioned(twice(changed), f"other labels than the whole: {differs.mean():.1%}"),
        ]
    )


def labelled(result: Prediction) -> Image.Image:
    """Return a prediction in its colours."""
    return twice(colorize(result.prediction, result.palette))


def twice(pixels: np.ndarray) -> Image.Image:
    """Return a picture of twice the size."""
    picture = Image.fromarray(pixels.repeat(2, 0).repeat(2, 1))
    ImageDraw.Draw(picture).rectangle((0, 0, picture.width - 1, picture.height - 1), outline="#d8dbe2")
    return picture.resize((pixels.shape[1] * 3 // 2, pixels.shape[0] * 3 // 2), Image.Resampling.BOX)


if __name__ == "__main__":
    main()
