"""The tables say in words what a person needs."""

import io

from rich.console import Console

from perpixel.data.inspection import Inspection, Problem
from perpixel.reports.tables import describe, print_inspection, problem_list


def text_of(*parts: object) -> str:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    for part in parts:
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_pairs_sizes_classes_and_decisions_are_there(inspection: Inspection) -> None:
    text = text_of(describe(inspection))
    assert "10 (7 train, 3 val)" in text
    assert "24x36" in text
    assert "membrane" in text
    assert "Class names are from classes.txt." in text


def test_a_problem_shows_kind_reason_fix_and_files() -> None:
    files = tuple(f"{n}.png" for n in range(9))
    text = text_of(*problem_list([Problem("no partner", files, "the image has no mask", "Add one.", "left out")]))
    assert "left out: training goes on without these pairs" in text
    assert "no partner: the image has no mask" in text
    assert "Add one." in text
    assert "0.png, 1.png, 2.png, 3.png, 4.png and 4 more" in text


def test_no_problem_is_said_too() -> None:
    assert "No problems found." in text_of(*problem_list([]))


def test_the_inspection_goes_to_the_console_given(inspection: Inspection) -> None:
    console = Console(file=io.StringIO(), width=100)
    print_inspection(inspection, console)
    assert "cells" in console.file.getvalue()  # type: ignore[attr-defined]
