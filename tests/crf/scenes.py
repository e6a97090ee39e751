"""Small images and what a network might say about them."""

import numpy as np


def scene(seed: int, classes: int = 4, size: tuple[int, int] = (20, 26)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probabilities (K, H, W), pixels (H, W, 3) and the true ids (H, W): bands of colour, noisily seen."""
    rng = np.random.default_rng(seed)
    height, width = size
    edges = np.sort(rng.uniform(0.1, 0.9, classes - 1)) * width
    slant = rng.uniform(-0.5, 0.5)
    rows, columns = np.mgrid[:height, :width]
    target = ((columns + slant * rows)[..., None] > edges).sum(axis=-1)
    colors = rng.integers(30, 226, (classes, 3))
    pixels = (colors[target] + rng.normal(0, 4, (*size, 3))).clip(0, 255).astype(np.uint8)
    logits = 1.5 * (target == np.arange(classes)[:, None, None]) + rng.normal(0, 1, (classes, *size))
    powers = np.exp(logits)
    return (powers / powers.sum(axis=0)).astype(np.float32), pixels, target
