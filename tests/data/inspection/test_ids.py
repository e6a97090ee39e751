"""What ids mean is read off their counts. One row a case that users bring."""

import io

import numpy as np
import pytest
from PIL import Image

from perpixel.data.inspection.ids import is_void, judge_ids
from perpixel.data.inspection.known import CAMVID
from perpixel.data.inspection.names import ClassList
from perpixel.data.inspection.problems import Findings

# ids in the masks, stored value of each class, ignored, kind of problem
PLAIN = [
    ([0, 1, 2], [0, 1, 2], (), None),
    ([0, 1], [0, 1], (), None),
    ([0, 255], [0, 255], (), "255 is a class"),
    ([1, 255], [1, 255], (), "255 is a class"),
    ([0, 128], [0, 128], (), "gaps in the ids"),
    ([0, 127, 255], [0, 127, 255], (), "gaps in the ids"),
    ([0, 85, 170, 255], [0, 85, 170, 255], (), "gaps in the ids"),
    ([1, 2, 3], [1, 2, 3], (), "ids start at 1"),
    ([0, 3, 7], [0, 3, 7], (), "gaps in the ids"),
    ([0, 1, 2, 255], [0, 1, 2], (255,), None),
    ([1, 2, 3, 255], [1, 2, 3], (255,), "ids start at 1"),
    ([0, 15, 255], [0, 15], (255,), "gaps in the ids"),
]


@pytest.mark.parametrize(("ids", "values", "ignored", "kind"), PLAIN)
def test_plain_ids(
    ids: list[int], values: list[int], ignored: tuple[int, ...], kind: str | None, evidence_of, stripes
) -> None:
    findings = Findings()
    verdict = judge_ids(evidence_of([stripes(ids)] * 3), findings)
    assert [value for (value,) in verdict.values] == values
    assert verdict.ignored == ignored
    assert [problem.kind for problem in findings.problems()] == ([kind] if kind else [])
    assert verdict.classes == tuple(f"class_{index}" for index in range(len(values)))


def test_a_thin_class_beside_small_ids_is_not_taken_for_an_edge(evidence_of, stripes) -> None:
    mask = stripes([0, 5, 11])
    mask[:, ::7] = 3
    assert [v for (v,) in judge_ids(evidence_of([mask]), Findings()).values] == [0, 3, 5, 11]


def test_a_stray_value_is_named_with_its_file_and_ignored(evidence_of, stripes) -> None:
    stray = stripes([0, 1, 2])
    stray[3, 3] = 37
    findings = Findings()
    verdict = judge_ids(evidence_of([stripes([0, 1, 2])] * 4 + [stray]), findings)
    (problem,) = findings.problems()
    assert verdict.ignored == (37,)
    assert problem.files == ("0004.png",)
    assert problem.message == "value 37 is outside the classes (1 pixels, 0.02%): all other masks hold 0 to 2"


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_noise_and_smooth_edges_around_0_and_255_are_read_as_them(format: str, evidence_of, discs) -> None:
    masks = [_saved(discs(0, 255, "L", seed), format) for seed in range(3)]
    findings = Findings()
    verdict = judge_ids(evidence_of(masks, lossy=format == "JPEG"), findings)
    assert verdict.values == ((0,), (255,))
    assert verdict.tolerance == 127
    assert [problem.outcome for problem in findings.problems()] == ["mended"]


def test_ids_that_jpeg_has_mixed_are_refused(evidence_of, stripes) -> None:
    findings = Findings()
    judge_ids(evidence_of([_saved(Image.fromarray(stripes([0, 3, 1, 9, 4])), "JPEG", 60)], lossy=True), findings)
    assert [(p.kind, p.fatal) for p in findings.problems() if p.fatal] == [("jpeg mask", True)]


def test_class_times_a_thousand_keeps_the_class(evidence_of, stripes) -> None:
    masks = [stripes([1, 2001, 2002, 3001], dtype=np.uint16)]
    verdict = judge_ids(evidence_of(masks, deep=True), Findings())
    assert verdict.encoding == "instance"
    assert verdict.values == ((1,), (2,), (3,))


def test_numbered_objects_become_one_class(evidence_of, stripes) -> None:
    masks = [stripes(list(range(count)), 4) for count in (14, 9, 20)]
    verdict = judge_ids(evidence_of(masks), Findings())
    assert (verdict.encoding, verdict.classes) == ("instance", ("background", "object"))


def test_all_masks_alike_is_fatal(evidence_of, stripes) -> None:
    findings = Findings()
    judge_ids(evidence_of([stripes([0])] * 3), findings)
    assert [problem.kind for problem in findings.problems() if problem.fatal] == ["one class"]


def test_listed_names_are_used_and_decide_what_is_outside(evidence_of, stripes) -> None:
    findings = Findings()
    listed = ClassList(("sky", "car", "road"), "classes.txt")
    verdict = judge_ids(evidence_of([stripes([0, 1, 2, 255])], listed=listed), findings)
    assert verdict.classes == ("sky", "car", "road")
    assert verdict.ignored == (255,)
    assert not findings.problems()


def test_one_name_too_few_leaves_0_a_background_and_says_so(evidence_of, stripes) -> None:
    findings = Findings()
    listed = ClassList(("sky", "car"), "classes.txt")
    verdict = judge_ids(evidence_of([stripes([0, 1, 2])], listed=listed), findings)
    assert verdict.classes == ("background", "sky", "car")
    (problem,) = findings.problems()
    assert (problem.outcome, problem.files) == ("notice", ("classes.txt",))
    assert problem.message == "classes.txt lists 2 names, and the masks hold 3 ids, 0 to 2"


def test_names_from_1_are_given_to_ids_from_1(evidence_of, stripes) -> None:
    listed = ClassList(("sky", "car"), "classes.txt")
    verdict = judge_ids(evidence_of([stripes([1, 2])], listed=listed), Findings())
    assert (verdict.classes, verdict.values) == (("sky", "car"), ((1,), (2,)))


def test_numbers_in_the_list_decide(evidence_of, stripes) -> None:
    listed = ClassList(("sky", "car"), "classes.txt", ids=(0, 1))
    verdict = judge_ids(evidence_of([stripes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2])], listed=listed), Findings())
    assert (verdict.values, verdict.ignored) == (((0,), (1,)), (2,))


def test_a_class_called_void_is_ignored(evidence_of, stripes) -> None:
    listed = ClassList(("sky", "car", "Void"), "classes.txt")
    verdict = judge_ids(evidence_of([stripes([0, 1, 2])], listed=listed), Findings())
    assert (verdict.classes, verdict.ignored) == (("sky", "car"), (2,))


def test_camvids_own_names_keep_11_unlabelled(evidence_of, stripes) -> None:
    listed = ClassList(tuple(name.title() for name in CAMVID.classes), "classes.txt")
    verdict = judge_ids(evidence_of([stripes(list(range(12)))], about="camvid", listed=listed), Findings())
    assert verdict.ignored == (11,)


def test_stray_pixels_do_not_turn_255_into_void(evidence_of, stripes) -> None:
    stray = stripes([0, 255], width=24)
    stray[2, 2] = 3
    verdict = judge_ids(evidence_of([stray, stripes([0, 255], width=24)]), Findings())
    assert (verdict.values, verdict.ignored) == (((0,), (255,)), (3,))


def test_cityscapes_labels_become_its_nineteen_classes(evidence_of, stripes) -> None:
    masks = [stripes([0, 7, 11, 26, 33])]
    verdict = judge_ids(evidence_of(masks, about="data cityscapes gtfine/*_labelids.png"), Findings())
    assert (len(verdict.classes), verdict.values[0], verdict.classes[0]) == (19, (7,), "road")
    assert 0 in verdict.ignored


def test_two_names_for_0_and_255(evidence_of, stripes) -> None:
    listed = ClassList(("membrane", "cell"), "classes.txt")
    verdict = judge_ids(evidence_of([stripes([0, 255])], listed=listed), Findings())
    assert (verdict.classes, verdict.values) == (("membrane", "cell"), ((0,), (255,)))


def test_camvid_is_known_by_its_name_and_ids(evidence_of, stripes) -> None:
    verdict = judge_ids(evidence_of([stripes(list(range(12)))], about="camvid folders masks"), Findings())
    assert verdict.classes[10] == "bicyclist"
    assert verdict.ignored == (11,)
    assert "CamVid" in verdict.notes[0]


def test_255_is_void_only_beside_small_ids() -> None:
    assert is_void((0, 1, 255))
    assert not is_void((0, 255))
    assert not is_void((0, 127, 255))
    assert not is_void((0, 1, 2))


def _saved(image: Image.Image, format: str, quality: int = 75) -> np.ndarray:
    file = io.BytesIO()
    image.save(file, format, **({"quality": quality} if format == "JPEG" else {}))
    return np.asarray(Image.open(file))
