"""Folders that are not on this machine: any address that fsspec knows, as s3://bucket/photos or memory://photos.

Files are fetched before they are decoded, and sent when they are whole, so that results are those of local folders.
`file://` is the path behind it.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from perpixel.data.images import is_image_name
from perpixel.errors import UsageError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_LOCAL = re.compile(r"(file|local)://")
_CHANGED = ("mtime", "LastModified", "last_modified", "updated", "created")  # as different systems call it


def is_address(word: str) -> bool:
    """Say whether a word is an address of fsspec's rather than a path."""
    return bool(_ADDRESS.match(word)) and not _LOCAL.match(word)


def without_file(word: str) -> str:
    """Return the path behind `file://`; anything else as it is."""
    return _LOCAL.sub("", word, count=1)


class RemoteFolder:
    """A folder, or a single file, behind an address.

    Args:
        address: For example s3://bucket/photos.

    Raises:
        UsageError: fsspec is not installed, or does not know the kind of address.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        try:
            import fsspec

            self.files, self.root = fsspec.core.url_to_fs(self.address)
        except ImportError as error:
            raise UsageError(
                f"predict: expected what {address} needs to be installed ({error}). pip install 'perpixel[ray]', and "
                "what fsspec needs for this address, as s3fs for s3://."
            ) from None
        except ValueError as error:
            raise UsageError(f"predict: expected an address that fsspec knows, got {address} ({error}).") from None

    def images(self) -> dict[str, float | None]:
        """Return the images below it by their paths, and when each was changed; sorted, hidden ones left out."""
        if self.files.isfile(self.root):
            return {"": _changed(self.files.info(self.root))}
        found = self.listed()
        names = sorted(name for name in found if is_image_name(name.rsplit("/", 1)[-1]) and not _is_hidden(name))
        return {name: _changed(found[name]) for name in names}

    def listed(self) -> dict[str, dict[str, Any]]:
        """Return what is known of every file below it, by its path below it."""
        try:
            found: dict[str, dict[str, Any]] = self.files.find(self.root, detail=True)
        except FileNotFoundError:
            return {}
        start = self.root.rstrip("/") + "/"
        return {path.removeprefix(start): info for path, info in found.items()}

    def done(self) -> dict[str, float | None]:
        """Return the files below it that are not empty, and when each was changed."""
        return {name: _changed(info) for name, info in self.listed().items() if info.get("size")}

    def at(self, below: str) -> str:
        """Return the address of a file below it."""
        return f"{self.address}/{below}" if below else self.address

    def read(self, below: str) -> bytes:
        """Return the contents of a file; none where there is no file."""
        try:
            content: bytes = self.files.cat_file(self._path(below))
        except FileNotFoundError:
            return b""
        return content

    def write(self, below: str, content: bytes) -> None:
        """Write a file."""
        self.files.pipe_file(self._path(below), content)

    def fetch(self, path: Path, below: str = "") -> None:
        """Copy a file from there to here."""
        self.files.get_file(self._path(below), str(path))

    def send(self, path: Path, below: str) -> None:
        """Copy a file from here to there."""
        target = self._path(below)
        self.files.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        self.files.put_file(str(path), target)

    def _path(self, below: str) -> str:
        return f"{self.root.rstrip('/')}/{below}" if below else str(self.root)


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _changed(info: dict[str, Any]) -> float | None:
    """Return seconds since 1970, where the system tells."""
    value = next((info[key] for key in _CHANGED if info.get(key) is not None), None)
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, int | float) else None
