"""Curves hold every number they can, and no more."""

from xml.etree import ElementTree

from perpixel.reports.curves import chart, curves


def points(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [len(line.attrib["points"].split()) for line in root.iter() if line.tag.endswith("polyline")]


def test_empty_and_missing_numbers_are_left_out() -> None:
    """A validation without labelled pixels has no score, and is no zero."""
    svg = chart("scores", [1, 2, 3], [("iou", [0.1, None, 0.3], "#000")], top=1.0)
    assert points(svg) == [2]


def test_rows_of_text_are_drawn_as_numbers() -> None:
    rows = [
        {"iteration": "10", "mean_iou": "0.5", "pixel_accuracy": "0.7", "train_loss": "1.5"},
        {"iteration": "20", "mean_iou": "", "pixel_accuracy": "0.8", "train_loss": "nan"},
    ]
    page = curves(rows)
    assert page.count("<circle") == 1 + 2 + 1
    assert "20 iterations" in page


def test_names_are_escaped() -> None:
    assert "<b>" not in chart("<b>", [1], [("<b>", [1.0], "#000")])
