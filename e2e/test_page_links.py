"""A link copied from any view shows the same in another browser profile; old links of Zipkin's and Jaeger's pages open the right thing.

Views are made as a person makes them, with mouse and keyboard; then the address is all that a new profile is given.
"""

import json
import time
import urllib.parse

import pytest
from playwright.sync_api import Page, expect

from harness.page import SEEN_MILLISECONDS_MAX
from harness.server import Server
from planted import CAUSES, traffic

REQUESTS = 150
MINUTE_US = 60_000_000
VIEWPORT = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def shop(start_server):
    """A server with Jaeger's port that holds ten minutes of a shop with a slow host."""
    with start_server("page-links", every_port=True) as server:
        spans = traffic(CAUSES[0], 3, REQUESTS, time.time_ns() // 1000 - MINUTE_US, 9 * MINUTE_US)
        assert server.post_spans(spans).status == 202
        server.spans = spans
        yield server


@pytest.fixture
def profile(browser):
    """Opens an address in a profile of its own, which must not complain."""
    contexts, errors = [], []

    def opened(url: str) -> Page:
        context = browser.new_context(viewport=VIEWPORT)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SEEN_MILLISECONDS_MAX)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not errors


SEEN = """() => {
    const texts = (selector) => [...document.querySelectorAll(selector)].map((e) => e.textContent.trim() || e.getAttribute('aria-label'));
    return {
        address: location.pathname + location.search,
        text: document.querySelector('main').innerText,
        fields: [...document.querySelectorAll('input:not([type=file]), select')].map((e) => e.type === 'checkbox' ? e.checked : e.value),
        chosen: texts('[aria-pressed=true]'), selected: texts('[aria-selected=true]'), folded: texts('[aria-expanded=false]'),
        sorted: texts('[aria-sort=ascending], [aria-sort=descending]'),
    };
}"""
PICTURE = "() => [...document.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL())"


def seen(page: Page, script: str = SEEN):
    """What is on the page once it has stopped changing."""
    last, same, until = None, 0, time.monotonic() + SEEN_MILLISECONDS_MAX / 1000
    while same < 4 and time.monotonic() < until:
        page.wait_for_timeout(150)
        now = page.evaluate(script)
        same = same + 1 if now == last else 0
        last = now
    return last


def reproduced(page: Page, profile, *, text: bool = True, picture: bool = False) -> Page:
    """The view's address opened elsewhere, held to what is seen here."""
    # Focus is no part of a view; a list of completions that it opens is none either.
    page.evaluate("document.activeElement?.blur()")
    here = seen(page)
    other = profile(page.url)
    there = seen(other)
    if not text:
        here.pop("text"), there.pop("text")
    assert there == here
    if picture:
        assert seen(other, PICTURE) == seen(page, PICTURE)
    return other


def slow_trace(shop) -> str:
    slowest = max((span for span in shop.spans if "parentId" not in span), key=lambda span: span["duration"])
    return slowest["traceId"]


def test_search_with_query_order_columns_and_picture(shop, profile):
    page = profile(f"{shop.url}/zipkin/")
    expect(page.get_by_test_id("trace-row").first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("service:cart device.type=tv ")
    page.keyboard.press("Enter")
    page.get_by_label("Sort").select_option("longest")
    page.get_by_role("button", name="Show device.type as a column").click()
    page.get_by_role("button", name="Heat", exact=True).click()
    page.wait_for_url("**strip=heat**")
    other = reproduced(page, profile)
    expect(other.get_by_label("Sort")).to_have_value("longest")
    assert other.locator(".chip").count() == 2


def test_a_region_and_why_it_is_slow(shop, profile):
    page = profile(f"{shop.url}/zipkin/?lookback=1h")
    strip = page.get_by_test_id("strip")
    expect(strip).to_be_visible()
    expect(page.get_by_test_id("facets")).to_be_visible()
    seen(page)
    box = strip.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 28)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 52, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Why slow?").click()
    expect(page.get_by_test_id("why-row").first).to_contain_text("node-7")
    reproduced(page, profile)


def test_a_trace_with_filter_selection_folds_and_zoom(shop, profile):
    page = profile(f"{shop.url}/zipkin/trace/{slow_trace(shop)}")
    expect(page.get_by_test_id("span-row").first).to_be_visible()
    page.locator('[data-testid="span-row"][data-service="inventory"]').first.wait_for()
    for key in ("j", "j", "h", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_test_id("span-detail")).to_be_visible()
    page.get_by_label("Find in trace").fill("service:cart")
    page.get_by_label("Spans that do not match").select_option("path")
    box = page.get_by_test_id("minimap").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 20, steps=4)
    page.mouse.up()
    page.wait_for_url("**from=**")
    other = reproduced(page, profile, picture=True)
    for part in ("span=", "fold=", "q=service:cart", "show=path", "from=", "to="):
        assert part in other.url, other.url


@pytest.mark.parametrize("view", ["flame", "table", "map", "logs"])
def test_the_other_views_of_a_trace(shop, profile, view):
    page = profile(f"{shop.url}/zipkin/trace/{slow_trace(shop)}")
    expect(page.get_by_test_id("span-row").first).to_be_visible()
    page.keyboard.press({"flame": "2", "table": "3", "map": "4", "logs": "5"}[view])
    page.wait_for_url(f"**view={view}**")
    if view == "flame":
        flame = page.get_by_test_id("flame").bounding_box()
        page.mouse.click(flame["x"] + 60, flame["y"] + 38)
        page.get_by_role("button", name="Critical path").click()
        page.wait_for_url("**by=critical**")
    if view == "table":
        page.get_by_role("button", name="p95").click()
        page.wait_for_url("**sort=-p95**")
    reproduced(page, profile, picture=True)


def test_a_comparison(shop, profile):
    page = profile(f"{shop.url}/zipkin/")
    page.get_by_test_id("trace-row").first.focus()
    for key in ("x", "j", "x"):
        page.keyboard.press(key)
    page.get_by_test_id("marks").get_by_role("link", name="Compare").click()
    expect(page.get_by_test_id("compare-row").first).to_be_visible()
    page.get_by_label("Only what differs").check()
    page.wait_for_url("**only=changes**")
    reproduced(page, profile)


def test_services_and_the_map(shop, profile):
    page = profile(f"{shop.url}/zipkin/services?lookback=30m")
    page.locator('[data-name="cart"] a').first.click()
    expect(page.locator('[data-testid="service-row"][data-name="render"]')).to_be_visible()
    # Rates are of the time up to now.
    reproduced(page, profile, text=False)
    page.goto(f"{shop.url}/zipkin/map?lookback=30m")
    page.locator('[data-testid="map-node"][data-service="cart"]').click()
    page.get_by_label("Filter services").fill("inv")
    page.get_by_role("button", name="Error share").click()
    page.wait_for_url("**focus=cart**")
    other = reproduced(page, profile, text=False)
    expect(other.get_by_test_id("link-row")).to_have_count(1)


def test_live_open_and_status(shop, profile):
    page = profile(f"{shop.url}/zipkin/live?q=service:cart")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    reproduced(page, profile, text=False)
    for path, test_id in (("open", "drop-zone"), ("status", "status-store")):
        page = profile(f"{shop.url}/zipkin/{path}")
        expect(page.get_by_test_id(test_id)).to_be_visible()
        reproduced(page, profile, text=path == "open")


def query_of(page: Page) -> str:
    return urllib.parse.parse_qs(urllib.parse.urlsplit(page.url).query).get("q", [""])[0]


@pytest.mark.parametrize("old, query", [
    ("?serviceName=cart&spanName=render&lookback=15m&limit=10", "service:cart name:render"),
    ("?serviceName=inventory&annotationQuery=host.name%3Dnode-7&minDuration=100000", "service:inventory duration>=100ms host.name=node-7"),
    ("?serviceName=gateway&remoteServiceName=all&lookback=custom&startTs={start}&endTs={end}", "service:gateway"),
])
def test_zipkins_searches(shop, profile, old, query):
    now_ms = int(time.time() * 1000)
    page = profile(f"{shop.url}/zipkin/{old.format(start=now_ms - 1_800_000, end=now_ms)}")
    expect(page.get_by_test_id("trace-row").first).to_be_visible()
    assert query_of(page) == query


def test_zipkins_traces_and_dependencies(shop, profile):
    trace = slow_trace(shop)
    page = profile(f"{shop.url}/zipkin/traces/{trace}")
    expect(page.get_by_test_id("span-row").first).to_be_visible()
    assert urllib.parse.urlsplit(page.url).path == f"/zipkin/trace/{trace}"
    now_ms = int(time.time() * 1000)
    page = profile(f"{shop.url}/zipkin/dependency?startTime={now_ms - 1_800_000}&endTime={now_ms}")
    expect(page.locator('[data-testid="map-node"][data-service="inventory"]')).to_be_visible()


def jaeger_origins(shop) -> dict[str, str]:
    """Jaeger's page lay at the root of its own port; behind a proxy people moved it to where Zipkin's was."""
    return {"its own port": f"http://{shop.address('jaeger-query')}/", "Zipkin's port": f"{shop.url}/zipkin/"}


@pytest.mark.parametrize("where", ["its own port", "Zipkin's port"])
def test_jaegers_links(shop, profile, where):
    origin, trace = jaeger_origins(shop)[where], slow_trace(shop)
    now_us = time.time_ns() // 1000
    tags = urllib.parse.quote(json.dumps({"host.name": "node-7"}))
    times = f"lookback=1h&start={now_us - 60 * MINUTE_US}&end={now_us}"
    page = profile(f"{origin}search?service=inventory&operation=get%20stock&tags={tags}&minDuration=100ms&limit=20&{times}")
    expect(page.get_by_test_id("trace-row").first).to_be_visible()
    assert query_of(page) == 'service:inventory name:"get stock" duration>=100ms host.name=node-7'
    page = profile(f"{origin}trace/{trace}?uiFind=stock")
    expect(page.get_by_test_id("span-row").first).to_be_visible()
    expect(page.get_by_label("Find in trace")).to_have_value("stock")
    for path in ("dependencies", "system-architecture"):
        page = profile(f"{origin}{path}")
        expect(page.locator('[data-testid="map-node"][data-service="inventory"]')).to_be_visible()
    if where == "its own port":
        other = next(span["traceId"] for span in shop.spans if span["traceId"] != trace)
        page = profile(f"{origin}trace/{trace}...{other}?cohort={trace}&cohort={other}")
        expect(page.get_by_test_id("compare-row").first).to_be_visible()
    page = profile(f"{origin}monitor")
    expect(page.get_by_test_id("service-row").first).to_be_visible()


def test_jaegers_port_keeps_its_api(shop):
    query = Server(f"http://{shop.address('jaeger-query')}")
    assert "inventory" in query.get_json("/api/services")["data"]
    assert query.get_json(f"/api/traces/{slow_trace(shop)}")["data"][0]["traceID"] == slow_trace(shop)
    root = query.get("/")
    assert root.status == 200 and root.headers["content-type"].startswith("text/html")
