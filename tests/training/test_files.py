"""A file of a run is whole or absent, and nothing but tensors is unpickled."""

import pickle
from pathlib import Path

import pytest
import torch

from perpixel.errors import RunError
from perpixel.training.files import load_checkpoint, load_model, save_checkpoint, save_model, write_atomically


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_text("old")

    def fail(beside: Path) -> None:
        beside.write_text("half of the new")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_weights_and_their_facts_come_back(tmp_path: Path) -> None:
    state = {"a": torch.randn(2, 3), "b": torch.tensor(4)}
    save_model(tmp_path / "m.safetensors", state, {"mean_iou": "0.5"})
    (tmp_path / "plain").touch()
    assert (tmp_path / "m.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode
    held, facts = load_model(tmp_path / "m.safetensors")
    assert torch.equal(held["a"], state["a"])
    assert facts["mean_iou"] == "0.5"


def test_weights_may_be_read_by_whom_other_files_may(tmp_path: Path) -> None:
    """Safetensors makes files that only their owner can read."""
    (tmp_path / "other").touch()
    save_model(tmp_path / "m.safetensors", {"a": torch.zeros(1)}, {})
    assert (tmp_path / "m.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    """Pickles from strangers do not run: `weights_only=True`."""

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("owned",)

    path = tmp_path / "last.ckpt"
    path.write_bytes(pickle.dumps({"state": Evil()}))
    with pytest.raises(RunError, match="damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize("damage", [b"", b"not a zip"])
def test_damaged_files_are_named(tmp_path: Path, damage: bytes) -> None:
    for name, read in (("last.ckpt", load_checkpoint), ("model.safetensors", load_model)):
        (tmp_path / name).write_bytes(damage)
        with pytest.raises(RunError, match=name.split(".")[0]) as caught:
            read(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_missing_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="start again"):
        load_checkpoint(tmp_path / "last.ckpt")


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", {"state": {"iteration": 3}, "recent": [0.5]})
    assert load_checkpoint(tmp_path / "c") == {"state": {"iteration": 3}, "recent": [0.5]}
