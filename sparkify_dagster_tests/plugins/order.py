"""The order of the suite: every worker begins its share with slow tests, the longest first.

pytest-xdist gives each worker an equal part of the list, one after the other, and lets those that
are done take from the others: what comes last should be quick. `slow(seconds)` says how long a test
takes on an idle machine, where it is more than ten.
"""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = sorted((item for item in items if item.get_closest_marker("slow")), key=_longest_first)
    quick = [item for item in items if not item.get_closest_marker("slow")]
    share = len(items) / workers
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        ordered += slow[worker::workers]
        missing = round((worker + 1) * share) - len(ordered)
        ordered += quick[:missing]
        del quick[:missing]
    items[:] = ordered


def _longest_first(item: pytest.Item) -> float:
    marker = item.get_closest_marker("slow")
    return -float(marker.args[0]) if marker and marker.args else -10.0
