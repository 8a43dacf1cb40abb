"""What the files of the package import, and what they may not ask, read from their source."""

import ast
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import pytest

from sparkify_dagster.settings.sections import Engine

PACKAGE = Path(__file__).parents[2] / "sparkify_dagster"
# Settings choose the engine, and engines are what they are; everybody else asks a warehouse what it
# can do (`declares_keys`, `one_process`, `roles`, `dialect`, …).
KNOW_ENGINES = ("engines", "settings")
CHOOSES_ONE = "defs/resources/warehouse.py"
"""The resource of the engine that settings name: Dagster wants a class for each set of fields."""


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


def past_a_door(package: Path) -> Iterator[str]:
    """The imports of a module of another top-level folder that its door does not name.

    The door of a folder is its __init__.py: `__all__` there has the names that it exports, and the
    modules and folders that others may import. A module's folders all have to name it.
    """
    for name, target in _across_folders(package):
        if any(inner not in doors for inner, doors in _steps(target, package)):
            yield f"{name} -> {target}"


def unused_by_others(package: Path) -> Iterator[str]:
    """The modules that a door names although no other folder imports them."""
    wanted = {target for _, target in _across_folders(package)}
    wanted |= {target.rpartition(".")[0] for target in wanted}
    for name, path in modules(package).items():
        if path.name == "__init__.py" and name != package.name:
            named = {f"{name}.{inner}" for inner in exported(path)}
            yield from sorted(named & modules(package).keys() - wanted)


def exported(door: Path) -> Set[str]:
    """What `__all__` of a file has."""
    for node in ast.parse(door.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def _across_folders(package: Path) -> Iterator[tuple[str, str]]:
    """Each module with each that it imports from within another top-level folder."""
    files = modules(package)
    for name, path in files.items():
        for target in imported(path, files.keys()):
            if target.count(".") > 1 and target.split(".")[1:2] != name.split(".")[1:2]:
                yield name, target


def _steps(target: str, package: Path) -> Iterator[tuple[str, Set[str]]]:
    """From the top-level folder of a module down to it: the next name, and what the door names."""
    folder, *inner = target.split(".")[1:]
    place = package / folder
    for name in inner:
        yield name, exported(place / "__init__.py")
        place /= name


def test_nobody_imports_past_the_door_of_another_folder() -> None:
    assert [*past_a_door(PACKAGE)] == []


def test_a_door_names_no_module_that_only_its_folder_imports() -> None:
    assert [*unused_by_others(PACKAGE)] == []


def test_an_import_past_a_door_is_found_and_a_needless_name_too(tmp_path: Path) -> None:
    package = tmp_path / "house"
    texts = {
        "__init__": "",
        "lake/__init__": '__all__ = ["Lake", "s3", "scratch", "deep"]',
        "lake/s3": "",
        "lake/scratch": "import house.lake.local",
        "lake/local": "",
        "lake/deep/__init__": '__all__ = ["open"]',
        "lake/deep/open": "",
        "lake/deep/hidden": "",
        "load/__init__": "from house import lake\nfrom house.lake import Lake, s3",
        "load/files": "from house.lake.deep import open\nfrom house.lake.deep.hidden import x",
        "load/lines": "def f():\n    from house.lake import local",
    }
    for name, text in texts.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / f"{name}.py").write_text(text)
    assert [*past_a_door(package)] == [
        "house.load.files -> house.lake.deep.hidden",
        "house.load.lines -> house.lake.local",
    ]
    assert [*unused_by_others(package)] == ["house.lake.scratch"]


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
        if path.relative_to(PACKAGE).parts[0] not in KNOW_ENGINES and path != PACKAGE / CHOOSES_ONE
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
