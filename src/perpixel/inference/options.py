"""How to predict: one set of options for every network, for `evaluate` and `predict`.

    looks     scales x mirror images x rotations, fused       or DeconvNet's: at likely objects
    samples   passes with dropout, averaged                   how sure it is
    tiles     with how much overlap, blended how              for what memory does not hold
    ensemble  a second network, asked too
    crf       last: sharp edges

Letters: H W pixels.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from perpixel.crf.options import CrfOptions
from perpixel.errors import UsageError
from perpixel.inference.ensemble import Ensemble
from perpixel.inference.proposals import Proposals

Fusion = Literal["max", "mean"]
Blend = Literal["linear", "hann", "mean", "none"]

MOST_ROTATIONS = 36


@dataclass(frozen=True)
class Options:
    """What is done with an image besides one look at the whole.

    Args:
        scales: The image is looked at in each of these sizes, relative to the size the network was trained at.
        fusion: "mean" averages the looks' probabilities; "max" takes each class's largest logit, as
            DeepLab v2 does (Sec. 4.1.2), and the softmax of those.
        flip: Look at the mirror image too.
        tile: (H, W) in pixels of the image; None takes whole images, and tiles where they are too large.
        overlap: How far neighbouring tiles overlap at least, in pixels of the image; None fits the tile.
        rotations: Look at the image turned by every multiple of 360° / N. 1, 2 and 4 are exact; for others the
            image is resampled, with its border mirrored outwards. 4 with `flip` are the eight symmetries of
            a square; 7 is U-Net's number (Sec. 4), whose angles the paper does not say.
        blend: How tiles are joined: "linear" and "hann" fade over the middle half of the overlap, "none" cuts in its
            middle, "mean" counts all tiles alike.
        samples: Passes with dropout, of which the mean is taken, as Bayesian SegNet does; 0 drops nothing.
        seed: Of the passes with dropout.
        crf: Refine the probabilities last by a fully connected CRF.
        proposals: Look at likely objects in place of the whole image, as DeconvNet does; takes no other looks.
        ensemble: Ask a second network too, which sees the whole image; takes no other looks, and no dropout.

    Raises:
        UsageError: A value cannot be used.
    """

    scales: tuple[float, ...] = (1.0,)
    fusion: Fusion = "mean"
    flip: bool = False
    tile: tuple[int, int] | None = None
    overlap: int | None = None
    rotations: int = 1
    blend: Blend = "linear"
    samples: int = 0
    seed: int = 0
    crf: CrfOptions | None = None
    proposals: Proposals | None = None
    ensemble: Ensemble | None = None

    def __post_init__(self) -> None:
        if not self.scales or not all(math.isfinite(scale) and 0 < scale <= 8 for scale in self.scales):
            raise UsageError(f"--scales: expected numbers above 0, up to 8, got {self.scales}. Try 0.75 1 1.25.")
        if self.fusion not in get_args(Fusion):
            raise UsageError(f"--fusion: expected max or mean, got {self.fusion!r}. The default is mean.")
        if not 1 <= self.rotations <= MOST_ROTATIONS:
            raise UsageError(f"--rotations: expected 1 to {MOST_ROTATIONS}, got {self.rotations}. 4 are exact.")
        if self.samples < 0:
            raise UsageError(f"--samples: expected at least 0, got {self.samples}. Bayesian SegNet's paper takes 50.")
        if self.proposals is not None and self.looks > 1:
            raise UsageError(
                "--proposals: expected one scale, no mirror image and no rotation, got more. Boxes are the looks then."
            )
        if self.ensemble is not None and (self.looks > 1 or self.samples):
            raise UsageError(
                "--ensemble: expected one scale, no mirror image, no rotation and no --samples, got more. Leave those."
            )
        if self.seed < 0:
            raise UsageError(f"seed: expected at least 0, got {self.seed}. The default is 0.")
        self._check_tiles()

    def _check_tiles(self) -> None:
        if self.blend not in get_args(Blend):
            raise UsageError(
                f"--blend: expected {', '.join(get_args(Blend))}, got {self.blend!r}. The default is linear."
            )
        if self.tile is not None and (len(self.tile) != 2 or min(self.tile) < 1):
            raise UsageError(f"--tile: expected H W of at least 1, got {self.tile}. Try 512 512.")
        if self.overlap is not None and self.overlap < 0:
            raise UsageError(f"--overlap: expected at least 0 pixels, got {self.overlap}. Try 64.")
        if self.tile is not None and self.overlap is not None and 2 * self.overlap > min(self.tile):
            raise UsageError(
                f"--overlap: expected at most half a tile of {self.tile[0]} × {self.tile[1]}, got "
                f"{self.overlap}. Take at most {min(self.tile) // 2}, or larger tiles."
            )

    def words(self) -> str:
        """Say in a line what is done."""
        said = ["scales " + ", ".join(f"{scale:g}" for scale in self.scales)]
        if self.proposals is not None:
            said = [
                f"at most {self.proposals.count} boxes ({self.proposals.finder}) joined by {self.proposals.aggregate}"
            ]
        said += [f"with {self.ensemble.run} by {self.ensemble.method}"] if self.ensemble else []
        said += ["mirrored too"] if self.flip else []
        said += [f"{self.rotations} rotations"] if self.rotations > 1 else []
        said += [f"fused by {self.fusion}"] if self.looks > 1 else []
        said += [f"{self.samples} passes with dropout"] if self.samples else []
        if self.tile is not None:
            overlap = "" if self.overlap is None else f" that share {self.overlap}"
            said += [f"tiles of {self.tile[0]} × {self.tile[1]} pixels{overlap} ({self.blend})"]
        said += ["then a CRF"] if self.crf else []
        return ", ".join(said)

    @property
    def looks(self) -> int:
        """How many times the network sees each image, or tile, in a pass."""
        return len(self.scales) * (1 + self.flip) * self.rotations

    def to_json(self) -> dict[str, Any]:
        """Return numbers, words, lists and None, from which `from_json` makes the same options again."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {**plain, "crf": self.crf.to_dict() if self.crf else None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Options":
        """Return the options that `to_json` gave; those left out keep their defaults.

        Raises:
            UsageError: There is no such option, or its value cannot be used.
        """
        if unknown := sorted(set(values) - {field.name for field in fields(cls)}):
            raise UsageError(f"options: no option named {', '.join(unknown)}. Remove it, or update perpixel.")
        given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        if given.get("crf") is not None:
            given["crf"] = CrfOptions.from_dict(given["crf"])
        if given.get("proposals") is not None:
            given["proposals"] = Proposals(**given["proposals"])
        if given.get("ensemble") is not None:
            given["ensemble"] = Ensemble(**given["ensemble"])
        return cls(**given)


DEFAULT = Options()
