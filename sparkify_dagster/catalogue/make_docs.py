"""The files of a checkout that are made from its SQL files; `make docs` writes them.

What they say is decided in `warehouse`. The tests fail while one of them is not current.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from sparkify_dagster.catalogue import lineage
from sparkify_dagster.catalogue.catalogue import Catalogue, read_catalogue
from sparkify_dagster.catalogue.dictionary import data_dictionary

DATA_DICTIONARY = Path(__file__).parents[2] / "docs" / "data_dictionary.md"
GENERATED: Mapping[Path, Callable[[Catalogue], str]] = {
    lineage.KEPT: lineage.render,
    DATA_DICTIONARY: data_dictionary,
}


def write_all() -> None:
    catalogue = read_catalogue()
    for path, render in GENERATED.items():
        path.write_text(render(catalogue), encoding="utf-8")


if __name__ == "__main__":
    write_all()
