"""Fixtures for what is looked at in a real browser. No test lives here."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

MINUTE = 60_000
"""In milliseconds, as a page counts."""


@pytest.fixture
def page(artifacts: Path) -> "Iterator[Page]":
    """A page of Chromium, which is Debian's; what it shows at the end is among the artifacts."""
    from playwright.sync_api import expect, sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("SPARKIFY_NO_SKIPS") == "1":
            pytest.fail("Chromium is missing: install Debian's package chromium")
        pytest.skip("absent here: Chromium")
    with sync_playwright() as playwright:
        # Without its sandbox: root, as whom a container runs, cannot have it.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1600, "height": 1000})
        opened.set_default_timeout(MINUTE)
        expect.set_options(timeout=MINUTE)
        yield opened
        opened.screenshot(path=artifacts / "last.png")
        browser.close()
