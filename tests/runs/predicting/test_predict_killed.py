"""A prediction that is killed at any moment is completed by the next one, and nobody can tell."""

import json
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from perpixel.runs.predicting.outputs import PREFIX, SUFFIX
from perpixel.runs.predicting.record import JOURNAL, RECORD
from tests.labelled import predict_folder, write_images

IMAGES = 500

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("in"), *(f"{i % 7}/{i:03}.png" for i in range(IMAGES)))


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what an uninterrupted prediction leaves."""
    out = tmp_path_factory.mktemp("out") / "whole"
    predict_folder(folder, out, probabilities=True)
    return out


def start(folder: Path, out: Path) -> BaseProcess:
    """Start a prediction in a process of its own, forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["perpixel.runs.predicting.predict", "tests.labelled"])
    process = context.Process(target=predict_folder, args=(folder, out, True))
    process.start()
    return process


def wait_for_lines(process: BaseProcess, journal: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while process.is_alive() and time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b"sources") >= count:
            return
        time.sleep(0.002)
    pytest.fail("the prediction ended before it could be stopped")


def contents(out: Path) -> dict[str, bytes]:
    files = (path for path in out.rglob("*") if path.is_file() and path.name != RECORD)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def record(out: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((out / RECORD).read_text())
    return document


def assert_equal_to_uninterrupted(out: Path, whole: Path) -> None:
    assert contents(out) == contents(whole)
    one, other = record(out), record(whole)
    assert len(one.pop("done")) + len(one.pop("skipped")) == len(other.pop("done")) + len(other.pop("skipped"))
    assert one == other


@pytest.mark.parametrize("seed", range(2))
def test_after_kill_9_at_any_moment_a_rerun_completes_the_work(
    folder: Path, whole: Path, tmp_path: Path, seed: int
) -> None:
    rng, out = random.Random(seed), tmp_path / "out"
    for _ in range(2):
        journalled = (out / JOURNAL).read_bytes().count(b"sources") if out.exists() else 0
        process = start(folder, out)
        wait_for_lines(process, out / JOURNAL, journalled + rng.randrange(1, 120))
        time.sleep(rng.random() / 100)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    made = len(list(out.rglob("*.npz")))
    assert 0 < made < IMAGES
    predict_folder(folder, out, probabilities=True)
    assert len(record(out)["skipped"]) >= made - 10
    assert_equal_to_uninterrupted(out, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_in_good_order_and_a_rerun_completes(
    folder: Path, whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    process = start(folder, out)
    wait_for_lines(process, out / JOURNAL, 20)
    os.kill(process.pid or 0, number)
    process.join(30)
    found = record(out)
    assert process.exitcode == 1, "KeyboardInterrupt"
    assert not found["finished"]
    assert len(found["done"]) == len([name for name in contents(out) if name.endswith(".png")])
    assert not list(out.rglob(".*"))
    predict_folder(folder, out, probabilities=True)
    assert_equal_to_uninterrupted(out, whole)


def test_what_a_killed_process_had_begun_to_write_is_removed(tmp_path: Path) -> None:
    folder, out = write_images(tmp_path / "in", "a.png", "s/b.png"), tmp_path / "out"
    (out / "s").mkdir(parents=True)
    (out / JOURNAL).write_bytes(b'{"made_by": {}}\n{"sources": {"a')
    (out / f"s/{PREFIX}1-1{SUFFIX}").write_bytes(b"half of a file")
    predict_folder(folder, out)
    assert set(contents(out)) == {"a.png", "s/b.png"}
    assert set(record(out)["sources"]) == {"a", "s/b"}
