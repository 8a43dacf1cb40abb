"""Tells the grammar gate where passes are kept: pytest's cache, which `--cache-clear` empties."""

import pytest

from sparkify_dagster_tests import grammar_verdicts


@pytest.fixture(scope="session", autouse=True)
def _verdicts_are_kept(request: pytest.FixtureRequest) -> None:
    cache = getattr(request.config, "cache", None)  # there is none with -p no:cacheprovider
    if cache is not None:
        grammar_verdicts.in_use = grammar_verdicts.Verdicts(cache.mkdir("redshift-grammar"))
