"""The committed pages are what the networks say of themselves."""

import importlib.util
from pathlib import Path
from types import ModuleType

from perpixel.models.catalog import MODELS

DOCS = Path(__file__).parents[2] / "docs"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_cards", DOCS / "make_cards.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_and_drawing_is_up_to_date() -> None:
    """If not: `python docs/make_cards.py`."""
    pages = script().pages()
    stale = [path.name for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
    assert stale == [], "run python docs/make_cards.py"


def test_no_page_is_left_of_a_network_that_is_gone() -> None:
    left = [*(DOCS / "reference" / "networks").iterdir(), *(DOCS / "images" / "networks").iterdir()]
    assert {path.stem for path in left} == set(MODELS)
