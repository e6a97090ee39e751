"""What cannot be done is refused with advice."""

import pytest

from perpixel.errors import UsageError
from perpixel.inference.options import Options


def test_by_default_the_whole_image_is_looked_at_once() -> None:
    assert Options() == Options(scales=(1.0,), fusion="mean", flip=False, tile=None, overlap=None)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"scales": ()}, "--scales"),
        ({"scales": (1.0, 0.0)}, "--scales"),
        ({"scales": (float("nan"),)}, "--scales"),
        ({"fusion": "median"}, "--fusion"),
        ({"tile": (0, 8)}, "--tile"),
        ({"overlap": -1}, "--overlap"),
        ({"tile": (64, 32), "overlap": 17}, "--overlap: expected at most half a tile"),
    ],
)
def test_values_that_cannot_be_used_are_refused(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        Options(**wrong)
