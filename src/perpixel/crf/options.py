"""What the CRF is told: two kernels, how often, how normalised; and what the papers told theirs.

    bilateral  weight 4, 49 px, 5 levels    near and of one colour: likely one class
    spatial    weight 3, 3 px               near: likely one class

Standard deviations are in pixels of the image and in levels of its colour (0 to 255 in eight bits).
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from perpixel.errors import UsageError

Normalization = Literal["symmetric", "after", "none"]
SpatialFilter = Literal["lattice", "gaussian"]
Backend = Literal["auto", "numba", "torch"]


@dataclass(frozen=True)
class CrfOptions:
    """How probabilities are refined.

    Args:
        bilateral: (weight, standard deviation in pixels, standard deviation in colour levels), or None for no such
            kernel.
        spatial: (weight, standard deviation in pixels), or None.
        iterations: Mean-field updates; 0 changes nothing but the clipping of near-zero probabilities.
        normalization: What a filtered map is divided by, where n is the filtered map of ones. "symmetric": √n before
            and after, as pydensecrf does; "after": n after, as the code of 2011 and DeepLab's do; "none": nothing.
        spatial_filter: "lattice" for the papers' approximation, "gaussian" for the exact sum of the spatial kernel.
        tile: Larger images are refined in overlapping tiles of this (H, W) in pixels; None takes any image whole.
        backend: "numba" is the fast one (extra `fast`), "torch" needs nothing more, "auto" takes the first there is.

    Raises:
        UsageError: A value cannot be used.

    Source: Krähenbühl & Koltun, NIPS 2011; the defaults are third-party scripts' for DeepLab v2
        (xmojiao/deeplab_v2, voc2012/run_densecrf.sh), with pydensecrf's normalisation.
    """

    bilateral: tuple[float, float, float] | None = (4.0, 49.0, 5.0)
    spatial: tuple[float, float] | None = (3.0, 3.0)
    iterations: int = 10
    normalization: Normalization = "symmetric"
    spatial_filter: SpatialFilter = "lattice"
    tile: tuple[int, int] | None = None
    backend: Backend = "auto"

    def __post_init__(self) -> None:
        _check_kernel("bilateral", self.bilateral, ("weight", "std in pixels", "std in colour levels"))
        _check_kernel("spatial", self.spatial, ("weight", "std in pixels"))
        if self.iterations not in range(1001):
            raise UsageError(f"crf: expected iterations from 0 to 1000, got {self.iterations!r}. Papers use 5 or 10.")
        _check_word("normalization", self.normalization, get_args(Normalization))
        _check_word("spatial_filter", self.spatial_filter, get_args(SpatialFilter))
        _check_word("backend", self.backend, get_args(Backend))
        if self.tile is not None and (len(self.tile) != 2 or min(self.tile) < 16):
            raise UsageError(f"crf: expected tile as (H, W) of at least 16 pixels, got {self.tile}. Try (1024, 1024).")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: numbers, words, lists and None, for JSON or YAML."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CrfOptions":
        """Return the options that `to_dict` gave; names left out keep their defaults.

        Raises:
            UsageError: A name is unknown or a value cannot be used.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UsageError(f"crf: expected the names {', '.join(sorted(known))}, got {unknown}. Remove these.")
        plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**plain)

    def replace(self, **changes: Any) -> "CrfOptions":
        """Return a copy with some values changed."""
        return replace(self, **changes)


def _check_kernel(name: str, values: tuple[float, ...] | None, parts: tuple[str, ...]) -> None:
    """Refuse a kernel with the wrong number of values, or a weight or deviation that is no length."""
    if values is None:
        return
    numbers = all(isinstance(value, int | float) and math.isfinite(value) for value in values)
    if len(values) != len(parts) or not numbers:
        raise UsageError(f"crf: expected {name} as {len(parts)} numbers ({', '.join(parts)}), got {values}.")
    if values[0] < 0 or min(values[1:]) <= 0:
        raise UsageError(
            f"crf: expected {name} with a weight of at least 0 and deviations above 0, got {values}. "
            f"Give None, or weight 0, to do without it."
        )


def _check_word(name: str, value: str, words: tuple[str, ...]) -> None:
    """Refuse a word that is not one of these."""
    if value not in words:
        raise UsageError(f"crf: expected {name} to be one of {', '.join(words)}, got {value!r}.")


def _released(weight: float, xy: float, rgb: float, spatial: tuple[float, float] = (3.0, 3.0)) -> CrfOptions:
    """Return what DeepLab's programs do: the 2011 code, which normalises after filtering."""
    return CrfOptions((weight, xy, rgb), spatial, 10, "after")


# DeepLab's values per model are known through third parties who copied them from its project pages: comments in
# torchlake's source; LargeFOV also in CoinCheung/Deeplab-Large-FOV; ResNet-101 also in kazuto1011/deeplab-pytorch,
# configs/voc12.yaml. The paper says spatial (3, 3) throughout (v1, Sec. 5); v2's shipped values differ.
PRESETS: dict[str, CrfOptions] = {
    "default": CrfOptions(),
    "deeplab-v1": _released(5, 50, 10),
    "deeplab-v1-msc": _released(3, 95, 3),
    "deeplab-v1-coco": _released(5, 67, 3),
    "deeplab-v1-largefov": _released(4, 121, 5),
    "deeplab-v1-msc-largefov": _released(4, 83, 5),
    "deeplab-v1-coco-largefov": _released(5, 69, 5),
    "deeplab-v1-msc-coco-largefov": _released(4, 59, 5),
    "deeplab-v2-vgg16": _released(4, 65, 3, (2, 2)),
    "deeplab-v2-resnet101": _released(4, 67, 3, (3, 1)),
    # HyeonwooNoh/DeconvNet, inference/generate_EDeconvNet_CRF_results.m. Its Densecrf class is not in the repository;
    # the normalisation is that of the library the class wraps (2013's, symmetric), which is uncertain.
    "deconvnet": CrfOptions((5, 20, 3), (3, 3), 10, "symmetric"),
    # maga33/TransferNet, inference/TransferNet_inference.m: for one label against the background, with the same class.
    "transfernet": CrfOptions((5, 20, 3), (3, 3), 10, "symmetric"),
    # torrvision/crfasrnn: TVG_CRFRNN_new_deploy.prototxt (deviations), spatial.par and bilateral.par (weights before
    # training), multi_stage_meanfield.cpp (normalised after). 5 iterations in training, 10 at test.
    "crf-as-rnn": CrfOptions((5, 160, 3), (3, 3), 10, "after"),
    # lucasb-eyer/pydensecrf, examples/inference.py.
    "pydensecrf": CrfOptions((10, 80, 13), (3, 3), 5, "symmetric"),
}


def find_preset(name: str) -> CrfOptions:
    """Return a preset by its name.

    Raises:
        UsageError: There is none; the message names the likeliest.
    """
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"crf: no preset named {name!r}. {hint}Known: {', '.join(PRESETS)}.")
