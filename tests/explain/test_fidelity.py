"""Fidelity cards, the table in them, and the committed pages."""

import re

import pytest

from perpixel.errors import UsageError
from perpixel.explain.fidelity import card, docstring_section, explain_model, published, uncertain
from perpixel.explain.papers import PAPERS
from perpixel.explain.table import columns, compact, folded
from perpixel.models.catalog import MODELS
from perpixel.recipes.choose import PAPERS as RECIPES


@pytest.mark.parametrize("name", MODELS)
def test_every_card_names_its_source_and_what_differs(name: str) -> None:
    row = MODELS[name]
    assert re.search(r"arXiv:\d{4}\.\d{5}|20\d\d", docstring_section(row, "Source"))
    assert docstring_section(row, "Differs") or uncertain(row), "say what differs, or that nothing does"
    assert name in PAPERS or name == "fcn8s-any-encoder", "give its size in explain/papers.py"


def test_a_card_holds_count_paper_field_score_deviations_and_layers() -> None:
    text = card("deeplab-v1-largefov", recipe=RECIPES["deeplab-v1-largefov"])
    for fact in (
        "20,505,429",
        "20.5 M (ICLR 2015, Table 2)",
        "435 pixels",
        "mean IoU 62.25 %",
        "conv5_3",
        "Differs.**",
    ):
        assert fact in text


def test_printed_counts_are_ours_rounded() -> None:
    """Every count that a paper prints in millions, but the study's, which do not follow from its text."""
    for name, paper in PAPERS.items():
        if name in MODELS and paper.parameters.endswith(" M") and "TPAMI 2017, Table 1" not in paper.where:
            printed = paper.parameters.removeprefix("about ").removesuffix(" M")
            decimals = len(printed.partition(".")[2])
            counted = explain_model(name, image_size=(64, 64)).parameters
            tolerance = 0.6 * 10**-decimals
            assert abs(counted / 1e6 - float(printed)) < tolerance, name


def test_scores_are_printed_as_in_their_table() -> None:
    assert published(RECIPES["deeplab-v2-resnet101"]) == "mean IoU 76.35 % (TPAMI 2018, Table 4: val, before the CRF)"
    assert "pixel accuracy 91.0 %, mean accuracy 78.1 %" in published(RECIPES["fcn16s"])
    assert published(RECIPES["deep-contextual"]).startswith("Rand error on ISBI 2012 0.017334, warping error")


def test_a_network_without_a_recipe_has_no_score() -> None:
    assert published(None) == "no score of the paper's own"


def test_batch_normalisation_is_folded_into_what_it_normalises() -> None:
    explained = explain_model("segnet-basic")
    rows = folded(explained.layers)
    assert "batch norm" not in {row.type for row in rows}
    assert sum(row.parameters for row in rows) == explained.parameters


@pytest.mark.parametrize(
    ("number", "text"),
    [(7, "7"), (1500, "1.5 k"), (15_346_630_656, "15.3 G"), (999_999, "1 M"), (10**12, "1 T")],
)
def test_counts_are_shortened_to_three_digits(number: int, text: str) -> None:
    assert compact(number) == text


def test_columns_line_up_on_a_terminal_too() -> None:
    lines = columns([("a", "b", "c", "d"), ("long", "", "", "7")]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].endswith("-: |")


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'segnet'"):
        explain_model("segnt")
