"""The fully connected CRF beside pydensecrf2: time, memory and difference.

    python benchmarks/crf.py [--rounds 3] [--classes K ...] [--image PHOTO] [--json FILE] [--quick]

Both take probabilities (K, H, W) and a photo, and give probabilities: everything in between counts. pydensecrf2
(pip install pydensecrf2; it needs a C++ compiler) has one thread; ours runs on one and on two. The sides take turns
in processes of their own, so that each one's peak memory is its own; figures are medians. Ours is compiled before,
which the line below the table says the time of. Without --image, a picture is drawn: bands and discs, shaded and noisy.

DeepLab's released values for its LargeFOV: bilateral (4, 121 px, 5 levels), spatial (3, 3 px), 10 iterations.
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CLASSES = (2, 12, 21, 150)
SIZES = ((240, 320), (360, 480), (720, 960))
BILATERAL, SPATIAL, ITERATIONS = (4.0, 121.0, 5.0), (3.0, 3.0), 10
SIDES = ("pydensecrf2", "ours, 1 thread", "ours, 2 threads")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--image", type=Path, help="a photo; it is resized")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--classes", type=int, nargs="+", default=CLASSES, metavar="K")
    parser.add_argument("--quick", action="store_true", help="21 classes at 360 × 480 alone")
    parser.add_argument("--side", nargs=5, metavar=("NAME", "K", "H", "W", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        name, *numbers, out = arguments.side
        run_side(name, *map(int, numbers), arguments.image, Path(out))
        return
    if importlib.util.find_spec("pydensecrf") is None:
        print("crf: pydensecrf2 is not installed; only our side is measured", file=sys.stderr)
    cases = [(21, 360, 480)] if arguments.quick else [(k, *size) for k in arguments.classes for size in SIZES]
    rows = [compare(*case, arguments) for case in cases]
    print_table(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps({"cores": os.cpu_count(), "rows": rows}, indent=2) + "\n")


def compare(classes: int, height: int, width: int, arguments: argparse.Namespace) -> dict:
    sides = SIDES if importlib.util.find_spec("pydensecrf") else SIDES[1:]
    found: dict[str, list[dict]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        outs = {side: Path(folder) / f"{number}.npy" for number, side in enumerate(sides)}
        for number in range(arguments.rounds):
            print(f"K={classes} {height}×{width}: round {number + 1} of {arguments.rounds}", file=sys.stderr)
            for side in sides:
                found[side].append(in_process(side, classes, height, width, arguments.image, outs[side]))
        answers = {side: np.load(out) for side, out in outs.items()}
    row: dict = {"classes": classes, "height": height, "width": width}
    for side in sides:
        row[side] = {key: statistics.median(each[key] for each in found[side]) for key in found[side][0]}
    if len(sides) == 3:
        theirs, ours = answers[sides[0]], answers[sides[1]]
        row["difference"] = float(np.abs(ours - theirs).max())
        row["agreement"] = float((ours.argmax(axis=0) == theirs.argmax(axis=0)).mean())
    row["threads differ"] = float(np.abs(answers[SIDES[1]] - answers[SIDES[2]]).max())
    return row


def in_process(side: str, classes: int, height: int, width: int, image: Path | None, out: Path) -> dict:
    """Return seconds and peak memory of one side, in a fresh process."""
    command = [sys.executable, __file__, "--side", side, str(classes), str(height), str(width), str(out)]
    command += ["--image", str(image)] if image else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"crf: {side} failed\n{done.stderr}")
    return json.loads(done.stdout)


def run_side(name: str, classes: int, height: int, width: int, image: Path | None, out: Path) -> None:
    """Measure one side, and print it; the answer goes to `out`."""
    threads = 2 if "2" in name.removeprefix("pydensecrf2") else 1
    os.environ["OMP_NUM_THREADS"] = str(threads)
    probabilities, pixels = inputs(classes, height, width, image)
    refine = theirs if name == "pydensecrf2" else ours()
    started = time.perf_counter()
    refine(np.ascontiguousarray(probabilities[:, :64, :64]), pixels[:64, :64])
    warming = time.perf_counter() - started
    before = reset_peak()
    started = time.perf_counter()
    answer = refine(probabilities, pixels)
    seconds = time.perf_counter() - started
    peak = peak_memory() - before
    np.save(out, answer)
    print(json.dumps({"seconds": seconds, "megabytes": peak / 2**20, "warming": warming}))


def reset_peak() -> int:
    """Forget the peak so far, where Linux lets one; returns the memory in use, in bytes."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return memory("VmRSS")
    except OSError:
        return peak_memory()


def peak_memory() -> int:
    """Return the process's peak, in bytes."""
    try:
        return memory("VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def memory(name: str) -> int:
    """Return a line of the process's status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def inputs(classes: int, height: int, width: int, image: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities as smooth as a network's, and a photo or a drawing."""
    from PIL import Image

    rng = np.random.default_rng(classes)
    coarse = rng.normal(0, 3, (classes, height // 16 + 2, width // 16 + 2)).astype(np.float32)
    logits = [np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)) for plane in coarse]
    powers = np.exp(np.stack(logits) - np.max(logits, axis=0))
    if image is not None:
        pixels = np.array(Image.open(image).convert("RGB").resize((width, height)))
    else:
        pixels = drawing(height, width)
    return (powers / powers.sum(axis=0)).astype(np.float32), pixels


def drawing(height: int, width: int) -> np.ndarray:
    """Draw discs before a slope of light, with grain and fine texture here and there."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width] / height
    pixels = 80 + 120 * rows[..., None] * rng.uniform(0.3, 1, 3)
    for _ in range(40):
        row, column, radius = rng.uniform(0, 1), rng.uniform(0, width / height), rng.uniform(0.03, 0.2)
        disc = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        texture = rng.uniform(0, 25) * np.sin(rng.uniform(40, 400) * (rows + rng.uniform(-1, 1) * columns))[disc]
        pixels[disc] = rng.uniform(20, 235, 3) + texture[:, None] + 40 * (rows - row)[disc][:, None]
    return (pixels + rng.normal(0, 5, pixels.shape)).clip(0, 255).astype(np.uint8)


def ours():
    from perpixel.crf.refine import refine

    return lambda probabilities, pixels: refine(probabilities, pixels, BILATERAL, SPATIAL, ITERATIONS, backend="numba")


def theirs(probabilities: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    from pydensecrf import densecrf
    from pydensecrf.utils import unary_from_softmax

    classes, height, width = probabilities.shape
    crf = densecrf.DenseCRF2D(width, height, classes)
    crf.setUnaryEnergy(unary_from_softmax(probabilities))
    crf.addPairwiseGaussian(sxy=SPATIAL[1], compat=SPATIAL[0])
    crf.addPairwiseBilateral(
        sxy=BILATERAL[1], srgb=BILATERAL[2], rgbim=np.ascontiguousarray(pixels), compat=BILATERAL[0]
    )
    return np.array(crf.inference(ITERATIONS)).reshape(classes, height, width)


def print_table(rows: list[dict]) -> None:
    sides = [side for side in SIDES if side in rows[0]]
    print(f"bilateral {BILATERAL}, spatial {SPATIAL}, {ITERATIONS} iterations; {os.cpu_count()} cores")
    print("  K    H × W   |" + "".join(f" {side:^24} |" for side in sides) + "  max |Δp|  same argmax")
    for row in rows:
        line = f"{row['classes']:>3} {row['height']:>4} × {row['width']:<4} |"
        for side in sides:
            gain = rows and row[sides[0]]["seconds"] / row[side]["seconds"]
            line += f" {row[side]['seconds']:6.2f} s {gain:5.2f}× {row[side]['megabytes']:5.0f} MB |"
        if "difference" in row:
            line += f"  {row['difference']:.1e}   {100 * row['agreement']:.4f} %"
        print(line)
    warming = statistics.median(row[SIDES[1]]["warming"] for row in rows)
    print(f"loading what is compiled, and a first small image: {warming:.1f} s")
    print("seconds per megapixel, 1 thread: " + "; ".join(scaling(rows)))


def scaling(rows: list[dict]) -> list[str]:
    """Return, for each number of classes, the time per megapixel at each size."""
    parts = []
    for classes in sorted({row["classes"] for row in rows}):
        each = [row for row in rows if row["classes"] == classes]
        times = [f"{1e6 * row[SIDES[1]]['seconds'] / row['height'] / row['width']:.2f}" for row in each]
        parts.append(f"K={classes} " + " ".join(times))
    return parts


if __name__ == "__main__":
    main()
