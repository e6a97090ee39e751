"""Predict a whole image of any size with any network: image -> logits.

    pixels -> normalise -> looks at each scale, mirrored or not -> logits at the image's size
           -> probabilities, fused over the looks -> blended over tiles -> argmax

Letters: N = 1 image, C channels, K classes, H W pixels.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from perpixel.data.masks import MaskCoding
from perpixel.data.normalization import Normalization
from perpixel.errors import UsageError
from perpixel.inference.options import DEFAULT, Options
from perpixel.inference.pixels import Source, as_pixels
from perpixel.inference.prediction import Prediction, Probabilities
from perpixel.inference.prepared import prepare_for_inference
from perpixel.inference.tiles import Block, Span, blend, spans
from perpixel.ops.resize import logits_at_scale, scaled_size

MEMORY = 4 * 10**9  # bytes that one look at a whole image may take; larger images are cut into tiles
NETWORK_BYTES = 1500  # of activations per pixel as the network sees it: U-Net's; FCN-8s needs 360, SegNet 1150
CLASS_BYTES = 12  # per class and pixel of the image: logits, their interpolation, probabilities
KEPT_BYTES = 64 * 10**6  # of probabilities that are kept without being asked for
OVERLAP = 128  # of automatic tiles, in pixels as the network sees them
MANY = 8  # images that repay the time of preparing for them
STRIDE = 32  # the coarsest of our networks; tiles begin at its multiples


class Segmenter:
    """A trained network, and what it takes to use it on photos.

    Args:
        network: image (N, C, H, W) -> logits (N, K, H, W). It is moved, and put in evaluation mode.
        classes: K names in the order of the ids.
        palette: K colours.
        normalization: What the network expects of pixels.
        scale: The size at which it sees an image, relative to the file (a recipe's `image_scale`).
        coding: How the data set's masks store class ids, for `original_values`.
        device: Where it runs; None leaves it where it is.
        bits: Of a channel, 8 or 16; None tells by the normalisation.
    """

    def __init__(
        self,
        network: nn.Module,
        classes: Sequence[str],
        palette: Sequence[tuple[int, int, int]],
        normalization: Normalization,
        scale: float = 1.0,
        coding: MaskCoding | None = None,
        device: torch.device | str | None = None,
        bits: int | None = None,
    ) -> None:
        if len(palette) != len(classes):
            raise UsageError(
                f"Segmenter: expected a colour for each of {len(classes)} classes, got {len(palette)}. "
                "Use perpixel.data.palette.distinct_colors."
            )
        self.device = torch.device(device) if device is not None else _device(network)
        self.network = network.eval().to(self.device)
        if self.device.type == "cpu":
            self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.classes, self.palette = tuple(classes), tuple(palette)
        self.normalization, self.scale, self.coding = normalization, scale, coding
        self.bits = bits or (16 if max(map(abs, normalization.mean)) > 255 else 8)
        self._prepares = False

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.classes)

    @property
    def channels(self) -> int:
        """C, of an image."""
        return self.normalization.channels

    def prepare(self, image_size: tuple[int, int]) -> "Segmenter":
        """Make prediction faster for images of about this size, and return self; labels change by rounding alone.

        It takes the time of a few images, so it pays for many. Every size is still accepted.

        Args:
            image_size: (H, W) in pixels of the image.
        """
        self._prepares = False
        self.network = prepare_for_inference(self.network, scaled_size(image_size, self.scale), self.channels)
        return self

    def expect(self, images: int) -> "Segmenter":
        """Say how many images will come, and return self; if it pays, the first one begins with `prepare`.

        `perpixel predict` and `evaluate` do it.

        Args:
            images: 8 or more make a CPU prepare.
        """
        self._prepares = images >= MANY and self.device.type == "cpu"
        return self

    def predict(self, source: Source, options: Options = DEFAULT, *, probabilities: bool = False) -> Prediction:
        """Label every pixel.

        Memory stays below about 4 GB however large the image is, besides 8 bytes a pixel for the ids
        and 4·K bytes a pixel for probabilities, where those are asked for.

        Args:
            source: A path, a PIL image, or uint8 or uint16 pixels (H, W, C) or (H, W).
            options: Scales, mirror images, tiles.
            probabilities: Keep them even where they need more than 64 MB.

        Raises:
            DataError: The file cannot be read, or its channels do not fit the network.
            UsageError: Not an image.
        """
        pixels = self.read(source)
        height, width = pixels.shape[:2]
        keep = probabilities or 4 * self.num_classes * height * width <= KEPT_BYTES
        ids, kept = self._predict(pixels, options, keep)
        return Prediction(
            pixels, ids.astype(np.int64), self.classes, self.palette, self.coding, kept,
            compute=lambda: self.probabilities(pixels, options),
        )  # fmt: skip

    def read(self, source: Source) -> NDArray[Any]:
        """Return the pixels (H, W, C) that the network expects."""
        return as_pixels(source, self.channels, self.bits)

    def ids(self, pixels: NDArray[Any], options: Options = DEFAULT) -> NDArray[np.uint8]:
        """Return class ids (H, W) of what `read` returned, and nothing else."""
        return self._predict(pixels, options, keep=False)[0]

    def probabilities(self, pixels: NDArray[Any], options: Options = DEFAULT) -> Probabilities:
        """Return probabilities (K, H, W) of what `read` returned."""
        kept = self._predict(pixels, options, keep=True)[1]
        assert kept is not None
        return kept

    def blocks(self, pixels: NDArray[Any], options: Options = DEFAULT) -> Iterator[Block]:
        """Yield probabilities part by part, each as soon as it is known, from the top to the bottom.

        A small image is one block. Nothing of a block is kept here.
        """
        rows, columns = self._plan(pixels.shape[0], pixels.shape[1], options)
        yield from blend(rows, columns, lambda r, c: self._look(pixels[r, c], options))

    def _predict(
        self, pixels: NDArray[Any], options: Options, keep: bool
    ) -> tuple[NDArray[np.uint8], Probabilities | None]:
        size = pixels.shape[:2]
        ids = np.empty(size, np.uint8)
        kept = np.empty((self.num_classes, *size), np.float32) if keep else None
        for rows, columns, values in self.blocks(pixels, options):
            ids[rows, columns] = values.argmax(0).to(torch.uint8).cpu().numpy()
            if kept is not None:
                kept[:, rows, columns] = values.cpu().numpy()
        return ids, kept

    def _plan(self, height: int, width: int, options: Options) -> tuple[list[Span], list[Span]]:
        """Decide on tiles: those asked for, else none where the whole image fits into `MEMORY`."""
        seen = self.scale * max(options.scales)
        if options.tile is not None:
            tile, overlap = options.tile, min(options.tile) // 4 if options.overlap is None else options.overlap
        else:
            tile, overlap = self._tile(height, width, seen, options.overlap)
        align = max(1, round(STRIDE / self.scale))
        return spans(height, tile[0], overlap, align), spans(width, tile[1], overlap, align)

    def _tile(self, height: int, width: int, seen: float, overlap: int | None) -> tuple[tuple[int, int], int]:
        largest = MEMORY / (NETWORK_BYTES * seen**2 + CLASS_BYTES * self.num_classes)
        if height * width <= largest:
            return (height, width), 0
        side = max(1, math.isqrt(int(largest)))
        return (side, side), min(round(OVERLAP / self.scale) if overlap is None else overlap, side // 2)

    @torch.inference_mode()
    def _look(self, pixels: NDArray[Any], options: Options) -> Float[Tensor, "K h w"]:
        """Return the probabilities of one tile, fused over scales and mirror images."""
        if self._prepares:
            self.prepare((pixels.shape[0], pixels.shape[1]))
        image = torch.from_numpy(self.normalization.apply(pixels)).to(self.device)
        fused, count = None, 0
        for scale in options.scales:
            for flipped in (False, True) if options.flip else (False,):
                logits = self._logits(image, self.scale * scale, flipped)
                look = logits if options.fusion == "max" else logits.softmax(0)
                fused, count = look if fused is None else _fuse(fused, look, options.fusion), count + 1
        assert fused is not None
        return fused.softmax(0) if options.fusion == "max" else fused.div_(count) if count > 1 else fused

    def _logits(self, image: Float[Tensor, "1 C h w"], scale: float, flipped: bool) -> Float[Tensor, "K h w"]:
        logits = logits_at_scale(self.network, image.flip(-1) if flipped else image, scale)[0].float()
        if logits.shape != (self.num_classes, *image.shape[-2:]):
            raise UsageError(
                f"predict: expected logits of shape (1, {self.num_classes}, {image.shape[-2]}, {image.shape[-1]}), "
                f"got {(1, *logits.shape)}. Name as many classes as the network has."
            )
        return logits.flip(-1) if flipped else logits


def _fuse(fused: Tensor, look: Tensor, fusion: str) -> Tensor:
    return torch.maximum(fused, look, out=fused) if fusion == "max" else fused.add_(look)


def _device(network: nn.Module) -> torch.device:
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
