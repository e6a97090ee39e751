"""Every recipe trains twenty iterations on real road scenes; skipped where they do not lie beside the project."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from perpixel.models.catalog import MODELS
from perpixel.recipes.papers import RECIPES
from perpixel.recipes.segnet import CAMVID_CLASSES
from perpixel.runs.phases import phases_of
from perpixel.runs.run import Run
from perpixel.runs.start import Wishes, train
from perpixel.training.files import load_model
from perpixel.training.job import Listener, State
from perpixel.training.recipe import Budget

CAMVID = Path(os.environ.get("PERPIXEL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "camvid"
ITERATIONS = 20
# Of the data that a recipe is meant for: classes that CamVid lacks are named and never seen.
CLASSES = {"nyud": 40, "pascal-context": 60, "segnet-sun": 37}
CHANNELS = {"fcn32s-nyud-color-depth": 4, "fcn32s-nyud-color-hha": 6}


class Losses(Listener):
    def __init__(self) -> None:
        self.seen: list[float] = []

    def stepped(self, state: State, loss: float, rate: float, progress: float, images: int) -> None:
        self.seen.append(loss)


def write_few(root: Path, name: str) -> Path:
    """Write eight of CamVid's images and two to validate on, at half their size: cores are for training."""
    channels = CHANNELS.get(name, 3)
    for split, count in (("train", 8), ("val", 2)):
        for kind, resample in (("images", Image.Resampling.BILINEAR), ("masks", Image.Resampling.NEAREST)):
            (root / kind / split).mkdir(parents=True)
            for path in sorted((CAMVID / kind / split).iterdir())[::12][:count]:
                with Image.open(path) as image:
                    small, place = image.resize((240, 180), resample), root / kind / split / path.stem
                if kind == "masks":
                    small.point(lambda value: 255 if value == len(CAMVID_CLASSES) else value).save(f"{place}.png")
                elif channels > 3:
                    np.save(f"{place}.npy", with_depth(np.asarray(small), channels))
                else:
                    small.save(f"{place}.png")
    wanted = next((count for data, count in CLASSES.items() if data in name), len(CAMVID_CLASSES))
    unseen = [f"unseen-{number}" for number in range(len(CAMVID_CLASSES), wanted)]
    (root / "dataset.yaml").write_text(
        f"name: few\nimages: images/{{split}}\nmasks: masks/{{split}}\nsplits: [train, val]\nchannels: {channels}\n"
        f"classes: [{', '.join([*CAMVID_CLASSES, *unseen])}]\nignore: [255]\n"
    )
    return root


def with_depth(pixels: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Put beside the colours what stands for depth: rows, as in a street, and slopes of grey levels."""
    rows = np.linspace(255, 0, pixels.shape[0])[:, None] + np.zeros(pixels.shape[:2])
    slopes = [np.abs(slope) for slope in np.gradient(pixels.mean(2))]
    return np.dstack([pixels, rows, *slopes])[..., :channels].clip(0, 255).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", RECIPES)
def test_twenty_iterations_of_every_stage_stay_finite(name: str, tmp_path: Path) -> None:
    """Own optimiser, loss, schedule, crops and windows; narrow, and in batches of two where the paper's are larger."""
    if not CAMVID.is_dir():
        pytest.skip("no camvid beside the project")
    few, stages = write_few(tmp_path / "few", name), RECIPES[name]
    assert all(stage.model in MODELS for stage in stages)
    settings = ["width=0.125", "validations=1", "accumulate=1"]
    if any(stage.crop_size and min(stage.crop_size) > 224 for stage in stages):
        settings.append("crop_size=[161,225]")
    if name == "fcn8s-siftflow":
        settings.append("label_groups=[0,2,2,1,1,2,2,2,2,2,2]")
    if stages[0].initial_weights != "none":  # fresh weights expect pixels of unit variance
        settings.append("normalization=data")
    if name == "deeplab-v2-resnet101":
        settings.append("options.freeze_batch_norm=false")
    wishes = Wishes(
        recipe=name, budget=Budget(iterations=ITERATIONS * len(stages)), batch_size=min(2, stages[0].batch_size),
        precision="32", weights="none", settings=tuple(settings),
    )  # fmt: skip
    losses = Losses()
    assert train(few, out=tmp_path / "run", wishes=wishes, listener=losses).finished
    assert len(losses.seen) >= ITERATIONS * len(stages) - len(stages)
    assert np.isfinite(losses.seen).all()
    for path in phases_of(tmp_path / "run"):
        state, _ = load_model(path / "model.safetensors")
        assert Run.open(path).record.finished
        assert all(bool(value.isfinite().all()) for value in state.values() if value.is_floating_point())
