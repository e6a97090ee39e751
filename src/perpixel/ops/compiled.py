"""Compile a function with Numba, and keep the result on disk where there is a place for it."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return the function, to be compiled when first called; it lets go of Python's lock while it runs."""
    try:
        machine_code: Any = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # neither beside the source nor in a home may be written: compile in every process
        machine_code = numba.njit(nogil=True)(function)
    kept: Callable[Arguments, Result] = machine_code
    return kept
