"""What ids mean: masks of one number a pixel.

In the order asked: instances? noise around a few levels? names that somebody listed? a public data set's
coding? Then the numbers themselves: 0/255, a void 255, a stray value, ids that start at 1, gaps.
"""

import numpy as np

from perpixel.data.inspection.known import CITYSCAPES, CITYSCAPES_IDS, known_by_name
from perpixel.data.inspection.levels import find_levels
from perpixel.data.inspection.names import ClassList, is_void_name
from perpixel.data.inspection.problems import Findings, Outcome
from perpixel.data.inspection.verdict import MAX_CLASSES, Evidence, Verdict, number_names, say

VOID = 255
BACKGROUND = "background"
THOUSAND = 1000  # Cityscapes stores class * 1000 + number of the instance


def judge_ids(evidence: Evidence, findings: Findings) -> Verdict:
    """Return what the ids mean, and note in `findings` what had to be mended and what cannot be."""
    for judge in (_class_times_thousand, _one_id_an_instance, _noisy_levels, _listed_ids, _known_ids):
        if verdict := judge(evidence, findings):
            return verdict
    return _bare_ids(evidence, findings)


def _ids(evidence: Evidence) -> tuple[int, ...]:
    return tuple(int(value) for value in evidence.total.values)


def _class_times_thousand(evidence: Evidence, findings: Findings) -> Verdict | None:
    """Cityscapes' *_instanceIds: 26001 is the second car, 26 is cars that cannot be told apart."""
    values = evidence.total.values
    large = values[values >= THOUSAND]
    if not len(large) or large.max() >= 256 * THOUSAND or not (large % THOUSAND).any():
        return None
    labels = tuple(sorted({value // THOUSAND if value >= THOUSAND else value for value in _ids(evidence)}))
    if labels[-1] > VOID:
        return None
    message = f"ids up to {int(large.max())} are class · {THOUSAND} + instance"
    findings.add("instance ids", evidence.masks, message, "The class is kept, the instance is dropped.", "mended")
    if "instanceids" in evidence.about or labels[-1] in range(23, 34):
        return _cityscapes(labels, "instance")
    note = f"ids of {THOUSAND} and more are class · {THOUSAND} + instance, as in Cityscapes"
    names = _names_for(labels, evidence.listed)
    return Verdict("instance", names, tuple((label,) for label in labels), notes=(note,))


def _cityscapes(labels: tuple[int, ...], encoding: str) -> Verdict:
    """Labels 0 to 33, as files named *_labelIds and *_instanceIds store them."""
    ignored = tuple(label for label in range(34) if label not in CITYSCAPES_IDS)
    note = "the ids are Cityscapes' labels: its nineteen classes count, the others are ignored"
    values = tuple((label,) for label in CITYSCAPES_IDS)
    more = (VOID,) if VOID in labels else ()
    return Verdict(encoding, CITYSCAPES.classes, values, ignored + more, colors=CITYSCAPES.colors, notes=(note,))


def _one_id_an_instance(evidence: Evidence, findings: Findings) -> Verdict | None:
    """Judge numbered objects: numbers start again in every mask, or are more than classes can be."""
    ids = _ids(evidence)
    if 0 not in ids or not (_counts_in_every_mask(evidence) or (evidence.deep and len(ids) > MAX_CLASSES)):
        return None
    message = f"ids 0 to {ids[-1]} number the objects of each mask"
    fix = "Objects become one class beside the background. If the ids are classes, list them in mask_values."
    findings.add("instance ids", evidence.masks, message, fix, "mended")
    note = "every object has its own id, so there are two classes: background and object"
    return Verdict("instance", ("background", "object"), ((0,), (1,)), notes=(note,))


def _counts_in_every_mask(evidence: Evidence) -> bool:
    """Whether every mask holds 0 to n, with n differing from mask to mask as numbers of objects do."""
    highest = [len(held.values) - 1 for held in evidence.held]
    if evidence.listed or not all(held.counts_up for held in evidence.held):
        return False
    enough, differing = (4, 2) if evidence.deep else (12, 3)
    return max(highest, default=0) >= enough and len(set(highest)) >= differing


def _noisy_levels(evidence: Evidence, findings: Findings) -> Verdict | None:
    """Judge a few levels with noise around or mixtures between them: JPEG, or smoothed edges."""
    levels = find_levels(evidence.total, evidence.lossy)
    if not 2 <= len(levels) <= 16 or len(evidence.total.values) < len(levels) + 3:
        return _refuse_jpeg_of_ids(evidence, findings)
    half = int(np.diff(levels).min()) // 2
    tolerance = half if len(levels) == 2 else min(48, half - 1)  # of two, all mixtures belong to the nearer
    cause = "JPEG has blurred them" if evidence.lossy else "their edges are smoothed"
    message = f"{len(evidence.total.values)} values lie around {say(levels)}: {cause}"
    rest = "." if len(levels) == 2 else "; the rest, on edges, is ignored."
    fix = f"Values within {tolerance} of a level are read as it{rest}"
    findings.add("jpeg mask" if evidence.lossy else "smooth edges", evidence.masks, message, fix, "mended")
    note = f"the masks store {len(levels)} levels, {say(levels)}, and noise around them"
    names = _names_for(levels, evidence.listed)
    encoding = "binary" if len(levels) == 2 else "index"
    return Verdict(encoding, names, tuple((v,) for v in levels), tolerance=tolerance, notes=(note,))


def _refuse_jpeg_of_ids(evidence: Evidence, findings: Findings) -> Verdict | None:
    ids = _ids(evidence)
    if not evidence.lossy or len(ids) <= 2:
        return None
    message = f"JPEG masks hold {say(ids)}, closer together than the noise that JPEG adds"
    findings.add("jpeg mask", evidence.masks, message, "Save the masks as PNG from their source.", "fatal")
    kept = ids[:MAX_CLASSES]
    return Verdict("index", number_names(len(kept)), tuple((value,) for value in kept), ids[MAX_CLASSES:])


def _names_for(ids: list[int] | tuple[int, ...], listed: ClassList | None) -> tuple[str, ...]:
    """Return listed names if there is one an id, in order; else numbered ones."""
    names = listed.names if listed and len(listed.names) == len(ids) else None
    return names or number_names(len(ids))


def _listed_ids(evidence: Evidence, findings: Findings) -> Verdict | None:
    """Names beside the data: they say how many classes there are, and so what else must be ignored."""
    if not evidence.listed or _is_public(evidence):
        return None
    ids, listed = _ids(evidence), evidence.listed
    meant = _align(listed, ids)
    if meant.get(0) == BACKGROUND and BACKGROUND not in listed.names:
        _note_unnamed(evidence, findings, len(listed.names))
    others = tuple(value for value in ids if value not in meant)
    for value in others:
        _note_outside(evidence, findings, value, f"{listed.source} lists {say(sorted(meant))}")
    order = [value for value in sorted(meant) if not is_void_name(meant[value])]
    void = tuple(value for value in meant if value not in order)
    notes = [f"class names are from {listed.source}"]
    if 0 not in meant and 0 in others:
        notes.append(f"{listed.source} names ids 1 to {order[-1]}: 0 is ignored")
    values = tuple((value,) for value in order)
    names = tuple(meant[value] for value in order)
    colors = tuple(listed.color_of[name] for name in names) if listed.colors else None
    encoding = _encoding(evidence, len(names))
    return Verdict(encoding, names, values, (*others, *void), colors=colors, notes=tuple(notes))


def _is_public(evidence: Evidence) -> bool:
    """Whether the names are those of a public data set that is known better."""
    coding = known_by_name(evidence.about, _ids(evidence))
    return coding is not None and evidence.listed is not None and coding.classes == evidence.listed.lower


def _note_unnamed(evidence: Evidence, findings: Findings, count: int) -> None:
    assert evidence.listed is not None
    source = evidence.listed.source
    message = f"{source} lists {count} names, and the masks hold {count + 1} ids, 0 to {count}"
    fix = (
        f"The names are given to 1 to {count}, and 0 is called {BACKGROUND}. "
        f"If {count} is what has no name, put numbers before the names in {source}: 0: {evidence.listed.names[0]}."
    )
    findings.add("names do not count up", source, message, fix, "notice")


def _align(listed: ClassList, ids: tuple[int, ...]) -> dict[int, str]:
    """Return stored id -> name, reading a list without ids as the masks suggest."""
    count, labelled = len(listed.names), [value for value in ids if value != VOID or len(ids) <= 2]
    if listed.ids is not None or set(labelled) <= set(range(count)):
        return listed.listed
    if len(labelled) == count:
        return dict(zip(labelled, listed.names, strict=True))
    if set(labelled) <= set(range(count + 1)):
        first = {0: BACKGROUND} if 0 in labelled and BACKGROUND not in listed.names else {}
        return first | {index + 1: name for index, name in enumerate(listed.names)}
    return listed.listed


def _note_outside(evidence: Evidence, findings: Findings, value: int, allowed: str) -> None:
    pixels = evidence.total.of(value)[0]
    share = pixels / max(1, evidence.total.total)
    if value in (0, VOID) and share < 0.5:
        return
    message = f"value {value} is outside the classes ({pixels} pixels, {share:.2%}): {allowed}"
    fix = f"It is ignored. If it is a class, say so in dataset.yaml: mask_values: {{{value}: NAME, …}}."
    outcome: Outcome = "fatal" if share > 0.1 and value not in (0, VOID) else "mended"
    findings.add("value outside classes", evidence.holding(value), message, fix, outcome)


def _known_ids(evidence: Evidence, findings: Findings) -> Verdict | None:
    ids = _ids(evidence)
    labelled = "labelids" in evidence.about or ("cityscapes" in evidence.about and max(set(ids) - {VOID}) > 18)
    if labelled and set(ids) <= {*range(34), VOID}:
        return _cityscapes(ids, "index")
    coding = known_by_name(evidence.about, ids)
    if coding is None:
        return None
    note = (
        f"the folder's name and ids {say(ids)} are those of {coding.name}: its names and colours are used, "
        f"and {coding.void_id} is ignored as unlabelled"
    )
    values = tuple((index,) for index in range(len(coding.classes)))
    encoding = "palette" if evidence.paletted else "index"
    return Verdict(encoding, coding.classes, values, (coding.void_id,), colors=coding.colors, notes=(note,))


def _bare_ids(evidence: Evidence, findings: Findings) -> Verdict:
    """Only the numbers speak."""
    ids, notes = _ids(evidence), []
    ignored: tuple[int, ...] = ()
    if is_void(ids) and not _is_two_and_strays(evidence, ids):
        ids, ignored = tuple(value for value in ids if value != VOID), (VOID,)
        notes.append(_void_note(evidence, findings, ids))
    if strays := _strays(evidence, ids):
        ids = tuple(value for value in ids if value not in strays)
        for value in strays:
            _note_outside(evidence, findings, value, f"all other masks hold {say(ids)}")
    if len(ids) > MAX_CLASSES:
        message = f"{len(ids)} different values, and at most {MAX_CLASSES} can be classes"
        findings.add("too many values", evidence.masks, message, "Check that these are masks.", "fatal")
    notes.append(_explain(evidence, findings, ids))
    return Verdict(
        _encoding(evidence, len(ids)),
        number_names(len(ids)),
        tuple((value,) for value in ids),
        ignored + strays,
        colors=_palette_of(evidence, ids),
        notes=tuple(notes),
    )


def is_void(ids: tuple[int, ...]) -> bool:
    """Whether 255 is "ignore": an extra beside two or more small ids, not the top of a few grey levels."""
    small = [value for value in ids if value != VOID]
    return VOID in ids and max(ids) == VOID and len(small) >= 2 and small[-1] <= 8 * len(small)


def _void_note(evidence: Evidence, findings: Findings, ids: tuple[int, ...]) -> str:
    share = evidence.total.of(VOID)[0] / max(1, evidence.total.total)
    if share > 0.5:
        message = f"255 covers {share:.0%} of the pixels beside ids {say(ids)}, and is ignored"
        fix = "If 255 is a class, say so in dataset.yaml: mask_values: {255: NAME, …}."
        findings.add("255 may be a class", evidence.holding(VOID), message, fix, "notice")
    return f"255 is an extra beside ids {say(ids)} ({share:.1%} of the pixels): ignored"


def _is_two_and_strays(evidence: Evidence, ids: tuple[int, ...]) -> bool:
    """Whether a few stray pixels make 0/255 masks look like ids with a void 255."""
    return len(set(ids) - _rare(evidence, ids)) == 2 and VOID not in _rare(evidence, ids)


def _strays(evidence: Evidence, ids: tuple[int, ...]) -> tuple[int, ...]:
    """Return values of very few pixels in very few masks, if what is left counts up, or is 0/255."""
    rare = _rare(evidence, ids)
    left = [value for value in ids if value not in rare]
    if len(left) == 2 and left[1] == VOID:
        return tuple(sorted(rare))
    if len(evidence.masks) < 4 or len(left) < 2 or left[-1] - left[0] != len(left) - 1 or left[0] > 1:
        return ()
    return tuple(value for value in ids if value in rare and (value > left[-1] + 1 or value < left[0] - 1))


def _rare(evidence: Evidence, ids: tuple[int, ...]) -> set[int]:
    """Return values that fewer than a thousandth of the pixels hold, in one mask or a hundredth of them."""
    few, bound = max(1, len(evidence.masks) // 100), 1e-3 * evidence.total.total
    counts = {value: evidence.total.of(value) for value in ids}
    return {value for value, (pixels, images, _) in counts.items() if images <= few and pixels < bound}


def _explain(evidence: Evidence, findings: Findings, ids: tuple[int, ...]) -> str:
    """Return what the ids are in words, and note what had to be mended."""
    stored = f"The mapping is stored (mask_values), and predict --original-values writes {say(ids)} again."
    if len(ids) < 2:
        message = f"all masks hold {say(ids)} only: there is nothing to tell apart"
        findings.add("one class", evidence.masks, message, "Check that these are the masks.", "fatal")
        return "the masks hold one class only"
    if ids == tuple(range(len(ids))):
        return f"ids {say(ids)} are the classes"
    if len(ids) == 2 and VOID in ids:
        share = evidence.total.of(VOID)[0] / max(1, evidence.total.total)
        message = f"the masks hold {say(ids)} and nothing else: 255 is a class here, not 'ignore' ({share:.0%})"
        findings.add("255 is a class", evidence.masks, message, stored, "mended")
        return f"{say(ids)} are two classes; 255 is not ignored"
    if ids[0] == 1 and ids[-1] == len(ids):
        findings.add("ids start at 1", evidence.masks, f"the ids are {say(ids)}", stored, "mended")
        return f"ids {say(ids)} start at 1; they become 0 to {len(ids) - 1}"
    findings.add("gaps in the ids", evidence.masks, f"the ids are {say(ids)}", stored, "mended")
    return f"ids {say(ids)} have gaps; they become 0 to {len(ids) - 1}"


def _encoding(evidence: Evidence, count: int) -> str:
    if evidence.paletted:
        return "palette"
    return "binary" if count == 2 and VOID in evidence.total.values else "index"


def _palette_of(evidence: Evidence, ids: tuple[int, ...]) -> tuple[tuple[int, int, int], ...] | None:
    """Return the masks' own palette, if it gives every class its own colour."""
    colors = tuple(evidence.paletted[value] for value in ids if value in evidence.paletted)
    return colors if len(set(colors)) == len(ids) else None
