"""Reading, computing and writing at the same time give what one after the other gives."""

import random
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perpixel.runs.predicting.overlap import AHEAD, BEHIND, Budget, Overlap


def run(items: list[int], sizes: list[int], budget: int, seed: int = 0) -> tuple[list[int], int]:
    """Return the outcomes in their order, and how many bytes were in flight at most."""
    outcomes: list[int] = []
    held, most, lock, rng = 0, 0, threading.Lock(), random.Random(seed)

    def read(item: int) -> int:
        nonlocal held, most
        with lock:
            held, most = held + sizes[item], max(most, held + sizes[item])
        time.sleep(rng.random() / 2000)
        return item

    def write(item: int) -> int:
        nonlocal held
        time.sleep(rng.random() / 2000)
        with lock:
            held -= sizes[item]
        return item

    Overlap(sizes.__getitem__, read, lambda item: item, write, outcomes.append, budget=budget).run(items)
    return outcomes, most


@settings(max_examples=20)
@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 50), st.integers(0, 9))
def test_everything_is_done_in_order_and_within_the_budget(sizes: list[int], budget: int, seed: int) -> None:
    items = list(range(len(sizes)))
    outcomes, most = run(items, sizes, budget, seed)
    assert outcomes == items
    assert most <= max(budget, *sizes, 0)


def test_the_three_steps_overlap() -> None:
    """Each computation waits for the next piece to be read, each writing for the next one to be computed."""
    begun = {(step, item): threading.Event() for step in ("read", "compute") for item in range(10)}

    def step(name: str, item: int, awaited: str | None) -> int:
        if name != "write":
            begun[name, item].set()
        if awaited and item < 9:
            assert begun[awaited, item + 1].wait(20)
        return item

    outcomes: list[int] = []
    Overlap(
        lambda _: 0, lambda i: step("read", i, None), lambda i: step("compute", i, "read"),
        lambda i: step("write", i, "compute"), outcomes.append,
    ).run(range(10))  # fmt: skip
    assert outcomes == list(range(10))


def test_no_more_than_a_window_is_read_ahead() -> None:
    begun = []

    def compute(item: int) -> int:
        time.sleep(0.002)
        assert max(begun) - item <= AHEAD
        return item

    Overlap(lambda _: 0, lambda item: begun.append(item) or item, compute, lambda i: i, lambda _: None).run(range(60))
    assert len(begun) == 60


@pytest.mark.parametrize("where", ["read", "compute", "write", "finished"])
def test_an_error_ends_it_and_what_was_handed_to_the_writer_is_told(where: str) -> None:
    written: list[int] = []
    told: list[int] = []

    def step(name: str, item: int) -> int:
        if name == where and item == 7:
            raise KeyboardInterrupt
        if name == "write":
            written.append(item)
        if name == "finished":
            told.append(item)
        return item

    overlap = Overlap(
        lambda _: 1, lambda i: step("read", i), lambda i: step("compute", i), lambda i: step("write", i),
        lambda i: step("finished", i), budget=3,
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        overlap.run(range(30))
    assert told[:7] == list(range(7))
    assert len(written) <= 7 + BEHIND + 2
    if where == "compute":
        assert told == written == list(range(7))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("read", "write"))]


def test_a_piece_larger_than_the_budget_goes_through_alone() -> None:
    budget = Budget(10)
    assert budget.take(0, 4)
    waiting = threading.Thread(target=budget.take, args=(1, 99))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    budget.give(4)
    waiting.join(5)
    assert budget.held == 99
