"""What a layer table holds: one row for each step that changes what an element sees, or that has weights.

Letters: C channels, H W size of a map.
"""

from dataclasses import asdict, dataclass
from typing import Any

KINDS = (
    "convolution", "deconvolution", "max pooling", "average pooling", "unpooling", "interpolation",
    "concatenation", "addition", "product", "batch norm", "response norm", "linear", "weights",
)  # fmt: skip


@dataclass(frozen=True)
class LayerRow:
    """One step of a network.

    Attributes:
        name: Where it is called: the path of the innermost module, with the kind if that module does several.
        type: One of `KINDS`.
        output: (C, H, W); shorter where it is no map.
        parameters: Numbers learned here and counted in no row above.
        macs: Multiply-adds for one image; convolutions, deconvolutions and matrix products count.
        stride: Pixels from one element to the next; None where that is lost, as after flattening.
        receptive_field: Side of the square that an element sees, in pixels; None where that is lost.
        start: Pixel at which element 0 lies, the mean of rows and columns; None where that is lost.
        detail: Kernel, stride, dilation and groups in words.
        inputs: Indices of the rows that it reads; -1 is the image.
        switches_of: Index of the pooling whose switches it follows, if it is an unpooling.
    """

    name: str
    type: str
    output: tuple[int, ...]
    parameters: int
    macs: int
    stride: float | None
    receptive_field: int | None
    start: float | None = None
    detail: str = ""
    inputs: tuple[int, ...] = ()
    switches_of: int | None = None


@dataclass(frozen=True)
class Explained:
    """A network, laid out.

    Attributes:
        name: Of the network.
        image_size: (H, W) that sizes and multiply-adds are for.
        parameters: Of the whole network.
        macs: For one image of that size.
        output_stride: Of the coarsest map, in pixels.
        receptive_field: Of one element of the coarsest map, in pixels.
        layers: In the order in which they run.
    """

    name: str
    image_size: tuple[int, int]
    parameters: int
    macs: int
    output_stride: float | None
    receptive_field: int | None
    layers: tuple[LayerRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data: numbers, lists and strings."""
        document = asdict(self)
        document["layers"] = [{**row, "output": list(row["output"])} for row in document["layers"]]
        return document


def whole(number: float) -> float | int:
    """Return a float without a fraction as an int, so that 32.0 prints as 32."""
    return int(number) if float(number).is_integer() else round(number, 4)
