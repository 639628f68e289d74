"""Tracewell's page as a user meets it: a browser page and a server in; search results and span rows as seen on screen out."""

from dataclasses import dataclass

from playwright.sync_api import Page, expect

from harness.paths import OUTPUT
from harness.server import Server

SEEN_MILLISECONDS_MAX = 20_000


@dataclass(frozen=True)
class Row:
    """A line of the trace's tree: how deep it is nested, whose span it is, what it is called."""

    depth: int
    service: str
    name: str


def open_from_search(page: Page, server: Server, trace_id: str, query: str = "") -> None:
    """Opens the search page and clicks the result that is this trace."""
    page.goto(f"{server.url}/zipkin/{query}")
    result = page.locator(f'[data-testid="trace-row"][href*="trace/{trace_id}"]')
    expect(result).to_be_visible(timeout=SEEN_MILLISECONDS_MAX)
    result.click()
    page.wait_for_url(f"**/trace/{trace_id}**", timeout=SEEN_MILLISECONDS_MAX)


def span_rows(page: Page, count: int) -> list[Row]:
    """The rows on screen from top to bottom, once there are `count` of them."""
    rows = page.get_by_test_id("span-row")
    expect(rows).to_have_count(count, timeout=SEEN_MILLISECONDS_MAX)
    expect(rows.first).to_be_visible()
    seen = [
        (row.bounding_box()["y"], Row(int(row.get_attribute("data-depth")), row.get_attribute("data-service"), row.get_attribute("data-name")))
        for row in rows.all()
    ]
    return [row for _, row in sorted(seen, key=lambda placed: placed[0])]


def screenshot(page: Page, name: str) -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=OUTPUT / f"{name}.png")
