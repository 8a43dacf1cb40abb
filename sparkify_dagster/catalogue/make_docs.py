"""The page of docs/ that is made from the SQL files; `make docs` writes it.

What it says is in `dictionary`. A test fails while it is not current.
"""

from pathlib import Path

from sparkify_dagster.catalogue.catalogue import read_catalogue
from sparkify_dagster.catalogue.dictionary import data_dictionary

DATA_DICTIONARY = Path(__file__).parents[2] / "docs" / "data_dictionary.md"

if __name__ == "__main__":
    DATA_DICTIONARY.write_text(data_dictionary(read_catalogue()), encoding="utf-8")
