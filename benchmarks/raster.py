"""Predict rasters of growing size: seconds a megapixel and peak memory; writes JSON to stdout.

python benchmarks/raster.py [SIDE ...] [--network NAME] [--width W] [--scale S]

Each is SIDE × SIDE pixels of drawn scenes in a tiled, deflated (Big)TIFF, and predicted in a process of its own. Beside
them stands an ordinary image of 2,000 × 2,000, read, predicted and written whole, several times. Both are prepared for.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

SIDES = (2_000, 10_000, 30_000)
ORDINARY = 2_000
REPEATS = 5
CLASSES = 6
TILE = 512
SCENES = 16


def write_raster(path: Path, side: int) -> None:
    """Write scenes, each a tile, in a random order; every one is drawn and compressed once."""
    import tifffile

    from perpixel.data.synthetic.scene import scene

    rng = np.random.default_rng(0)
    scenes = [scene(seed, (TILE, TILE))[0] for seed in range(SCENES)]
    tiles = [zlib.compress(pixels.tobytes(), 6) for pixels in scenes]
    across = -(-side // TILE)
    tifffile.imwrite(
        path, (tiles[i] for i in rng.integers(0, SCENES, across * across)), shape=(side, side, 3), dtype=np.uint8,
        tile=(TILE, TILE), compression=8, photometric="rgb", bigtiff=True, metadata=None,
    )  # fmt: skip


def make_segmenter(options: argparse.Namespace):
    """Return an untrained network: its time does not depend on its weights."""
    import torch

    from perpixel.data.normalization import Normalization
    from perpixel.data.palette import distinct_colors
    from perpixel.inference.segmenter import Segmenter
    from perpixel.models.catalog import build

    torch.manual_seed(0)
    norm = Normalization(mean=(110.0,) * 3, std=(60.0,) * 3)
    names = [f"class {index}" for index in range(CLASSES)]
    network = small() if options.network == "small" else build(options.network, CLASSES, width=options.width)
    return Segmenter(network, names, distinct_colors(CLASSES), norm, options.scale)


def small():
    """Return three convolutions at a quarter of the size, so that a gigapixel ends in minutes."""
    from torch import nn
    from torch.nn import functional

    class Small(nn.Sequential):
        def forward(self, image):
            return functional.interpolate(super().forward(image), image.shape[-2:], mode="bilinear")

    return Small(
        nn.Conv2d(3, 16, 5, stride=4, padding=2), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, CLASSES, 3, padding=1),
    )  # fmt: skip


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure_raster(options: argparse.Namespace, path: Path) -> dict[str, float]:
    """Predict a raster in this process."""
    from perpixel.runs.predicting.raster import predict_raster

    segmenter = make_segmenter(options)
    before, start, cpu = peak(), time.perf_counter(), time.process_time()
    result = predict_raster(segmenter, path, path.with_name("predicted") / path.name)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    pixels = result.size[0] * result.size[1] / 1e6
    return {
        "megapixels": pixels, "seconds": seconds, "seconds_a_megapixel": seconds / pixels,
        "processor_seconds_a_megapixel": cpu / pixels, "peak_mb_above_the_model": (peak() - before) / 1e6,
    }  # fmt: skip


def measure_ordinary(options: argparse.Namespace, path: Path) -> dict[str, float]:
    """Read, predict and write an ordinary image, in this process; median of several times."""
    from perpixel.data.palette import save_index_png

    segmenter = make_segmenter(options)
    segmenter.expect(REPEATS + 10)
    before, seconds, cpus = peak(), [], []
    for _ in range(REPEATS + 1):
        start, cpu = time.perf_counter(), time.process_time()
        result = segmenter.predict(path)
        save_index_png(path.with_suffix(".png"), result.prediction, result.palette)
        seconds.append(time.perf_counter() - start)
        cpus.append(time.process_time() - cpu)
    pixels = ORDINARY**2 / 1e6
    return {
        "megapixels": pixels, "seconds": float(np.median(seconds[1:])),
        "seconds_a_megapixel": float(np.median(seconds[1:])) / pixels,
        "processor_seconds_a_megapixel": float(np.median(cpus[1:])) / pixels,
        "peak_mb_above_the_model": (peak() - before) / 1e6,
    }  # fmt: skip


def apart(options: argparse.Namespace, kind: str, path: Path) -> dict[str, float]:
    """Measure in a process of its own."""
    words = ["--network", options.network, "--width", str(options.width), "--scale", str(options.scale)]
    done = subprocess.run(
        [sys.executable, __file__, *words, "--measure", kind, str(path)], check=True, stdout=subprocess.PIPE, text=True
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return {name: round(value, 4) for name, value in measured.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sides", nargs="*", type=int, default=SIDES)
    parser.add_argument("--network", default="small", help="or a name of `perpixel models`")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--measure", nargs=2, metavar=("KIND", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        kind, path = options.measure
        measure = measure_raster if kind == "raster" else measure_ordinary
        print(json.dumps(measure(options, Path(path))))
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "raster.tif"
        write_raster(path, ORDINARY)
        results["ordinary image"] = apart(options, "ordinary", path)
        for side in options.sides:
            write_raster(path, side)
            results[f"raster of {side} × {side}"] = apart(options, "raster", path)
    told = {"network": options.network, "width": options.width, "scale": options.scale, "classes": CLASSES}
    print(json.dumps({**told, "results": results}, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
