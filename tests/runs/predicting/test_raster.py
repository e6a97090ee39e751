"""A raster is predicted by windows as the image would be as a whole, and in whatever pieces the work was done."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from perpixel.data.masks import MaskCoding
from perpixel.data.normalization import Normalization
from perpixel.data.palette import distinct_colors, overlay
from perpixel.errors import DataError, UsageError
from perpixel.inference.options import Options
from perpixel.inference.segmenter import Segmenter
from perpixel.runs.predicting import raster as module
from perpixel.runs.predicting import raster_overview
from perpixel.runs.predicting.raster import predict_raster
from perpixel.runs.predicting.unfinished import Unfinished
from tests.data.rasters.files import UTM, noise, write_tiff

tifffile = pytest.importorskip("tifffile")

TILES = Options(tile=(96, 80), overlap=16)


def segmenter(bands: int = 3, bits: int = 8, coding: MaskCoding | None = None, scale: float = 1.0) -> Segmenter:
    """Return two random convolutions, whose labels vary from pixel to pixel."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(bands, 5, 3, padding=1), nn.Tanh(), nn.Conv2d(5, 4, 3, padding=1))
    middle = 127.5 if bits == 8 else 32767.5
    norm = Normalization(mean=(middle,) * bands, std=(middle,) * bands)
    return Segmenter(network, tuple("abcd"), distinct_colors(4), norm, scale, coding, bits=bits)


predict = functools.partial(predict_raster, ways={})  # no measuring: what is equal is equal to the bit


def read(path: Path) -> np.ndarray:
    return np.asarray(tifffile.imread(path))


@given(
    st.integers(1, 400), st.integers(1, 300), st.sampled_from([(48, 64), None]), st.sampled_from([(96, 80), (33, 300)]),
    st.sampled_from([1.0, 0.5]), st.booleans(),
)  # fmt: skip
@settings(max_examples=15)
def test_windows_give_what_the_whole_image_gives(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, layout: Any, tile: Any, scale: float, flip: bool
) -> None:
    folder = tmp_path_factory.mktemp("raster")
    pixels = noise(height, width)
    path = write_tiff(folder / "a.tif", pixels, tile=layout, compression="deflate", rowsperstrip=None if layout else 9)
    options = Options(tile=tile, overlap=16, flip=flip)
    result = predict(segmenter(scale=scale), path, folder / "out/a.tif", options)
    assert result.size == (height, width)
    assert np.array_equal(read(folder / "out/a.tif"), segmenter(scale=scale).ids(pixels, options))
    assert [path.name for path in (folder / "out").iterdir()] == ["a.tif"]


def test_a_raster_is_cut_into_tiles_that_fit_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY", 100 * 100 * 1550)
    pixels = noise(300, 250)
    largest = 0

    def watch(_: nn.Module, given: tuple[torch.Tensor]) -> None:
        nonlocal largest
        largest = max(largest, given[0][0, 0].numel())

    plain = segmenter()
    hook = plain.network.register_forward_pre_hook(watch)
    predict(plain, write_tiff(tmp_path / "a.tif", pixels), tmp_path / "b.tif")
    hook.remove()
    assert 0 < largest <= 100 * 100
    assert plain.memory != module.MEMORY  # as it was
    assert np.array_equal(read(tmp_path / "b.tif"), segmenter().ids(pixels))


def test_sixteen_bits_and_many_bands_reach_the_network(tmp_path: Path) -> None:
    pixels = noise(100, 90, 6, np.uint16)
    path = write_tiff(tmp_path / "a.tif", pixels, planarconfig="separate", tile=(32, 32))
    predict(segmenter(6, 16), path, tmp_path / "b.tif", TILES)
    assert np.array_equal(read(tmp_path / "b.tif"), segmenter(6, 16).ids(pixels, TILES))


def test_bands_that_do_not_fit_the_network_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(20, 20, 5))
    with pytest.raises(DataError, match=r"expected 3 channels, got 5 in .*a\.tif"):
        predict(segmenter(), path, tmp_path / "out/b.tif")
    assert not (tmp_path / "out").exists()


def test_where_there_is_no_data_there_is_no_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noise(300, 200)
    pixels[:150] = 9
    pixels[200:210, 50:60] = 9
    path = write_tiff(tmp_path / "a.tif", pixels, nodata="9", place=UTM)
    tops: list[int] = []
    estimate = Segmenter._estimate

    def watch(self: Segmenter, pixels: np.ndarray, place: tuple[int, int], *more: Any) -> torch.Tensor:
        tops.append(place[0])
        return estimate(self, pixels, place, *more)

    monkeypatch.setattr(Segmenter, "_estimate", watch)
    predict(segmenter(), path, tmp_path / "b.tif", TILES)
    seen = set(tops)
    found, empty = read(tmp_path / "b.tif"), (pixels == 9).all(2)
    assert (found[empty] == 255).all()
    assert np.array_equal(found[~empty], segmenter().ids(pixels, TILES)[~empty])
    assert set(tops) - seen == {0}  # the first row of tiles is empty: nothing was computed there


def test_the_result_opens_in_colour_at_the_same_place_on_the_map(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(40, 30), nodata="0", place=UTM)
    predict(segmenter(), path, tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        page = file.pages[0]
        assert {tag.code: tuple(page.tags[tag.code].value) for tag in UTM} == {tag.code: tag.value for tag in UTM}
        assert page.tags[42113].value == "255"
        assert page.is_tiled
        assert page.compression == 8
    with Image.open(tmp_path / "b.tif") as image:
        assert image.mode == "P"
        colors = np.asarray(image.convert("RGB"))
    assert np.array_equal(colors, np.array(distinct_colors(4), np.uint8)[read(tmp_path / "b.tif")])


def test_original_values_are_what_the_masks_store(tmp_path: Path) -> None:
    coding = MaskCoding("index", tuple("abcd"), {7: 0, 300: 1, 65535: 2, 200: 3})
    pixels = noise(60, 50)
    pixels[:9] = 1
    path = write_tiff(tmp_path / "a.tif", pixels, nodata="1")
    predict(segmenter(coding=coding), path, tmp_path / "b.tif", original_values=True)
    expected = np.array([7, 300, 65535, 200], np.uint16)[segmenter().ids(pixels)]
    expected[:9] = 65534  # the largest value that no class has
    assert np.array_equal(read(tmp_path / "b.tif"), expected)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.pages[0].tags[42113].value == "65534"


def test_an_overlay_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster_overview, "OVERVIEW", 800)
    pixels = noise(700, 801)
    path = write_tiff(tmp_path / "a.tif", pixels, tile=(128, 128))
    predict(segmenter(), path, tmp_path / "b.tif", TILES, overlay=tmp_path / "b.overlay.png")
    expected = overlay(pixels[::2, ::2], segmenter().ids(pixels, TILES)[::2, ::2], distinct_colors(4))
    with Image.open(tmp_path / "b.overlay.png") as picture:
        assert picture.width == 401  # every second pixel
        assert picture.height > 350  # and a legend
        assert np.array_equal(np.asarray(picture.convert("RGB"))[:350], np.asarray(expected))


# ---- going on


class StopError(Exception):
    pass


def finished_rows(folder: Path) -> int:
    with (folder / "journal").open("rb") as file:
        return max((int(line.split(b'"rows": ')[1].split(b",")[0]) for line in file if b'"rows"' in line), default=0)


@pytest.mark.parametrize(
    "torn", [b"", b'{"rows": 1024, "lengths": [1', b'{"rows": 9999, "lengths": [99999], "crc": 1}\n']
)
def test_what_was_done_is_not_done_again_and_the_result_is_the_same(tmp_path: Path, torn: bytes) -> None:
    pixels = noise(1700, 300)
    path = write_tiff(tmp_path / "a.tif", pixels, tile=(256, 256), compression="deflate")
    options = Options(tile=(400, 200), overlap=64)
    predict(segmenter(), path, tmp_path / "whole.tif", options)

    def stop(done: int, total: int) -> None:
        if done > 0.75 * total:
            raise StopError

    with pytest.raises(StopError):
        predict(segmenter(), path, tmp_path / "b.tif", options, advance=stop)
    assert not (tmp_path / "b.tif").exists()
    folder = tmp_path / ".b.tif.unfinished"
    assert finished_rows(folder) == 1024
    with (folder / "journal").open("ab") as file, (folder / "tiles").open("ab") as tiles:
        file.write(torn)
        tiles.write(b"rest of a row that was not whole")
    said: list[str] = []
    result = predict(segmenter(), path, tmp_path / "b.tif", options, say=said.append)
    assert result.resumed == 1024
    assert said == ["going on at row 1024 of 1700"]
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()
    assert not folder.exists()


@pytest.mark.parametrize("change", ["options", "image", "network"])
def test_what_was_made_otherwise_is_not_continued(tmp_path: Path, change: str) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(1100, 100))

    def stop(done: int, total: int) -> None:
        if done > 0.6 * total:
            raise StopError

    with pytest.raises(StopError):
        predict(segmenter(), path, tmp_path / "b.tif", TILES, made_by={"weights": "1"}, advance=stop)
    assert finished_rows(tmp_path / ".b.tif.unfinished") == 512
    if change == "image":
        os.utime(path, (1, 1))
    options = Options(tile=(64, 64)) if change == "options" else TILES
    made_by = {"weights": "2" if change == "network" else "1"}
    assert predict(segmenter(), path, tmp_path / "b.tif", options, made_by=made_by).resumed == 0


def test_damage_to_what_was_done_is_found(tmp_path: Path) -> None:
    with Unfinished(tmp_path / "b.tif", {}) as unfinished:
        unfinished.add(512, [b"one", b"two"])
    (tmp_path / ".b.tif.unfinished/tiles").write_bytes(b"onetwa")
    with Unfinished(tmp_path / "b.tif", {}) as unfinished, pytest.raises(DataError, match="damaged"):
        list(unfinished.read_tiles())


def test_two_processes_do_not_make_one_raster(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with Unfinished(tmp_path / "b.tif", {}), pytest.raises(UsageError, match="another process is making"):
        Unfinished(tmp_path / "b.tif", {})


def test_a_wide_overlap_is_carried_on_the_disk_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(700, 300))
    predict(segmenter(), path, tmp_path / "a/b.tif", TILES)
    monkeypatch.setattr(module, "CARRIED_BYTES", 0)
    predict(segmenter(), path, tmp_path / "c/b.tif", TILES)
    assert (tmp_path / "a/b.tif").read_bytes() == (tmp_path / "c/b.tif").read_bytes()


def test_the_rest_is_computed_in_the_way_that_was_chosen_before(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(1100, 100))

    def stop(done: int, total: int) -> None:
        if done > 0.6 * total:
            raise StopError

    first = segmenter()
    with pytest.raises(StopError):
        predict_raster(first, path, tmp_path / "b.tif", TILES, advance=stop)
    assert first.ways is not None
    again = segmenter()
    predict_raster(again, path, tmp_path / "b.tif", TILES)
    assert again.ways == first.ways


PROGRAM = """
import sys, time
from pathlib import Path
import torch
from tests.runs.predicting.test_raster import predict, segmenter
from perpixel.inference.options import Options
torch.set_num_threads(1)
predict(segmenter(), Path(sys.argv[1]), Path(sys.argv[2]), Options(tile=(200, 200), overlap=32),
               advance=lambda done, total: time.sleep(0.002))
"""


def test_a_process_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(2600, 300), tile=(256, 256), compression="deflate")
    root = Path(__file__).parents[3]
    words = [sys.executable, "-c", PROGRAM, str(path), str(tmp_path / "b.tif")]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"}
    journal = tmp_path / ".b.tif.unfinished/journal"
    process = subprocess.Popen(words, env=environment)
    while process.poll() is None and (not journal.exists() or finished_rows(journal.parent) < 1024):
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    predict(segmenter(), path, tmp_path / "b.tif", Options(tile=(200, 200), overlap=32))
    predict(segmenter(), path, tmp_path / "whole.tif", Options(tile=(200, 200), overlap=32))
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()
