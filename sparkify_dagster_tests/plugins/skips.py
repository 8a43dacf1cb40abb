"""Where SPARKIFY_NO_SKIPS=1, a skipped test is a failed test.

A test that truly cannot run on this machine says so: its reason starts with "absent here:". Every
other skip fails, also one that a whole module raises while it is collected. Only this rule lives
here; what is absent is for the tests to say.
"""

import os
from collections.abc import Generator

import pytest

DECLARED = "absent here:"


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip that nobody declared into a failure."""
    expected_failure = hasattr(report, "wasxfail")  # pytest reports an xfail as skipped, too
    if not report.skipped or expected_failure or os.environ.get("SPARKIFY_NO_SKIPS") != "1":
        return
    message = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    reason = message.removeprefix("Skipped: ")
    if reason.startswith(DECLARED):
        return
    report.outcome = "failed"
    report.longrepr = (
        f"{report.nodeid} was skipped, and a skip fails here: {reason}\n"
        f'If this machine cannot have what the test needs, start the reason with "{DECLARED}".'
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _judge(report)
    return report
