"""Put other functions in the place of our operations, for as long as a network is looked at.

A trace must see "unpooling" where the code gathers, compares and scatters; a probe must see it as something
linear. The operations need not know of it: every module that holds one by name holds the substitute instead.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Operation = Callable[..., Any]


@contextmanager
def substituted(substitutes: Mapping[Operation, Operation]) -> Iterator[None]:
    """Hold substitutes in place of functions, in the modules of perpixel and in `torch.nn.functional`.

    This package keeps the originals, which the substitutes call.

    Not for several threads at a time: names belong to modules, and so to everybody.
    """
    by_id = {id(operation): substitute for operation, substitute in substitutes.items()}
    found = [
        (module, name, value)
        for module_name, module in list(sys.modules.items())
        if _is_ours(module_name) or module_name == "torch.nn.functional"
        for name, value in list(vars(module).items())
        if id(value) in by_id
    ]
    try:
        for module, name, value in found:
            setattr(module, name, by_id[id(value)])
        yield
    finally:
        for module, name, value in found:
            setattr(module, name, value)


def _is_ours(module: str) -> bool:
    return module.startswith("perpixel.") and not module.startswith("perpixel.explain")
