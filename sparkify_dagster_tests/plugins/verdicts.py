"""Says where sqlfluff's passes are kept: in pytest's cache, which `--cache-clear` empties."""

import pytest

from sparkify_dagster_tests.grammar import sqlfluff as grammar_sqlfluff


@pytest.fixture(scope="session", autouse=True)
def _passes_are_kept(request: pytest.FixtureRequest) -> None:
    cache = getattr(request.config, "cache", None)  # there is none with -p no:cacheprovider
    if cache is not None:
        grammar_sqlfluff.in_use = grammar_sqlfluff.Passes(cache.mkdir("redshift-grammar"))
