"""A run is killed at random moments and goes on each time; in the end nothing shows that it was."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perpixel.training.files import load_checkpoint, load_model
from tests.tiny import same_weights, write_tiny

ITERATIONS = 40
KILLS = 5
PATIENCE = 240.0


def train(data: Path, run: Path) -> list[str]:
    return [
        sys.executable, "-m", "perpixel", "train", str(data), "--out", str(run), "--iterations", str(ITERATIONS),
        "--batch-size", "2", "--crop-size", "16", "16", "--precision", "32",
        "--set", "width=0.125", "validations=20", "options.dropout=0.3", "average_weights=0.9",
    ]  # fmt: skip


def resume(run: Path) -> list[str]:
    return [sys.executable, "-m", "perpixel", "train", "--resume", str(run)]


def start(command: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def iterations_done(run: Path) -> int:
    """Return how far the last checkpoint is, 0 without one."""
    path = run / "last.ckpt"
    return int(load_checkpoint(path)["state"]["iteration"]) if path.exists() else 0


@pytest.mark.timeout(600)
def test_a_run_killed_at_random_moments_ends_like_one_never_stopped(tmp_path: Path) -> None:
    """Ctrl-C, SIGTERM and kill −9: the weights of the last and of the best iteration are equal to the bit."""
    data = write_tiny(tmp_path / "tiny")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert start(train(data, whole)).wait(PATIENCE) == 0
    rng, killed = random.Random(7), 0
    for attempt in range(50):
        process = start(resume(parts) if (parts / "run.yaml").exists() else train(data, parts))
        if killed < KILLS and not wait_until_it_trains(process, parts, rng):
            process.send_signal(rng.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM]))
            killed += 1
            process.wait(PATIENCE)
            continue
        assert process.wait(PATIENCE) == 0, f"attempt {attempt}"
        break
    assert killed >= 2, "the run ended before it could be killed twice: give it more iterations"
    assert iterations_done(whole) == iterations_done(parts) == ITERATIONS
    last = [load_checkpoint(run / "last.ckpt") for run in (whole, parts)]
    assert same_weights(last[0]["model"], last[1]["model"])
    best = [load_model(run / "model.safetensors") for run in (whole, parts)]
    assert same_weights(best[0][0], best[1][0])
    assert best[0][1] == best[1][1]


def wait_until_it_trains(process: subprocess.Popen[bytes], run: Path, rng: random.Random) -> bool:
    """Wait for a random part of a run's life; return whether it ended by itself."""
    began, first = time.monotonic(), iterations_done(run)
    target = first + rng.randint(1, ITERATIONS // KILLS)
    while time.monotonic() - began < PATIENCE:
        if process.poll() is not None:
            return True
        if iterations_done(run) >= target:
            time.sleep(rng.uniform(0, 0.05))
            return process.poll() is not None
        time.sleep(rng.uniform(0.01, 0.05))
    return False


def test_a_finished_run_says_so(tmp_path: Path) -> None:
    """Resuming what is done trains nothing."""
    data = write_tiny(tmp_path / "tiny")
    run = tmp_path / "run"
    assert start(train(data, run)).wait(PATIENCE) == 0
    before = (run / "model.safetensors").read_bytes()
    assert start(resume(run)).wait(PATIENCE) == 0
    assert (run / "model.safetensors").read_bytes() == before
