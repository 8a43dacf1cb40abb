"""Registers the fixtures of the suite; each subject keeps its own in a `fixtures_` module."""

import signal

# A shell's background job ignores Ctrl-C, and so would every process that a test starts in it.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = [
    "sparkify_dagster_tests.plugin_order",
    "sparkify_dagster_tests.plugin_skips",
    "sparkify_dagster_tests.plugin_secrets",
    "sparkify_dagster_tests.plugin_verdicts",
    "sparkify_dagster_tests.fixtures_lake",
    "sparkify_dagster_tests.fixtures_warehouse",
    "sparkify_dagster_tests.fixtures_simulate",
    "sparkify_dagster_tests.fixtures_dagster",
    "sparkify_dagster_tests.fixtures_runs",
    "sparkify_dagster_tests.fixtures_postgres",
    "sparkify_dagster_tests.fixtures_engines",
    "sparkify_dagster_tests.fixtures_standin",
    "sparkify_dagster_tests.fixtures_cli",
    "sparkify_dagster_tests.fixtures_aws",
    "sparkify_dagster_tests.fixtures_ui",
    "sparkify_dagster_tests.fixtures_browser",
    "sparkify_dagster_tests.fixtures_alerts",
    "sparkify_dagster_tests.fixtures_sensors",
]
