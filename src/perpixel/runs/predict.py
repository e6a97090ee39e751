"""Predict many images into a folder: whatever happens, what is done is whole, and a rerun does the rest.

OUT/NAME.png            one-byte class ids with a palette, or the masks' own stored values
    NAME.overlay.png    the classes' colours over the image
    NAME.npz            probabilities, float16 (K, H, W)
    NAME.uncertainty.*  a picture, .png, and the maps, .npz: how unsure the network is
    predictions.json    what was done, skipped and failed, and how all of it was made
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perpixel.data.palette import save_index_png
from perpixel.errors import PerpixelError, UsageError
from perpixel.inference.options import DEFAULT, Options
from perpixel.inference.prediction import Prediction
from perpixel.inference.seams import Seams
from perpixel.inference.segmenter import Segmenter
from perpixel.inference.uncertainty_picture import draw_uncertainty
from perpixel.runs.inputs import Failure, Input
from perpixel.training.files import write_atomically

RECORD = "predictions.json"
RECORD_SECONDS = 5.0  # between two writings of it


@dataclass(frozen=True)
class Wanted:
    """What is written for each image besides its class ids.

    Args:
        overlay: The picture with the classes' colours.
        probabilities: As float16.
        original_values: Write what the data set's masks store in place of class ids.
        overwrite: Predict again what is already there.
        uncertainty: Entropy, and with passes variances and mutual information, as a picture and as float16.
    """

    overlay: bool = False
    probabilities: bool = False
    original_values: bool = False
    overwrite: bool = False
    uncertainty: bool = False

    def paths(self, out: Path, name: str) -> list[Path]:
        """Return the files of one image, the class ids first."""
        wanted = {
            ".png": True, ".overlay.png": self.overlay, ".npz": self.probabilities,
            ".uncertainty.png": self.uncertainty, ".uncertainty.npz": self.uncertainty,
        }  # fmt: skip
        return [out / (name + suffix) for suffix, asked in wanted.items() if asked]


@dataclass
class Predictions:
    """What became of each image.

    Args:
        made_by: The run, its weights and the options: what all predictions in one folder have in common.
        done: Predicted now.
        skipped: Already there.
        failed: Not predicted, and why.
        sources: Name -> its image's path relative to the folder, of everything that was ever predicted into it.
    """

    made_by: dict[str, Any]
    done: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    finished: bool = False

    @property
    def warnings(self) -> list[str]:
        """What a user of the predictions must know."""
        seams = Seams()
        for entry in self.done:
            if "seams" in entry:
                seams += Seams.from_json(entry["seams"])
        return [seams.warning] if seams.warning else []

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"warnings": self.warnings}


def predict_inputs(
    segmenter: Segmenter,
    inputs: Sequence[Input],
    out: Path,
    wanted: Wanted,
    options: Options = DEFAULT,
    made_by: dict[str, Any] | None = None,
    advance: Callable[[int, int], None] | None = None,
    failed: Sequence[Failure] = (),
) -> Predictions:
    """Predict images into `out`, going on past those that fail.

    Args:
        segmenter: The trained network.
        inputs: Images with their names, from `find_inputs`.
        out: A folder; made where it is missing.
        wanted: What to write.
        options: How to predict.
        made_by: What identifies the network.
        advance: Told (done, total) after each image.
        failed: What had failed before.

    Raises:
        UsageError: `out` is no folder, or holds predictions that were made otherwise.
        KeyboardInterrupt: After the record is written.
    """
    record = Predictions({**(made_by or {}), **_how(segmenter, wanted, options)}, failed=list(failed))
    record.sources = _earlier_sources(out, record.made_by, wanted.overwrite)
    _make_folder(out)
    originals = {item.source.resolve() for item in inputs}
    segmenter.check(options)
    segmenter.expect(len(inputs))
    written = 0.0
    try:
        for index, item in enumerate(inputs):
            _predict_one(segmenter, item, out, wanted, options, record, originals)
            if time.monotonic() - written > RECORD_SECONDS:
                _write_record(out, record)
                written = time.monotonic()
            if advance is not None:
                advance(index + 1, len(inputs))
        record.finished = True
    finally:
        _write_record(out, record)
    return record


def _predict_one(
    segmenter: Segmenter,
    item: Input,
    out: Path,
    wanted: Wanted,
    options: Options,
    record: Predictions,
    originals: set[Path],
) -> None:
    paths = wanted.paths(out, item.name)
    try:
        _check_place(out, paths, item, record, originals, wanted.overwrite)
        entry = {"name": item.name, "source": str(item.source), "files": [_below(path, out) for path in paths]}
        if not wanted.overwrite and _is_done(item.source, paths):
            record.skipped.append(entry)
        else:
            result = segmenter.predict(
                item.source, options, probabilities=wanted.probabilities, uncertainty=wanted.uncertainty
            )
            paths[0].parent.mkdir(parents=True, exist_ok=True)
            _write(result, paths, wanted)
            height, width = result.prediction.shape
            seams = {"seams": result.seams.to_json()} if result.seams else {}
            record.done.append(entry | {"size": [height, width]} | seams)
        record.sources[item.name] = _relative(item.source, out)
    except (PerpixelError, OSError, MemoryError, RuntimeError) as error:
        record.failed.append(Failure(str(item.source), _one_line(error)))


def _is_done(source: Path, paths: Sequence[Path]) -> bool:
    """Say whether every file is there, and none is older than the image."""
    changed = source.stat().st_mtime
    return all(path.is_file() and path.stat().st_mtime >= changed for path in paths)


def _check_place(
    out: Path, paths: list[Path], item: Input, record: Predictions, originals: set[Path], overwrite: bool
) -> None:
    """Refuse to write onto an image, outside the folder, or onto another image's prediction."""
    folder = out.resolve()
    for path in paths:
        place = path.resolve()
        if not place.is_relative_to(folder):
            raise UsageError(f"expected to write below {out}, but {path} is a link that leads out of it")
        if place in originals:
            raise UsageError(f"its output {path} would replace an image that is to be predicted")
    earlier = record.sources.get(item.name)
    if earlier is None or overwrite or not paths[0].exists():
        return
    other = out / earlier
    if other.exists() and not other.samefile(item.source):
        raise UsageError(
            f"{paths[0]} was made from {earlier}, another image of the same name. Use another --out, or --overwrite"
        )


def _write(result: Prediction, paths: Sequence[Path], wanted: Wanted) -> None:
    """Write what is asked for, the class ids last."""
    for path in reversed(paths):
        if path.name.endswith(".uncertainty.npz") and result.uncertainty is not None:
            maps = result.uncertainty.arrays()
            write_atomically(path, lambda beside, maps=maps: _save_halves(beside, **maps))  # type: ignore[misc]
        elif path.name.endswith(".uncertainty.png") and result.uncertainty is not None:
            drawn = draw_uncertainty(result.pixels, result.uncertainty, len(result.classes))
            write_atomically(path, lambda beside, drawn=drawn: drawn.save(beside, "PNG"))  # type: ignore[misc]
        elif path.name.endswith(".npz"):
            write_atomically(path, lambda beside: _save_halves(beside, probabilities=result.probabilities))
        elif path != paths[0]:
            picture = result.overlay()
            write_atomically(path, lambda beside, picture=picture: picture.save(beside, "PNG"))  # type: ignore[misc]
        elif wanted.original_values:
            mask = Image.fromarray(result.original_values())
            write_atomically(path, lambda beside, mask=mask: mask.save(beside, "PNG"))  # type: ignore[misc]
        else:
            save_index_png(path, result.prediction, result.palette)


def _save_halves(path: Path, **arrays: NDArray[np.float32]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **{name: array.astype(np.float16) for name, array in arrays.items()})  # type: ignore[arg-type]


def _how(segmenter: Segmenter, wanted: Wanted, options: Options) -> dict[str, Any]:
    """Return what decides the contents of a prediction."""
    return {
        "classes": list(segmenter.classes),
        "options": options.to_json(),
        "original_values": wanted.original_values,
    }


def _earlier_sources(out: Path, made_by: dict[str, Any], overwrite: bool) -> dict[str, str]:
    """Return what the folder's record says, and refuse to mix predictions that were made otherwise."""
    try:
        earlier = json.loads((out / RECORD).read_text(encoding="utf-8"))
        sources, made = dict(earlier["sources"]), dict(earlier["made_by"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    other = [key for key in made_by if key in made and made[key] != made_by[key] and key != "run"]
    if other and not overwrite:
        raise UsageError(
            f"predict: expected {out} to be empty or to hold predictions made the same way, got others "
            f"(different: {', '.join(other)}). Use another --out, or --overwrite to predict these images again."
        )
    if other:  # the record is then about the new ones
        return {}
    return {str(name): str(source) for name, source in sources.items()}


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"predict: expected --out to be a folder, cannot make {out} ({error.strerror}). Use another."
        ) from None


def _write_record(out: Path, record: Predictions) -> None:
    text = json.dumps(record.to_json(), indent=2, ensure_ascii=False) + "\n"
    write_atomically(out / RECORD, lambda beside: _write_text(beside, text))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _below(path: Path, out: Path) -> str:
    return path.relative_to(out).as_posix()


def _relative(source: Path, out: Path) -> str:
    try:
        return Path(os.path.relpath(source.resolve(), out.resolve())).as_posix()
    except ValueError:  # on another drive
        return source.resolve().as_posix()


def _one_line(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "it does not fit into memory. Try --tile 512 512"
    text = str(error).strip()
    return " ".join(text.splitlines()[:2]) if text else type(error).__name__
