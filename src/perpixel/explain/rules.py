"""How each of PyTorch's operations changes what is seen: one small function an operation.

Operations are known by their names below Python (`aten`), where modules, functions and methods of a tensor
have become the same few calls. What is not listed here and keeps the size of a map works on each value alone.

Letters: H W size of a map.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn import functional

from perpixel.explain.layers import whole
from perpixel.explain.seen import Seen, deconvolved, joined, resized, sliced, windowed
from perpixel.ops import bilinear as ours_bilinear
from perpixel.ops import zoom as ours_zoom
from perpixel.ops.receptive_field import Layer


class Fields(NamedTuple):
    """What an element sees along rows and along columns."""

    rows: Seen
    columns: Seen

    def each(self, change: Callable[[Seen, int], Seen]) -> "Fields":
        """Change both; the second argument is the axis, 0 rows and 1 columns."""
        return Fields(change(self.rows, 0), change(self.columns, 1))


class Step(NamedTuple):
    """What an operation did.

    Attributes:
        type: Its row's type; empty where it earns none.
        fields: Of its result; None where they are lost.
        detail: For the row.
    """

    type: str
    fields: Fields | None
    detail: str = ""


Sizes = tuple[int, int]


def pair(value: Any) -> tuple[int, int]:
    """Return a number, a list of one or a list of two, as two."""
    if isinstance(value, int):
        return value, value
    return (value[0], value[-1]) if len(value) else (0, 0)


def sizes(tensor: Tensor) -> Sizes:
    """Return (H, W)."""
    return tensor.shape[-2], tensor.shape[-1]


def describe(kernel: Sizes, stride: Sizes, dilation: Sizes = (1, 1), groups: int = 1) -> str:
    """Return kernel, stride, dilation and groups in words, without what is 1."""
    words = [f"{kernel[0]} x {kernel[1]}"]
    words += [f"stride {stride[0]}"] * (stride != (1, 1))
    words += [f"dilation {dilation[0]}"] * (dilation != (1, 1))
    words += [f"{groups} groups"] * (groups != 1)
    return ", ".join(words)


def convolution(fields: Fields | None, out: Tensor, image: Tensor, weight: Tensor, *rest: Any) -> Step:
    """Follow aten.convolution: (…, bias, stride, padding, dilation, transposed, output_padding, groups)."""
    _, stride, padding, dilation, transposed, _, groups = rest
    if weight.ndim != 4:
        return Step("convolution", None)
    kernel, stride, padding, dilation = sizes(weight), pair(stride), pair(padding), pair(dilation)
    follow = deconvolved if transposed else windowed
    layers = [Layer(*numbers) for numbers in zip(kernel, stride, padding, dilation, strict=True)]
    moved_fields = fields and fields.each(lambda seen, axis: follow(seen, layers[axis]))
    kind = "deconvolution" if transposed else "convolution"
    return Step(kind, moved_fields, describe(kernel, stride, dilation, groups))


def pooling(fields: Fields | None, out: Tensor, image: Tensor, kernel: Any, *rest: Any) -> Step:
    """Follow max_pool2d_with_indices and avg_pool2d: (kernel, stride, padding, [dilation, …])."""
    kernel = pair(kernel)
    stride = pair(rest[0]) if len(rest) > 0 and rest[0] else kernel
    padding = pair(rest[1]) if len(rest) > 1 else (0, 0)
    layers = [Layer(*numbers) for numbers in zip(kernel, stride, padding, strict=True)]
    return Step("", fields and fields.each(lambda seen, axis: windowed(seen, layers[axis])), describe(kernel, stride))


def max_pooling(fields: Fields | None, out: Tensor, image: Tensor, kernel: Any, *rest: Any) -> Step:
    """Follow a max pooling, dilation included."""
    holes = pair(rest[2]) if len(rest) > 2 else (1, 1)
    spread = tuple(hole * (side - 1) + 1 for side, hole in zip(pair(kernel), holes, strict=True))
    step = pooling(fields, out, image, spread, rest[0] if rest and rest[0] else pair(kernel), *rest[1:2])
    return step._replace(type="max pooling")


def average_pooling(fields: Fields | None, out: Tensor, image: Tensor, kernel: Any, *rest: Any) -> Step:
    """Follow an average pooling."""
    return pooling(fields, out, image, kernel, *rest)._replace(type="average pooling")


def adaptive_pooling(fields: Fields | None, out: Tensor, image: Tensor, *rest: Any) -> Step:
    """Follow a pooling to a given size; the field is lost where bins differ in size."""
    before, now = sizes(image), sizes(out)
    if any(length % bins for length, bins in zip(before, now, strict=True)):
        return Step("average pooling", None)
    kernel = (before[0] // now[0], before[1] // now[1])
    return average_pooling(fields, out, image, kernel)


def mean(fields: Fields | None, out: Tensor, image: Tensor, *rest: Any) -> Step:
    """Follow a mean over rows and columns."""
    return (
        adaptive_pooling(fields, out, image) if out.ndim == 4 and image.shape[:2] == out.shape[:2] else Step("", None)
    )


def max_unpooling(fields: Fields | None, out: Tensor, features: Tensor, *rest: Any) -> Step:
    """Follow max_unpool2d: every value somewhere in its cell."""
    return _resized(fields, out, features, taps=1)._replace(type="unpooling", detail="")


def nearest(fields: Fields | None, out: Tensor, features: Tensor, *rest: Any) -> Step:
    """Follow a nearest interpolation."""
    return _resized(fields, out, features, taps=1)


def bilinear(fields: Fields | None, out: Tensor, features: Tensor, *rest: Any) -> Step:
    """Follow a bilinear interpolation: (size, align_corners, …)."""
    return _resized(fields, out, features, taps=2, corners=bool(rest[1]))


def bicubic(fields: Fields | None, out: Tensor, features: Tensor, *rest: Any) -> Step:
    """Follow a bicubic interpolation: (size, align_corners, …)."""
    return _resized(fields, out, features, taps=4, corners=bool(rest[1]))


def _resized(fields: Fields | None, out: Tensor, features: Tensor, taps: int, corners: bool = False) -> Step:
    factors = [ratio(before, now, corners) for before, now in zip(sizes(features), sizes(out), strict=True)]
    words = {1: "nearest", 2: "bilinear", 4: "bicubic"}[taps] + (", corners aligned" if corners else "")
    change = fields and fields.each(lambda seen, axis: resized(seen, factors[axis], taps, corners))
    return Step("interpolation", change, words)


def ratio(before: int, now: int, corners: bool = False) -> Fraction:
    """Return how many elements stand for one.

    Rounded sizes hide it: 23 from 45 is halved, and 45 from 23 doubled and cropped.
    """
    if corners and before > 1 and now > 1:
        return Fraction(now - 1, before - 1)
    whole_factor = max(1, round(now / before))
    if 0 <= whole_factor * before - now < whole_factor:
        return Fraction(whole_factor)
    return Fraction(now, before).limit_denominator(32)


def padding(fields: Fields | None, out: Tensor, features: Tensor, amounts: Sequence[int], *rest: Any) -> Step:
    """Follow a padding or a crop: (left, right, top, bottom); what is mirrored is not seen twice."""
    left, top = amounts[0], amounts[2] if len(amounts) > 2 else 0
    return Step("", fields and fields.each(lambda seen, axis: sliced(seen, -(top, left)[axis])))


def slicing(fields: Fields | None, out: Tensor, features: Tensor, axis: int = 0, *rest: Any) -> Step:
    """Follow features[..., start:end:step, :]."""
    start, step = (rest[0] or 0) if rest else 0, rest[2] if len(rest) > 2 else 1
    place = axis % features.ndim - (features.ndim - 2)
    if place < 0:
        return Step("", fields)
    start = max(start + features.shape[axis], 0) if start < 0 else start

    def change(seen: Seen, which: int) -> Seen:
        return seen if which != place else sliced(seen, start, step)

    return Step("", fields and fields.each(change))


def indexing(fields: Fields | None, out: Tensor, features: Tensor, *rest: Any) -> Step:
    """Follow a gathering of rows or columns, as a border that is mirrored several times: alike on both sides."""
    excess = [now - before for now, before in zip(sizes(out), sizes(features), strict=True)]
    return Step("", fields and fields.each(lambda seen, axis: sliced(seen, -(excess[axis] // 2))))


def pixel_shuffle(fields: Fields | None, out: Tensor, features: Tensor, *rest: Any) -> Step:
    """Follow channels that become pixels."""
    return _resized(fields, out, features, taps=1)._replace(detail="pixel shuffle")


def bilinear_deconvolution(
    fields: Fields | None,
    out: Tensor,
    features: Tensor,
    stride: int,
    kernel_size: int | None = None,
    offset: int = 0,
    size: Sizes | None = None,
) -> Step:
    """Follow our fixed deconvolution, and its crop."""
    layer = Layer(kernel_size or 2 * stride, stride)
    change = fields and fields.each(lambda seen, _: sliced(deconvolved(seen, layer), offset))
    words = f"{layer.kernel_size} x {layer.kernel_size}, stride {stride}, bilinear, fixed"
    return Step("deconvolution", change, words + (f", crop {offset}" if offset else ""))


def enlarge(fields: Fields | None, out: Tensor, features: Tensor, stride: float, start: float, size: Sizes) -> Step:
    """Follow our interpolation of a map whose element i lies at `start` + `stride`·i of the result."""
    factor, begin = fraction(stride), fraction(start)
    change = fields and fields.each(lambda seen, _: resized(seen, factor, start=begin))
    return Step("interpolation", change, f"bilinear, x {whole(stride)}")


def zoom(
    fields: Fields | None, out: Tensor, features: Tensor, size: Sizes, step: float | Sizes, start: float = 0.0
) -> Step:
    """Follow our interpolation at places `start` + `step`·i of the map."""
    steps = step if isinstance(step, tuple) else (step, step)
    factors = [1 / fraction(each) if each else Fraction(1) for each in steps]
    places = [-fraction(start) * factor for factor in factors]
    change = fields and fields.each(lambda seen, axis: resized(seen, factors[axis], start=places[axis]))
    return Step("interpolation", change, f"bilinear, x {whole(float(factors[0]))}, corners aligned")


def response_norm(fields: Fields | None, out: Tensor, features: Tensor, *rest: Any, **options: Any) -> Step:
    """Follow a normalisation across channels."""
    return Step("response norm", fields)


def fraction(number: float) -> Fraction:
    """Return a number as a fraction of small numbers, exact for halves to sixty-fourths."""
    return Fraction(number).limit_denominator(64)


def together(fields: Sequence[Fields]) -> Fields | None:
    """Return what an element sees that is made of several."""
    if not fields:
        return None
    return Fields(joined([field.rows for field in fields]), joined([field.columns for field in fields]))


Rule = Callable[..., Step]

RULES: dict[str, Rule] = {
    "convolution": convolution,
    "max_pool2d_with_indices": max_pooling,
    "max_pool2d": max_pooling,
    "avg_pool2d": average_pooling,
    "_adaptive_avg_pool2d": adaptive_pooling,
    "adaptive_max_pool2d": adaptive_pooling,
    "mean": mean,
    "max_unpool2d": max_unpooling,
    "upsample_nearest2d": nearest,
    "_upsample_nearest_exact2d": nearest,
    "upsample_bilinear2d": bilinear,
    "_upsample_bilinear2d_aa": bilinear,
    "upsample_bicubic2d": bicubic,
    "_upsample_bicubic2d_aa": bicubic,
    "constant_pad_nd": padding,
    "reflection_pad2d": padding,
    "replication_pad2d": padding,
    "slice": slicing,
    "index": indexing,
    "index_select": indexing,
    "pixel_shuffle": pixel_shuffle,
}

# Ours, and one of PyTorch's, that are followed whole: below Python they are a dozen operations that hide what they do
WHOLE: dict[Callable[..., Any], Rule] = {
    ours_bilinear.bilinear_deconvolution: bilinear_deconvolution,
    ours_bilinear.enlarge: enlarge,
    ours_zoom.zoom: zoom,
    functional.local_response_norm: response_norm,
}
