"""The report is one page that needs nothing else."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from perpixel.data.dataset import open_dataset
from perpixel.data.palette import distinct_colors
from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores
from perpixel.reports.evaluation import render, write_report
from perpixel.runs.evaluate import Evaluation, evaluate
from tests.labelled import segmenter, write_data

VOID = {"meta", "img", "br"}


class Balance(HTMLParser):
    """Check that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    return evaluate(segmenter(), open_dataset(write_data(tmp_path / "data")), examples=2)


def test_the_page_refers_to_nothing_outside_itself(evaluation: Evaluation, tmp_path: Path) -> None:
    text = write_report(evaluation, tmp_path / "new/report").read_text()
    assert not re.search(r"(src|href)=\"(?!data:)|url\(|@import|<script|https?://", text)
    assert text.count("data:image/jpeg") == 3 * 4
    assert [path.name for path in (tmp_path / "new/report").iterdir()] == ["index.html"]


def test_the_page_is_well_formed_and_says_everything(evaluation: Evaluation) -> None:
    text = render(evaluation, "street")
    checker = Balance()
    checker.feed(text)
    assert checker.open == []
    for said in (
        "mean IoU",
        "100.0 %",
        "always",
        "ignored pixels",
        "Near borders",
        "Boundary F",
        "Confusion",
        "Worst images",
        "Best images",
    ):
        assert said in text


def test_names_are_text_not_markup(evaluation: Evaluation) -> None:
    text = render(replace(evaluation, classes=("<b>", "a&b", '"q"')), "<script>")
    assert "<script>" not in text
    assert "&lt;b&gt;" in text


def test_classes_without_pixels_are_not_available(evaluation: Evaluation) -> None:
    empty = Confusion(3)
    text = render(replace(evaluation, confusion=empty, scores=Scores.from_confusion(empty)))
    assert "n/a" in text


def test_many_classes_make_a_picture_of_confusion(evaluation: Evaluation) -> None:
    many = Confusion(60).add(np.arange(60), np.arange(60))
    names = tuple(f"class {i}" for i in range(60))
    changes = {"classes": names, "palette": distinct_colors(60), "confusion": many}
    text = render(replace(evaluation, **changes, scores=Scores.from_confusion(many), best=(), worst=()))
    assert "data:image/png" in text
