"""The documentation tells the truth: its code runs, its commands exist, its tables list what there is.

Each page is one session in a folder of its own, its blocks taken from top to bottom. The folder holds what
the pages speak of: `street`, `street-tags`, `photos`, `masks`, `new-photos`, `photo.jpg` and the trained run
`runs/street`, all of them tiny. Training is cut to one iteration.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
import yaml

from perpixel.cli.main import app, expand, main

ROOT = Path(__file__).parents[1]
PAGES = [
    *(path for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md") if (path := ROOT / name).exists()),
    *sorted((ROOT / "docs").rglob("*.md")),
]
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SIZE = (32, 48)
BUDGETS = ("--iterations", "--epochs", "--minutes")
NOT_RUN = ("docs/reproduction.md",)  # hours, and data we may not ship: parsed only
PARSED_ONLY = ("demo",)  # has a test of its own
LARGE = ("strong", "paper", "--recipe")  # full networks
OTHER_PROGRAMS = ("export", "cd", "git", "tensorboard", "python3", "python", ".venv/bin/python")


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line it begins in."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in BLOCK.finditer(text)]


# ---- the code runs -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what the pages speak of."""
    from PIL import Image

    from perpixel.data.synthetic import write_scenes

    folder = tmp_path_factory.mktemp("docs")
    write_scenes(folder / "street", {"train": 4, "val": 2, "test": 1}, SIZE)
    for name, source in (("photos", "images"), ("masks", "masks"), ("new-photos", "images")):
        (folder / name).mkdir()
        for path in sorted((folder / "street" / source).rglob("*.png")):
            shutil.copy(path, folder / name)
    _write_tagged(folder / "street-tags", folder / "photos")
    Image.open(next((folder / "photos").iterdir())).save(folder / "photo.jpg")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run("train street --out runs/street")
    shutil.copytree(folder / "runs" / "street", folder / "runs" / "stopped")
    return folder


def _write_tagged(folder: Path, photos: Path) -> None:
    """Write photos with tags, and without a mask."""
    shutil.copytree(photos, folder / "photos")
    names = sorted(path.name for path in photos.iterdir())
    (folder / "tags.csv").write_text("image,tags\n" + "".join(f"{name},road car\n" for name in names))
    (folder / "dataset.yaml").write_text(
        "images: photos\nsplits: {val: 0.4}\nclasses: [background, road, car]\ntags: tags.csv\n"
    )


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_block_of_a_page_runs(page: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    shutil.copytree(world, here)
    monkeypatch.chdir(here)
    _draw_few_scenes(monkeypatch)
    namespace: dict[str, Any] = {}
    for block in blocks(page):
        place = f"{page.name}:{block.line}"
        if block.language == "python":
            exec(compile("\n" * block.line + block.text, str(page), "exec"), namespace)
        elif block.language == "bash":
            for line in commands(block.text):
                follow(line, page, place)
        elif block.language == "yaml":
            _check_yaml(block.text, place)
        else:
            assert block.language in ("text", "json", "csv"), f"{place}: who checks {block.language}?"


def _draw_few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    from perpixel.data import synthetic
    from perpixel.data.synthetic import objects

    write = synthetic.write_scenes

    def few(folder: Path | str, counts: dict[str, int], image_size: Any = None, seed: int = 0) -> Any:
        shutil.rmtree(folder, ignore_errors=True)
        return write(folder, {split: min(count, 4) for split, count in counts.items()}, SIZE, seed)

    monkeypatch.setattr(synthetic, "write_scenes", few)
    write_objects = objects.write

    def few_objects(folder: Path | str, counts: dict[str, int], **asked: Any) -> Any:
        return write_objects(folder, {split: min(count, 6) for split, count in counts.items()}, **asked)

    monkeypatch.setattr(objects, "write", few_objects)


def _check_yaml(text: str, place: str) -> None:
    """Check a block that is a `dataset.yaml`, or the part of one that names classes."""
    from perpixel.data.spec import DatasetSpec

    values = yaml.safe_load(text)
    if {"classes", "mask_values"} & values.keys():
        DatasetSpec.parse(values, place)


def commands(text: str) -> Iterator[str]:
    """Yield the commands of a shell block, continued lines joined."""
    for line in text.replace("\\\n", " ").splitlines():
        bare = line.split(" #")[0].strip()
        if bare and not bare.startswith("#"):
            yield bare


def follow(line: str, page: Path, place: str) -> None:
    """Run a command, or check that it could be run."""
    program, *words = shlex.split(line)
    if program == "perpixel":
        parse(words)
        if page.relative_to(ROOT).as_posix() not in NOT_RUN and not _is_large(words):
            run(shlex.join(words))
    elif program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[0] in targets, f"{place}: make has no {words[0]}"
    elif program == "pip":
        _check_extras(line, place)
    elif program == ".ci/run":
        assert (ROOT / program).exists()
    else:
        assert program in OTHER_PROGRAMS, f"{place}: who checks {program}?"
        scripts = [word for word in words if word.endswith(".py")]
        assert all((ROOT / script).exists() for script in scripts), f"{place}: no {scripts}"


def _is_large(words: list[str]) -> bool:
    return words[0] in PARSED_ONLY or words[0].startswith("-") or bool(set(words) & set(LARGE))


def _check_extras(line: str, place: str) -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"\[([a-z,]+)\]", line):
        unknown = set(extras.split(",")) - project["optional-dependencies"].keys()
        assert not unknown, f"{place}: no extra {unknown}"


def parse(words: list[str]) -> None:
    """Check the names and the number of a command's options and arguments."""
    group: Any = typer.main.get_command(app)
    if words[0] in ("--help", "--version"):
        return
    assert words[0] in group.commands, f"perpixel has no {words[0]}"
    group.commands[words[0]].make_context(words[0], expand(words)[1:])


def run(line: str) -> None:
    """Run `perpixel` in this process; a training run ends after one iteration."""
    words = shlex.split(line)
    if words[0] == "train" and "--resume" not in words:
        words = [*_without_budget(words), "--iterations", "1", "--precision", "32"]
        if "--out" in words:  # examples of one page share a name
            shutil.rmtree(words[words.index("--out") + 1], ignore_errors=True)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code in (0, None), f"perpixel {line} ended with {ended.value.code}"


def _without_budget(words: list[str]) -> list[str]:
    dropped = {i + step for i, word in enumerate(words) if word in BUDGETS for step in (0, 1)}
    return [word for i, word in enumerate(words) if i not in dropped]


# ---- links lead somewhere ----------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            assert anchor in _anchors(target), f"{page.name} links to {link}"


def _anchors(page: Path) -> set[str]:
    """Return what links to a page's headings end with."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_leads_to_every_page() -> None:
    linked = {link for link in LINK.findall((ROOT / "docs" / "index.md").read_text())}
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages - linked - {"index.md"} == set()


# ---- reference tables list what there is ---------------------------------------------------------------


def reference(name: str) -> str:
    return (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")


def test_the_command_reference_lists_every_option_and_no_other() -> None:
    group: Any = typer.main.get_command(app)
    text = reference("cli")
    shared = set(re.findall(r"`(--[a-z-]+)", text.split("## Inference options")[1]))
    sections = {part.split()[0]: part for part in re.split(r"^## perpixel ", text, flags=re.MULTILINE)[1:]}
    assert sections.keys() == group.commands.keys()
    for name, command in group.commands.items():
        options = {opt for p in command.params for opt in p.opts if opt.startswith("--")} - {"--help"}
        section = sections[name].split("## Inference options")[0]
        listed = set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE))
        listed |= set(re.findall(r"`(--json)`", section))
        listed |= shared if "(#inference-options)" in section else set()
        assert listed == options, name


def test_the_dataset_reference_lists_every_key_and_encoding() -> None:
    from perpixel.data.spec import ENCODINGS, DatasetSpec

    listed = set(re.findall(r"`([a-z_]+)`", reference("dataset-yaml")))
    assert DatasetSpec.model_fields.keys() | set(ENCODINGS) <= listed


def test_the_run_reference_lists_every_key_column_and_file(world: Path) -> None:
    from perpixel.runs.run import Record

    text = reference("run-directory")
    listed = set(re.findall(r"`([a-z_]+)`", text))
    columns = (world / "runs" / "street" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert Record.model_fields.keys() | set(columns) <= listed
    for path in (world / "runs" / "street").iterdir():
        assert path.name.split(".tfevents")[0] in text.replace("events.out.*", "events.out"), path.name


def test_the_model_reference_is_the_catalogue() -> None:
    from perpixel.cli.models import catalogue

    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \|$", reference("models"), re.MULTILINE)
    listed = {name: cells.split(" | ") for name, cells in rows if len(cells.split(" | ")) == 6}
    expected = {
        row["name"]: [
            row["encoder"],
            str(row["num_classes"]),
            f"{row['parameters']:,}",
            str(row["output_stride"]),
            str(row["receptive_field"]),
            row["paper"],
        ]
        for row in catalogue()
    }
    assert listed == expected
