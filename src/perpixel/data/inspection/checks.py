"""What can be wrong with single pairs, read off their records; what cannot be used is left out by name."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from perpixel.data.inspection.coding import UNKNOWN, meanings
from perpixel.data.inspection.problems import Findings, Outcome
from perpixel.data.inspection.summary import Record
from perpixel.data.masks import IGNORE, MaskCoding
from perpixel.data.pairs import Listing, Pair, Picture

LEAVE_OUT = "The pair is left out."
FEW_COLORS = 10  # colour masks at most one in so many: then they are the odd ones, not the ids


class Checks:
    """Goes through the pairs, notes what is wrong, and remembers which are left out.

    Args:
        pairs: All that were found; or, where not one has a mask, all images that are tagged.
        records: What the scan kept of each.
        root: The folder that file names are given from.
        findings: Where problems go.
    """

    def __init__(self, pairs: Sequence[Picture], records: Sequence[Record], root: Path, findings: Findings) -> None:
        self.pairs, self.records, self.root, self.findings = pairs, records, root, findings
        self.out: set[int] = set()

    def name(self, path: Path) -> str:
        """Return a file's path below the data folder."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def mask_name(self, pair: Picture) -> str:
        """Return a mask's file; and which image in it, where it holds many."""
        assert pair.mask is not None
        return self.name(pair.mask) + (f" ({pair.name})" if pair.key is not None else "")

    def leave_out(self, index: int, kind: str, files: Sequence[str], message: str, fix: str) -> None:
        """Note a problem that makes a pair unusable."""
        self.out.add(index)
        self.findings.add(kind, files, message, f"{fix} {LEAVE_OUT}", "left out")

    def used(self) -> list[int]:
        """Return the pairs that are not left out."""
        return [index for index in range(len(self.pairs)) if index not in self.out]

    def files(self) -> None:
        """Check what each pair of files says by itself."""
        for index, (pair, record) in enumerate(zip(self.pairs, self.records, strict=True)):
            self._readable(index, pair, record)
            if not record.image_error and not record.mask_error:
                self._alpha(pair, record)
                if isinstance(pair, Pair):
                    self._sizes(index, pair, record)

    def _readable(self, index: int, pair: Picture, record: Record) -> None:
        files = [(self.name(pair.image), record.image_error)]
        if pair.mask is not None:
            files.append((self.mask_name(pair), record.mask_error))
        for name, error in files:
            if error:
                fix = "Restore it from its source."
                self.leave_out(index, "unreadable", [name], f"cannot be read: {_reason(error)}", fix)

    def _sizes(self, index: int, pair: Pair, record: Record) -> None:
        assert record.image_size is not None
        assert record.mask_size is not None
        turned = record.image_size == record.mask_size[::-1] and record.orientation >= 5
        if record.image_size == record.mask_size:
            if record.orientation in (2, 3, 4) or (turned and record.orientation >= 5):
                message = "the photo is turned by its EXIF tag, and the mask's size does not tell whether it is"
                fix = "Look at it in the contact sheet; if it is wrong, turn the mask as the photo is shown."
                self._note("EXIF rotation", pair, message, fix, "notice")
        elif turned:
            message = "the photo is turned by its EXIF tag, the mask is not"
            self._note("EXIF rotation", pair, message, "The mask is turned with the photo when read.", "mended")
        else:
            message = f"the image is {_by(record.image_size)}, its mask {_by(record.mask_size)}"
            fix = "Resize the mask to the image, without interpolation, or find the one that belongs to it."
            self.leave_out(index, "size differs", [self.name(pair.image), self.mask_name(pair)], message, fix)

    def _alpha(self, pair: Picture, record: Record) -> None:
        if record.image_alpha:
            fix = "It is dropped; colours under transparent pixels are used as they are."
            self.findings.add("alpha channel", self.name(pair.image), "the image has alpha", fix, "mended")
        if record.mask_alpha:
            fix = "It is dropped; transparent pixels are read by their colour."
            self.findings.add("alpha channel", self.mask_name(pair), "the mask has alpha", fix, "mended")

    def _note(self, kind: str, pair: Pair, message: str, fix: str, outcome: Outcome) -> None:
        self.findings.add(kind, [self.name(pair.image), self.mask_name(pair)], message, fix, outcome)

    def channels(self) -> tuple[int, int]:
        """Settle channels and bits for all images; those that cannot be converted are left out."""
        kinds = Counter(self.records[index].channels for index in self.used())
        if not kinds:
            return 3, 8
        most = 3 if set(kinds) <= {1, 3} and 3 in kinds else kinds.most_common(1)[0][0]
        for index in self.used():
            found = self.records[index].channels
            if found not in (most, 1):
                message = f"the image has {found} channels, most have {most}"
                self.leave_out(index, "channels differ", [self.name(self.pairs[index].image)], message, "Convert it.")
        self._mention([i for i in self.used() if self.records[i].channels != most], "channels differ",
                      f"grey among images of {most} channels", "Grey is repeated.")  # fmt: skip
        bits = max((self.records[index].bits for index in self.used()), default=8)
        self._mention([i for i in self.used() if self.records[i].bits < bits], "bits differ",
                      f"8 bits among images of {bits}", "Its levels are multiplied by 257.")  # fmt: skip
        return most, bits

    def _mention(self, indices: Sequence[int], kind: str, message: str, fix: str) -> None:
        if indices:
            files = [self.name(self.pairs[index].image) for index in indices]
            self.findings.add(kind, files, message, fix, "mended")

    def duplicates(self) -> None:
        """Leave out training pairs whose image another split has too; mention copies within a split."""
        same: dict[bytes, list[int]] = defaultdict(list)
        for index in self.used():
            same[self.records[index].digest].append(index)
        for group in same.values():
            if len(group) > 1:
                self._duplicate(group)

    def _duplicate(self, group: list[int]) -> None:
        files = [self.name(self.pairs[index].image) for index in group]
        splits = {self.pairs[index].split for index in group}
        if len(splits) == 1:
            fix = "It counts as often as it is there. Delete the copies, unless you mean that."
            self.findings.add("duplicate", files, f"the same image {len(group)} times in one split", fix, "notice")
            return
        kept = next(split for split in ("test", "val", *sorted(splits)) if split in splits)
        message = f"the same image in {' and '.join(sorted(splits))}: scores would be too good"
        fix = f"Keep one. Until then it stays in {kept} only, and the others are left out."
        self.findings.add("duplicate across splits", files, message, fix, "left out")
        self.out |= {index for index in group if self.pairs[index].split != kept}

    def settle_colors(self) -> bool:
        """Return whether masks are colours; a few colour masks among ids are left out."""
        used = self.used()
        colored = [index for index in used if self.records[index].colors]
        if not colored or len(colored) * FEW_COLORS > len(used):
            return bool(colored)
        for index in colored:
            message = "the mask stores colours, the others ids"
            self.leave_out(
                index, "encoding differs", [self.mask_name(self.pairs[index])], message, "Convert it to ids."
            )
        return False

    def values(self, coding: MaskCoding, *, declared: bool) -> None:
        """Find masks with values that have no meaning, masks without labels, and masks of one class."""
        unknown: dict[int, list[int]] = defaultdict(list)
        for index in self.used():
            held = self.records[index].held
            assert held is not None
            ids = meanings(coding, held.values)
            for value in held.values[ids == UNKNOWN]:
                unknown[int(value)].append(index)
            present = np.unique(ids[(ids != UNKNOWN) & (held.pixels > 0)])
            self._emptiness(index, coding, present)
        if declared:
            self._outside(unknown, coding)

    def _emptiness(self, index: int, coding: MaskCoding, present: np.ndarray) -> None:
        pair, classes = self.pairs[index], [int(i) for i in present if i != IGNORE]
        if len(present) and not classes:
            fix = "Label it, or delete it."
            self.leave_out(
                index, "empty mask", [self.mask_name(pair)], "every pixel is ignored: nothing to learn from", fix
            )
        elif len(classes) == 1 and coding.num_classes > 1:
            message = f"only {coding.classes[classes[0]]} in the whole mask"
            fix = "Fine if the image shows nothing else; otherwise label it."
            self.findings.add("empty mask", self.mask_name(pair), message, fix, "notice")

    def _outside(self, unknown: dict[int, list[int]], coding: MaskCoding) -> None:
        for value, indices in unknown.items():
            shown = tuple(int(c) for c in (value >> 16, value >> 8 & 255, value & 255)) if coding.colors else value
            message = f"value {shown} is neither a class nor ignored in dataset.yaml"
            fix = f"Add {shown} to mask_values or to ignore in dataset.yaml."
            common = 2 * len(indices) > len(self.pairs)
            files = [self.mask_name(self.pairs[index]) for index in indices]
            if common:
                self.findings.add("value outside classes", files, message, fix, "fatal")
            else:
                self.findings.add("value outside classes", files, message, f"{fix} {LEAVE_OUT}", "left out")
                self.out |= set(indices)


def note_partners(listing: Listing, root: Path, findings: Findings) -> None:
    """Note files without a partner, and names that several files share."""

    def name(path: Path) -> str:
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

    for path in listing.images_without_mask:
        fix = "Add a mask of the same name, or delete it. It is left out."
        findings.add("no partner", name(path), "the image has no mask", fix, "left out")
    for path in listing.masks_without_image:
        fix = "Add the image of the same name, or delete it. It is left out."
        findings.add("no partner", name(path), "the mask has no image", fix, "left out")
    for clash in listing.clashes:
        fix = "Keep one of each, or rename them. They are left out."
        findings.add("name clash", map(name, clash), "several files for one name", fix, "left out")


def _reason(error: str) -> str:
    """Return what a reader's error says beyond what the report says anyway."""
    match = re.search(r"cannot read .*? \((.*)\)\. ", error)
    reason = match[1] if match else error
    return "it is no image" if reason.startswith("cannot identify image file") else reason


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
