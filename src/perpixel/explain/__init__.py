"""What is in a network: its layers, what they see, where they lie, and a drawing.

    explain(network)                     layer table, receptive fields, parameters, multiply-adds
    diagram(explained)                   the network drawn, as SVG or PNG
    alignment(network)                   how far each output lies from what it sees
    effective_receptive_field(network)   how much of what it sees it uses
    card(name)                           a network of the catalogue against its paper

Any `nn.Module` will do, image (N, C, H, W) -> map. Names are imported when first used;
no module here bears the name of a function, or importing it would hide the function.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "explain": "trace",
    "diagram": "layout",
    "alignment": "probe",
    "effective_receptive_field": "effective",
    "card": "fidelity",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'perpixel.explain' has no attribute {name!r}")
    return getattr(import_module(f"perpixel.explain.{_HOMES[name]}"), name)
