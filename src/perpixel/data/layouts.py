"""Recognise how a data set lies on disk: which folders or files are images, masks and splits.

Known layouts first (`perpixel.data.published`), then annotation files, then any two folders, or two endings in
one folder, whose names agree.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perpixel.data.annotations import BACKGROUND, SPECIAL_LABELS, list_annotated, read_labels
from perpixel.data.annotations.recognize import AnnotationSource, find_annotations
from perpixel.data.folders import Match, Side, find_sides, match_sides
from perpixel.data.images import list_images
from perpixel.data.lists import read_list, split_line
from perpixel.data.pairs import Listing, Sources, draw_splits, list_pairs
from perpixel.data.spec import ANNOTATION_ENCODINGS, Splits
from perpixel.errors import DataError

LIST_NAMES = {
    "train": ("train.txt", "training.txt", "train_list.txt", "train.lst", "train.csv"),
    "val": ("val.txt", "valid.txt", "validation.txt", "val_list.txt", "val.lst", "val.csv"),
    "test": ("test.txt", "testing.txt", "test_list.txt", "test.lst", "test.csv"),
}
LIST_FOLDERS = ("", "splits", "ImageSets/Segmentation", "ImageSets", "lists")
DRAWN_SHARE = 0.2
TAGS_NAME = "tags.csv"


@dataclass(frozen=True)
class Layout:
    """What was recognised; the first fields are those of `dataset.yaml`.

    Args:
        root: The folder that patterns start from.
        kind: folders, lists, voc, cityscapes, camvid, coco, labelme or cvat.
        images: Folder or pattern.
        masks: Folder, pattern or annotation file.
        splits: As in `dataset.yaml`.
        encoding: Where the layout settles it; otherwise "index", to be found out from the masks.
        hints: Further fields of `dataset.yaml` that the layout settles: classes, ignore, mask_values, colors.
        notes: What was decided, in words.
        listing: The pairs.
    """

    root: Path
    kind: str
    images: str
    masks: str
    splits: Splits
    encoding: str = "index"
    hints: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    listing: Listing = field(default_factory=lambda: Listing(()))


def recognize(*paths: Path | str) -> Layout:
    """Recognise a data folder, or an image folder and a mask folder.

    Raises:
        DataError: No such folder, or no images and masks that go together; says what was seen.
    """
    folders = [_check_folder(Path(path)) for path in paths]
    if len(folders) == 2:
        return finish(_from_two(*folders))
    if len(folders) != 1:
        raise DataError(f"data: expected one folder, or IMAGES MASKS, got {len(folders)} paths. Give one or two.")
    root = folders[0]
    for recogniser in (_from_cityscapes, _from_folders, _from_annotations, _from_lists):
        layout = recogniser(root)
        if layout is not None:
            return finish(layout)
    raise DataError(_nothing_found(root))


def list_data(sources: Sources, root: Path, *, tagged: bool = False) -> Listing:
    """Return the pairs of any data set, whatever its masks are.

    Args:
        sources: Where images and masks are.
        root: The folder that its paths start from.
        tagged: Whether tags say what images show, so that masks may be missing, and their folder.

    Raises:
        DataError: A folder or file is missing, or a list names what is not there.
    """
    if sources.encoding in ANNOTATION_ENCODINGS:
        return list_annotated(sources, root, sources.encoding)
    return list_pairs(sources, root, tagged=tagged)


def finish(layout: Layout) -> Layout:
    """List the pairs, and draw a validation split where there is none."""
    listing = list_data(layout, layout.root)
    if not listing.pairs:
        raise DataError(_nothing_found(layout.root))
    names = {pair.split for pair in listing.pairs}
    if "val" in names or names == {"test"} or len(listing.pairs) < 2:
        return replace(layout, listing=listing)
    splits = _with_drawn_val(layout.splits)
    notes = (*layout.notes, _say_drawn(listing))
    return replace(layout, splits=splits, notes=notes, listing=draw_splits(listing, splits))


def _with_drawn_val(splits: Splits) -> Splits:
    if isinstance(splits, dict):
        return {**splits, "val": DRAWN_SHARE}
    return {"val": DRAWN_SHARE} if splits == ("train",) else {**{s: s for s in splits}, "val": DRAWN_SHARE}


def _say_drawn(listing: Listing) -> str:
    note = f"No validation split: {DRAWN_SHARE:.0%} of train is drawn for it, the same ones every time."
    if _looks_like_video([pair.name for pair in listing.pairs]):
        note += (
            " Names are numbered like frames of a video: neighbours look alike, so a drawn split scores too well."
            " Choose whole sequences for val if you can."
        )
    return note


def _looks_like_video(names: list[str]) -> bool:
    """Say whether most names are a stem and a number, with many numbers a stem."""
    stems = Counter(name.rstrip("0123456789") for name in names if name[-1:].isdigit())
    return bool(stems) and len(names) >= 8 and stems.most_common(1)[0][1] >= max(8, len(names) // 4)


def _from_two(images: Path, masks: Path) -> Layout:
    """Pair an image folder and a mask folder given by the user; both may hold split folders."""
    root = _common_folder(images, masks)
    given = (_below(images, root), _below(masks, root))
    match = match_sides(find_sides(root, [given[0]]), find_sides(root, [given[1]]), given=True)
    if match is None and (source := find_annotations(masks)) is not None:
        files = given[1] if source.encoding == "labelme" else f"{given[1]}/{source.masks}"
        return _annotated(root, replace(source, images=given[0], masks=files))
    if match is None:
        raise DataError(
            f"data: expected images in {images} and masks of the same names in {masks}, found none that agree. "
            f"Images: {_some(images)}. Masks: {_some(masks)}. A mask needs its image's name; the ending may differ."
        )
    return Layout(root, "folders", match.images, match.masks, match.splits, notes=match.notes)


def _from_folders(root: Path) -> Layout | None:
    sides = find_sides(root)
    match = match_sides(sides, sides, given=False)
    if match is None:
        return None
    notes = (*match.notes, *_say_unused(sides, match))
    layout = Layout(root, "folders", match.images, match.masks, match.splits, notes=notes)
    if "{split}" in match.images + match.masks:
        return layout
    return _with_lists(layout, find_lists(root))


def _say_unused(sides: list[Side], match: Match, most: int = 3) -> list[str]:
    """Return a note on folders of images that are not used: scenes in folders of their own, for one."""
    unused = [_name(side) for side in sides if side not in match.sides]
    if not unused:
        return []
    more = f" and {len(unused) - most} more" if len(unused) > most else ""
    return [f"Not used, though there are images: {', '.join(unused[:most])}{more}. See `images` and `masks`."]


def _with_lists(layout: Layout, lists: dict[str, str]) -> Layout:
    """Use the list files beside the folders, except those whose names have no mask (a test split, often)."""
    used, notes = {}, []
    for split, name in lists.items():
        try:
            list_pairs(replace(layout, splits={split: name}), layout.root)
            used[split] = name
        except DataError as error:
            notes.append(f"The list {name} is not used: {error}")
    if "train" not in used:
        return replace(layout, notes=(*layout.notes, *notes))
    told = f"Splits: the lists {', '.join(used.values())}."
    return replace(layout, splits=dict(used), notes=(*layout.notes, told, *notes))


def _from_cityscapes(root: Path) -> Layout | None:
    """Recognise Cityscapes, whose folders hold four kinds of masks. Source: cityscapesScripts, README."""
    if not all((root / name).is_dir() for name in ("leftImg8bit", "gtFine")):
        return None
    for ending in ("labelTrainIds", "labelIds", "instanceIds"):
        masks = f"gtFine/{{split}}/*/*_gtFine_{ending}.png"
        splits = tuple(s for s in ("train", "val") if next(root.glob(masks.replace("{split}", s)), None))
        if splits:
            encoding = "instance" if ending == "instanceIds" else "index"
            note = f"Cityscapes: masks are gtFine's {ending}; the test split has none to learn from."
            images = "leftImg8bit/{split}/*/*_leftImg8bit.png"
            return Layout(root, "cityscapes", images, masks, splits, encoding, notes=(note,))
    return None


def _from_annotations(root: Path) -> Layout | None:
    source = find_annotations(root)
    return None if source is None else _annotated(root, source)


def _annotated(root: Path, source: AnnotationSource) -> Layout:
    layout = Layout(root, source.encoding, source.images, source.masks, source.splits, source.encoding)
    labels = [label for label in read_labels(layout, root, source.encoding) if label not in SPECIAL_LABELS]
    classes = tuple(labels) if BACKGROUND in map(str.lower, labels) else (BACKGROUND, *labels)
    return replace(layout, hints={"classes": classes}, notes=(_say_annotated(source, classes),))


def _say_annotated(source: AnnotationSource, classes: tuple[str, ...]) -> str:
    kind = {"coco": "COCO", "labelme": "labelme", "cvat": "CVAT"}[source.encoding]
    return (
        f"Masks are drawn from {kind} annotations in {source.masks}: {len(classes)} classes; "
        "what no shape covers is background."
    )


def _from_lists(root: Path) -> Layout | None:
    """Recognise lists whose lines are "image mask"."""
    lists = {split: name for split, name in find_lists(root).items() if _lists_pairs(root, name)}
    if not lists:
        return None
    note = f"Pairs: the lines of {', '.join(lists.values())}."
    return Layout(root, "lists", "", "", dict(lists), notes=(note,))


def find_lists(root: Path) -> dict[str, str]:
    """Return split -> list file, relative to the root, for the names people use."""
    for folder in LIST_FOLDERS:
        found: dict[str, str] = {}
        for split, names in LIST_NAMES.items():
            name = next((n for n in names if (root / folder / n).is_file()), None)
            if name is not None:
                found[split] = f"{folder}/{name}".lstrip("/")
        if "train" in found:
            return found
    return {}


def _lists_pairs(root: Path, name: str) -> bool:
    lines = read_list(root / name)[:3]
    return bool(lines) and all(len(split_line(line)) == 2 for line in lines)


def _check_folder(path: Path) -> Path:
    if not path.is_dir():
        what = "a file" if path.is_file() else "nothing"
        raise DataError(f"data: expected a folder, found {what} at {path}. Check the path.")
    return path.resolve()


def _common_folder(images: Path, masks: Path) -> Path:
    shared = [a for a, b in zip(images.parts, masks.parts, strict=False) if a == b]
    for depth in range(len(shared), 0, -1):
        if images.parts[:depth] == masks.parts[:depth]:
            return Path(*images.parts[:depth])
    raise DataError(f"data: expected both folders on one drive, got {images} and {masks}. Move one.")


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _some(folder: Path, most: int = 3) -> str:
    """Return the first image names of a folder, for an error."""
    names = [path.name for path, _ in zip(_images_below(folder), range(most + 1), strict=False)]
    return (", ".join(names[:most]) + (", …" if len(names) > most else "")) or "none"


def _images_below(folder: Path) -> Iterator[Path]:
    yield from list_images(folder)


def _nothing_found(root: Path) -> str:
    sides = find_sides(root)
    seen = "; ".join(f"{_name(side)}: {side.count} images" for side in sides[:6]) or "no images at all"
    tags = f" Tags alone will do: name {TAGS_NAME} as `tags` there." if (root / TAGS_NAME).is_file() else ""
    return (
        f"data: expected images and masks that go together in {root}, found none ({seen}). "
        "Put them in images/ and masks/ under the same names, give two folders (IMAGES MASKS), "
        f"or describe them in dataset.yaml.{tags}"
    )


def _name(side: Side) -> str:
    return side.pattern or "the folder itself"
