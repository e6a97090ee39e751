"""`perpixel crf`."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from perpixel.cli.main import app
from perpixel.crf.options import PRESETS, CrfOptions
from perpixel.errors import UsageError

SIZE = (24, 32)


def write_halves(folder: Path) -> tuple[str, str]:
    """Write an image of two colours, and probabilities whose border lies three columns beside the image's."""
    columns = np.arange(SIZE[1])[None].repeat(SIZE[0], 0)
    Image.fromarray(np.where(columns < 16, 40, 210).astype(np.uint8)).convert("RGB").save(folder / "photo.png")
    right = np.where(columns < 19, 0.35, 0.65)
    np.savez(folder / "maps.npz", probabilities=np.stack([1 - right, right]).astype(np.float16))
    return str(folder / "photo.png"), str(folder / "maps.npz")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["crf", *words])


def test_the_border_moves_to_where_the_colours_change(tmp_path: Path) -> None:
    image, maps = write_halves(tmp_path)
    result = run(image, maps, "--out", str(tmp_path / "sharp.png"))
    assert result.exit_code == 0, result.output
    ids = np.asarray(Image.open(tmp_path / "sharp.png"))
    np.testing.assert_array_equal(ids, (np.arange(SIZE[1]) >= 16)[None].repeat(SIZE[0], 0))
    assert "2 classes, 24 × 32: 9.38% of the pixels changed" in result.stderr


def test_probabilities_that_are_written_can_be_refined_again(tmp_path: Path) -> None:
    image, maps = write_halves(tmp_path)
    first = run(image, maps, "--out", str(tmp_path / "once.npz"), "--json")
    again = run(image, str(tmp_path / "once.npz"), "--out", str(tmp_path / "twice.png"), "--iterations", "5")
    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    document = json.loads(first.stdout)
    assert document["num_classes"] == 2
    assert CrfOptions.from_dict(document["crf"]) == CrfOptions()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--preset", "deeplab-v2-resnet101"], PRESETS["deeplab-v2-resnet101"]),
        (["--preset", "pydensecrf", "--iterations", "2"], PRESETS["pydensecrf"].replace(iterations=2)),
        (["--bilateral", "3", "20", "6"], CrfOptions(bilateral=(3, 20, 6))),
        (["--spatial", "1", "2", "--normalization", "after"], CrfOptions(spatial=(1, 2), normalization="after")),
    ],
)
def test_numbers_come_from_a_preset_or_one_by_one(tmp_path: Path, words: list[str], expected: CrfOptions) -> None:
    image, maps = write_halves(tmp_path)
    result = run(image, maps, "--out", str(tmp_path / "o.png"), "--json", *words)
    assert result.exit_code == 0, result.output
    assert CrfOptions.from_dict(json.loads(result.stdout)["crf"]) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--preset", "pydensecrf", "--spatial", "1", "1"], "got both"),
        (["--preset", "pydensecrff"], "Did you mean 'pydensecrf'"),
        (["--normalization", "before"], "one of symmetric, after, none"),
        (["--bilateral", "4", "0", "5"], "deviations above 0"),
    ],
)
def test_options_that_cannot_be_used_are_refused_and_nothing_is_written(
    tmp_path: Path, words: list[str], said: str
) -> None:
    image, maps = write_halves(tmp_path)
    result = run(image, maps, "--out", str(tmp_path / "o.png"), *words)
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)
    assert not (tmp_path / "o.png").exists()


def test_tiles_give_what_the_whole_gives_but_for_their_seams(tmp_path: Path) -> None:
    image, maps = write_halves(tmp_path)
    words = [image, maps, "--bilateral", "4", "3", "5", "--out"]
    run(*words, str(tmp_path / "whole.png"))
    result = run(*words, str(tmp_path / "tiled.png"), "--tile", "16", "32")
    assert result.exit_code == 0, result.output
    whole, tiled = (np.asarray(Image.open(tmp_path / name)) for name in ("whole.png", "tiled.png"))
    assert (whole == tiled).mean() > 0.99
