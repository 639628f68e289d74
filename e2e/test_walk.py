"""The way from the landing page to the guilty span, in three clicks each: the demo's slow database, and its retries.

Pictures of every step go to output/walk-*.png; docs/walk.md shows them.
"""

import subprocess
import time

import pytest
from playwright.sync_api import Page, expect

from harness.page import SEEN_MILLISECONDS_MAX, screenshot
from harness.paths import OUTPUT, server_binary

DEMO_SECONDS_MAX = 120


@pytest.fixture(scope="module")
def shop(start_server):
    with start_server("walk") as server:
        demo = [server_binary(), "demo", "--target", server.url, "--history", "14m", "--traces", "0", "--seed", "7"]
        subprocess.run(demo, check=True, timeout=DEMO_SECONDS_MAX, stdout=subprocess.DEVNULL)
        yield server


class Walk:
    """Counts clicks, takes a picture behind each, and tells how long the page took."""

    def __init__(self, page: Page, name: str):
        self.page, self.name, self.clicks, self.seconds = page, name, 0, []
        page.set_default_timeout(SEEN_MILLISECONDS_MAX)

    def click(self, act, seen) -> None:
        self.clicks += 1
        began = time.monotonic()
        act()
        expect(seen).to_be_visible(timeout=SEEN_MILLISECONDS_MAX)
        self.seconds.append(time.monotonic() - began)
        self.page.wait_for_timeout(700)
        screenshot(self.page, f"walk-{self.name}-{self.clicks}")

    def ended(self) -> None:
        steps = ", ".join(f"{seconds:.2f} s" for seconds in self.seconds)
        (OUTPUT / f"walk-{self.name}.txt").write_text(f"{self.clicks} clicks, the page took {steps}\n")
        assert self.clicks <= 3


def landed(page: Page, shop) -> None:
    page.goto(f"{shop.url}/zipkin/")
    expect(page.get_by_test_id("trace-row").first).to_be_visible(timeout=SEEN_MILLISECONDS_MAX)
    page.wait_for_timeout(700)


def test_from_the_landing_page_to_the_slow_query(page, shop):
    landed(page, shop)
    walk = Walk(page, "slow-database")
    rows = page.get_by_test_id("trace-row")
    walk.click(page.get_by_role("button", name="Duration", exact=True).click, rows.filter(has_text="get /").first)
    # Of the longest, one that the catalog spent its time on.
    slow = rows.filter(has_text="catalog, frontend").first
    spans = page.get_by_test_id("span-row")
    query = page.locator('[data-testid="span-row"][data-name="select products"]')
    walk.click(slow.click, spans.first)
    box = query.bounding_box()
    walk.click(lambda: page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2), page.get_by_test_id("span-tags"))
    expect(page.get_by_test_id("span-tags")).to_contain_text("SELECT * FROM products ORDER BY rating")
    walk.ended()
    # One more says what all slow ones of this operation have in common.
    page.get_by_test_id("percentile").get_by_role("link", name="Why slow?").click()
    expect(page.get_by_test_id("why-row").first).to_contain_text("catalog", timeout=SEEN_MILLISECONDS_MAX)
    assert any(text in page.get_by_test_id("why-row").first.text_content() for text in ("1204377", "ORDER BY rating"))
    screenshot(page, "walk-slow-database-4")


def test_from_the_landing_page_to_what_was_tried_again(page, shop):
    landed(page, shop)
    walk = Walk(page, "retries")
    rows = page.get_by_test_id("trace-row")
    walk.click(page.get_by_role("button", name="Errors", exact=True).click, rows.first)
    walk.click(rows.filter(has_text="post /checkout").first.click, page.get_by_test_id("span-row").first)
    failed = page.locator('[data-testid="span-row"][data-service="payment"][data-error]').first
    box = failed.bounding_box()
    walk.click(lambda: page.mouse.click(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2), page.get_by_test_id("span-tags"))
    expect(page.get_by_test_id("span-tags")).to_contain_text("error")
    assert page.locator('[data-testid="span-row"][data-name="post /charges"][data-service="cart"]').count() > 1, "it was tried again"
    walk.ended()
