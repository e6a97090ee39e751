"""What the stored values mean: the question every data set asks, and the answer in one record."""

from dataclasses import dataclass, field

from perpixel.data.inspection.histogram import Held, Histogram
from perpixel.data.inspection.names import ClassList, Color

MAX_CLASSES = 255  # ids 0 to 254 fit one byte beside IGNORE


@dataclass(frozen=True)
class Evidence:
    """What the masks hold, before anybody says what it means.

    Args:
        total: Counts over all masks.
        masks: The masks' file names.
        held: The values each mask holds.
        listed: Class names that lie beside the data.
        deep: Whether any mask stores more than eight bits.
        lossy: Whether any mask is a JPEG.
        about: The data folder's name, the layout, and where the masks are; in lower case.
        paletted: Colour of each index, where the masks carry a palette.
    """

    total: Histogram
    masks: tuple[str, ...]
    held: tuple[Held, ...]
    listed: ClassList | None = None
    deep: bool = False
    lossy: bool = False
    about: str = ""
    paletted: dict[int, Color] = field(default_factory=dict)

    def holding(self, value: int) -> list[str]:
        """Return the names of the masks that hold a value."""
        return [mask for mask, held in zip(self.masks, self.held, strict=True) if value in held.values]


@dataclass(frozen=True)
class Verdict:
    """What each stored value means.

    Args:
        encoding: index, palette, rgb, binary or instance.
        classes: Names, in the order of the ids that training sees.
        values: The stored values of each class; the first is the one written back. Colours are packed.
        ignored: Stored values that neither loss nor metric counts.
        tolerance: How far a colour or level may lie from its class's own.
        colors: A colour a class, where the data has colours.
        notes: What was decided and why, in words.
    """

    encoding: str
    classes: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]
    ignored: tuple[int, ...] = ()
    tolerance: int = 0
    colors: tuple[Color, ...] | None = None
    notes: tuple[str, ...] = ()


def number_names(count: int) -> tuple[str, ...]:
    """Return class_0, class_1, …: names for classes that nobody named."""
    return tuple(f"class_{index}" for index in range(count))


def say(values: tuple[int, ...] | list[int], most: int = 12) -> str:
    """Return numbers as people write them: "0 to 11", "0, 3 and 7"."""
    if len(values) > 2 and values[-1] - values[0] == len(values) - 1:
        return f"{values[0]} to {values[-1]}"
    if len(values) > most:
        return f"{', '.join(map(str, values[:most]))}, … ({len(values)} values)"
    return " and ".join(filter(None, [", ".join(map(str, values[:-1])), str(values[-1])])) if values else "nothing"
