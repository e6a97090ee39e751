"""Exceptions that a caller may catch, drawn as a tree.

    PerpixelError
    ├── UsageError          arguments that cannot be used
    ├── DataError           a data set, image or mask that cannot be used; lists every problem
    ├── RunError            a run directory that cannot be used
    ├── WeightsError        a file of weights that cannot be had or read, or does not fit; lists the keys
    ├── TrainingDiverged    the loss became non-finite or exploded
    └── OutOfMemory         the batch does not fit

The command line prints any of these as one plain message and exits with 2.
"""

from collections.abc import Sequence


class PerpixelError(Exception):
    """Base of everything perpixel raises on purpose."""


class UsageError(PerpixelError, ValueError):
    """An argument has a value that cannot be used."""


class DataError(PerpixelError, ValueError):
    """A data set, an image or a mask cannot be used.

    Args:
        message: What was expected, what was found, and what to do.
        problems: One line for each thing that is wrong, where there are several.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class RunError(PerpixelError, ValueError):
    """A run directory is missing something, or does not fit what is asked of it."""


class WeightsError(PerpixelError, ValueError):
    """A file of weights cannot be had, cannot be read, or does not fit; nothing of it was used.

    Args:
        message: What was expected, what was found, and what to do.
        missing: Keys that the network needs and the file lacks.
        unexpected: Keys of the file that the network has no place for.
        misshapen: Keys of both, whose shapes differ.
    """

    def __init__(
        self, message: str, missing: Sequence[str] = (), unexpected: Sequence[str] = (), misshapen: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.missing, self.unexpected, self.misshapen = tuple(missing), tuple(unexpected), tuple(misshapen)


class TrainingDiverged(PerpixelError, RuntimeError):  # noqa: N818 - a state, named as people say it
    """The loss is no longer finite, or has exploded. The last good weights are kept."""


class OutOfMemory(PerpixelError, RuntimeError):  # noqa: N818
    """The batch does not fit; the message names a batch and a crop that would."""
