"""The shape of the house: which package may import which, and what the command line may load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "perpixel"
LADDER = (
    {"errors"},
    {"ops"},
    {"crf", "encoders", "losses", "metrics", "data", "weights"},
    {"models", "training", "inference"},
    {"recipes", "export", "explain"},
    {"runs"},
    {"serving", "reports"},
    {"cli"},
)
LEVEL = {package: level for level, packages in enumerate(LADDER) for package in packages}
SLOW_TO_IMPORT = ("torch", "numpy", "PIL", "pydantic")

MODULES = sorted(path for path in SOURCE.rglob("*.py"))
NAMES = [path.relative_to(SOURCE).as_posix() for path in MODULES]


def package_of(path: Path) -> str:
    """Return the package below perpixel that a file belongs to: data/masks.py -> data."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of everything of perpixel's that a tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("perpixel."))
        elif isinstance(node, ast.ImportFrom) and node.module == "perpixel":
            yield from (f"perpixel.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("perpixel."):
            yield str(node.module)


def test_every_package_stands_on_one_step_of_the_ladder() -> None:
    packages = {package_of(path) for path in MODULES} - {"__init__", "__main__"}
    assert packages <= LEVEL.keys(), "a new package: give it a step in LADDER and in docs/decisions/0005"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_imports_go_down_the_ladder_never_sideways(path: Path) -> None:
    home = package_of(path)
    if home in ("__init__", "__main__"):
        return  # the front door: it looks names up in every package, lazily
    for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
        target = name.split(".")[1]
        if target in LEVEL and target != home:
            assert LEVEL[target] < LEVEL[home], f"{home} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_imports_are_absolute(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    relative = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    assert not relative, f"relative imports in lines {relative}"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_there_are_no_import_cycles() -> None:
    """Within a package too, where the ladder does not reach; imports inside functions count."""
    names = {path: "perpixel." + ".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in MODULES}
    graph: dict[str, set[str]] = {}
    for path, name in names.items():
        found = set(imported(ast.parse(path.read_text(encoding="utf-8"))))
        packages = {f"{target}.__init__" for target in found}
        graph[name] = (found | packages) & set(names.values()) - {name}
    del graph["perpixel.__init__"]
    while leaves := [name for name, targets in graph.items() if not targets & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert not graph, f"these import one another: {sorted(graph)}"


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    """`perpixel --help` must not wait for PyTorch; commands import it when they run."""
    program = f"import sys, perpixel.cli.main\nprint(*[name for name in {SLOW_TO_IMPORT} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
