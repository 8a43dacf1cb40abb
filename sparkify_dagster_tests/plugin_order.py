"""The order of the suite: every worker begins its share with slow tests, and none ends with them.

pytest-xdist gives each worker an equal part of the list, one after the other, and lets those that
are done take from the others. Most slow tests are of the UI, which comes last in the alphabet.
"""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = [item for item in items if item.get_closest_marker("slow")]
    quick = [item for item in items if not item.get_closest_marker("slow")]
    share = len(items) / workers
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        ordered += slow[worker::workers]
        missing = round((worker + 1) * share) - len(ordered)
        ordered += quick[:missing]
        del quick[:missing]
    items[:] = ordered
