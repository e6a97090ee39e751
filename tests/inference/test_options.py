"""What cannot be done is refused with advice."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perpixel.crf.options import PRESETS
from perpixel.errors import UsageError
from perpixel.inference.ensemble import Ensemble
from perpixel.inference.options import Options
from perpixel.inference.proposals import Proposals


def test_by_default_the_whole_image_is_looked_at_once() -> None:
    assert Options() == Options(scales=(1.0,), fusion="mean", flip=False, tile=None, overlap=None)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"scales": ()}, "--scales"),
        ({"scales": (1.0, 0.0)}, "--scales"),
        ({"scales": (float("nan"),)}, "--scales"),
        ({"fusion": "median"}, "--fusion"),
        ({"rotations": 0}, "--rotations"),
        ({"rotations": 37}, "--rotations: expected 1 to 36"),
        ({"samples": -1}, "--samples"),
        ({"proposals": Proposals(), "flip": True}, "--proposals: expected one scale"),
        ({"ensemble": Ensemble("fcn"), "flip": True}, "--ensemble: expected one scale"),
        ({"ensemble": Ensemble("fcn"), "samples": 2}, "--ensemble: expected .* no --samples"),
        ({"seed": -1}, "seed: expected at least 0"),
        ({"blend": "cubic"}, "--blend: expected linear, hann, mean, none, got 'cubic'"),
        ({"tile": (0, 8)}, "--tile"),
        ({"overlap": -1}, "--overlap"),
        ({"tile": (64, 32), "overlap": 17}, "--overlap: expected at most half a tile"),
    ],
)
def test_values_that_cannot_be_used_are_refused(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        Options(**wrong)


OPTIONS = st.builds(
    Options,
    scales=st.lists(st.floats(0.1, 8), min_size=1, max_size=3).map(tuple),
    fusion=st.sampled_from(["max", "mean"]),
    flip=st.booleans(),
    tile=st.none() | st.tuples(st.integers(64, 999), st.integers(64, 999)),
    overlap=st.none() | st.integers(0, 32),
    rotations=st.integers(1, 36),
    blend=st.sampled_from(["linear", "hann", "mean", "none"]),
    samples=st.integers(0, 50),
    seed=st.integers(0, 9),
    crf=st.none() | st.sampled_from(list(PRESETS.values())),
)


@given(OPTIONS)
def test_options_survive_json(options: Options) -> None:
    """`predictions.json` compares them with those of an earlier command."""
    stored = json.loads(json.dumps(options.to_json()))
    assert stored == options.to_json()
    assert Options.from_json(stored) == options


def test_options_of_before_have_the_defaults_of_today() -> None:
    assert Options.from_json({"scales": [0.5], "tile": [8, 8]}) == Options(scales=(0.5,), tile=(8, 8))


def test_options_of_a_later_version_are_refused() -> None:
    with pytest.raises(UsageError, match="no option named telepathy"):
        Options.from_json({"telepathy": 1})


def test_a_line_says_what_is_done() -> None:
    assert Options().words() == "scales 1"
    assert Options(flip=True, samples=6, tile=(64, 80), overlap=16, crf=PRESETS["default"]).words() == (
        "scales 1, mirrored too, fused by mean, 6 passes with dropout, tiles of 64 × 80 pixels that share 16 (linear), "
        "then a CRF"
    )
    assert Options(proposals=Proposals()).words() == "at most 50 boxes (windows) joined by max"


def test_proposals_survive_json_too() -> None:
    options = Options(proposals=Proposals("selective-search", "mean", count=9))
    assert Options.from_json(json.loads(json.dumps(options.to_json()))) == options


@given(st.builds(Ensemble, st.text(), st.sampled_from(["mean", "product"]), st.text()), st.booleans())
def test_an_ensemble_survives_json(ensemble: Ensemble, boxes: bool) -> None:
    options = Options(ensemble=ensemble, proposals=Proposals() if boxes else None)
    assert Options.from_json(json.loads(json.dumps(options.to_json()))) == options
