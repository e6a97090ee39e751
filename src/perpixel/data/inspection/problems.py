"""What can be wrong with a data set: one `Problem` a reason, naming every file it concerns.

    fatal      nothing can be trained until somebody decides
    left out   these pairs cannot be used, and training goes on without them
    mended     training applies a stored mapping; nothing is lost
    notice     usable as it stands, and worth a look

Training refuses data with a fatal problem, and names all of them at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["fatal", "left out", "mended", "notice"]
OUTCOMES: tuple[Outcome, ...] = ("fatal", "left out", "mended", "notice")


@dataclass(frozen=True)
class Problem:
    """One reason, the files it concerns, and what to do.

    Args:
        kind: A short name for the reason: "no partner", "size differs", …
        files: Every file concerned, relative to the data folder.
        message: What was found.
        fix: What to do about it, or what was done.
        outcome: What it means for training.
    """

    kind: str
    files: tuple[str, ...]
    message: str
    fix: str
    outcome: Outcome

    @property
    def fatal(self) -> bool:
        """Whether training refuses the data because of this."""
        return self.outcome == "fatal"

    def __str__(self) -> str:
        """Return one line: the files, the reason, the fix."""
        return f"{self.kind}: {name_files(self.files)}{self.message}. {self.fix}"

    def to_json(self) -> dict[str, object]:
        """Return the problem as the contract's JSON, with its outcome."""
        return {
            "kind": self.kind,
            "files": list(self.files),
            "message": self.message,
            "fix": self.fix,
            "outcome": self.outcome,
            "fatal": self.fatal,
        }


class Findings:
    """Problems as they are found; files with the same reason share one problem."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, str, str, Outcome], list[str]] = {}

    def add(self, kind: str, files: str | Iterable[str], message: str, fix: str, outcome: Outcome) -> None:
        """Note a reason for one file or several."""
        known = self._files.setdefault((kind, message, fix, outcome), [])
        known.extend([files] if isinstance(files, str) else files)

    def problems(self) -> tuple[Problem, ...]:
        """Return every problem, gravest first, its files sorted."""
        found = [
            Problem(kind, tuple(sorted(set(files))), message, fix, outcome)
            for (kind, message, fix, outcome), files in self._files.items()
        ]
        return tuple(sorted(found, key=lambda p: (OUTCOMES.index(p.outcome), p.kind, p.files[:1])))


def name_files(files: tuple[str, ...], most: int = 3) -> str:
    """Return the first files by name, and how many more there are, ready to stand before a message."""
    if not files:
        return ""
    more = f" and {len(files) - most} more" if len(files) > most else ""
    return f"{', '.join(files[:most])}{more}: "
