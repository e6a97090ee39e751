"""What is known of each image besides its mask, and where tags and masks do not fit one another.

unknown tag, tags for several images,        fatal: nobody can tell what is meant
lines that disagree
neither tags nor mask, tags without image    left out
tags contradict mask, equal lines twice      mended: the mask decides, one line counts
class never tagged                           notice: only its masks teach what it looks like
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perpixel.data.inspection.checks import LEAVE_OUT, Checks
from perpixel.data.inspection.coding import present_ids
from perpixel.data.inspection.pool import count_workers, map_in_processes
from perpixel.data.inspection.problems import Findings, Outcome
from perpixel.data.inspection.scan import failed_picture, scan_picture
from perpixel.data.masks import MaskCoding
from perpixel.data.pairs import Pair, Picture, split_names
from perpixel.data.spec import FROM_MASKS, DatasetSpec
from perpixel.data.supervision import TRAIN, Supervision
from perpixel.data.tags import Tags
from perpixel.data.windows import background_id
from perpixel.errors import DataError


@dataclass(frozen=True)
class Labels:
    """How many images have which labels, over all splits.

    Args:
        masks: That have a mask which may be used.
        tags_only: That have tags and no such mask.
        neither: That have neither, and are not used.
        tagged: Class -> images that show it, by their tags or, where these are silent, by their masks.
        mask_classes: The classes that training may see in masks; None: all.
        source: The file of tags, or "from-masks"; None where there are no tags.
    """

    masks: int
    tags_only: int = 0
    neither: int = 0
    tagged: Mapping[str, int] = field(default_factory=dict)
    mask_classes: tuple[str, ...] | None = None
    source: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return the counts for `inspect --json`."""
        return {
            "masks": self.masks,
            "tags_only": self.tags_only,
            "neither": self.neither,
            "tagged": dict(self.tagged),
            "mask_classes": None if self.mask_classes is None else list(self.mask_classes),
            "source": self.source,
        }


class TagChecks:
    """Goes through tags as `Checks` goes through pairs.

    Args:
        supervision: What the data set allows.
        checks: The pairs, with what their masks hold.
        coding: What the masks' values mean.
        findings: Where problems go.
    """

    def __init__(self, supervision: Supervision, checks: Checks, coding: MaskCoding, findings: Findings) -> None:
        self.supervision, self.checks, self.coding, self.findings = supervision, checks, coding, findings
        self.spec: DatasetSpec = supervision.spec
        self.tags = self._read()
        self.excluded = {*self.spec.exclude}
        self.background = background_of(self.spec)

    def _read(self) -> Tags:
        """Return what the file says; what is wrong in it is noted."""
        try:
            tags = self.supervision.tag_lines
        except DataError as error:
            message, _, fix = str(error).partition(". ")
            self.findings.add("no tags", str(self.spec.tags), message, fix, "fatal")
            return Tags()
        for fault in tags.faults:
            outcome: Outcome = "fatal" if fault.fatal else "mended" if fault.kind == "tags twice" else "left out"
            self.findings.add(fault.kind, fault.line, fault.message, fault.fix, outcome)
        return tags

    def count(self, workers: int | None) -> tuple[Labels, list[str]]:
        """Check everything; return the counts, and the pictures that cannot be read, as "split/name"."""
        shown = self._shown()
        self._contradictions(shown)
        self._never_tagged(shown)
        lonely = [p for split in split_names(self.spec.splits) for p in self.supervision.without_mask(split)]
        lonely = [p for p in lonely if p.id not in self.excluded]
        tagged = [p for p in lonely if self._is_tagged(p)]
        neither = [p for p in lonely if not self._is_tagged(p)]
        if self.spec.tags is not None:
            self._note_neither(neither)
        out = self._unreadable(tagged, workers)
        tagged = [p for p in tagged if p.id not in out]
        ids = self._ids(shown, tagged)
        source, only = self.spec.tags, len(tagged)
        return Labels(len(shown), only, len(neither), self._per_class(ids), self.spec.mask_classes, source), out

    def taught(self) -> set[str]:
        """Return the classes that the tags of a training image name."""
        held = [ids for picture, ids in self.tags.held.items() if picture.startswith(f"{TRAIN}/")]
        return {self.spec.classes[class_id] for ids in held for class_id in ids}

    def _is_tagged(self, picture: Picture) -> bool:
        return picture.id in self.tags or (self.spec.tags == FROM_MASKS and picture.id in self._hidden)

    @property
    def _hidden(self) -> set[str]:
        return {pair.id for pair in self.supervision.listing.pairs}

    def _shown(self) -> dict[str, set[int]]:
        """Return what each usable mask shows, background left out."""
        found = {}
        for index in self.checks.used():
            if not isinstance(self.checks.pairs[index], Pair):
                continue
            held = self.checks.records[index].held
            assert held is not None
            found[self.checks.pairs[index].id] = {*present_ids(self.coding, held)} - {self.background}
        return found

    def _contradictions(self, shown: Mapping[str, set[int]]) -> None:
        decided = {i for i, name in enumerate(self.spec.classes) if self._may_show(name)} - {self.background}
        files = {pair.id: self.checks.name(pair.image) for pair in self.checks.pairs if isinstance(pair, Pair)}
        for picture, seen in shown.items():
            said = self.tags.of(picture)
            if said is None:
                continue
            for class_id in sorted(({*said} & decided) ^ (seen & decided)):
                name = self.spec.classes[class_id]
                message = f"tagged {name}, and no pixel of the mask is {name}"
                if class_id in seen:
                    message = f"the mask shows {name}, and the tags leave it out"
                fix = "The mask is believed. Correct the one that is wrong."
                self.findings.add("tags contradict mask", files[picture], message, fix, "mended")

    def _may_show(self, name: str) -> bool:
        return self.spec.mask_classes is None or name in self.spec.mask_classes

    def _never_tagged(self, shown: Mapping[str, set[int]]) -> None:
        if not self.tags.held:
            return
        named = {class_id for ids in self.tags.held.values() for class_id in ids}
        for class_id, name in enumerate(self.spec.classes):
            masks = sum(class_id in ids for ids in shown.values())
            if masks and class_id not in named and class_id != self.background:
                message = f"no line of {self.spec.tags} names {name}, and {masks} masks show it"
                fix = f"Tag it. Until then only those masks teach what {name} looks like."
                self.findings.add("class never tagged", (), message, fix, "notice")

    def _note_neither(self, neither: Sequence[Picture]) -> None:
        files = [self.checks.name(picture.image) for picture in neither]
        if files:
            fix = f"Add a line to {self.spec.tags}, or a mask. It is left out."
            self.findings.add("neither tags nor mask", files, "nothing is known of the image", fix, "left out")

    def _unreadable(self, pictures: Sequence[Picture], workers: int | None) -> list[str]:
        """Return the images with tags only that cannot be used; each is read, unless the checks have done so."""
        scanned = {picture.id: index for index, picture in enumerate(self.checks.pairs)}
        out = [picture.id for picture in pictures if scanned.get(picture.id) in self.checks.out]
        pictures = [picture for picture in pictures if picture.id not in scanned]
        processes = count_workers(workers, len(pictures))
        for index, error in map_in_processes(scan_picture, pictures, failed_picture, workers=processes):
            if error:
                name = self.checks.name(pictures[index].image)
                message = f"cannot be read: {error}"
                self.findings.add("unreadable", name, message, f"Restore it from its source. {LEAVE_OUT}", "left out")
                out.append(pictures[index].id)
        return sorted(out)

    def _ids(self, shown: Mapping[str, set[int]], tagged: Sequence[Picture]) -> list[set[int]]:
        """Return what each image shows: the mask's word for the classes it may show, else the tags'."""
        decided = {i for i, name in enumerate(self.spec.classes) if self._may_show(name)}
        ids = []
        for picture, seen in shown.items():
            tags = self.tags.of(picture)
            ids.append(seen & decided | ((seen if tags is None else {*tags}) - decided))
        return ids + [{*(self.tags.of(picture.id) or ())} for picture in tagged]

    def _per_class(self, ids: Sequence[set[int]]) -> dict[str, int]:
        names = enumerate(self.spec.classes)
        return {name: sum(i in one for one in ids) for i, name in names if i != self.background}


def background_of(spec: DatasetSpec) -> int | None:
    """Return the id of the class that is no object, if there is one."""
    return background_id(spec.classes) if spec.background is None else spec.classes.index(spec.background)
