"""Whether a graph is being recorded, to be exported or compiled, rather than computed."""

import torch


def is_recorded() -> bool:
    """Return whether PyTorch records a graph: it then gets PyTorch's own layers, and no choice by a map's size."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
