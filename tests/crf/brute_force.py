"""The CRF by definition: every pixel with every other, in float64.

Source: Krähenbühl & Koltun, NIPS 2011, Sec. 2 and Alg. 1. A pixel's message to itself is kept, as in their code.
"""

import numpy as np


def kernel_matrix(features: np.ndarray) -> np.ndarray:
    """Return exp(−½ |fᵢ − fⱼ|²), (N, N), of features (…, d)."""
    flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
    return np.exp(-0.5 * ((flat[:, None] - flat[None]) ** 2).sum(axis=-1))


def normalized(matrix: np.ndarray, normalization: str) -> np.ndarray:
    """Return the matrix with its gain taken out in one of the three ways."""
    norm = matrix.sum(axis=1)
    if normalization == "symmetric":
        return matrix / np.sqrt(norm[:, None] * norm[None])
    return matrix / norm[:, None] if normalization == "after" else matrix


def softmax(logs: np.ndarray) -> np.ndarray:
    powers = np.exp(logs - logs.max(axis=0))
    return powers / powers.sum(axis=0)


def mean_field(
    probabilities: np.ndarray,
    matrices: list[np.ndarray],
    weights: list[float],
    iterations: int,
    compatibility: np.ndarray | None = None,
) -> np.ndarray:
    """Return (K, H, W), refined."""
    classes = len(probabilities)
    logs = np.log(np.clip(probabilities.reshape(classes, -1).astype(np.float64), 1e-5, 1))
    cost = 1 - np.eye(classes) if compatibility is None else compatibility
    beliefs = softmax(logs)
    for _ in range(iterations):
        messages = sum(weight * (beliefs @ matrix.T) for weight, matrix in zip(weights, matrices, strict=True))
        beliefs = softmax(logs - cost @ messages)
    return beliefs.reshape(probabilities.shape)
