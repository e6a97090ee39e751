"""Whatever lies in a folder of images, all that can be predicted is, and each that cannot is named with its reason."""

import errno
import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from perpixel.errors import UsageError
from perpixel.runs.predicting import steps as module
from perpixel.runs.predicting.inputs import Input, find_inputs
from perpixel.runs.predicting.predict import Predictions, Wanted, predict_inputs
from perpixel.runs.predicting.record import JOURNAL, RECORD, Journal
from tests.labelled import draw, segmenter, write_images


def predict(folder: Path, out: Path, wanted: Wanted | None = None, **more: Any) -> Predictions:
    inputs, failed = find_inputs([str(folder)], out)
    return predict_inputs(segmenter(), inputs, out, wanted or Wanted(), failed=failed, **more)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def photo(seed: int = 0, size: tuple[int, int] = (12, 16)) -> Image.Image:
    return Image.fromarray(draw(seed, size)[0])


def bomb() -> bytes:
    """Return a PNG of a few bytes that says it is 100,000 × 100,000."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def array(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(shape, np.uint8))
    return file.getvalue()


def palette_with_transparency() -> bytes:
    return encoded(photo().quantize(8), "PNG", transparency=0)


BROKEN: dict[str, tuple[str, Callable[[], bytes]]] = {
    "truncated": ("cut.jpg", lambda: encoded(photo(size=(64, 64)), "JPEG")[:700]),
    "empty": ("empty.png", lambda: b""),
    "text": ("text.png", lambda: b"this is no picture"),
    "bomb": ("bomb.png", bomb),
    "six channels": ("six.npy", lambda: array((12, 16, 6))),
    "pickle": ("pickle.npy", lambda: b"\x80\x04cos\nsystem\n"),
    "no pixels": ("none.npy", lambda: array((0, 16, 3))),
}
STRANGE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "broken EXIF": ("exif.jpg", lambda: encoded(photo(), "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\xff\xff\xff")),
    "16-bit grey": ("grey16.png", lambda: encoded(Image.fromarray(np.full((12, 16), 40_000, np.uint16)), "PNG")),
    "CMYK": ("cmyk.jpg", lambda: encoded(photo().convert("CMYK"), "JPEG")),
    "palette with transparency": ("palette.png", palette_with_transparency),
    "one bit": ("bit.png", lambda: encoded(photo().convert("1"), "PNG")),
    "a newline in its name": ("new\nline.png", lambda: encoded(photo(), "PNG")),
    "letters of all kinds": ("Größe 雪 'quoted' $(x) %s.png", lambda: encoded(photo(), "PNG")),
    "the longest name there is": ("n" * 251 + ".png", lambda: encoded(photo(), "PNG")),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with everything in it, and two good images at the beginning and the end."""
    root = write_images(tmp_path / "in", "a.png", "zz.png", "one/same.png", "two/same.png", "folder.png/inner.png")
    for name, content in (BROKEN | STRANGE).values():
        (root / name).write_bytes(content())
    (root / "loop.png").symlink_to("loop.png")
    (root / "gone.png").symlink_to("nowhere.png")
    return root


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning", "ignore:Truncated File Read:UserWarning")
def test_all_others_are_done_and_each_broken_one_is_named(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    record = predict(folder, out)
    broken = {name for name, _ in BROKEN.values()} | {"loop.png", "gone.png"}
    assert {Path(failure.source).name for failure in record.failed} == broken
    assert all(len(failure.reason) > 15 for failure in record.failed)
    good = {"a", "zz", "one/same", "two/same", "folder.png/inner"} | {n.rsplit(".", 1)[0] for n, _ in STRANGE.values()}
    assert {entry["name"] for entry in record.done} == good
    assert all((out / f"{name}.png").is_file() for name in good)
    stored = json.loads((out / RECORD).read_text(encoding="utf-8"))
    assert stored == record.to_json()
    assert stored["finished"]


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="names there are always Unicode")
def test_a_name_that_is_no_unicode_is_predicted_and_recorded(tmp_path: Path) -> None:
    folder, name = tmp_path / "in", os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / f"{name}.png").write_bytes(encoded(photo(), "PNG"))
    for expected in ("done", "skipped"):
        predict(folder, tmp_path / "out")
        stored = json.loads((tmp_path / "out" / RECORD).read_text(encoding="utf-8"))
        assert [entry["name"] for entry in stored[expected]] == [name]
    assert os.path.exists(tmp_path / "out" / f"{name}.png")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the administrator may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "a.png", "b.png")
    (folder / "b.png").chmod(0)
    record = predict(folder, tmp_path / "out")
    assert [Path(failure.source).name for failure in record.failed] == ["b.png"]
    assert "ermission" in record.failed[0].reason


def test_an_image_that_vanishes_meanwhile_is_named(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "a.png", "b.png", "c.png")
    inputs, _ = find_inputs([str(folder)], tmp_path / "out")
    (folder / "b.png").unlink()
    record = predict_inputs(segmenter(), inputs, tmp_path / "out", Wanted())
    assert [entry["name"] for entry in record.done] == ["a", "c"]
    assert [Path(failure.source).name for failure in record.failed] == ["b.png"]


def test_an_error_in_the_network_costs_one_image(tmp_path: Path) -> None:
    made = segmenter()
    predict_pixels, calls = made.predict_pixels, []

    def fail(*args: Any, **more: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise RuntimeError("not enough memory: you tried to allocate 99 GB")
        return predict_pixels(*args, **more)

    made.predict_pixels = fail  # type: ignore[method-assign]
    inputs, _ = find_inputs([str(write_images(tmp_path / "in", "a.png", "b.png", "c.png"))], tmp_path / "out")
    record = predict_inputs(made, inputs, tmp_path / "out", Wanted())
    assert [entry["name"] for entry in record.done] == ["a", "c"]
    assert "not enough memory" in record.failed[0].reason


def refuse(full_for: Callable[[Path], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full for some files, after half of each was written."""
    write = module.replace

    def full(path: Path, how: Callable[[Path], None]) -> None:
        def half(beside: Path) -> None:
            how(beside)
            if full_for(path):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(beside))

        write(path, half)

    monkeypatch.setattr(module, "replace", full)


def test_a_write_error_costs_one_image_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(lambda path: path.name == "b.npz", monkeypatch)
    folder = write_images(tmp_path / "in", "a.png", "b.png", "c.png")
    record = predict(folder, tmp_path / "out", Wanted(probabilities=True))
    assert [entry["name"] for entry in record.done] == ["a", "c"]
    assert "No space left" in record.failed[0].reason
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a.npz", "a.png", "c.npz", "c.png", RECORD,
    ]  # fmt: skip


def test_a_full_disk_stops_the_work_and_says_how_much_was_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(lambda path: path.stem >= "05", monkeypatch)
    folder = write_images(tmp_path / "in", *(f"{index:02}.png" for index in range(60)))
    record = predict(folder, tmp_path / "out")
    assert len(record.done) == 5
    assert not record.finished
    assert "images were not tried" in record.failed[-1].reason
    assert len(record.failed) < 20
    monkeypatch.undo()
    assert len(predict(folder, tmp_path / "out").done) == 55


def test_a_record_that_cannot_be_written_is_a_failure_and_the_journal_keeps_what_it_would_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder, out = write_images(tmp_path / "in", "a.png"), tmp_path / "out"
    monkeypatch.setattr("perpixel.runs.predicting.record.write_atomically", full)
    record = predict(folder, out)
    assert [Path(failure.source).name for failure in record.failed] == [RECORD]
    assert (out / JOURNAL).exists()
    monkeypatch.undo()
    assert predict(folder, out).sources == {"a": "../in/a.png"}
    assert not (out / JOURNAL).exists()


def test_two_processes_do_not_predict_into_one_folder(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    folder, out = write_images(tmp_path / "in", "a.png"), tmp_path / "out"
    out.mkdir()
    with Journal(out), pytest.raises(UsageError, match="another process is predicting into it"):
        predict(folder, out)
    assert len(predict(folder, out).done) == 1


def test_an_overwriting_that_was_interrupted_goes_on_replacing_what_was_made_otherwise(tmp_path: Path) -> None:
    """What is there of the same name is not what was asked for, until all of it was replaced."""
    folder, out = write_images(tmp_path / "in", *(f"{index:02}.png" for index in range(40))), tmp_path / "out"
    predict(folder, out, made_by={"weights": "old"})

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(folder, out, Wanted(overwrite=True), made_by={"weights": "new"}, advance=stop)
    first = len(json.loads((out / RECORD).read_text())["done"])
    again = predict(folder, out, made_by={"weights": "new"})
    assert len(again.skipped) == first
    assert len(again.done) == 40 - first
    assert len(predict(folder, out, made_by={"weights": "new"}).skipped) == 40


def test_a_rerun_computes_each_layer_as_the_first_one_did(tmp_path: Path) -> None:
    """Which way is fastest is measured, and may come out otherwise the next time."""
    folder, out = write_images(tmp_path / "in", *(f"{index}.png" for index in range(9))), tmp_path / "out"
    first = predict(folder, out)
    assert first.prepared is not None
    (out / "3.png").unlink()
    inputs = [Input(folder / "3.png", "3")]
    made = segmenter()
    again = predict_inputs(made, inputs, out, Wanted())
    assert made.ways == again.prepared == first.prepared


def test_a_damaged_record_is_made_anew(tmp_path: Path) -> None:
    folder, out = write_images(tmp_path / "in", "a.png"), tmp_path / "out"
    predict(folder, out)
    for text in ("", "[1]", '{"made_by": 3}', '{"made_by": {}, "sources": [1]}', "{"):
        (out / RECORD).write_text(text)
        assert len(predict(folder, out).skipped) == 1
        assert json.loads((out / RECORD).read_text())["sources"] == {"a": "../in/a.png"}
