"""Registers what several folders share; a folder's own fixtures are in its conftest.py."""

import signal

# A shell's background job ignores Ctrl-C, and so would every process that a test starts in it.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = [
    "sparkify_dagster_tests.plugins.order",
    "sparkify_dagster_tests.plugins.skips",
    "sparkify_dagster_tests.plugins.secrets",
    "sparkify_dagster_tests.plugins.verdicts",
    "sparkify_dagster_tests.fixtures.lake",
    "sparkify_dagster_tests.fixtures.warehouse",
    "sparkify_dagster_tests.fixtures.dagster",
    "sparkify_dagster_tests.fixtures.postgres",
    "sparkify_dagster_tests.fixtures.engines",
    "sparkify_dagster_tests.fixtures.standin",
    "sparkify_dagster_tests.fixtures.cli",
    "sparkify_dagster_tests.fixtures.ui",
    "sparkify_dagster_tests.fixtures.browser",
    "sparkify_dagster_tests.fixtures.alerts",
]
