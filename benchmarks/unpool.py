"""Pooling with switches and its inverse against PyTorch's pair, forward and backward, side by side.

    python benchmarks/unpool.py [--rounds 7] [--batch-size 4] [--threads N] [--json FILE]

SegNet's five levels at 360 x 480. Each round times ours, then PyTorch's, on the same maps; the figures are medians over
the rounds, the ratio the median of the rounds' own ratios. Bytes are those kept of the switches.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from perpixel.ops.unpool import max_pool, max_unpool
from perpixel.training.machine import keep_freed_memory

LEVELS = ((64, 360, 480), (128, 180, 240), (256, 90, 120), (512, 45, 60), (512, 23, 30))
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def ours(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    pooled, switches = max_pool(features)
    return pooled, max_unpool(pooled, switches), switches.where


def theirs(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    pooled, indices = functional.max_pool2d(features, 2, 2, ceil_mode=True, return_indices=True)
    return pooled, functional.max_unpool2d(pooled, indices, 2, 2, output_size=list(features.shape[-2:])), indices


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--threads", type=int, help="PyTorch's own choice if not given")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # as training does
    result = {
        "torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(), "batch_size": arguments.batch_size, "rounds": arguments.rounds,
        "layouts": {name: measure(name, arguments) for name in LAYOUTS},
    }  # fmt: skip
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(layout: str, arguments: argparse.Namespace) -> dict:
    """Measure every level in one layout, and print a line for each."""
    levels = [measure_level(level, layout, arguments) for level in LEVELS]
    total = {key: sum(level[key] for level in levels) for key in ("ours_ms", "torch_ms", "ours_bytes", "torch_bytes")}
    total["ratio"] = total["torch_ms"] / total["ours_ms"]
    print(f"{layout:<14}{'all levels':<15}{line(total)}")
    return {"levels": levels, "total": total}


def measure_level(level: tuple[int, int, int], layout: str, arguments: argparse.Namespace) -> dict:
    """Time one level, and compare results to the bit: on noise, and on maps full of ties."""
    generator = torch.Generator().manual_seed(0)
    shape = (arguments.batch_size, *level)
    features = torch.relu(torch.randn(shape, generator=generator)).contiguous(memory_format=LAYOUTS[layout])
    gradient = torch.randn(shape, generator=generator).contiguous(memory_format=LAYOUTS[layout])
    seconds: dict[Callable, list[float]] = {ours: [], theirs: []}
    for side in (ours, theirs):
        run(side, features, gradient)
    for number in range(arguments.rounds):
        print(f"{layout} {level} round {number + 1}", file=sys.stderr)
        for side in (ours, theirs):
            seconds[side].append(run(side, features, gradient))
    result = {
        "level": level,
        "ours_ms": 1e3 * statistics.median(seconds[ours]), "torch_ms": 1e3 * statistics.median(seconds[theirs]),
        "ratio": statistics.median(b / a for a, b in zip(seconds[ours], seconds[theirs], strict=True)),
        "ours_bytes": ours(features)[2].nbytes, "torch_bytes": theirs(features)[2].nbytes,
        "equal": equal(features, gradient), "equal_with_ties": equal(features.round(), gradient),
    }  # fmt: skip
    verdict = "equal to the bit, ties too" if result["equal"] and result["equal_with_ties"] else "NOT EQUAL"
    print(f"{layout:<14}{'x'.join(map(str, level)):<15}{line(result)}  {verdict}", flush=True)
    return result


def run(side: Callable, features: Tensor, gradient: Tensor) -> float:
    """Return the seconds of one pass forward and backward."""
    features = features.detach().requires_grad_()
    start = time.perf_counter()
    side(features)[1].backward(gradient)
    return time.perf_counter() - start


def equal(features: Tensor, gradient: Tensor) -> bool:
    """Tell whether maxima, unpooled maps and gradients have the same bits."""
    results = []
    for side in (ours, theirs):
        leaf = features.detach().requires_grad_()
        pooled, unpooled, _ = side(leaf)
        unpooled.backward(gradient)
        results.append([tensor.detach().view(torch.int32) for tensor in (pooled, unpooled, leaf.grad)])
    return all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def line(result: dict) -> str:
    return (
        f"{result['ours_ms']:9.1f} ms, PyTorch {result['torch_ms']:9.1f} ms, {result['ratio']:5.2f} x as fast;"
        f" switches {result['ours_bytes'] / 2**20:6.2f} MB, 1/{result['torch_bytes'] / result['ours_bytes']:.2f}"
    )


if __name__ == "__main__":
    main()
