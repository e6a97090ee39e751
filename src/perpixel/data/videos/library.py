"""PyAV, where it is installed: Python's way to FFmpeg's libraries."""

from pathlib import Path
from typing import Any

from perpixel.errors import UsageError

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv",
        ".ogv", ".3gp",
    }
)  # fmt: skip


def is_video_name(name: str) -> bool:
    """Say whether a file name looks like a video that can be read."""
    return not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES


def load_av() -> Any:
    """Return the package.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import av
    except (ImportError, OSError):
        raise UsageError(
            "video: expected the package av, found none. `pip install 'perpixel[video]'`, or take the film apart into "
            "images."
        ) from None
    return av
