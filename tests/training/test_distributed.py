"""Two processes are one run: started by the command itself, they share batches and write once."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from perpixel.training.files import load_checkpoint
from tests.tiny import write_tiny


@pytest.mark.timeout(300)
def test_two_processes_train_one_network(tmp_path: Path) -> None:
    """`--devices 2` on the CPU: PyTorch's own torchrun, gloo and DDP."""
    data, run = write_tiny(tmp_path / "tiny"), tmp_path / "run"
    command = [
        sys.executable, "-m", "perpixel", "train", str(data), "--out", str(run), "--devices", "2", "--device", "cpu",
        "--iterations", "4", "--batch-size", "4", "--crop-size", "16", "16", "--set", "width=0.125", "validations=2",
        "--precision", "32",
    ]  # fmt: skip
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert load_checkpoint(run / "last.ckpt")["state"]["iteration"] == 4
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["iteration"] for row in rows] == ["2", "4"]
    assert done.stderr.count("Done after 4 iterations") == 1
