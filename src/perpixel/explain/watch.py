"""Watch a network run: what each operation makes, what its elements see, and where it is called.

    module hooks            where: the path of the module that is running
    substitutes             our own operations, whole: pooling with switches, unpooling, fixed deconvolution
    dispatch                everything else, as PyTorch's few dozen basic operations

Letters: N batch, C channels, H W pixels.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from perpixel.explain.layers import LayerRow, whole
from perpixel.explain.rules import RULES, WHOLE, Fields, Rule, Step, max_unpooling, together
from perpixel.explain.seen import Seen
from perpixel.explain.substitute import substituted
from perpixel.ops.unpool import max_pool, max_unpool

IMAGE = -1
JOINS = {"add": "addition", "sub": "addition", "maximum": "addition", "mul": "product", "cat": "concatenation"}
STACKED = ("sum", "mean", "amax")
PRODUCTS = {"addmm": 1, "mm": 0, "bmm": 0}  # which argument's last axis is summed over


class Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Rows of what runs while it watches.

    Every tensor that is made carries what its elements see and which rows it comes from. Tensors are kept
    until the end, so that their identity says which is which.
    """

    def __init__(self, module: nn.Module, parameters: dict[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows: list[LayerRow] = []
        self.module = module
        self.path: list[str] = []
        self.fields: dict[int, Fields | None] = {}
        self.sources: dict[int, frozenset[int]] = {}
        self.pools: dict[int, int] = {}
        self.uncounted = {id(tensor): tensor.numel() for tensor in parameters.values()}
        self.kept: list[Any] = list(parameters.values())
        self.quiet = False

    # ---- what is watched ---------------------------------------------------------------------------

    @contextmanager
    def watching(self, image: Tensor) -> Iterator[None]:
        """Follow an image through modules, our operations and PyTorch's."""
        self._note(image, Fields(Seen(), Seen()), frozenset({IMAGE}))
        substitutes: dict[Callable[..., Any], Callable[..., Any]] = {
            max_pool: self.max_pool,
            max_unpool: self.max_unpool,
            **{operation: self._followed(operation, rule) for operation, rule in WHOLE.items()},
        }
        hooks = [hook for name, part in self.module.named_modules() for hook in self._hooks(name, part)]
        try:
            with substituted(substitutes), self:
                yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hooks(self, name: str, part: nn.Module) -> list[Any]:
        enter = part.register_forward_pre_hook(lambda *_: self.path.append(name))
        leave = part.register_forward_hook(lambda *_: self.path.pop() and None, always_call=True)
        return [enter, leave]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and follow it unless a whole one is running."""
        result = func(*args, **(kwargs or {}))
        if not self.quiet:
            self._follow(func._schema.name.split("::")[-1], args, result)
        return result

    # ---- PyTorch's operations ----------------------------------------------------------------------

    def _follow(self, name: str, args: Sequence[Any], result: Any) -> None:
        out = result[0] if isinstance(result, tuple | list) and result else result
        if not isinstance(out, Tensor):
            return
        operands = [operand for operand in _tensors(args) if id(operand) in self.sources]
        source = frozenset().union(*(self.sources[id(operand)] for operand in operands))
        step = self._step(name.removesuffix("_"), args, out, operands)
        own = self._own(args)
        if not source:  # weights, reshaped or prepared: counted where they meet the image
            self.uncounted[id(out)] = own
            self.kept.append(out)
            return
        if step.type or own or name in PRODUCTS:
            source = frozenset({self._row(step, out, source, own, _macs(name, args, out))})
        for made in result if isinstance(result, tuple | list) else [result]:
            if isinstance(made, Tensor):
                self._note(made, step.fields, source)
                if step.type == "max pooling":
                    self.pools[id(made)] = max(source)

    def _step(self, name: str, args: Sequence[Any], out: Tensor, operands: list[Tensor]) -> Step:
        if "batch_norm" in name:
            return Step("batch norm", self._fields(args[0]))
        rule = RULES.get(name) or RULES.get(f"_{name}")
        if rule and args and isinstance(args[0], Tensor) and args[0].ndim == 4:
            return rule(self._fields(args[0]), out, *args)
        alike = [self._fields(operand) for operand in operands if operand.shape[-2:] == out.shape[-2:]]
        fields = together([field for field in alike if field]) if out.ndim >= 3 else None
        distinct = {self.sources[id(operand)] for operand in operands if operand.ndim == 4}
        kind = JOINS.get(name, "") if len(distinct) > 1 and out.ndim == 4 else ""
        if name in STACKED and out.ndim == 4 and args[0].ndim == 5 and len(self._sources(args[0])) > 1:
            kind = "addition"  # maps that were stacked to be joined
        if name in PRODUCTS:
            kind = "linear"
        return Step(kind, fields)

    # ---- our operations, whole ---------------------------------------------------------------------

    def max_pool(self, features: Tensor, kernel_size: int = 2) -> Any:
        """Follow a pooling that keeps its switches."""
        pooled, switches = self._whole(max_pool, features, kernel_size)
        step = RULES["max_pool2d"](self._fields(features), pooled, features, kernel_size)
        row = self._row(step, pooled, self._sources(features))
        self._note(pooled, step.fields, frozenset({row}))
        self.pools[id(switches)] = row
        self.kept.append(switches)
        return pooled, switches

    def max_unpool(self, features: Tensor, switches: Any, *rest: Any, **options: Any) -> Tensor:
        """Follow an unpooling, and remember whose switches it follows."""
        result: Tensor = self._whole(max_unpool, features, switches, *rest, **options)
        step = max_unpooling(self._fields(features), result, features)
        row = self._row(step, result, self._sources(features), switches_of=self.pools.get(id(switches)))
        self._note(result, step.fields, frozenset({row}))
        return result

    def _followed(self, operation: Callable[..., Tensor], rule: Rule) -> Callable[..., Tensor]:
        def substitute(features: Tensor, *rest: Any, **options: Any) -> Tensor:
            result: Tensor = self._whole(operation, features, *rest, **options)
            step = rule(self._fields(features), result, features, *rest, **options)
            self._note(result, step.fields, frozenset({self._row(step, result, self._sources(features))}))
            return result

        return substitute

    def _whole(self, operation: Callable[..., Any], *args: Any, **options: Any) -> Any:
        before, self.quiet = self.quiet, True
        try:
            return operation(*args, **options)
        finally:
            self.quiet = before

    # ---- what is written down ----------------------------------------------------------------------

    def _row(
        self,
        step: Step,
        out: Tensor,
        source: frozenset[int],
        parameters: int = 0,
        macs: int = 0,
        switches_of: int | None = None,
    ) -> int:
        fields = step.fields
        self.rows.append(
            LayerRow(
                name=self._name(step.type or "weights"),
                type=step.type or "weights",
                output=tuple(out.shape[1:]),
                parameters=parameters,
                macs=macs,
                stride=whole(float(max(fields.rows.stride, fields.columns.stride))) if fields else None,
                receptive_field=max(fields.rows.size, fields.columns.size) if fields else None,
                start=whole((fields.rows.start + fields.columns.start) / 2) if fields else None,
                detail=step.detail,
                inputs=tuple(sorted(source)),
                switches_of=switches_of,
            )
        )
        return len(self.rows) - 1

    def _name(self, kind: str) -> str:
        path = self.path[-1] if self.path else ""
        part = self.module.get_submodule(path)
        is_leaf = path and not any(True for _ in part.children())
        return path if is_leaf else f"{path}.{kind}".strip(".").replace(" ", "_")

    def _note(self, tensor: Tensor, fields: Fields | None, sources: frozenset[int]) -> None:
        self.kept.append(tensor)
        self.fields[id(tensor)], self.sources[id(tensor)] = fields, sources

    def _fields(self, tensor: Any) -> Fields | None:
        return self.fields.get(id(tensor))

    def _sources(self, tensor: Tensor) -> frozenset[int]:
        return self.sources.get(id(tensor), frozenset())

    def _own(self, args: Sequence[Any]) -> int:
        """Count the parameters that an operation uses and none before it did."""
        return sum(self.uncounted.pop(id(operand), 0) for operand in _tensors(args))


def _tensors(args: Iterable[Any]) -> Iterator[Tensor]:
    for argument in args:
        if isinstance(argument, Tensor):
            yield argument
        elif isinstance(argument, list | tuple):
            yield from _tensors(argument)


def _macs(name: str, args: Sequence[Any], out: Tensor) -> int:
    if name == "convolution":
        image, weight, transposed = args[0], args[1], args[6]
        places = image if transposed else out
        return math.prod([*weight.shape, *places.shape[2:], places.shape[0]])
    if name in PRODUCTS:
        return math.prod([out.numel(), args[PRODUCTS[name]].shape[-1]])
    return 0
