"""Everything the verdicts need from a scan, in memory that grows by two kilobytes a pair and no more."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from perpixel.data.inspection.histogram import GREY, Held, Histogram, add_all
from perpixel.data.inspection.names import Color
from perpixel.data.inspection.scan import ImageFacts, MaskFacts, PairFacts, Size
from perpixel.data.pairs import Picture

BATCH = 64  # histograms added up at a time


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of a pair. `held` is None where its mask cannot be read."""

    image_size: Size | None
    mask_size: Size | None
    channels: int
    bits: int
    orientation: int
    image_alpha: bool
    mask_alpha: bool
    lossy: bool
    colors: bool
    grey: bool
    deep: bool
    digest: bytes
    held: Held | None
    image_error: str
    mask_error: str

    @property
    def usable(self) -> bool:
        """Whether both files can be read and have one size, once the mask is turned as EXIF says."""
        if self.image_size is None or self.mask_size is None:
            return False
        turned = self.orientation >= 5 and self.image_size == self.mask_size[::-1]
        return turned or self.image_size == self.mask_size


class Counts:
    """Histograms of one split, ids and colours apart; added up now and then."""

    def __init__(self) -> None:
        self._waiting: dict[bool, list[Histogram]] = {True: [], False: []}

    def add(self, counts: Histogram, colors: bool) -> None:
        """Add one mask's counts."""
        waiting = self._waiting[colors]
        waiting.append(counts)
        if len(waiting) >= BATCH:
            self._waiting[colors] = [add_all(waiting)]

    def total(self, colors: bool) -> Histogram:
        """Return the counts of ids; or of colours, with ids as greys among them."""
        found = add_all(self._waiting[colors])
        if not colors:
            return found
        ids = add_all(self._waiting[False])
        return add_all([found, Histogram(ids.values * GREY, ids.pixels, ids.images, ids.interior, ids.dropped)])


@dataclass
class Channels:
    """Exact sums of images with as many channels and bits."""

    pixels: int
    sums: tuple[int, ...]
    squares: tuple[int, ...]

    def add(self, image: ImageFacts) -> None:
        """Add one image's sums."""
        self.pixels += image.size[0] * image.size[1]
        self.sums = tuple(a + b for a, b in zip(self.sums, image.sums, strict=True))
        self.squares = tuple(a + b for a, b in zip(self.squares, image.squares, strict=True))


class Summary:
    """The reducer: takes the facts of a pair, or of an image without a mask, as they come, in any order."""

    def __init__(self, pairs: Sequence[Picture]) -> None:
        self.pairs = pairs
        self.records: list[Record | None] = [None] * len(pairs)
        self.sizes: Counter[Size] = Counter()
        self.counts: dict[str, Counts] = {}
        self.channels: dict[tuple[int, int], Channels] = {}
        self.palette: dict[int, Color] = {}
        self.paletted = 0

    @property
    def splits(self) -> set[str]:
        """The splits that have pairs."""
        return {pair.split for pair in self.pairs}

    def add(self, index: int, facts: PairFacts) -> None:
        """Take in the facts of pair number `index`."""
        image, mask, split = facts.image, facts.mask, self.pairs[index].split
        record = self.records[index] = _record(facts)
        if image is not None:
            self.sizes[image.size] += 1
        if image is None or mask is None or not record.usable:
            return
        self.counts.setdefault(split, Counts()).add(mask.counts, mask.colors)
        self._add_palette(mask)
        if split == "train":
            none = Channels(0, (0,) * image.channels, (0,) * image.channels)
            self.channels.setdefault((image.channels, image.bits), none).add(image)

    def _add_palette(self, mask: MaskFacts) -> None:
        if mask.palette:
            self.paletted += 1
            self.palette = mask.palette | self.palette

    def total(self, colors: bool) -> Histogram:
        """Return the counts over all splits."""
        return add_all([counts.total(colors) for counts in self.counts.values()])

    def statistics(self, channels: int, bits: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Return the training images' (mean, std) a channel, grey ones repeated, in stored units."""
        found = [(c, bits // b, group) for (c, b), group in self.channels.items() if c in (1, channels) and b <= bits]
        pixels = sum(group.pixels for *_, group in found)
        if not pixels:
            return None
        factor = {1: 1, 2: 257}  # 8 bits read as 16
        sums = [sum(g.sums[i % c] * factor[up] for c, up, g in found) for i in range(channels)]
        squares = [sum(g.squares[i % c] * factor[up] ** 2 for c, up, g in found) for i in range(channels)]
        variances = [(pixels * q - s * s) / pixels**2 for s, q in zip(sums, squares, strict=True)]
        return tuple(s / pixels for s in sums), tuple(float(v**0.5) for v in variances)


def _record(facts: PairFacts) -> Record:
    image, mask = facts.image, facts.mask
    return Record(
        image_size=image.size if image else None,
        mask_size=mask.size if mask else None,
        channels=image.channels if image else 0,
        bits=image.bits if image else 0,
        orientation=image.orientation if image else 1,
        image_alpha=bool(image and image.alpha),
        mask_alpha=bool(mask and mask.alpha),
        lossy=bool(mask and mask.lossy),
        colors=bool(mask and mask.colors),
        grey=bool(mask and mask.grey),
        deep=bool(mask and mask.bits > 8),
        digest=image.digest if image else b"",
        held=Held.of(mask.counts, colors=mask.colors) if mask else None,
        image_error=facts.image_error,
        mask_error=facts.mask_error,
    )
