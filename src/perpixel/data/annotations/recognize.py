"""Recognise annotation files in a folder, and the images that they speak of."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from perpixel.data.annotations.read import open_coco, open_cvat
from perpixel.data.folders import SPLIT_WORDS
from perpixel.data.images import list_images
from perpixel.data.spec import Splits

_SPLIT = {word: split for split, words in SPLIT_WORDS.items() for word in words}
_WORD = re.compile(r"(?<![a-z])(" + "|".join(sorted(_SPLIT, key=len, reverse=True)) + r")(?![a-z])", re.IGNORECASE)
_HEAD = 1 << 16  # bytes that tell a format
_DEPTH = 3
_MOST_FILES = 2000


@dataclass(frozen=True)
class AnnotationSource:
    """Annotation files as `dataset.yaml` describes them."""

    encoding: str
    images: str
    masks: str
    splits: Splits


def find_annotations(root: Path) -> AnnotationSource | None:
    """Return the annotation files of a folder, whole-set files before one file an image.

    Raises:
        DataError: There are such files, but they are damaged.
    """
    files = _near(root)
    whole = [(path, kind) for path in files if (kind := _kind(path)) in ("coco", "cvat")]
    if whole:
        return _from_whole_files(root, whole)
    return _from_labelme(root, [path for path in files if path.suffix == ".json"])


def _near(root: Path) -> list[Path]:
    """Return JSON and XML files at little depth, as many as it takes to tell."""
    found: list[Path] = []
    for depth in range(_DEPTH):
        for path in sorted(root.glob("*/" * depth + "*")):
            if path.suffix.lower() in (".json", ".xml") and path.is_file() and not path.name.startswith("."):
                found.append(path)
            if len(found) >= _MOST_FILES:
                return found
    return found


def _kind(path: Path) -> str:
    """Tell the format by the beginning of a file, and the end of a JSON."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, path.stat().st_size - _HEAD))
        both = head + file.read(_HEAD)
    if path.suffix.lower() == ".xml":
        return "cvat" if re.search(rb"<annotations[\s>]", head) else ""
    if b'"shapes"' in both and b'"imagePath"' in both:
        return "labelme"
    keys = sum(key in both for key in (b'"images"', b'"annotations"', b'"categories"'))
    return "coco" if keys >= 2 and (b'"file_name"' in both or b'"segmentation"' in both) else ""


def _from_whole_files(root: Path, files: list[tuple[Path, str]]) -> AnnotationSource | None:
    """Group files that differ in the split's word, and take the group that says most about segments."""
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for path, kind in files:
        name = path.relative_to(root).as_posix()
        match = _last_word(name)
        pattern = name if match is None else name[: match.start(1)] + "{split}" + name[match.end(1) :]
        split, word = ("train", "") if match is None else (_SPLIT[match.group(1).lower()], match.group(1))
        groups.setdefault((pattern, kind), {}).setdefault(split, word)
    (pattern, kind), words = max(groups.items(), key=lambda group: _worth(group[0][0], len(group[1])))
    if "train" not in words:
        words = {"train": next(iter(words.values()))}
    named: dict[str, str] = {split: words[split] for split in ("train", "val", "test") if split in words}
    images = _image_folder(root, pattern, kind, named)
    splits: Splits = tuple(named) if all(s == w for s, w in named.items()) or named == {"train": ""} else dict(named)
    return AnnotationSource(kind, images, pattern, splits)


def _last_word(name: str) -> re.Match[str] | None:
    """Return the split's word in a path: in the file's name, else in its folder's."""
    matches = list(_WORD.finditer(name))
    return matches[-1] if matches else None


def _worth(pattern: str, files: int) -> tuple[bool, int, str]:
    beside = any(word in pattern.lower() for word in ("caption", "keypoint", "panoptic", "image_info", "bbox"))
    return (not beside, files + 10 * ("instances" in pattern), pattern)


def _image_folder(root: Path, pattern: str, kind: str, words: dict[str, str]) -> str:
    """Return the folder that file names start from: where most of the first ones exist."""
    word = next(iter(words.values()))
    path = root / pattern.replace("{split}", word)
    if kind == "coco":
        files = [entry.file for entry in open_coco(path).images.values()]
    else:
        files = list(open_cvat(path).images)
    names = [file.replace("\\", "/") for file in files[:20]]
    folders = dict.fromkeys(["", path.parent.relative_to(root).as_posix().removeprefix("."), *_folders(root)])
    best = max(folders, key=lambda folder: sum(_exists(root / folder, name) for name in names))
    return _with_split(best, word) or "."


def _exists(folder: Path, name: str) -> bool:
    inside = not name.startswith("/") and ".." not in name.split("/")
    return inside and (folder / name).is_file()


def _folders(root: Path) -> Iterable[str]:
    for depth in range(1, _DEPTH + 1):
        for path in sorted(root.glob("*/" * depth)):
            if not path.name.startswith("."):
                yield path.relative_to(root).as_posix()


def _from_labelme(root: Path, files: list[Path]) -> AnnotationSource | None:
    """Recognise a JSON an image: beside the images, or in a folder of their own."""
    told = next((path for path in files[:50] if _kind(path) == "labelme"), None)
    if told is None:
        return None
    folder = told.parent.relative_to(root).as_posix()
    match = _last_word(folder)
    if match is None:
        return AnnotationSource("labelme", _folder_of_stems(root, folder, "") or folder, folder, ("train",))
    masks, word = _with_split(folder, match.group(1)), match.group(1)
    words = {split: w for w, split in _SPLIT.items() if (root / masks.replace("{split}", w)).is_dir()}
    images = _with_split(_folder_of_stems(root, folder, word) or folder, word)
    return AnnotationSource("labelme", images, masks, {s: words[s] for s in SPLIT_WORDS if s in words})


def _with_split(folder: str, word: str) -> str:
    """Put `{split}` in place of a split's word."""
    match = _last_word(folder)
    if match is None or match.group(1) != word:
        return folder
    return folder[: match.start(1)] + "{split}" + folder[match.end(1) :]


def _folder_of_stems(root: Path, folder: str, word: str) -> str | None:
    """Return the folder with most images named like the JSON files; one of the same split before others."""
    stems = {path.stem for path, _ in zip((root / folder).glob("*.json"), range(200), strict=False)}
    best: tuple[tuple[int, bool], str] | None = None
    for candidate in dict.fromkeys([folder, ".", *_folders(root)]):
        shared = len(stems & {path.stem for path in list_images(root / candidate, recursive=False)})
        score = (shared, bool(word) and word in candidate)
        if shared and (best is None or score > best[0]):
            best = (score, candidate)
    return best[1] if best else None
