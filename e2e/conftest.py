"""Fixtures: the server under test, one a test file unless a test starts its own, and a browser.

TRACEWELL_BIN=PATH runs another binary; TRACEWELL_URL=http://... uses a server that is already running; TRACEWELL_PEER=zipkin runs the
tests against the real Zipkin, to see that they ask for what it does.
"""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from harness.page import screenshot
from harness.server import Server, running_server

CHROMIUM_ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]
VIEWPORT = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def start_server(tmp_path_factory):
    """`with start_server("name", KEY="value") as server:` a server of its own with an empty store and these variables;
    with `every_port=True` all of its listeners are on."""

    def start(name: str, every_port: bool = False, **environment: str):
        if os.environ.get("TRACEWELL_URL"):
            pytest.skip("needs a server of its own, TRACEWELL_URL names a running one")
        return running_server(name, tmp_path_factory.mktemp("data"), environment, every_port)

    return start


@pytest.fixture(scope="module")
def server(request, start_server):
    """The server of a test file."""
    url = os.environ.get("TRACEWELL_URL")
    if url:
        yield Server(url, is_peer=os.environ.get("TRACEWELL_PEER") is not None)
    else:
        with start_server(request.module.__name__) as started:
            yield started


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium with a new, empty profile."""
    chromium = shutil.which("chromium")
    assert chromium, "no chromium: run e2e/setup.sh"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(request, browser):
    """A browser page; a script error in it fails the test, and a failed test leaves a picture of what was seen."""
    context = browser.new_context(viewport=VIEWPORT)
    page = context.new_page()
    script_errors = []
    page.on("pageerror", lambda error: script_errors.append(str(error)))
    yield page
    if request.node.stash.get(FAILED, False):
        screenshot(page, f"failed-{request.node.name}")
    context.close()
    assert not script_errors, f"the page threw: {script_errors}"


@pytest.fixture
def tracewell_page(page, server):
    """A browser page for Tracewell's own page, which the real Zipkin does not serve."""
    if server.is_peer:
        pytest.skip("Tracewell's page is not served by the peer")
    return page


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report
