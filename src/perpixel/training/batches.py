"""From pairs on disk to batches of tensors, prefetched while the network computes."""

import signal
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from perpixel.data.dataset import Dataset as PairedDataset
from perpixel.data.dataset import Pair, Picture
from perpixel.data.masks import IGNORE
from perpixel.data.normalization import Normalization
from perpixel.data.transforms import Transform, augment
from perpixel.data.view import View
from perpixel.data.windows import Box, alone, background_id, draw_object, propose, tight_box, window_view
from perpixel.errors import DataError
from perpixel.ops.resize import scaled_size
from perpixel.training.order import SampleOrder, sample_generator
from perpixel.training.recipe import Recipe

Plain = tuple[NDArray[Any], NDArray[np.uint8], str]  # pixels, target, name
Labelled = tuple[NDArray[Any], NDArray[np.uint8], str, NDArray[np.float32]]  # and labels
Sample = Plain | Labelled

CACHE_BYTES = 1 << 30
AHEAD = 4


@dataclass(frozen=True)
class Batch:
    """Pixels and targets as stored integers; the device normalises them.

    Letters: N batch, C channels, L labels, H W pixels. `counter` is the number of the batch's first sample.
    """

    pixels: Tensor  # (N, H, W, C) uint8 or uint16
    target: Tensor  # (N, H, W) uint8, IGNORE where nothing counts
    names: tuple[str, ...]
    labels: Tensor | None = None  # (N, L) float, 0 or 1: what an image shows, or what is asked of it


class TrainingSamples(Dataset[Any]):
    """Augmented samples, addressed by their number in the run.

    Args:
        dataset: Where pairs are read from.
        recipe: Crop, scale and augmentation.
        seed: With the sample's number, decides everything that is random about it.
        fill: Pixel value outside the image, per channel, in stored units.
        transform: A user's own change of the crop and its target, after ours.
    """

    def __init__(
        self,
        dataset: PairedDataset,
        recipe: Recipe,
        seed: int,
        fill: tuple[float, ...],
        transform: Transform | None = None,
    ) -> None:
        self.dataset = dataset
        self.pairs = self.listed(dataset)
        self.order = SampleOrder(len(self.pairs), seed)
        self.recipe = recipe
        self.seed = seed
        self.fill = fill if recipe.windows is None else (0.0,) * len(fill)
        self.background = background_id(dataset.classes)
        self.transform = transform
        low, high = (factor * recipe.image_scale for factor in recipe.augmentation.scale)
        self.augmentation = recipe.augmentation.model_copy(update={"scale": (low, high)})
        self._cache = PixelCache(CACHE_BYTES)

    def listed(self, dataset: PairedDataset) -> Sequence[Picture]:
        """Return what is trained on: images with masks."""
        return dataset.pairs("train")

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, counter: int) -> Sample:
        """Return sample number `counter`: pixels, target and the pair's name."""
        pair = self.pairs[self.order[counter]]
        pixels, target = self._cache.get(self.dataset, pair)
        size = self.recipe.crop_size or scaled_size(target.shape, self.recipe.image_scale)
        generator = sample_generator(self.seed, counter)
        view = None
        if self.recipe.windows is not None:
            view, target = self.window(target, size, generator)
        pixels, target = augment(pixels, target, size, self.augmentation, generator, self.fill, view)
        if self.transform is not None:
            pixels, target = self.transform(pixels, target, generator)
        return pixels, target, pair.name

    def window(
        self, target: NDArray[np.uint8], size: tuple[int, int], generator: np.random.Generator
    ) -> tuple[View, NDArray[np.uint8]]:
        """Return a view of one object, and the labels that count in it; of the whole image where it shows none."""
        windows, height, width = self.recipe.windows, *target.shape
        assert windows is not None
        drawn = draw_object(target, self.background, generator)
        box = Box(0, 0, height, width) if drawn is None else tight_box(drawn[1])
        if drawn is not None and windows.kind == "proposal":
            box = propose(box, windows.min_iou, generator)
        if drawn is not None and windows.kind == "object":
            target = alone(target, drawn[0], self.background)
        around = box.square(windows.context if drawn is not None else 1.0)
        return window_view((height, width), around, windows.side, size, self.augmentation.flip, generator), target


class PixelCache:
    """Keep decoded pairs in memory as long as they fit, so that each file is decoded once.

    The network, not the disk, should be what a small data set waits for.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._held: OrderedDict[str, tuple[NDArray[Any], NDArray[np.uint8]]] = OrderedDict()
        self._lock = Lock()

    def get(self, dataset: PairedDataset, pair: Picture) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Return the decoded pair, from memory if it is there; all ignored where an image has no mask."""
        key = f"{pair.split}/{pair.name}"
        held = self._held.get(key)
        if held is not None:
            return held
        pixels, target = read_picture(dataset, pair)
        with self._lock:
            size = pixels.nbytes + target.nbytes
            if key not in self._held and self.used + size <= self.limit:
                self._held[key] = (pixels, target)
                self.used += size
        return pixels, target

    def __getstate__(self) -> dict[str, Any]:
        """Start empty in a worker process; a lock and a cache do not travel."""
        return {"limit": self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["limit"])  # type: ignore[misc]


def read_picture(dataset: PairedDataset, picture: Picture) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return pixels and target; without a mask the target is ignored everywhere."""
    if isinstance(picture, Pair):
        return dataset.read(picture)
    pixels = dataset.read_pixels(picture)
    return pixels, np.full(pixels.shape[:2], IGNORE, np.uint8)


def normalize(pixels: Tensor, normalization: Normalization) -> Tensor:
    """Return stored pixels (N, H, W, C) as an image (N, C, H, W), on the device where they are.

    The same numbers as `Normalization.apply`, which works on arrays.
    """
    rows = pixels.flatten(2).float()  # a row of an image at a time: three channels are too few for a vector
    mean, std = (rows.new_tensor(values).repeat(pixels.shape[2]) for values in (normalization.mean, normalization.std))
    image = rows.sub_(mean).mul_(1 / std).view(pixels.shape).permute(0, 3, 1, 2)
    return image.flip(1) if normalization.order == "bgr" else image


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples; whole images of different sizes are padded at the right and bottom, and ignored there."""
    height = max(sample[0].shape[0] for sample in samples)
    width = max(sample[0].shape[1] for sample in samples)
    first = samples[0][0]
    pixels = np.zeros((len(samples), height, width, first.shape[2]), first.dtype)
    target = np.full((len(samples), height, width), IGNORE, np.uint8)
    for index, (shown, ids, *_) in enumerate(samples):
        h, w = ids.shape
        pixels[index, :h, :w] = shown
        target[index, :h, :w] = ids
    names = tuple(sample[2] for sample in samples)
    labels = [sample[3] for sample in samples if len(sample) == 4]
    stacked = torch.from_numpy(np.stack(labels)) if labels else None
    return Batch(torch.from_numpy(pixels), torch.from_numpy(target), names, stacked)


def stream(samples: TrainingSamples, batch_size: int, start: int, stride: int, workers: int) -> Iterator[Batch]:
    """Yield batches without end, beginning with sample number `start`.

    Args:
        samples: Addressed by number.
        batch_size: Samples in each batch of this process.
        start: Number of the first sample of the first batch.
        stride: Samples from the start of one batch to the start of the next, over all processes.
        workers: 0 prefetches in threads of this process; n starts n processes.

    Raises:
        DataError: A file cannot be read.
    """
    if workers:
        yield from _loaded(samples, _Endless(batch_size, start, stride), workers)
    else:
        yield from _prefetched(samples, batch_size, start, stride)


def _loaded(samples: TrainingSamples, order: "_Endless", workers: int) -> Iterator[Batch]:
    """Prepare batches in worker processes."""
    try:
        yield from DataLoader(
            samples,
            batch_sampler=order,
            num_workers=workers,
            collate_fn=collate,
            prefetch_factor=2,
            persistent_workers=True,
            worker_init_fn=_leave_interrupts,
        )
    except DataError as error:  # PyTorch puts the worker's traceback into the message
        raise DataError(str(error).rpartition(f"{DataError.__name__}: ")[2].strip()) from None


def _leave_interrupts(_: int) -> None:
    """Let the process that trains decide when Ctrl-C stops; a terminal sends it to workers too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Endless(Sampler[list[int]]):
    def __init__(self, batch_size: int, start: int, stride: int) -> None:
        self.batch_size, self.start, self.stride = batch_size, start, stride

    def __iter__(self) -> Iterator[list[int]]:
        first = self.start
        while True:
            yield list(range(first, first + self.batch_size))
            first += self.stride


def _prefetched(samples: TrainingSamples, batch_size: int, start: int, stride: int) -> Iterator[Batch]:
    """Prepare a few batches ahead in one thread: decoding and resampling release the interpreter's lock."""

    def prepare(first: int) -> Batch:
        return collate([samples[first + i] for i in range(batch_size)])

    with ThreadPoolExecutor(1, thread_name_prefix="perpixel-batches") as pool:
        waiting: list[Future[Batch]] = []
        try:
            while True:
                while len(waiting) < AHEAD:
                    waiting.append(pool.submit(prepare, start))
                    start += stride
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()
