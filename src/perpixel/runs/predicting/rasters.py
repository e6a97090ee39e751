"""The rasters among the inputs of `predict`: those too large to decode whole, each predicted by windows.

OUT/NAME.tif                  class ids, tiled and compressed, in the palette's colours, on the input's place on the map
    NAME.overlay.png          small: every n-th pixel
    NAME.probabilities.tif    a band for each class, 255 for a probability of 1
    NAME.geojson              polygons, cut at the borders of windows
"""

from collections.abc import Sequence
from pathlib import Path

from perpixel.data.rasters.open import is_large_raster
from perpixel.export.polygons import EXACT
from perpixel.runs.predicting.inputs import Input
from perpixel.runs.predicting.kinds import Order, refuse
from perpixel.runs.predicting.places import Places
from perpixel.runs.predicting.raster import RasterResult, predict_raster
from perpixel.runs.predicting.steps import Wanted

OVERLAY, PROBABILITIES, POLYGONS = ".overlay.png", ".probabilities.tif", ".geojson"


class Rasters:
    """See `Kind`."""

    def takes(self, path: Path) -> bool:
        """See `Kind`."""
        return is_large_raster(path)

    def suffixes(self, wanted: Wanted) -> list[str]:
        """See `Kind`."""
        asked = {OVERLAY: wanted.overlay, PROBABILITIES: wanted.probabilities, POLYGONS: wanted.vectors is not None}
        return [".tif", *(suffix for suffix, is_asked in asked.items() if is_asked)]

    def is_done(self, item: Input, places: Places, wanted: Wanted) -> bool:
        """See `Kind`."""
        return places.is_done(item)

    def predict(self, item: Input, paths: Sequence[Path], order: Order, ways: dict[str, str] | None) -> RasterResult:
        """See `Kind`."""
        name, wanted, vectors = item.source.name, order.wanted, order.wanted.vectors
        other = vectors is not None and vectors.format != "geojson"
        refuse(
            {"--uncertainty": wanted.uncertainty, f"--vector {vectors.format if vectors else ''}": other},
            "class ids, --overlay, --probabilities and --vector geojson to be wanted of what is read by windows",
            "Predict it without, or cut it into smaller files",
        )
        files = dict(zip(self.suffixes(wanted), paths, strict=True))
        return predict_raster(
            order.segmenter, item.source, paths[0], order.options,
            overlay=files.get(OVERLAY), probabilities=files.get(PROBABILITIES), polygons=files.get(POLYGONS),
            outlining=vectors.outlining if vectors else EXACT, original_values=wanted.original_values,
            made_by=order.identity, ways=ways, advance=order.advance(name, "megapixels", 1e6), say=order.say(name),
        )  # fmt: skip
