"""Workers answer for every item, and their deaths cost only the item that killed them."""

import os
import textwrap
from importlib import import_module, invalidate_caches
from pathlib import Path

import pytest

from perpixel.data.inspection.pool import count_workers, map_in_processes

MODULE = """
    import os, sys

    def double(item):
        print("noise on standard output")
        if item == 13:
            os.kill(os.getpid(), 9)
        if item == 99:
            raise ValueError("ninety-nine")
        return 2 * item
"""


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function of a module that a worker can find."""
    (tmp_path / "mapped_here.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.syspath_prepend(tmp_path)
    invalidate_caches()
    return import_module("mapped_here").double


def failed(item: int) -> int:
    return -item


def test_every_item_is_answered_once_by_several_workers(double) -> None:
    items = [i for i in range(40) if i != 13]
    answers = dict(map_in_processes(double, items, failed, workers=2, chunk=4))
    assert answers == {index: 2 * item for index, item in enumerate(items)}


def test_an_item_that_kills_its_worker_is_answered_as_failed_and_no_other_is(double) -> None:
    answers = dict(map_in_processes(double, list(range(30)), failed, workers=2, chunk=4))
    assert [i for i, answer in answers.items() if answer < 0] == [13]
    assert len(answers) == 30


def test_an_error_of_ours_is_raised_and_not_swallowed(double) -> None:
    with pytest.raises(RuntimeError, match="ninety-nine"):
        list(map_in_processes(double, [99], failed, workers=1))


def test_processes_that_cannot_start_are_an_error_and_not_every_items_fault(double, tmp_path: Path) -> None:
    (tmp_path / "mapped_here.py").write_text("raise SystemExit(3)")
    with pytest.raises(RuntimeError, match="it ended with 3"):
        list(map_in_processes(double, list(range(14, 40)), failed, workers=2))


def test_where_everything_kills_it_gives_up_soon(double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perpixel.data.inspection.pool.MOST_DEATHS", 3)
    with pytest.raises(RuntimeError, match="3 ended without"):
        list(map_in_processes(double, [13] * 30, failed, workers=1))


def test_leaving_early_leaves_no_process_behind(double) -> None:
    answers = map_in_processes(double, list(range(14, 90)), failed, workers=2, chunk=2)
    next(answers)
    answers.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_few_items_are_mapped_without_any_process() -> None:
    assert count_workers(None, 10) == 0
    assert count_workers(4, 1000) == 4
    assert dict(map_in_processes(abs, [-1, -2], failed, workers=0)) == {0: 1, 1: 2}
