"""Fetch a file once, and know it to be whole.

    https, through the proxies of the environment -> .NAME.part, gone on with by Range -> digest -> NAME

The cache is `$PERPIXEL_CACHE`, or `$XDG_CACHE_HOME/perpixel`, or `~/.cache/perpixel`. A file that a person has put
there under its own name is taken like one that was fetched. Names come from `known.py`, never from a server.
"""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from perpixel.errors import WeightsError
from perpixel.weights.known import KNOWN, KnownFile, candidates

Progress = Callable[[int, int], None]  # bytes there are, bytes there will be
Opener = Callable[[urllib.request.Request], Any]  # what answers like http.client.HTTPResponse

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 5  # each goes on where the last one broke off
MIB = 1 << 20
SLACK = 1.05  # a file longer than its known size by more than this is not it


def cache_folder() -> Path:
    """Return where files are kept; it may not exist yet."""
    if os.environ.get("PERPIXEL_CACHE"):
        return Path(os.environ["PERPIXEL_CACHE"]).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "perpixel"


def cached(name: str) -> Path | None:
    """Return the file of a known name, if the cache has it; it was checked when it came."""
    path = cache_folder() / KNOWN[name].file
    return path if path.is_file() else None


def at_hand(name: str) -> str | None:
    """Return the best known file that a name stands for and that the cache has."""
    return next((candidate for candidate in candidates(name) if cached(candidate)), None)


def fetch(name: str, progress: Progress | None = None, opener: Opener | None = None) -> Path:
    """Return the path of a known file, and download it first if the cache lacks it.

    Args:
        name: A name of `KNOWN`.
        progress: Told how far the download is.
        opener: Sends a request; `urllib` with the environment's proxies if not given.

    Raises:
        WeightsError: It cannot be had; the message says how to put it there by hand.
    """
    known = KNOWN[name]
    path = cache_folder() / known.file
    if path.is_file():
        require_digest(path, known.digest)
        return path
    if not known.secure:
        raise WeightsError(f"get: {name} has no secure address, so it is not fetched. {by_hand(known)}")
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _held(part) as file:
            if not path.is_file():  # another process may have been quicker
                _complete(known, file, progress or _silent, opener or open_secure)
                require_digest(part, known.digest)
                os.replace(part, path)
    except WeightsError:
        part.unlink(missing_ok=True)
        raise
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(f"get: {known.url} cannot be had ({_reason(error)}). {by_hand(known)}") from None
    return path


def by_hand(known: KnownFile) -> str:
    """Say how to come by a file without us."""
    source = known.url or "its authors' page (KaimingHe/deep-residual-networks)"
    algorithm, _, digest = known.digest.partition(":")
    check = f"Its {algorithm.upper()} begins with {digest}." if digest else "No checksum of it was published."
    return (
        f"Download it from {source} with a browser or on another machine, and put it at "
        f"{cache_folder() / known.file}. {check}"
    )


def require_digest(path: Path, digest: str) -> None:
    """Refuse a file whose checksum is not the known one; "" accepts any.

    Raises:
        WeightsError: It differs.
    """
    algorithm, _, expected = digest.partition(":")
    if not expected:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if not found.startswith(expected):
        raise WeightsError(
            f"get: expected {path.name.removeprefix('.').removesuffix('.part')} to have {algorithm.upper()} "
            f"{expected}…, got {found[:16]}…. It was damaged or exchanged on its way; remove it and fetch it again."
        )


def open_secure(request: urllib.request.Request) -> Any:
    """Send a request through the environment's proxies; a redirection may not leave https."""
    return urllib.request.build_opener(_SecureRedirects()).open(request, timeout=TIMEOUT)


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.startswith("https://"):
            raise urllib.error.URLError("it is redirected to an address that is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _complete(known: KnownFile, file: IO[bytes], progress: Progress, opener: Opener) -> None:
    """Download until the file is whole; go on where a connection broke."""
    for attempt in range(1, ATTEMPTS + 1):
        before = file.seek(0, os.SEEK_END)
        try:
            _receive(known, file, progress, opener)
            return
        except urllib.error.HTTPError as error:
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not before:
                raise
            file.truncate(0)  # what was left of an earlier try is not the start of this file
        except (ConnectionError, TimeoutError, http.client.HTTPException):
            if attempt == ATTEMPTS or file.seek(0, os.SEEK_END) == before:
                raise


def _receive(known: KnownFile, file: IO[bytes], progress: Progress, opener: Opener) -> None:
    start = file.seek(0, os.SEEK_END)
    headers = {"User-Agent": "perpixel", "Accept-Encoding": "identity"}
    request = urllib.request.Request(known.url, headers={**headers, **({"Range": f"bytes={start}-"} if start else {})})
    with opener(request) as answer:
        if not _goes_on(answer, start):  # the server sends the whole, whatever we asked
            file.truncate(0)
            start = file.seek(0)
        left = answer.headers.get("Content-Length", "")
        total = start + int(left) if left.isdigit() else round(known.size * MIB)
        _require_size(known, total)
        done = start
        while chunk := answer.read(CHUNK):
            done += len(chunk)
            _require_size(known, done)
            file.write(chunk)
            progress(done, total)
        file.flush()
        if left.isdigit() and done < total:
            raise http.client.IncompleteRead(b"", total - done)


def _goes_on(answer: Any, start: int) -> bool:
    if answer.status != http.client.PARTIAL_CONTENT:
        return False
    if not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        raise urllib.error.URLError("the server sent another part than was asked for")
    return True


def _require_size(known: KnownFile, size: int) -> None:
    if size > known.size * MIB * SLACK + MIB:
        raise WeightsError(
            f"get: expected {known.file} of {known.size:g} MiB, got at least {size / MIB:.0f} MiB from {known.url}. "
            f"That is another file. {by_hand(known)}"
        )


@contextmanager
def _held(part: Path) -> Iterator[IO[bytes]]:
    """Open an unfinished file for one process at a time; where the system cannot lock, for all."""
    with part.open("a+b") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        except (ImportError, OSError):
            pass
        yield file


def _silent(done: int, total: int) -> None:
    pass


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split()) or type(error).__name__
