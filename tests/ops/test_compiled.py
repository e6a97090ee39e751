"""Functions are compiled wherever the package is installed."""

import pytest

pytest.importorskip("numba")

import numba

from perpixel.ops.compiled import compiled


def test_where_nothing_can_be_written_functions_are_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba refuses `cache=True` when it finds no folder for it."""
    njit = numba.njit

    def without_a_folder(*positional: object, cache: bool = False, **named: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*positional, **named)

    monkeypatch.setattr(numba, "njit", without_a_folder)

    def double(value: int) -> int:
        return 2 * value

    assert compiled(double)(4) == 8
