"""How waiting threads should wait: training speed on a quiet and on a busy machine, by OpenMP setting.

    python benchmarks/threads.py [--rounds 5] [--json FILE]

    spin      OpenMP's own default: a waiting thread keeps its core
    sleep     OMP_WAIT_POLICY=PASSIVE: it gives the core up at once
    ours      what `import perpixel` sets: it spins for some microseconds, then sleeps

Each trains the same small U-Net in a process of its own, alone and then beside a program that keeps one core
busy. The figures are medians over rounds in which all six take turns.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

SETTINGS = {
    "spin": {"OMP_WAIT_POLICY": "", "GOMP_SPINCOUNT": ""},
    "sleep": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": ""},
    "ours": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"},
}
BATCH, SIZE, WIDTH, CLASSES = 4, (160, 224), 0.25, 11
WARM, COUNTED = 3, 15  # iterations
BUSY = "while True: pass"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--side", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(images_per_second())
        return
    result = compare(arguments.rounds)
    print_table(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def compare(rounds: int) -> dict:
    found: dict[str, dict[str, list[float]]] = {name: {"quiet": [], "busy": []} for name in SETTINGS}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for name in SETTINGS:
            found[name]["quiet"].append(run(name))
            found[name]["busy"].append(run_beside_a_busy_core(name))
    median = {name: {when: statistics.median(values) for when, values in row.items()} for name, row in found.items()}
    return {"cores": os.cpu_count(), "images_per_second": median, "rounds": found}


def run(name: str) -> float:
    """Return images a second of one setting, in a fresh process."""
    kept = {key: value for key, value in os.environ.items() if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    environment = kept | {key: value for key, value in SETTINGS[name].items() if value}
    command = [sys.executable, __file__, "--side"]
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def run_beside_a_busy_core(name: str) -> float:
    busy = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        return run(name)
    finally:
        busy.kill()
        busy.wait()


def images_per_second() -> float:
    import torch  # before perpixel: only what the environment says counts

    from perpixel.models.catalog import build

    torch.manual_seed(0)
    network = build("unet-same", num_classes=CLASSES, width=WIDTH).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters())
    image = torch.randn(BATCH, 3, *SIZE).contiguous(memory_format=torch.channels_last)
    target = torch.randint(0, CLASSES, (BATCH, *SIZE))
    started = 0.0
    for iteration in range(WARM + COUNTED):
        if iteration == WARM:
            started = time.perf_counter()
        torch.nn.functional.cross_entropy(network(image), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    return BATCH * COUNTED / (time.perf_counter() - started)


def print_table(result: dict) -> None:
    print(f"{'':<8}{'quiet':>8}{'busy':>8}   images/s, {result['cores']} cores")
    for name, row in result["images_per_second"].items():
        print(f"{name:<8}{row['quiet']:8.1f}{row['busy']:8.1f}")


if __name__ == "__main__":
    main()
