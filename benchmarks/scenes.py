"""Time the drawing of synthetic scenes on one core, in milliseconds of processor time; writes JSON to stdout.

python benchmarks/scenes.py
"""

import json
import time

from perpixel.data.synthetic import scene

SIZES = ((96, 128), (128, 160), (256, 320), (512, 640))
SCENES = 20


def measure(size: tuple[int, int]) -> float:
    """Return the mean milliseconds of one scene."""
    scene(0, size)
    start = time.process_time()
    for seed in range(SCENES):
        scene(seed, size)
    return (time.process_time() - start) / SCENES * 1000


def main() -> None:
    results = {f"{height}x{width}": round(measure((height, width)), 1) for height, width in SIZES}
    print(json.dumps({"unit": "ms", "scenes": SCENES, "results": results}, indent=2))


if __name__ == "__main__":
    main()
