"""Inspect a data set: recognise it, scan every pair once, judge, check, and propose a `dataset.yaml`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.annotations import label_meanings
from perpixel.data.inspection.checks import Checks, note_partners
from perpixel.data.inspection.coding import class_pixels, fields_of, image_statistics, pixels_of, stored_of
from perpixel.data.inspection.colors import judge_colors
from perpixel.data.inspection.histogram import Held, Histogram
from perpixel.data.inspection.ids import judge_ids
from perpixel.data.inspection.names import find_class_list
from perpixel.data.inspection.pool import count_workers, map_in_processes
from perpixel.data.inspection.problems import Findings, Outcome
from perpixel.data.inspection.report import ClassShare, Inspection
from perpixel.data.inspection.scan import Job, failed_pair, scan_pair
from perpixel.data.inspection.summary import Summary
from perpixel.data.inspection.tagged import Labels, TagChecks, background_of
from perpixel.data.inspection.verdict import Evidence
from perpixel.data.layouts import TAGS_NAME, Layout, list_data, recognize
from perpixel.data.masks import IGNORE, MaskCoding
from perpixel.data.pairs import Listing, Pair, Picture, split_names
from perpixel.data.spec import ANNOTATION_ENCODINGS, DatasetSpec
from perpixel.data.supervision import Supervision
from perpixel.errors import DataError

Progress = Callable[[int, int], None]
YAML_NAMES = ("dataset.yaml", "dataset.yml")


def inspect(*paths: Path | str, workers: int | None = None, progress: Progress | None = None) -> Inspection:
    """Look at every pair of a data set once, and say what is in it and what is wrong.

    Args:
        paths: A folder with `dataset.yaml`, that file, a folder that can be recognised, or IMAGES MASKS.
        workers: Processes; all cores unless told, 0 for none.
        progress: Called with (pairs done, pairs in all).

    Raises:
        DataError: No images and masks that go together.
    """
    layout, declared = _find(tuple(Path(path) for path in paths))
    excluded = set(declared.exclude) if declared else set()
    allowed = None if declared is None else Supervision(declared, layout.root, layout.listing)
    found: Sequence[Picture] = [
        p for p in layout.listing.pairs if p.id not in excluded and (allowed is None or allowed.shows(p))
    ]
    if not found and allowed is not None:
        found = _tagged(allowed)
    settled = declared or _settle(layout)
    summary = _scan(found, settled, workers, progress)
    return _Judgement(layout, settled, summary, allowed, workers).conclude()


def _find(paths: tuple[Path, ...]) -> tuple[Layout, DatasetSpec | None]:
    """Return the layout, and the `dataset.yaml` where there is one."""
    file = _yaml_of(paths)
    if file is None:
        return recognize(*paths), None
    spec, root = DatasetSpec.load(file), file.parent.resolve()
    note = f"Layout and classes are as {file.name} says."
    listing = list_data(spec, root, tagged=spec.has_tag_file)
    return Layout(root, "dataset.yaml", spec.images, spec.masks, spec.splits, notes=(note,), listing=listing), spec


def _tagged(allowed: Supervision) -> list[Picture]:
    """Return the images with tags alone; none where their file cannot be read, which `TagChecks` notes."""
    try:
        tags, excluded = allowed.tag_lines, allowed.spec.exclude
    except DataError:
        return []
    pictures = (p for split in split_names(allowed.spec.splits) for p in allowed.without_mask(split))
    return [p for p in pictures if p.id in tags and p.id not in excluded]


def _yaml_of(paths: tuple[Path, ...]) -> Path | None:
    if len(paths) != 1:
        return None
    if paths[0].suffix.lower() in (".yaml", ".yml"):
        return paths[0]
    return next((paths[0] / name for name in YAML_NAMES if (paths[0] / name).is_file()), None)


def _settle(layout: Layout) -> DatasetSpec | None:
    """Return the proposal for annotation files, which name their classes; masks must be looked at first."""
    return _describe(layout, {"encoding": layout.encoding}) if layout.encoding in ANNOTATION_ENCODINGS else None


def _describe(layout: Layout, fields: dict[str, Any]) -> DatasetSpec:
    where = {"images": layout.images, "masks": layout.masks, "splits": layout.splits}
    return DatasetSpec.parse({"name": layout.root.name} | where | fields | layout.hints)


def _scan(
    pairs: Sequence[Picture], settled: DatasetSpec | None, workers: int | None, progress: Progress | None
) -> Summary:
    summary = Summary(pairs)
    jobs = [Job(pair) for pair in pairs]
    if settled is not None and settled.encoding in ANNOTATION_ENCODINGS:
        meanings = label_meanings(settled)
        jobs = [Job(pair, settled.encoding, meanings) for pair in pairs]
    count = count_workers(workers, len(jobs))
    for done, (index, facts) in enumerate(map_in_processes(scan_pair, jobs, failed_pair, workers=count), 1):
        summary.add(index, facts)
        if progress:
            progress(done, len(jobs))
    return summary


class _Judgement:
    """The steps from a finished scan to an `Inspection`."""

    def __init__(
        self,
        layout: Layout,
        declared: DatasetSpec | None,
        summary: Summary,
        allowed: Supervision | None,
        workers: int | None,
    ) -> None:
        self.layout, self.declared, self.summary = layout, declared, summary
        self.allowed, self.workers = allowed, workers
        self.labels: Labels | None = None
        self.lonely_out: list[str] = []
        self.taught: set[str] = set()
        self.findings = Findings()
        self.unmasked = bool(summary.pairs) and not any(isinstance(pair, Pair) for pair in summary.pairs)
        records = [record for record in summary.records if record is not None]
        self.checks = Checks(summary.pairs, records, layout.root, self.findings)
        self.notes = list(layout.notes)

    def conclude(self) -> Inspection:
        """Return the whole inspection."""
        note_partners(self._without_partner(), self.layout.root, self.findings)
        self._mention_tags()
        self.checks.files()
        channels, bits = self.checks.channels()
        self.checks.duplicates()
        if not self._has_pairs():
            if self.allowed is not None:
                TagChecks(self.allowed, self.checks, MaskCoding.from_spec(self.allowed.spec), self.findings)
            return self._report(None, ())
        draft = self._propose() if self.declared is None else self.declared
        coding = MaskCoding.from_spec(draft)
        self.checks.values(coding, declared=self.declared is not None)
        self._has_pairs()
        if self.allowed is not None:
            checks = TagChecks(self.allowed, self.checks, coding, self.findings)
            self.labels, self.lonely_out = checks.count(self.workers)
            self.taught = checks.taught()
        draft = draft.model_copy(update=self._measure(coding, channels, bits))
        shares = self._shares(draft, coding)
        self._note_absent(draft, coding)
        return self._report(draft, shares)

    def _without_partner(self) -> Listing:
        """Return the listing less the images that need no mask, because tags are there to look for."""
        listing = self.layout.listing
        if self.declared is None or self.declared.tags is None:
            return listing
        tagged = {picture.image for picture in listing.bare}
        return replace(listing, images_without_mask=tuple(p for p in listing.images_without_mask if p not in tagged))

    def _mention_tags(self) -> None:
        """Point to a file of tags that lies there unused."""
        if self.declared is None and (self.layout.root / TAGS_NAME).is_file():
            self.notes.append(f"{TAGS_NAME} lies there. To use it, say `tags: {TAGS_NAME}` in dataset.yaml.")

    def _has_pairs(self) -> bool:
        """Whether there is anything to look at; without training pairs there is nothing to train on."""
        left = {self.summary.pairs[index].split for index in self.checks.used()}
        fix = "Mend what is listed here, then inspect again."
        what = "image with tags" if self.unmasked else "pair"
        if not left:
            self.findings.add("no pairs", (), f"not one {what} can be used", fix, "fatal")
        for split in self.summary.splits - left if left else ():
            outcome: Outcome = "fatal" if split == "train" else "notice"
            self.findings.add("no pairs", (), f"not one {what} of {split} can be used", fix, outcome)
        return bool(left)

    def _propose(self) -> DatasetSpec:
        """Judge what the stored values mean."""
        colors = self.checks.settle_colors()
        evidence = self._evidence(colors)
        verdict = (judge_colors if colors else judge_ids)(evidence, self.findings)
        self.notes.extend(_sentence(note) for note in verdict.notes)
        return _describe(self.layout, fields_of(verdict))

    def _evidence(self, colors: bool) -> Evidence:
        used = self.checks.used()
        records = [self.checks.records[index] for index in used]
        return Evidence(
            total=self.summary.total(colors),
            masks=tuple(self.checks.mask_name(self.summary.pairs[index]) for index in used),
            held=tuple(self._held(index, colors) for index in used),
            listed=find_class_list(self.layout.root),
            deep=any(record.deep for record in records),
            lossy=any(record.lossy for record in records),
            about=f"{self.layout.root.name} {self.layout.kind} {self.layout.masks}".lower(),
            paletted=self.summary.palette if 2 * self.summary.paletted > len(used) else {},
        )

    def _held(self, index: int, colors: bool) -> Held:
        held = self.checks.records[index].held
        assert held is not None
        return held.as_colors() if colors and not self.checks.records[index].colors else held

    def _measure(self, coding: MaskCoding, channels: int, bits: int) -> dict[str, Any]:
        """Return what training needs and a scan has counted already."""
        train = [index for index in self.checks.used() if self.summary.pairs[index].split == "train"]
        masks = [index for index in train if isinstance(self.summary.pairs[index], Pair)]
        images, around = image_statistics(coding, [self._held(index, coding.colors) for index in train])
        counts = self.summary.counts.get("train")
        total = counts.total(coding.colors) if counts else Histogram.empty()
        pixels = class_pixels(coding, total) - self._pixels_left_out(coding, "train")
        statistics = self.summary.statistics(channels, bits)
        hidden = self.declared is not None and self.declared.mask_classes is not None
        counts_of_classes = {
            "pixel_counts": tuple(int(count) for count in pixels[: coding.num_classes]),
            "image_counts": tuple(images.tolist()),
            "image_pixel_counts": tuple(around.tolist()),
        }
        return {
            "exclude": self._left_out(),
            "channels": channels,
            "bits": bits,
            "mean": statistics and tuple(round(value, 4) for value in statistics[0]),
            "std": statistics and tuple(round(value, 4) for value in statistics[1]),
            **(dict.fromkeys(counts_of_classes) if hidden or not masks else counts_of_classes),
        }

    def _left_out(self) -> tuple[str, ...]:
        """Return the pairs left out by name: those that dataset.yaml names, and those found now."""
        found = [self.summary.pairs[index].id for index in sorted(self.checks.out)]
        return tuple(dict.fromkeys((*(self.declared.exclude if self.declared else ()), *found, *self.lonely_out)))

    def _pixels_left_out(self, coding: MaskCoding, split: str = "") -> NDArray[np.int64]:
        """Return the pixels of each class in masks that were counted, and then left out."""
        pairs, records = self.summary.pairs, self.checks.records
        counted = [i for i in self.checks.out if records[i].usable and split in ("", pairs[i].split)]
        held = [self._held(i, coding.colors) for i in counted if coding.colors or not records[i].colors]
        return sum((pixels_of(coding, one) for one in held), np.zeros(IGNORE + 1, np.int64))

    def _shares(self, draft: DatasetSpec, coding: MaskCoding) -> tuple[ClassShare, ...]:
        pixels = class_pixels(coding, self.summary.total(coding.colors)) - self._pixels_left_out(coding)
        self.ignored = int(pixels[IGNORE])
        images, _ = image_statistics(coding, [self._held(i, coding.colors) for i in self.checks.used()])
        counted = max(1, int(pixels[: coding.num_classes].sum()))
        colors: Sequence[Any] = draft.colors or [None] * coding.num_classes
        return tuple(
            ClassShare(name, value, int(pixels[i]), int(pixels[i]) / counted, int(images[i]), colors[i])
            for i, (name, value) in enumerate(zip(coding.classes, stored_of(coding), strict=True))
        )

    def _note_absent(self, draft: DatasetSpec, coding: MaskCoding) -> None:
        """Mention classes that training or validation never sees."""
        if self.unmasked:
            return self._note_untagged(draft)
        for split in ("train", "val"):
            held = [self._held(i, coding.colors) for i in self.checks.used() if self.summary.pairs[i].split == split]
            if not held:
                continue
            images, _ = image_statistics(coding, held)
            absent = [name for name, count in zip(draft.classes, images, strict=True) if not count]
            meant = "it cannot be learned" if split == "train" else "its score will be n/a"
            for name in absent:
                if split == "train" and name in self.taught:
                    continue
                fix = f"Add images of it to {split}, or drop the class."
                self.findings.add("class absent", (), f"no {split} mask holds {name}: {meant}", fix, "notice")

    def _note_untagged(self, draft: DatasetSpec) -> None:
        """Mention classes that no tag of a training image names, where there are no masks."""
        background = background_of(draft)
        for class_id, name in enumerate(draft.classes):
            if class_id != background and name not in self.taught:
                fix = "Tag images of it, or drop the class."
                self.findings.add("class absent", (), f"no train image is tagged {name}: it cannot be learned", fix,
                                  "notice")  # fmt: skip

    def _report(self, draft: DatasetSpec | None, shares: tuple[ClassShare, ...]) -> Inspection:
        used = [self.summary.pairs[index] for index in self.checks.used()]
        splits = {name: 0 for name in split_names(self.layout.splits)}
        for pair in used:
            splits[pair.split] = splits.get(pair.split, 0) + 1
        return Inspection(
            root=self.layout.root,
            kind=self.layout.kind,
            draft=draft,
            problems=self.findings.problems(),
            classes=shares,
            ignored=getattr(self, "ignored", 0),
            sizes={f"{h}x{w}": count for (h, w), count in self.summary.sizes.most_common()},
            splits=splits,
            used=tuple(pair for pair in used if isinstance(pair, Pair)),
            left_out=self._left_out(),
            notes=tuple(self.notes),
            labels=self.labels or Labels(0 if self.unmasked else len(used)),
            unmasked=self.unmasked,
        )


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."
