"""Downloads, from a server on this machine: `https` is taken off on the way, everything else is real."""

import hashlib
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from perpixel.errors import WeightsError
from perpixel.weights import download
from perpixel.weights.download import cache_folder, cached, fetch, open_secure
from perpixel.weights.known import KNOWN, KnownFile
from perpixel.weights.pixels import TORCHVISION

DATA = bytes(range(256)) * 4096 * 3  # 3 MiB
DIGEST = hashlib.sha256(DATA).hexdigest()


class Server(BaseHTTPRequestHandler):
    """Sends DATA, by Range if asked; may break off, ignore Range, or send something else."""

    breaks_after: ClassVar[int | None] = None
    knows_range: ClassVar[bool] = True
    content: ClassVar[bytes] = DATA
    ranges: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        type(self).ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.knows_range else 0
        if start and start >= len(self.content):
            self.send_error(416)
            return
        body = self.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        self.end_headers()
        if self.breaks_after is not None:
            body = body[: self.breaks_after]
        with suppress(ConnectionError):  # the reader may have seen enough
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[type[Server]]:
    class Fresh(Server):
        ranges: ClassVar[list[str]] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Fresh) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        Fresh.port = running.server_port  # type: ignore[attr-defined]
        yield Fresh
        running.shutdown()


@pytest.fixture
def get(server: type[Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return a function that fetches the test's file from the test's server."""
    monkeypatch.setenv("PERPIXEL_CACHE", str(tmp_path / "cache"))
    known = KnownFile("vgg16", "https://example.org/files/net.pth", f"sha256:{DIGEST[:8]}", 3.0, "", TORCHVISION, None)
    monkeypatch.setitem(KNOWN, "net", known)

    def opener(request: urllib.request.Request) -> Any:
        assert request.full_url.startswith("https://")
        local = urllib.request.Request(
            f"http://127.0.0.1:{server.port}/", headers=dict(request.header_items())  # type: ignore[attr-defined]
        )  # fmt: skip
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(local, timeout=5)

    return lambda **more: fetch("net", opener=opener, **more)


def test_a_file_is_fetched_once_and_progress_is_told(get: Any, server: type[Server]) -> None:
    told: list[tuple[int, int]] = []
    path = get(progress=lambda done, total: told.append((done, total)))
    assert path.read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA))
    assert get() == path == cached("net")
    assert server.ranges == [""]
    assert [left.name for left in path.parent.iterdir()] == ["net.pth"]


def test_a_broken_connection_goes_on_where_it_broke(get: Any, server: type[Server]) -> None:
    server.breaks_after = 1 << 20
    assert get().read_bytes() == DATA
    assert server.ranges == ["", "bytes=1048576-", "bytes=2097152-"]


def test_a_download_that_was_stopped_goes_on_in_the_next_process(get: Any, server: type[Server]) -> None:
    cache_folder().mkdir()
    (cache_folder() / ".net.pth.part").write_bytes(DATA[:1000])
    assert get().read_bytes() == DATA
    assert server.ranges == ["bytes=1000-"]


def test_a_server_without_range_sends_the_whole_again(get: Any, server: type[Server]) -> None:
    server.knows_range = False
    cache_folder().mkdir()
    (cache_folder() / ".net.pth.part").write_bytes(b"x" * 1000)
    assert get().read_bytes() == DATA


def test_a_remainder_longer_than_the_file_is_thrown_away(get: Any, server: type[Server]) -> None:
    cache_folder().mkdir()
    (cache_folder() / ".net.pth.part").write_bytes(b"x" * (len(DATA) + 1))
    assert get().read_bytes() == DATA


def test_a_file_that_was_exchanged_is_refused_and_not_kept(get: Any, server: type[Server]) -> None:
    server.content = DATA[:-1] + b"?"
    with pytest.raises(WeightsError, match=f"expected net.pth to have SHA256 {DIGEST[:8]}"):
        get()
    assert list(cache_folder().iterdir()) == []


def test_a_file_that_is_far_too_long_is_refused_before_it_fills_the_disk(get: Any, server: type[Server]) -> None:
    server.content = DATA * 4
    with pytest.raises(WeightsError, match="That is another file"):
        get()
    assert list(cache_folder().iterdir()) == []


def test_a_server_that_never_sends_anything_is_given_up(get: Any, server: type[Server]) -> None:
    server.breaks_after = 0
    with pytest.raises(WeightsError, match="cannot be had"):
        get()


def test_without_a_network_the_message_says_what_to_put_where(get: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(request: urllib.request.Request) -> Any:
        raise urllib.error.URLError("Name or service not known")

    with pytest.raises(WeightsError) as raised:
        fetch("net", opener=offline)
    for part in ("https://example.org/files/net.pth", str(cache_folder() / "net.pth"), DIGEST[:8], "Name or service"):
        assert part in str(raised.value)


def test_a_file_put_there_by_hand_is_taken_if_it_is_the_right_one(get: Any, server: type[Server]) -> None:
    cache_folder().mkdir()
    (cache_folder() / "net.pth").write_bytes(DATA)
    assert get().read_bytes() == DATA
    (cache_folder() / "net.pth").write_bytes(b"<html>")
    with pytest.raises(WeightsError, match="SHA256"):
        get()
    assert server.ranges == []


def test_a_file_without_a_secure_address_is_not_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PERPIXEL_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"no secure address.*bvlc_alexnet\.caffemodel.*SHA1 begins with 9116a64c"):
        fetch("alexnet-caffe", opener=lambda request: pytest.fail("it was asked for"))


def test_a_redirection_may_not_leave_https() -> None:
    handler = download._SecureRedirects()
    request = urllib.request.Request("https://example.org/a")
    with pytest.raises(urllib.error.URLError, match="not https"):
        handler.redirect_request(request, None, 302, "Found", {}, "http://example.org/a")
    assert handler.redirect_request(request, None, 302, "Found", {}, "https://example.org/b") is not None


def test_requests_go_through_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that refuses the tunnel is proof that it was asked."""
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(403)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{running.server_port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(OSError, match="403"):
            open_secure(urllib.request.Request("https://example.org/net.pth"))
        running.shutdown()
    assert asked == ["example.org:443"]


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PERPIXEL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "perpixel"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the XDG rules: not absolute is not set
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "perpixel"
    monkeypatch.setenv("PERPIXEL_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
