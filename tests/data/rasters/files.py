"""TIFFs of every kind, written for tests."""

from pathlib import Path
from typing import Any

import numpy as np

from perpixel.data.rasters.raster import Tag

UTM = (  # a corner at (500000, 4100000), half a metre a pixel, EPSG:32633
    Tag(33550, 12, 3, (0.5, 0.5, 0.0)),
    Tag(33922, 12, 6, (0.0, 0.0, 0.0, 500000.0, 4100000.0, 0.0)),
    Tag(34735, 3, 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)),
)


def noise(height: int, width: int, channels: int = 3, kind: Any = np.uint8) -> np.ndarray:
    """Return pixels of which no two windows are alike."""
    rng = np.random.default_rng(height * 1000 + width)
    return rng.integers(0, np.iinfo(kind).max, (height, width, channels), kind, endpoint=True)


def write_tiff(path: Path, pixels: np.ndarray, nodata: str = "", place: tuple[Tag, ...] = (), **more: Any) -> Path:
    """Write (H, W, C) as a TIFF; `more` goes to tifffile."""
    import tifffile

    extra = [(*tag, True) for tag in place] + ([(42113, 2, len(nodata) + 1, nodata, True)] if nodata else [])
    planes = pixels.transpose(2, 0, 1) if more.get("planarconfig") == "separate" else pixels
    settings = {"photometric": "rgb" if pixels.shape[2] == 3 else "minisblack", "metadata": None, **more}
    if pixels.shape[2] > 1:
        settings.setdefault("planarconfig", "contig")
    tifffile.imwrite(path, planes[..., 0] if pixels.shape[2] == 1 else planes, extratags=extra, **settings)
    return path
