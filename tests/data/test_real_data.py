"""Two real data sets are recognised without help; skipped where they do not lie beside the project.

CamVid (SegNet tutorial's split, ids 0..11) and ISBI 2012 (20 slices, masks of 0 and 255), in `../shared/data` or
where PERPIXEL_DATA says.
"""

import os
from pathlib import Path

import pytest

from perpixel.data.inspection import inspect
from perpixel.recipes.segnet import CAMVID_CLASSES

HOME = Path(os.environ.get("PERPIXEL_DATA", Path(__file__).parents[3] / "shared" / "data"))


def folder(name: str) -> Path:
    path = HOME / name
    if not path.is_dir():
        pytest.skip(f"no {name} beside the project")
    return path


def test_camvid_is_recognised_with_its_names_and_its_void() -> None:
    """Counts of the training split as published: caffe-segnet, discussion 37; 367 · 360 · 480 pixels in all."""
    found = inspect(folder("camvid"), workers=0)
    assert found.splits == {"train": 367, "val": 101}
    assert found.problems == ()
    spec = found.spec
    assert spec.classes == CAMVID_CLASSES
    assert spec.ignore == (11,)
    assert spec.pixel_counts == (
        10682767, 14750079, 623349, 20076880, 2845085, 6166762, 743859, 714595, 3719877, 405385, 184967,
    )  # fmt: skip
    assert spec.image_counts == (366, 365, 366, 367, 349, 319, 351, 173, 360, 317, 201)


def test_isbi_keeps_255_as_a_class() -> None:
    """Membrane and cell: the trap on which other tools report a mean IoU of 1."""
    found = inspect(folder("isbi2012"), workers=0)
    spec = found.spec
    assert (found.pairs, found.encoding, spec.channels) == (20, "binary", 1)
    assert list(spec.mask_values) == [0, 255]
    assert len(spec.classes) == 2
    assert spec.ignore == ()
    assert [problem.outcome for problem in found.problems] == ["mended"]
