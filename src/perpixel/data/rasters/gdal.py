"""Read what GDAL reads: JPEG 2000, mosaics, and TIFFs whose compression only GDAL knows. Needs the extra `geo`.

Letters: H W pixels, C bands.
"""

import contextlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perpixel.data.rasters.raster import Facts, Tag, check_facts
from perpixel.data.rasters.tiff import place_of, tifffile_or_explain
from perpixel.errors import DataError

DRIVERS = {  # by suffix; a file is never opened as something else than it is called
    ".jp2": "JP2OpenJPEG", ".j2k": "JP2OpenJPEG", ".vrt": "VRT", ".img": "HFA", ".tif": "GTiff", ".tiff": "GTiff",
}  # fmt: skip
CACHE_MB = 192


def rasterio_or_explain(path: Path) -> Any:
    """Return `rasterio`.

    Raises:
        DataError: It is not installed.
    """
    try:
        import rasterio
    except ImportError:
        raise DataError(
            f"rasters: expected the extra `geo` for {path}. Install it: pip install 'perpixel[geo]'."
        ) from None
    return rasterio


class GdalRaster:
    """A raster that GDAL reads.

    Args:
        path: The file.

    Raises:
        DataError: GDAL cannot read it, or it stores what is no image.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        rasterio = rasterio_or_explain(path)
        self.open = contextlib.ExitStack()
        try:
            self.open.enter_context(rasterio.Env(GDAL_CACHEMAX=CACHE_MB))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)  # it need not lie on a map
                warnings.simplefilter("ignore", PendingDeprecationWarning)  # rasterio's own affair
                self.file: Any = self.open.enter_context(rasterio.open(path, driver=DRIVERS[path.suffix.lower()]))
                self.facts = self._describe()
            check_facts(self.facts, self.name)
        except DataError:
            self.close()
            raise
        except Exception as error:  # whatever GDAL makes of a damaged file
            self.close()
            raise DataError(f"rasters: expected a raster, cannot read {path} ({_first_line(error)}).") from error

    def values(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return stored values (h, w, C) of a window, a palette's indices as its colours.

        Raises:
            DataError: They are damaged.
        """
        try:
            bands = self.file.read(window=((rows.start, rows.stop), (columns.start, columns.stop)))
        except Exception as error:
            where = f"row {rows.start}, column {columns.start}"
            raise DataError(
                f"rasters: cannot read {self.name} at {where} ({_first_line(error)}). Fetch it again."
            ) from error
        if self._colors is not None:
            return np.ascontiguousarray(self._colors[bands[0]])
        return np.ascontiguousarray(bands.transpose(1, 2, 0))

    def close(self) -> None:
        """Let the file go."""
        self.open.close()

    def _describe(self) -> Facts:
        file = self.file
        kinds = [interpretation.name for interpretation in file.colorinterp]
        self._colors = _color_table(file) if kinds == ["palette"] else None
        bands, dtype = (3, "uint8") if self._colors is not None else (file.count, np.result_type(*file.dtypes))
        alpha = kinds.index("alpha") if "alpha" in kinds else None
        return Facts((file.height, file.width), bands, np.dtype(dtype), file.nodata, alpha, _place(file))


def _color_table(file: Any) -> NDArray[np.uint8]:
    table = np.zeros((256, 3), np.uint8)
    for index, color in file.colormap(1).items():
        if index < len(table):
            table[index] = color[:3]
    return table


def _place(file: Any) -> tuple[Tag, ...]:
    """Return where the raster lies as a GeoTIFF's tags: those that GDAL writes for a pixel that lies there."""
    import rasterio
    from rasterio.io import MemoryFile

    more: dict[str, Any] = {}
    if file.gcps[0]:
        more = {"gcps": file.gcps[0], "crs": file.gcps[1]}
    elif file.crs is not None or not file.transform.is_identity:
        more = {"crs": file.crs, "transform": file.transform}
    if file.rpcs is not None:
        more["rpcs"] = file.rpcs
    if not more:
        return ()
    tifffile = tifffile_or_explain(Path(file.name))
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", height=1, width=1, count=1, dtype=rasterio.uint8, **more):
            pass
        memory.seek(0)
        with tifffile.TiffFile(memory) as written:
            return place_of(written.pages[0])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
