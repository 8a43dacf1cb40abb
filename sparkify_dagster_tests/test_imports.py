"""What the files of the package import, and what they may not ask, read from their source."""

import ast
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import pytest

from sparkify_dagster.settings.sections import Engine

PACKAGE = Path(__file__).parents[1] / "sparkify_dagster"
# Settings choose the engine, and engines are what they are; everybody else asks a warehouse what it
# can do (`declares_keys`, `one_process`, `roles`, `dialect`, …).
KNOW_ENGINES = ("engines", "settings")


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


def asked_for_the_engine(source: str) -> Iterator[int]:
    """The lines that name a member of Engine, or compare something with the name of an engine."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="Engine")) if node.attr in Engine.__members__:
                yield node.lineno
            case ast.Compare(left=left, comparators=others):
                if any(map(_is_of_an_engine, (left, *others))):
                    yield node.lineno
            case ast.Match(subject=subject):
                if _is_of_an_engine(subject):
                    yield node.lineno
            case ast.MatchValue(value=value) | ast.Subscript(slice=value):
                if _is_of_an_engine(value):
                    yield node.lineno


def _is_of_an_engine(node: ast.expr) -> bool:
    """Whether an expression is `….engine`, the name of an engine, or a collection of such names."""
    match node:
        case ast.Attribute(attr="engine"):
            return True
        case ast.Constant(value=value):
            return isinstance(value, str) and value in set(Engine)
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            return any(map(_is_of_an_engine, elements))
    return False


def test_only_engines_and_settings_ask_which_engine_it_is() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in KNOW_ENGINES
        for line in asked_for_the_engine(path.read_text(encoding="utf-8"))
    }
    assert found == set()


@pytest.mark.parametrize(
    "question",
    [
        "settings.warehouse.engine is Engine.REDSHIFT",
        "warehouse.engine == 'duckdb'",
        "warehouse.engine in SLOW_ONES",
        "name in ('postgres', 'redshift')",
        "PORTS[warehouse.engine]",
        "PORTS['redshift']",
        "{Engine.DUCKDB: 1}",
    ],
)
def test_a_question_for_the_engine_is_found(question: str) -> None:
    assert [*asked_for_the_engine(f"def f():\n    return {question}\n")]


def test_a_match_of_the_engine_is_found_and_to_show_its_name_is_free() -> None:
    asked = "match warehouse.engine:\n    case name:\n        pass\n"
    asked += "match name:\n    case 'redshift':\n        pass\n"
    assert [*asked_for_the_engine(asked)] == [1, 5]
    shown = "print(warehouse.engine, [engine.value for engine in Engine])\n"
    assert [*asked_for_the_engine(shown)] == []
