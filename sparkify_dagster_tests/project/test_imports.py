"""How the files of the package import each other, read from their source."""

import ast
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "sparkify_dagster"


def modules(package: Path) -> dict[str, Path]:
    """Every file by the name of its module; a folder's name is that of its __init__.py."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, known: Set[str]) -> Iterator[str]:
    """The modules of the package that a file imports, inside functions and for types too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield from {name if name in known else node.module} & known
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & known


def circles(imports: Mapping[str, Set[str]]) -> list[list[str]]:
    """The groups of modules of which each needs itself through the others."""
    reached = {name: _reached(name, imports) for name in imports}
    groups = {
        frozenset({name, *(other for other in reached[name] if name in reached[other])})
        for name in imports
        if name in reached[name]
    }
    return sorted(map(sorted, groups))


def _reached(start: str, imports: Mapping[str, Set[str]]) -> Set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = imports[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_no_file_imports_itself_through_others() -> None:
    files = modules(PACKAGE)
    imports = {name: {*imported(path, files.keys())} - {name} for name, path in files.items()}
    assert sum(map(len, imports.values())) > 500, "the imports were not found"
    assert circles(imports) == []


def test_a_circle_is_found_also_inside_functions_and_for_types(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    texts = {
        "__init__": "",
        "a": "def f():\n    from house import b\n",
        "b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.c import C\n",
        "c": "import house.a\n",
        "d": "from house import a\n",
    }
    for name, text in texts.items():
        (package / f"{name}.py").write_text(text)
    files = modules(package)
    imports = {name: {*imported(path, files.keys())} - {name} for name, path in files.items()}
    assert circles(imports) == [["house.a", "house.b", "house.c"]]
