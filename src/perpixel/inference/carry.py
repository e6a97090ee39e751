"""Keep what tiles share with those below them on the disk, where a row of tiles is too wide for memory.

    column    0         1         2            each has its place in the file, written and read whole
    file   |  K h w  |  K h w  |  K h w  |

Letters: K classes, h rows that neighbours share, w columns.
"""

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor


class _Place(NamedTuple):
    start: int
    shape: torch.Size
    dtype: torch.dtype
    device: torch.device


class DiskCarry(MutableMapping[int, Tensor]):
    """A dict of tensors in a file; a context manager that removes it.

    Args:
        path: The file, which is made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("w+b", buffering=0)
        self.places: dict[int, _Place] = {}
        self.end = 0

    def __enter__(self) -> "DiskCarry":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.path.unlink(missing_ok=True)

    def __setitem__(self, key: int, values: Tensor) -> None:
        """Write a tensor in place of the one of this key; one of another size takes a new place."""
        data = values.detach().cpu().contiguous().numpy()
        place = self.places.get(key)
        if place is None or (place.shape, place.dtype) != (values.shape, values.dtype):
            place = _Place(self.end, values.shape, values.dtype, values.device)
            self.end += data.nbytes
        self.places[key] = place
        self.file.seek(place.start)
        view = data.data.cast("B")
        while view:
            view = view[self.file.write(view) :]

    def __getitem__(self, key: int) -> Tensor:
        """Read a tensor."""
        place = self.places[key]
        values = torch.empty(place.shape, dtype=place.dtype)
        view = values.numpy().data.cast("B")
        self.file.seek(place.start)
        while view:
            count = self.file.readinto(view)
            if not count:
                raise OSError(f"{self.path} was cut off while it was in use")
            view = view[count:]
        return values.to(place.device)

    def __delitem__(self, key: int) -> None:
        """Forget a tensor."""
        del self.places[key]

    def __iter__(self) -> Iterator[int]:
        """Yield the keys."""
        return iter(self.places)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.places)
