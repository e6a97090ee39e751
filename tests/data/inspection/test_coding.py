"""A verdict becomes a coding, and the coding gives every stored value its class."""

import numpy as np

from perpixel.data.inspection.coding import UNKNOWN, fields_of, meanings, stored_of
from perpixel.data.inspection.verdict import Verdict, say
from perpixel.data.masks import IGNORE, MaskCoding
from perpixel.data.spec import DatasetSpec


def coding_of(verdict: Verdict) -> MaskCoding:
    return MaskCoding.from_spec(DatasetSpec.parse(fields_of(verdict)))


def test_plain_ids_need_no_mapping() -> None:
    assert fields_of(Verdict("index", ("a", "b"), ((0,), (1,)))) == {"classes": ("a", "b"), "encoding": "index"}


def test_values_classes_void_and_unknown() -> None:
    coding = coding_of(Verdict("binary", ("a", "b"), ((0,), (255,)), (7,)))
    assert list(meanings(coding, np.array([0, 7, 8, 255]))) == [0, IGNORE, UNKNOWN, 1]
    assert stored_of(coding) == [0, 255]


def test_within_the_tolerance_is_the_class_and_beyond_is_ignored() -> None:
    coding = coding_of(Verdict("rgb", ("a", "b"), ((0,), (0xFF0000,)), tolerance=30, colors=((0, 0, 0), (255, 0, 0))))
    assert list(meanings(coding, np.array([0x0A0000, 0xF00000, 0x800000]))) == [0, 1, IGNORE]
    assert stored_of(coding) == [[0, 0, 0], [255, 0, 0]]


def test_instances_are_reduced_to_their_class() -> None:
    by_thousand = coding_of(Verdict("instance", ("a", "b"), ((1,), (26,))))
    assert list(meanings(by_thousand, np.array([1, 26, 26001, 5]))) == [0, 1, 1, UNKNOWN]
    objects = coding_of(Verdict("instance", ("background", "object"), ((0,), (1,))))
    assert list(meanings(objects, np.array([0, 1, 900]))) == [0, 1, 1]


def test_numbers_are_said_as_people_write_them() -> None:
    assert say((0, 1, 2)) == "0 to 2"
    assert say((0, 255)) == "0 and 255"
    assert say((0, 3, 7)) == "0, 3 and 7"
    assert say(tuple(range(0, 40, 2))) == "0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, … (20 values)"
