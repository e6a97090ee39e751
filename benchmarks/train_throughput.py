"""Images a second and peak memory of our training against a plain PyTorch loop, side by side.

    python benchmarks/train_throughput.py [DATA] [--rounds 5] [--json FILE]

Three programs take turns, each in a process of its own, on the same network, crops and batch:

    plain   float32, contiguous, PyTorch's defaults, files decoded in the loop: what a short script does
    ours    `perpixel.training.fit` as `perpixel train --preset quick` calls it
    smp     segmentation-models-pytorch's U-Net of like size in the plain loop, where it can be imported

and `pipeline` prepares our batches without any network. The figures are medians over the rounds; ratios are taken
within a round, so that a drifting machine disturbs both sides alike.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH, CROP, SCALE, WIDTH = 8, (160, 224), 0.5, 0.25
WARM, COUNTED = 3, 12  # iterations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", help="a data set folder with train and val; drawn street scenes if none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="unet-same")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--side", choices=("plain", "ours", "smp", "pipeline"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(SIDES[arguments.side](arguments.data, arguments.model)))
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments.data = arguments.data or draw_scenes(Path(folder))
        result = compare(arguments)
    print_table(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def draw_scenes(folder: Path) -> str:
    from perpixel.data.synthetic import write_scenes

    write_scenes(folder, {"train": 60, "val": 2}, (360, 480), seed=0)
    return str(folder)


def compare(arguments: argparse.Namespace) -> dict:
    sides = ["plain", "ours", "pipeline", *(["smp"] if smp_imports() else [])]
    rounds: list[dict] = []
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        rounds.append({side: run_side(side, arguments) for side in sides})
    median = {
        side: {key: statistics.median(r[side][key] for r in rounds) for key in ("images_per_second", "peak_megabytes")}
        for side in sides
    }
    ratios = {
        f"ours/{side}": statistics.median(r["ours"]["images_per_second"] / r[side]["images_per_second"] for r in rounds)
        for side in sides
        if side in ("plain", "smp")
    }
    ratios["pipeline/ours"] = statistics.median(
        r["pipeline"]["images_per_second"] / r["ours"]["images_per_second"] for r in rounds
    )
    return {"machine": machine(), "setting": setting(arguments), "median": median, "ratio": ratios, "rounds": rounds}


def run_side(side: str, arguments: argparse.Namespace) -> dict:
    """Run one side in a fresh process; only ours gets what perpixel sets for itself."""
    spinning = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")  # perpixel sets its own when imported
    environment = {name: value for name, value in os.environ.items() if name not in spinning}
    command = [sys.executable, __file__, arguments.data, "--side", side, "--model", arguments.model]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_plain(data: str, model: str, network: object = None) -> dict:
    """Train as a short script does."""
    import torch
    from torch.nn.functional import cross_entropy

    from perpixel.data.dataset import open_dataset
    from perpixel.models.catalog import build

    dataset = open_dataset(data)
    if network is None:
        network = build(model, num_classes=dataset.num_classes, in_channels=dataset.channels, width=WIDTH)
    loader = torch.utils.data.DataLoader(PlainImages(dataset), batch_size=BATCH, shuffle=True, drop_last=True)
    optimizer = torch.optim.AdamW(network.parameters())
    network.train()

    def forever():
        while True:
            yield from loader

    batches = forever()

    def step() -> None:
        image, target = next(batches)
        loss = cross_entropy(network(image), target, ignore_index=255)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return timed(step)


class PlainImages:
    """Decode, shrink, crop and scale to [0, 1], as tutorials do."""

    def __init__(self, dataset: object) -> None:
        self.dataset, self.pairs = dataset, dataset.pairs("train")

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple:
        import numpy as np
        import torch
        from PIL import Image

        pixels, target = self.dataset.read(self.pairs[index])
        size = [round(side * SCALE) for side in target.shape]
        channels = [Image.fromarray(pixels[..., c]).resize(size[::-1]) for c in range(pixels.shape[2])]
        pixels = np.stack([np.asarray(channel) for channel in channels], axis=2)
        target = np.asarray(Image.fromarray(target).resize(size[::-1], Image.Resampling.NEAREST))
        row, column = (np.random.randint(0, side - crop + 1) for side, crop in zip(size, CROP, strict=True))
        window = (slice(row, row + CROP[0]), slice(column, column + CROP[1]))
        image = torch.from_numpy(pixels[window].transpose(2, 0, 1).copy()).float() / 255
        return image, torch.from_numpy(target[window].copy()).long()


def measure_ours(data: str, model: str) -> dict:
    """Train with perpixel's loop, the machine's best format included."""
    from perpixel.runs.start import Wishes, prepare_run
    from perpixel.training.fit import fit
    from perpixel.training.job import Listener
    from perpixel.training.machine import keep_freed_memory
    from perpixel.training.recipe import Budget

    class Clock(Listener):
        def __init__(self) -> None:
            self.times: list[float] = []
            self.plan = ""

        def started(self, job, state, facts) -> None:
            self.plan = facts["plan"]

        def stepped(self, state, loss, rate, progress, images) -> None:
            self.times.append(time.perf_counter())

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = (f"width={WIDTH}", f"image_scale={SCALE}", "validations=1")
        wishes = Wishes(
            model=model, preset="quick", budget=Budget(iterations=WARM + COUNTED + 1), batch_size=BATCH,
            crop_size=CROP, settings=settings, device="cpu",
        )  # fmt: skip
        prepared = prepare_run([Path(data)], Path(folder) / "run", wishes)
        keep_freed_memory()
        fit(prepared.network, prepared.job, clock)
    seconds = clock.times[WARM + COUNTED - 1] - clock.times[WARM - 1]
    return figures(seconds) | {"plan": clock.plan}


def measure_pipeline(data: str, model: str) -> dict:
    """Prepare our batches and throw them away."""
    from perpixel.runs.start import Wishes, prepare_run
    from perpixel.training.batches import TrainingSamples, stream
    from perpixel.training.recipe import Budget

    with tempfile.TemporaryDirectory() as folder:
        wishes = Wishes(model=model, preset="quick", budget=Budget(iterations=1), crop_size=CROP, device="cpu",
                        settings=(f"width={WIDTH}", f"image_scale={SCALE}"))  # fmt: skip
        job = prepare_run([Path(data)], Path(folder) / "run", wishes).job
    samples = TrainingSamples(job.dataset, job.recipe, 0, tuple(job.normalization.mean))
    batches = stream(samples, BATCH, 0, BATCH, workers=0)
    return timed(lambda: next(batches))


def measure_smp(data: str, model: str) -> dict:
    """Train segmentation-models-pytorch's U-Net on MobileNet-V2 (1.9 GMAC a crop, ours 1.7) in the plain loop."""
    from perpixel.data.dataset import open_dataset

    dataset = open_dataset(data)
    network = import_smp().Unet(
        "mobilenet_v2", encoder_weights=None, in_channels=dataset.channels, classes=dataset.num_classes
    )
    return measure_plain(data, model, network)


def import_smp():
    """Import segmentation-models-pytorch, beside a torchvision without compiled operators too.

    A torchvision built for another PyTorch fails at import over two operators that segmentation never calls.
    """
    import torch

    if not hasattr(torch.ops.torchvision, "nms"):
        global operators  # they are gone with the object that holds them
        operators = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import segmentation_models_pytorch

    return segmentation_models_pytorch


def smp_imports() -> bool:
    try:
        import_smp()
    except Exception as error:  # a broken torchvision raises RuntimeError, not ImportError
        print(f"segmentation-models-pytorch is left out: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    return True


def timed(step) -> dict:
    for _ in range(WARM):
        step()
    start = time.perf_counter()
    for _ in range(COUNTED):
        step()
    return figures(time.perf_counter() - start)


def figures(seconds: float) -> dict:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"images_per_second": BATCH * COUNTED / seconds, "peak_megabytes": peak}


def machine() -> dict:
    import torch

    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return {
        "cores": os.cpu_count(), "torch": torch.__version__, "python": platform.python_version(),
        "capability": torch.backends.cpu.get_cpu_capability(), "avx512_bf16": "avx512_bf16" in flags,
        "amx_bf16": "amx_bf16" in flags,
    }  # fmt: skip


def setting(arguments: argparse.Namespace) -> dict:
    return {
        "model": arguments.model, "width": WIDTH, "batch_size": BATCH, "crop_size": CROP, "image_scale": SCALE,
        "rounds": arguments.rounds, "iterations": COUNTED,
    }  # fmt: skip


def print_table(result: dict) -> None:
    for side, values in result["median"].items():
        print(f"{side:<9}{values['images_per_second']:8.1f} images/s{values['peak_megabytes']:9.0f} MB at most")
    for name, ratio in result["ratio"].items():
        print(f"{name:<14}{ratio:5.2f} x")


SIDES = {"plain": measure_plain, "ours": measure_ours, "smp": measure_smp, "pipeline": measure_pipeline}

if __name__ == "__main__":
    main()
