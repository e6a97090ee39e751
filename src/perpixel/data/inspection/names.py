"""Class names that lie beside the data: classes.txt, label_colors.txt, class_dict.csv, labelmap.txt.

    sky                      one name a line; the line's number is the id
    0: sky      0 sky        an id and a name
    128 128 128  sky         a colour and a name (CamVid)
    sky,128,128,128          a name and a colour (class_dict.csv)
    sky:128,128,128::        a label map as CVAT writes it

Blank lines, comments (#) and a header line are passed over.
"""

import re
from dataclasses import dataclass
from pathlib import Path

Color = tuple[int, int, int]

NAME_FILES = (
    "classes.txt",
    "labels.txt",
    "class_names.txt",
    "names.txt",
    "codes.txt",
    "label_colors.txt",
    "label_colours.txt",
    "labelmap.txt",
    "class_dict.csv",
    "classes.csv",
    "labels.csv",
)
VOID_NAMES = frozenset(["void", "unlabelled", "unlabeled", "unlabel", "ignore", "ignored"])
MAX_BYTES = 1 << 20

_NUMBER = r"(\d{1,3})"
_COLOR_FIRST = re.compile(rf"^{_NUMBER}[\s,;]+{_NUMBER}[\s,;]+{_NUMBER}[\s,;]+(.+)$")
_COLOR_LAST = re.compile(rf"^(.+?)[\s,;:]+{_NUMBER}[\s,;]+{_NUMBER}[\s,;]+{_NUMBER}[:\s]*$")
_ID_FIRST = re.compile(r"^(\d+)\s*[:,;\s]\s*(\D.*)$")
_HEADER = re.compile(r"^(name|class|classes|label|id)\b.*[,;].*\b(r|red|name|color|colour)\b", re.IGNORECASE)


@dataclass(frozen=True)
class ClassList:
    """Names as somebody listed them, with the ids or colours that stood beside them."""

    names: tuple[str, ...]
    source: str
    ids: tuple[int, ...] | None = None
    colors: tuple[Color, ...] | None = None

    @property
    def listed(self) -> dict[int, str]:
        """Return id -> name; without ids, the first name is 0."""
        return dict(zip(self.ids or range(len(self.names)), self.names, strict=True))

    @property
    def lower(self) -> tuple[str, ...]:
        """The names in lower case."""
        return tuple(name.lower() for name in self.names)

    @property
    def color_of(self) -> dict[str, Color]:
        """Return name -> colour; empty where no colours are listed."""
        return dict(zip(self.names, self.colors or (), strict=False))


def is_void_name(name: str) -> bool:
    """Whether a listed name says that these pixels are not labelled."""
    return name.lower() in VOID_NAMES


def find_class_list(folder: Path) -> ClassList | None:
    """Return the names listed in `folder`, or None where no file lists any."""
    here = {path.name.lower(): path for path in folder.iterdir() if path.is_file()}
    for name in NAME_FILES:
        if name in here and (found := read_class_list(here[name])):
            return found
    return None


def read_class_list(path: Path) -> ClassList | None:
    """Return the names a file lists, or None where it lists none that can be told apart."""
    if path.stat().st_size > MAX_BYTES:
        return None
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines()]
    rows = [_parse(line) for line in lines if line and not line.startswith(("#", "//")) and not _HEADER.match(line)]
    names = tuple(name for name, _, _ in rows)
    if not names or len(set(names)) < len(names):
        return None
    ids = tuple(number for _, number, _ in rows if number is not None)
    colors = tuple(color for _, _, color in rows if color is not None)
    return ClassList(
        names,
        path.name,
        ids if len(set(ids)) == len(names) else None,
        colors if len(set(colors)) == len(names) else None,
    )


def _parse(line: str) -> tuple[str, int | None, Color | None]:
    """Return the name on a line, with the id or the colour beside it."""
    if match := _COLOR_FIRST.match(line):
        return _clean(match[4]), None, _color(match[1], match[2], match[3])
    if match := _COLOR_LAST.match(line):
        return _clean(match[1]), None, _color(match[2], match[3], match[4])
    if match := _ID_FIRST.match(line):
        return _clean(match[2]), int(match[1]), None
    return _clean(line), None, None


def _color(red: str, green: str, blue: str) -> Color | None:
    color = (int(red), int(green), int(blue))
    return color if max(color) < 256 else None


def _clean(name: str) -> str:
    return name.strip().strip("\"'").rstrip(":,;").strip()
