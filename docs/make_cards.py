"""Write the pages of the networks, each beside its paper, with their drawings.

    python docs/make_cards.py            writes docs/reference/networks/NAME.md and docs/images/networks/NAME.svg
    python docs/make_cards.py --check    says which are out of date, and ends with 1 if any is

Pages are made from the networks themselves, their docstrings and their recipes: change those, and run this.
"""

import argparse
import re
import sys
from pathlib import Path

from perpixel.explain.fidelity import card, explain_model
from perpixel.explain.layout import diagram
from perpixel.models.catalog import MODELS
from perpixel.recipes.choose import PAPERS

DOCS = Path(__file__).parent
INDEX_HEADING = "**Each network beside its paper.**"


def main() -> None:
    """Read the arguments, and write or compare."""
    parser = argparse.ArgumentParser(description="Write the pages of the networks, each beside its paper.")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if a page is out of date")
    check = parser.parse_args().check
    stale = {path: text for path, text in pages().items() if _read(path) != text}
    for path, text in stale.items():
        print(path.relative_to(DOCS.parent), "is out of date" if check else "written")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    sys.exit(1 if check and stale else 0)


def pages() -> dict[Path, str]:
    """Return every file that belongs to a network, and the index, as they should be."""
    texts: dict[Path, str] = {}
    for name in MODELS:
        explained = explain_model(name)
        title, _, rest = card(name, explained, PAPERS.get(name)).partition("\n\n")
        summary, _, facts = rest.partition("\n\n")
        picture = f"![{name}, drawn](../../images/networks/{name}.svg)"
        texts[DOCS / "reference" / "networks" / f"{name}.md"] = f"{title}\n\n{summary}\n\n{picture}\n\n{facts}\n"
        texts[DOCS / "images" / "networks" / f"{name}.svg"] = diagram(explained).svg()
    texts[DOCS / "index.md"] = index(_read(DOCS / "index.md"))
    return texts


def index(text: str) -> str:
    """Return the index with a link to every network's page."""
    links = " ·\n".join(f"[{name}](reference/networks/{name}.md)" for name in MODELS)
    paragraph = f"{INDEX_HEADING}\n{links}\n"
    found = re.compile(rf"^{re.escape(INDEX_HEADING)}\n(?:.+\n)*", re.MULTILINE)
    return found.sub(lambda _: paragraph, text) if found.search(text) else f"{text.rstrip()}\n\n{paragraph}"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    main()
