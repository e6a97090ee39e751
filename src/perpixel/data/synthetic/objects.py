"""Objects in clutter, drawn by a program: several in a picture, of many sizes, one before the other.

    ground -> clutter -> objects, far to near -> clutter in front -> camera

    write("objects", {"train": 500, "val": 100})        images, masks, tags.csv, dataset.yaml
    pixels, target = scene(seed=7)

Colour and class are drawn at once, three times larger: the picture is the mean of each 3 × 3 block, the class that of
its centre. An object that another would hide almost wholly keeps its place, and the other goes elsewhere.

Letters: H W pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perpixel.data.palette import distinct_colors
from perpixel.data.spec import DatasetSpec
from perpixel.data.synthetic.dataset import Drawn, write_drawn
from perpixel.data.synthetic.object_clutter import Place, paint_clutter, paint_ground, paint_object
from perpixel.data.synthetic.object_shapes import OBJECTS
from perpixel.data.synthetic.scene import Pixels, Target, check_size
from perpixel.data.synthetic.surface import photograph
from perpixel.data.tags import format_tags
from perpixel.errors import UsageError

CLASSES = ("background", *OBJECTS)
IMAGE_SIZE = (128, 128)
FINER = 3
MOST = 5  # objects in a picture
VISIBLE = 0.45  # of an object's pixels, at least, unless the picture's edge hides them
ATTEMPTS = 8

__all__ = ["CLASSES", "OBJECTS", "scene", "write"]


@dataclass
class _Sheet:
    """The large picture: colours, and which object is where; 0 is none."""

    colors: NDArray[np.float32]
    owners: NDArray[np.uint8]
    kinds: list[int]
    sizes: list[int]

    def may_cover(self, place: Place, inside: NDArray[np.bool_]) -> bool:
        """Return whether every object would still be seen."""
        before = np.bincount(self.owners.ravel(), minlength=len(self.sizes))
        lost = np.bincount(self.owners[place.window][inside], minlength=len(self.sizes))
        left = (before - lost)[1:]
        return bool((left >= VISIBLE * np.array(self.sizes[1:])).all())


def scene(
    seed: int | tuple[int, ...],
    image_size: tuple[int, int] = IMAGE_SIZE,
    objects: Sequence[str] = OBJECTS,
    telling: float = 1.0,
) -> tuple[Pixels, Target]:
    """Draw one picture of one to five objects.

    Args:
        seed: Non-negative; the same seed, size and objects give the same picture in every process.
        image_size: (H, W), each at least 16.
        objects: The kinds that may occur.
        telling: Share of an object's area that has its kind's pattern and colours, above 0; the rest wears wavy bands
            of any hue, whatever the kind. On photographs too the head tells a cat from a dog, and fur does not.

    Returns: RGB pixels, uint8 (H, W, 3), and class ids, uint8 (H, W): indices into CLASSES.
    Raises:
        UsageError: The size is too small, a kind is unknown, or `telling` is no share.
    """
    check_size(image_size)
    if not 0 < telling <= 1:
        raise UsageError(f"scene: expected telling above 0 and at most 1, got {telling}. It is a share of each object.")
    unknown = [name for name in objects if name not in OBJECTS]
    if unknown or not objects:
        raise UsageError(f"scene: expected kinds of objects, got {unknown or 'none'}. Known: {', '.join(OBJECTS)}.")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    size = (image_size[0] * FINER, image_size[1] * FINER)
    sheet = _Sheet(paint_ground(size, rng), np.zeros(size, np.uint8), [0], [0])
    paint_clutter(sheet.colors, int(rng.integers(4, 15)), (0.06, 0.45), rng)
    for _ in range(int(rng.integers(1, MOST + 1))):
        _place(sheet, OBJECTS.index(objects[int(rng.integers(len(objects)))]), rng, telling)
    _cover(sheet, rng)
    ids = np.array(sheet.kinds, np.uint8)[sheet.owners]
    blocks = sheet.colors.reshape(image_size[0], FINER, image_size[1], FINER, 3)
    return photograph(blocks.mean((1, 3)), rng), np.ascontiguousarray(ids[FINER // 2 :: FINER, FINER // 2 :: FINER])


def _place(sheet: _Sheet, kind: int, rng: np.random.Generator, telling: float) -> None:
    """Put an object where it hides no other; the last attempt's place is given up too."""
    height, width = sheet.owners.shape
    for _ in range(ATTEMPTS):
        radius = min(height, width) * 0.5 * float(np.exp(rng.uniform(np.log(0.26), np.log(0.7))))
        centre = (rng.uniform(0.5 * radius, height - 0.5 * radius), rng.uniform(0.5 * radius, width - 0.5 * radius))
        place = Place.draw((height, width), centre, radius, rng)
        inside, colors = paint_object(place, OBJECTS[kind], rng, telling)
        if sheet.may_cover(place, inside):
            sheet.colors[place.window][inside] = colors[inside]
            sheet.owners[place.window][inside] = len(sheet.kinds)
            sheet.kinds.append(kind + 1)
            sheet.sizes.append(int(inside.sum()))
            return


def _cover(sheet: _Sheet, rng: np.random.Generator) -> None:
    """Lay a few pieces of clutter in front; they are background."""
    for _ in range(int(rng.integers(0, 4))):
        colors = sheet.colors.copy()
        place, inside = paint_clutter(colors, 1, (0.03, 0.13), rng)
        if sheet.may_cover(place, inside):
            sheet.colors = colors
            sheet.owners[place.window][inside] = 0


def write(
    folder: Path | str,
    counts: Mapping[str, int],
    image_size: tuple[int, int] = IMAGE_SIZE,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    objects: Sequence[str] = OBJECTS,
    telling: float = 1.0,
) -> DatasetSpec:
    """Write pictures as images/SPLIT, masks/SPLIT, tags.csv and dataset.yaml.

    Args:
        folder: Made where it is missing; files of the same names are replaced.
        counts: How many pictures each split gets, e.g. {"train": 500, "val": 100}. No picture is in two splits.
        image_size: (H, W), each at least 16.
        seed: Non-negative; the same seed, size, counts and objects write the same pixels.
        progress: Called with (pictures written, pictures in all) after each.
        objects: The kinds that may occur; all of them stay classes.
        telling: As of `scene`.

    Returns: What dataset.yaml says, statistics of the split "train" included.
    Raises:
        UsageError: The size is too small, a kind is unknown, `telling` is no share, or there is nothing to write.
    """
    colors = ((0, 0, 0), *distinct_colors(len(OBJECTS)))
    rows: list[tuple[str, list[str]]] = []

    def draw(index: int) -> tuple[Pixels, Target]:
        return scene((seed, index), image_size, objects, telling)

    def note(split: str, name: str, target: Target) -> None:
        rows.append((f"{split}/{name}", [CLASSES[i] for i in np.unique(target) if i]))

    spec = write_drawn(Path(folder), counts, Drawn("synthetic-objects", CLASSES, colors, draw), progress, note)
    spec = spec.model_copy(update={"tags": "tags.csv"})
    (Path(folder) / "tags.csv").write_text(format_tags(rows, CLASSES), encoding="utf-8")
    spec.save(Path(folder) / "dataset.yaml")
    return spec
