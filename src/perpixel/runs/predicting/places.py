"""Where an image's predictions go, and whether they may: cheap for a hundred thousand, as folders are looked up once.

Nothing is written onto an image, outside the folder, or onto the prediction of another image of the same name.
"""

import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path

from perpixel.data.geotiff import lies_on_a_map
from perpixel.errors import UsageError
from perpixel.runs.predicting.inputs import Input


class Places:
    """The files of every image.

    Args:
        out: The folder; it exists.
        suffixes: How the names of one image's files end, the class ids first; or with a star for the name.
        inputs: All images, none of which is to be replaced.
        sources: Name -> its image's path relative to the folder, of what was predicted into it earlier.
        overwrite: Predictions may be replaced by those of another image.
        maps: Names of images whose class ids are written as GeoTIFFs.
    """

    def __init__(
        self,
        out: Path,
        suffixes: Sequence[str],
        inputs: Sequence[Input],
        sources: Mapping[str, str],
        overwrite: bool,
        maps: Collection[str] = frozenset(),
    ) -> None:
        self.out, self.suffixes, self.overwrite, self.maps = out, tuple(suffixes), overwrite, set(maps)
        self.sources = dict(sources)
        self.real = os.path.realpath(out)
        self.inside = cache(self._inside)
        self.origin = cache(self._origin)
        self.inputs = inputs

    @cached_property
    def originals(self) -> frozenset[str]:
        """Real paths of the images that lie below the folder: only those might be replaced."""
        return frozenset(place for item in self.inputs if (place := self._below(item.source)))

    def paths(self, item: Input) -> list[Path]:
        """Return an image's files."""
        return [self.out / name for name in self.names(item.name)]

    def names(self, name: str) -> list[str]:
        """Return the names of the files of an image of some name."""
        return names_of(name, self.suffixes, on_map=name in self.maps)

    def check(self, item: Input) -> list[str]:
        """Return the names of an image's files below the folder.

        Raises:
            UsageError: One of them must not be written.
        """
        for path in map(str, self.paths(item)):
            folder, name = os.path.split(path)
            place = os.path.join(self.inside(folder), name)
            if os.path.islink(path):
                place = os.path.realpath(path)
            if not _is_below(place, self.real):
                raise UsageError(f"expected to write below {self.out}, but {path} is a link that leads out of it")
            if place in self.originals:
                raise UsageError(f"its output {path} would replace an image that is to be predicted")
        self._check_origin(item)
        return self.names(item.name)

    def is_done(self, item: Input) -> bool:
        """Say whether every file is there, with something in it, and none is older than the image."""
        changed = os.stat(item.source).st_mtime
        return all(_is_fresh(path, changed) for path in self.paths(item))

    def relative(self, item: Input) -> str:
        """Return an image's path as seen from the folder."""
        folder, name = os.path.split(item.source)
        return f"{self.origin(folder)}/{name}"

    def _check_origin(self, item: Input) -> None:
        earlier = self.sources.get(item.name)
        if earlier is None or self.overwrite or earlier == self.relative(item):
            return
        path, other = self.paths(item)[0], self.out / earlier
        if path.exists() and other.exists() and not other.samefile(item.source):
            raise UsageError(
                f"{path} was made from {earlier}, another image of the same name. Use another --out, or --overwrite"
            )

    def _inside(self, folder: str) -> str:
        return os.path.realpath(folder)

    def _origin(self, folder: str) -> str:
        real = os.path.realpath(folder)
        try:
            return Path(os.path.relpath(real, self.real)).as_posix()
        except ValueError:  # on another drive
            return Path(real).as_posix()

    def _below(self, source: Path) -> str:
        """Return the real path of an image that lies below the folder, else nothing."""
        folder, name = os.path.split(source)
        place = os.path.realpath(source) if os.path.islink(source) else os.path.join(self.inside(folder), name)
        return place if _is_below(place, self.real) else ""


def map_names(inputs: Iterable[Input]) -> frozenset[str]:
    """Return the names of the images that say where on a map they lie."""
    return frozenset(item.name for item in inputs if lies_on_a_map(item.source))


def names_of(name: str, suffixes: Sequence[str], on_map: bool = False) -> list[str]:
    """Return the names of an image's files; a star stands for the image's.

    Args:
        name: The image's.
        suffixes: How they end, the class ids' first.
        on_map: Class ids are to keep the image's place on the map.
    """
    suffixes = (".tif", *suffixes[1:]) if on_map else suffixes
    return [text.replace("*", name) if "*" in text else name + text for text in suffixes]


def _is_below(place: str, folder: str) -> bool:
    return place == folder or place.startswith(folder.rstrip(os.sep) + os.sep)


def _is_fresh(path: Path, changed: float) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0 and found.st_mtime >= changed
