"""Find the images that annotation files speak of."""

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from perpixel.data.annotations.files import broken
from perpixel.data.annotations.labelme import read_labelme
from perpixel.data.annotations.read import open_coco, open_cvat
from perpixel.data.images import list_images
from perpixel.data.lists import resolve_inside
from perpixel.data.pairs import Listing, Pair, Picture, Sources, draw_splits, split_words
from perpixel.errors import DataError


def list_annotated(sources: Sources, root: Path, encoding: str) -> Listing:
    """Pair images with their entries in annotation files.

    Raises:
        DataError: A file is missing or damaged, or names an image outside the data folder.
    """
    pairs: list[Pair] = []
    lost: list[Path] = []
    for split, word in split_words(sources.splits).items():
        folder, masks = (root / text.replace("{split}", word) for text in (sources.images, sources.masks))
        entries = _labelme(folder, masks, root) if encoding == "labelme" else _entries(encoding, folder, masks, root)
        for name, image, mask, key in sorted(entries, key=lambda entry: entry[0]):
            if image.is_file():
                pairs.append(Pair(name, split, image, mask, key))
            else:
                lost.append(image)
    used = {pair.image for pair in pairs}
    bare = tuple(picture for picture in _all_images(sources, root) if picture.image not in used)
    listing = Listing(tuple(pairs), tuple(picture.image for picture in bare), tuple(lost), bare=bare)
    return draw_splits(listing, sources.splits)


def read_labels(sources: Sources, root: Path, encoding: str) -> tuple[str, ...]:
    """Return every label of the annotation files: a file's own list where it has one, else as they occur.

    Raises:
        DataError: A file is missing or damaged.
    """
    labels: dict[str, None] = {}
    for word in split_words(sources.splits).values():
        masks = root / sources.masks.replace("{split}", word)
        if encoding == "coco":
            labels |= dict.fromkeys(open_coco(masks).labels)
        elif encoding == "cvat":
            labels |= dict.fromkeys(open_cvat(masks).labels)
        else:
            found = {shape.label for path in labelme_files(masks) for shape in read_labelme(path).shapes}
            labels |= dict.fromkeys(sorted(found))
    return tuple(labels)


def labelme_files(folder: Path) -> list[Path]:
    """Return the JSON files of a folder, sorted.

    Raises:
        DataError: There is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"data: expected a folder of labelme files at {folder}, found none. Correct `masks`.")
    return sorted(path for path in folder.rglob("*.json") if not path.name.startswith("."))


Entry = tuple[str, Path, Path, int | str | None]


def _entries(encoding: str, folder: Path, masks: Path, root: Path) -> Iterator[Entry]:
    """Yield (name, image, file, key) of a COCO or CVAT file."""
    named: Iterable[tuple[int | str, str]]
    if encoding == "coco":
        named = [(key, image.file) for key, image in open_coco(masks).images.items()]
    else:
        named = [(key, image.file) for key, image in open_cvat(masks).images.items()]
    known: dict[str, str] = {}
    for key, file in named:
        image = resolve_inside(root, file, masks, start=folder)
        name = PurePosixPath(file.replace("\\", "/")).with_suffix("").as_posix()
        if known.setdefault(name, file) != file:
            raise broken(masks, f"expected every image once, got {known[name]!r} and {file!r}")
        yield name, image, masks, key


def _labelme(folder: Path, masks: Path, root: Path) -> Iterator[Entry]:
    images = {path.relative_to(folder).with_suffix("").as_posix(): path for path in list_images(folder)}
    for path in labelme_files(masks):
        name = path.relative_to(masks).with_suffix("").as_posix()
        image = images.get(name)
        if image is None:
            image = resolve_inside(root, read_labelme(path).file or name, path, start=path.parent)
        yield name, image, path, None


def _all_images(sources: Sources, root: Path) -> list[Picture]:
    """Return every image below the folders that file names start from, in the first split whose folder holds it."""
    found: dict[Path, Picture] = {}
    for split, word in split_words(sources.splits).items():
        folder = root / sources.images.replace("{split}", word)
        for path in list_images(folder) if folder.is_dir() else ():
            name = path.relative_to(folder).with_suffix("").as_posix()
            found.setdefault(path, Picture(name, split, path, None))
    return list(found.values())
