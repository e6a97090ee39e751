"""A prepared network's forward pass against the plain one, and against what this machine's convolutions can do.

    python benchmarks/forward.py [MODEL ...] [--rounds 5] [--image-size 360 480] [--threads N] [--json FILE]

plain is the network as built, in float32: `network.eval()`, channels first. Each round times it, then the copy of
`prepare_for_inference`, on the same image; figures are medians over rounds, the ratio the median of the rounds' own.
The roofline is the time that the plain network's multiplications take at the fastest direct convolution's rate,
measured in the same run. Weights are random, batch statistics those of noise; agreement is the share of
pixels of the same class.
"""

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from perpixel.inference.prepared import prepare_for_inference
from perpixel.inference.winograd import WinogradConv2d
from perpixel.models.catalog import MODELS, build
from perpixel.training.machine import keep_freed_memory

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="all of the catalogue if none is named")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--image-size", type=int, nargs=2, default=(360, 480), metavar=("H", "W"))
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--threads", type=int, help="PyTorch's own choice if not given")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="processor: on a busy machine, --threads 1")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    clock = CLOCKS[arguments.clock]
    with torch.inference_mode():
        peak = roofline(clock)
        print(f"direct convolution: {peak / 1e9:.0f} GFLOP/s at best, {torch.get_num_threads()} threads")
        results = [measure(name, peak, clock, arguments) for name in arguments.models or MODELS]
    if arguments.json:
        facts = {"torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability(),
                 "threads": torch.get_num_threads(), "clock": arguments.clock, "image_size": arguments.image_size,
                 "width": arguments.width, "flops_per_second": peak, "results": results}  # fmt: skip
        arguments.json.write_text(json.dumps(facts, indent=2) + "\n")


def roofline(clock: Callable[[], float]) -> float:
    """Return the floating-point operations a second of the fastest of four typical convolutions."""
    rates = []
    for channels, height, width in ((64, 180, 240), (128, 90, 120), (256, 90, 120), (512, 45, 60)):
        for layout in (torch.contiguous_format, torch.channels_last):
            features = torch.randn(1, channels, height, width).contiguous(memory_format=layout)
            kernel = torch.randn(channels, channels, 3, 3).contiguous(memory_format=layout)
            seconds = min(timed(lambda x: functional.conv2d(x, kernel, padding=1), features, clock) for _ in range(5))  # noqa: B023
            rates.append(2 * 9 * channels**2 * height * width / seconds)
    return max(rates)


def measure(name: str, peak: float, clock: Callable[[], float], arguments: argparse.Namespace) -> dict:
    """Measure one network, and print its line."""
    torch.manual_seed(0)
    plain = noisy(build(name, width=arguments.width))
    image = torch.randn(1, MODELS[name].in_channels, *arguments.image_size)
    operations = count_operations(plain, image)
    prepared = prepare_for_inference(copy.deepcopy(plain), tuple(arguments.image_size), image.shape[1])
    agreement = (plain(image).argmax(1) == prepared(image).argmax(1)).double().mean().item()
    rounds = [(timed(plain, image, clock), timed(prepared, image, clock)) for _ in range(arguments.rounds)]
    result = {
        "model": name, "plain_ms": 1e3 * statistics.median(a for a, _ in rounds),
        "prepared_ms": 1e3 * statistics.median(b for _, b in rounds),
        "ratio": statistics.median(a / b for a, b in rounds), "roofline_ms": 1e3 * operations / peak,
        "gflop": operations / 1e9, "agreement": agreement,
        "winograd": sum(isinstance(layer, WinogradConv2d) for layer in prepared.modules()),
    }  # fmt: skip
    print(
        f"{name:<16}{result['plain_ms']:8.0f} ms plain{result['prepared_ms']:8.0f} ms prepared"
        f"{result['ratio']:6.2f} x as fast  roofline {result['roofline_ms']:6.0f} ms  "
        f"{result['winograd']:2} by Winograd  argmax agrees on {100 * agreement:.3f} %",
        flush=True,
    )
    return result


def noisy(network: nn.Module) -> nn.Module:
    """Give zero-initialised layers weights and the averages values, as training would."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and not layer.weight.any():
            layer.weight.copy_(0.05 * torch.randn_like(layer.weight))
    network.train()(torch.randn(2, 3, 64, 80))
    return network.eval()


def count_operations(network: nn.Module, image: Tensor) -> int:
    """Count two operations for each multiplication of a convolution or deconvolution."""
    total = 0

    def note(layer: nn.Module, given: tuple[Tensor], result: Tensor) -> None:
        nonlocal total
        map_size = (given[0] if isinstance(layer, nn.ConvTranspose2d) else result)[:, 0].numel()
        total += 2 * layer.weight.numel() * map_size

    hooks = [
        layer.register_forward_hook(note)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    network(image)
    for hook in hooks:
        hook.remove()
    return total


def timed(network: Callable[[Tensor], Tensor], image: Tensor, clock: Callable[[], float]) -> float:
    start = clock()
    network(image)
    return clock() - start


if __name__ == "__main__":
    main()
