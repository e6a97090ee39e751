"""Time one augmented sample on one core, in milliseconds of processor time; writes JSON to stdout.

python benchmarks/augment.py
"""

import json
import time

import numpy as np

from perpixel.data.transforms import Augmentation, augment

IMAGE_SIZE = (360, 480)
CROP_SIZE = (224, 224)
REPEATS = 200
FILL = (100.0, 100.0, 100.0)

OPTIONS = {
    "crop and flip": Augmentation(),
    "+ scale 0.5 to 2": Augmentation(scale=(0.5, 2)),
    "+ colour": Augmentation(scale=(0.5, 2), color=0.5),
    "+ rotation": Augmentation(scale=(0.5, 2), color=0.5, rotate=10),
    "+ blur and noise": Augmentation(scale=(0.5, 2), color=0.5, rotate=10, blur=1, noise=0.05),
}


def measure(options: Augmentation, dtype: type) -> float:
    """Return the mean milliseconds of one call."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, np.iinfo(dtype).max, (*IMAGE_SIZE, 3), dtype)
    target = rng.integers(0, 11, IMAGE_SIZE, np.uint8)
    augment(pixels, target, CROP_SIZE, options, rng, FILL)
    start = time.process_time()
    for _ in range(REPEATS):
        augment(pixels, target, CROP_SIZE, options, rng, FILL)
    return (time.process_time() - start) / REPEATS * 1000


def main() -> None:
    results = {
        name: {dtype.__name__: round(measure(options, dtype), 2) for dtype in (np.uint8, np.uint16)}
        for name, options in OPTIONS.items()
    }
    print(json.dumps({"image": IMAGE_SIZE, "crop": CROP_SIZE, "unit": "ms", "results": results}, indent=2))


if __name__ == "__main__":
    main()
