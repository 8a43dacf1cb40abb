"""A skip is a failure where SPARKIFY_NO_SKIPS=1: shown by running pytest inside pytest."""

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import pytest

def test_runs(): pass
def test_gives_up(): pytest.skip("not today")
@pytest.mark.skip
def test_marked(): pass
@pytest.mark.skip(reason="absent here: the real data")
def test_declared(): pass
@pytest.mark.xfail(reason="known", strict=True)
def test_known_defect(): assert False
"""


def run(pytester: pytest.Pytester) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "sparkify_dagster_tests.plugins.skips")


@pytest.mark.slow
def test_an_undeclared_skip_fails(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARKIFY_NO_SKIPS", "1")
    pytester.makepyfile(SUITE)
    result = run(pytester)
    result.assert_outcomes(passed=1, failed=1, errors=1, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(["*was skipped, and a skip fails here: not today"])


@pytest.mark.slow
def test_a_module_that_skips_itself_fails(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARKIFY_NO_SKIPS", "1")
    pytester.makepyfile("import pytest; pytest.importorskip('no_such_module_anywhere')")
    assert run(pytester).ret != pytest.ExitCode.OK


@pytest.mark.slow
def test_elsewhere_a_skip_stays_a_skip(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPARKIFY_NO_SKIPS", raising=False)
    pytester.makepyfile(SUITE)
    run(pytester).assert_outcomes(passed=1, skipped=3, xfailed=1)
