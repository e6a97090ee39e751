"""A folder of predictions is whole whatever happens, and a rerun does the rest."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from perpixel.errors import UsageError
from perpixel.inference.options import Options
from perpixel.runs.predicting.inputs import find_inputs
from perpixel.runs.predicting.predict import Predictions, Wanted, predict_inputs
from tests.labelled import STORED, draw, segmenter, write_images


def predict(folder: Path, out: Path, wanted: Wanted | None = None, **more: Any) -> Predictions:
    inputs, failed = find_inputs([str(folder)], out)
    return predict_inputs(segmenter(), inputs, out, wanted or Wanted(), failed=failed, **more)


def test_a_prediction_is_a_one_byte_palette_png_of_the_images_size(tmp_path: Path) -> None:
    predict(write_images(tmp_path / "in", "a.png"), tmp_path / "out")
    image = Image.open(tmp_path / "out/a.png")
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), draw(0)[1])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "predictions.json"]


def test_overlay_and_probabilities_are_written_when_asked_for(tmp_path: Path) -> None:
    predict(write_images(tmp_path / "in", "s/a.png"), tmp_path / "out", Wanted(overlay=True, probabilities=True))
    with Image.open(tmp_path / "out/s/a.overlay.png") as picture:
        assert picture.mode == "RGB"
    stored = np.load(tmp_path / "out/s/a.npz")["probabilities"]
    assert stored.dtype == np.float16
    assert stored.shape == (3, 12, 16)
    assert np.array_equal(stored.argmax(0), draw(0)[1])


def test_original_values_are_what_the_masks_store(tmp_path: Path) -> None:
    predict(write_images(tmp_path / "in", "a.png"), tmp_path / "out", Wanted(original_values=True))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/a.png")), np.array(STORED)[draw(0)[1]])


def test_what_is_done_is_skipped_and_the_rest_is_done(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "a.png", "b.png")
    predict(folder, tmp_path / "out")
    (tmp_path / "out/b.png").unlink()
    again = predict(folder, tmp_path / "out")
    assert [entry["name"] for entry in again.skipped] == ["a"]
    assert [entry["name"] for entry in again.done] == ["b"]
    assert len(predict(folder, tmp_path / "out", Wanted(overlay=True)).done) == 2
    assert len(predict(folder, tmp_path / "out", Wanted(overwrite=True)).done) == 2


def test_an_image_that_has_changed_is_predicted_again(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "a.png")
    predict(folder, tmp_path / "out")
    Image.fromarray(draw(9)[0]).save(folder / "a.png")
    later = (tmp_path / "out/a.png").stat().st_mtime + 10
    os.utime(folder / "a.png", (later, later))
    assert len(predict(folder, tmp_path / "out").done) == 1
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/a.png")), draw(9)[1])


def test_bad_files_are_listed_and_the_others_predicted(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "a.png", "c.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:60])
    record = predict(folder, tmp_path / "out")
    assert [entry["name"] for entry in record.done] == ["a", "c"]
    assert [Path(failure.source).name for failure in record.failed] == ["b.png"]
    stored = json.loads((tmp_path / "out/predictions.json").read_text())
    assert stored["finished"]
    assert "b.png" in stored["failed"][0]["reason"]


def test_another_image_of_the_same_name_does_not_replace_the_first(tmp_path: Path) -> None:
    predict(write_images(tmp_path / "one", "x.png"), tmp_path / "out")
    record = predict(write_images(tmp_path / "two", "n.png", "x.png"), tmp_path / "out")
    assert "another image of the same name" in record.failed[0].reason
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/x.png")), draw(0)[1])


def test_predictions_made_otherwise_are_not_mixed(tmp_path: Path) -> None:
    folder, out = write_images(tmp_path / "in", "a.png"), tmp_path / "out"
    predict(folder, out, made_by={"weights": "1"})
    with pytest.raises(UsageError, match="different: weights"):
        predict(folder, out, made_by={"weights": "2"})
    with pytest.raises(UsageError, match="different: options"):
        predict(folder, out, options=Options(flip=True))
    predict(folder, out, Wanted(overwrite=True), made_by={"weights": "2"})


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "sub/a.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").symlink_to(tmp_path / "elsewhere")
    record = predict(folder, tmp_path / "out")
    assert "leads out of it" in record.failed[0].reason
    assert not list((tmp_path / "elsewhere").iterdir())


def test_an_image_is_never_replaced_by_its_prediction(tmp_path: Path) -> None:
    folder = write_images(tmp_path, "a.png")
    before = (folder / "a.png").read_bytes()
    inputs, _ = find_inputs([str(folder / "a.png")], folder)
    record = predict_inputs(segmenter(), inputs, folder, Wanted(overwrite=True))
    assert "would replace an image" in record.failed[0].reason
    assert (folder / "a.png").read_bytes() == before


def test_an_interruption_leaves_whole_files_and_a_rerun_completes(tmp_path: Path) -> None:
    names = [f"{index:02}" for index in range(40)]
    folder = write_images(tmp_path / "in", *(f"{name}.png" for name in names))

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(folder, tmp_path / "out", advance=stop)
    stored = json.loads((tmp_path / "out/predictions.json").read_text())
    assert not stored["finished"]
    done = [entry["name"] for entry in stored["done"]]
    assert done == sorted(path.stem for path in (tmp_path / "out").glob("*.png"))
    assert 2 <= len(done) < 40
    again = predict(folder, tmp_path / "out")
    assert [entry["name"] for entry in again.skipped] == done
    assert [entry["name"] for entry in again.done] == names[len(done) :]
    assert not list((tmp_path / "out").glob(".*"))
