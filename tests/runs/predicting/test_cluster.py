"""A cluster leaves the files that one machine leaves; here it is two workers of a local one."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]
ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

from perpixel.errors import UsageError  # noqa: E402
from perpixel.runs.predicting.cluster import Cluster, predict_on_cluster  # noqa: E402
from perpixel.runs.predicting.inputs import find_inputs  # noqa: E402
from perpixel.runs.predicting.predict import Wanted, predict_inputs  # noqa: E402
from perpixel.runs.predicting.record import RECORD  # noqa: E402
from tests.labelled import network, segmenter, write_images  # noqa: E402

TWO = Cluster(workers=2, batch=3)


class Deadly(nn.Module):
    """A network that takes its process with it where an image is 5 pixels high."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[2] == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        logits: Tensor = self.inner(image)
        return logits


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Start Ray with two cores; workers find the tests where this process does."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    root = str(Path(__file__).parents[3])
    ray.init(
        num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False, object_store_memory=10**8,
        runtime_env={"env_vars": {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"}},
    )  # fmt: skip
    yield
    ray.shutdown()


def contents(out: Path) -> dict[str, bytes]:
    files = (path for path in out.rglob("*") if path.is_file() and path.name != RECORD)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def locally(folder: Path, out: Path, wanted: Wanted) -> dict[str, Any]:
    inputs, failed = find_inputs([str(folder)], out)
    predict_inputs(segmenter(), inputs, out, wanted, failed=failed)
    document: dict[str, Any] = json.loads((out / RECORD).read_text())
    return document


def test_files_are_those_of_a_local_prediction_to_the_byte_and_so_is_the_record(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", *(f"{i % 3}/{i:02}.png" for i in range(20)))
    (folder / "broken.jpg").write_text("no image")
    wanted = Wanted(overlay=True, probabilities=True)
    expected = locally(folder, tmp_path / "one", wanted)
    told: list[tuple[int, int]] = []
    record = predict_on_cluster(
        segmenter(), [str(folder)], str(tmp_path / "many"), wanted, cluster=TWO,
        advance=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    found = json.loads((tmp_path / "many" / RECORD).read_text())
    assert found == record.to_json() == expected | {"prepared": found["prepared"]}
    assert told[-1] == (21, 21)


def test_what_is_done_is_skipped_and_the_rest_is_done(tmp_path: Path) -> None:
    folder, out = write_images(tmp_path / "in", "a.png", "b.png", "c.png"), tmp_path / "out"
    locally(folder, out, Wanted())
    (out / "b.png").unlink()
    record = predict_on_cluster(segmenter(), [f"file://{folder}"], f"file://{out}", Wanted(), cluster=TWO)
    assert [entry["name"] for entry in record.done] == ["b"]
    assert [entry["name"] for entry in record.skipped] == ["a", "c"]


def test_predictions_made_otherwise_are_not_mixed(tmp_path: Path) -> None:
    folder, out = write_images(tmp_path / "in", "a.png"), tmp_path / "out"
    inputs, _ = find_inputs([str(folder)], out)
    predict_inputs(segmenter(), inputs, out, Wanted(), made_by={"weights": "1"})
    with pytest.raises(UsageError, match="different: weights"):
        predict_on_cluster(segmenter(), [str(folder)], str(out), Wanted(), made_by={"weights": "2"}, cluster=TWO)


def test_an_image_that_kills_its_worker_is_listed_and_all_others_are_done(tmp_path: Path) -> None:
    from PIL import Image

    from tests.labelled import draw

    folder = write_images(tmp_path / "in", *(f"{i:02}.png" for i in range(7)))
    Image.fromarray(draw(3, (5, 16))[0]).save(folder / "03.png")
    torch.manual_seed(0)
    record = predict_on_cluster(segmenter(Deadly()), [str(folder)], str(tmp_path / "out"), Wanted(), cluster=TWO)
    assert [Path(failure.source).name for failure in record.failed] == ["03.png"]
    assert "worker died" in record.failed[0].reason
    assert [entry["name"] for entry in record.done] == ["00", "01", "02", "04", "05", "06"]
    assert record.finished


def test_a_failure_that_passes_is_tried_again(tmp_path: Path) -> None:
    """A folder that cannot be made at first: the second round, one by one, finds it mended."""
    folder, out = write_images(tmp_path / "in", "s/a.png", "b.png"), tmp_path / "out"
    out.mkdir()
    (out / "s").write_text("a file where a folder is to be")

    def mend(done: int, total: int) -> None:
        (out / "s").unlink() if (out / "s").is_file() else None

    record = predict_on_cluster(segmenter(), [str(folder)], str(out), Wanted(), cluster=TWO, advance=mend)
    assert [entry["name"] for entry in record.done] == ["b", "s/a"]
    assert not record.failed
