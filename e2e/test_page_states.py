"""Every page and state of Tracewell's page with the real server: the demo's traffic, recorded traces, traces that are very large, broken
or oddly named. Nothing is wider than the window, nothing throws, axe finds nothing in either theme.
"""

import json
import random
import subprocess
import time

import pytest
from playwright.sync_api import Page, expect

from harness.page import SEEN_MILLISECONDS_MAX, screenshot
from harness.paths import FIXTURES, REPOSITORY, server_binary

AXE = REPOSITORY / "ui" / "node_modules" / "axe-core" / "axe.min.js"
LARGE_SPANS = 50_000
MANY_SERVICES = 100
PER_REQUEST = 5_000
DEMO_SECONDS_MAX = 120

LARGE, ORPHANS, SKEWED, MANY, NAMES = (f"{number:032x}" for number in (0xB160, 0x0A, 0x5E, 0x100, 0xAB))
HEBREW, ARABIC = "שירות תשלומים", "خدمة الدفع"
LONG = "a-service-with-a-very-long-name-that-somebody-made-of-the-path-of-its-package-" * 3


def span(trace: str, number: int, parent: int | None, service: str, name: str, start: int, duration: int, **more) -> dict:
    return {
        "traceId": trace, "id": f"{number:016x}", "name": name, "timestamp": start, "duration": duration,
        "localEndpoint": {"serviceName": service}, **({"parentId": f"{parent:016x}"} if parent else {}), **more,
    }


def large_trace(now: int) -> list[dict]:
    """Deep in places, wide in others, with errors and runs of equal calls."""
    draw = random.Random(5)
    start, duration = [0, now - 100_000_000], [0, 60_000_000]
    spans = [span(LARGE, 1, None, "gateway", "get /everything", start[1], duration[1], kind="SERVER")]
    for number in range(2, LARGE_SPANS + 1):
        parent = 1 if number < 12 else 1 + int(draw.random() * draw.random() * (number - 2))
        duration.append(max(20, int(duration[parent] * (0.05 + draw.random() * 0.3))))
        start.append(start[parent] + int(draw.random() * max(duration[parent] - duration[number], 1)))
        service = f"service-{draw.randrange(12)}"
        failed = {"tags": {"error": "deadline exceeded"}} if draw.random() < 0.005 else {}
        spans.append(span(LARGE, number, parent, service, f"select /{number % 40}", start[number], duration[number], **failed))
    return spans


def odd_traces(now: int) -> list[dict]:
    start = now - 30_000_000
    return [
        # The root and one in the middle never came.
        span(ORPHANS, 2, 1, "cart", "list", start, 900), span(ORPHANS, 3, 2, "cart", "select rows", start + 50, 700),
        span(ORPHANS, 5, 4, "mail", "send", start + 400, 300),
        # The callee's clock is nine seconds behind, and ends before it began for the caller.
        span(SKEWED, 1, None, "front", "get /", start, 100_000, kind="CLIENT"),
        span(SKEWED, 1, None, "back", "get /", start - 9_000_000, 80_000, kind="SERVER", shared=True),
        span(SKEWED, 2, 1, "back", "select rows", start - 8_990_000, 20_000, kind="CLIENT"),
        *(
            span(MANY, number, number // 3 or None, f"service-{number:03}", f"work {number}", start + number * 10, 500_000 // (number + 1) + 10, kind="SERVER")
            for number in range(1, MANY_SERVICES + 1)
        ),
        span(NAMES, 1, None, LONG, "get /" + "a/very/long/route/" * 12, start, 90_000, tags={"x" * 200: "y" * 2_000}),
        span(NAMES, 2, 1, HEBREW, "חיוב כרטיס", start + 1_000, 50_000, tags={"מפתח": "ערך", "error": "הכרטיס נדחה"}),
        span(NAMES, 3, 2, ARABIC, "اقرأ \u202eabc\u202c الصفوف", start + 2_000, 20_000),
        span(NAMES, 4, 1, "", "", start + 60_000, 0),
        span(
            NAMES, 5, 1, "<b>bold</b>&amp;", "<script>alert(1)</script>", start + 61_000, 500,
            annotations=[{"timestamp": start + 61_100, "value": "👩‍🚀 " * 40}],
        ),
    ]


@pytest.fixture(scope="module")
def full(start_server):
    """A server with all of it."""
    with start_server("page-states") as server:
        demo = [server_binary(), "demo", "--target", server.url, "--history", "10m", "--traces", "0", "--seed", "7"]
        subprocess.run(demo, check=True, timeout=DEMO_SECONDS_MAX, stdout=subprocess.DEVNULL)
        now = time.time_ns() // 1000
        spans = large_trace(now) + odd_traces(now)
        for first in range(0, len(spans), PER_REQUEST):
            assert server.post_spans(spans[first : first + PER_REQUEST]).status == 202
        server.recorded = []
        for file in sorted((FIXTURES / "zipkin-traces").glob("*.json")):
            recorded = json.loads(file.read_bytes())
            assert server.post_spans(recorded).status == 202
            server.recorded.append(recorded[0]["traceId"])
        yield server


@pytest.fixture(scope="module")
def empty(start_server):
    with start_server("page-empty") as server:
        yield server


@pytest.fixture(params=["light", "dark"])
def look(request, browser):
    """Opens an address in this theme, at a width; what the page throws fails the test."""
    contexts, errors = [], []

    def opened(url: str, width: int = 1440) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=request.param, reduced_motion="reduce")
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


def sound(page: Page) -> None:
    """Axe finds nothing, and the page is no wider than the window."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    assert [(one["id"], [node["failureSummary"] for node in one["nodes"]][:2]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


PAGES = [
    ("", "trace-row"), ("?q=service:cart+status:error&cols=http.status_code", "trace-row"), ("?strip=histogram", "trace-row"),
    ("?strip=heat&facets=off", "trace-row"), ("?lookback=1h&sel=--200000-&why=1", "why-row"), ("?q=service:nobody", "no-results"),
    ("services", "service-row"), ("services?service=cart", "service-row"), ("live", "live-waiting"), ("open", "drop-zone"),
    ("status", "status-store"), ("compare", "compare-a"), ("map?focus=cart", "link-row"),
    *((f"trace/{LARGE}?view={view}", test_id) for view, test_id in (("timeline", "span-row"), ("flame", "flame"), ("table", "table-row"), ("map", "call-row"))),
    *(
        (f"trace/{NAMES}?span=1&view={view}", test_id)
        for view, test_id in (("timeline", "span-tags"), ("table", "table-row"), ("map", "call-row"), ("logs", "log-row"))
    ),
    (f"trace/{ORPHANS}", "span-row"), (f"trace/{SKEWED}", "span-row"), (f"trace/{MANY}?view=map", "call-row"),
    (f"compare?a={ORPHANS}&b={NAMES}", "compare-row"), ("trace/00000000000000000000000000000bad", "trace-not-found"),
]


@pytest.mark.parametrize("width", [1440, 375])
@pytest.mark.parametrize("path, test_id", PAGES, ids=[path.split("&")[0] or "search" for path, _ in PAGES])
def test_pages(full, look, path, test_id, width):
    page = look(f"{full.url}/zipkin/{path}", width)
    expect(page.get_by_test_id(test_id).first).to_be_attached(timeout=SEEN_MILLISECONDS_MAX)
    sound(page)
    screenshot(page, f"state-{(path.replace('/', '-').replace('?', '-') or 'search')[:60]}-{width}")


def test_recorded_traces(full, look):
    for trace in full.recorded:
        page = look(f"{full.url}/zipkin/trace/{trace}")
        expect(page.get_by_test_id("span-row").first).to_be_visible()
        sound(page)


def test_a_large_trace_opens_folded_and_whole(full, look):
    page = look(f"{full.url}/zipkin/trace/{LARGE}")
    expect(page.get_by_test_id("span-row").first).to_be_visible()
    grid = page.get_by_role("treegrid")
    assert int(grid.get_attribute("aria-rowcount")) < 5_000
    page.get_by_role("button", name="Expand all").click()
    expect(grid).to_have_attribute("aria-rowcount", str(LARGE_SPANS))
    page.keyboard.press("End")
    expect(page.locator(f'[data-row="{LARGE_SPANS - 1}"]')).to_be_attached()
    assert page.evaluate("document.getElementsByTagName('*').length") < 1_500


def test_what_a_trace_lacks_is_said(full, look):
    page = look(f"{full.url}/zipkin/trace/{ORPHANS}")
    expect(page.get_by_text("2 parents missing")).to_be_visible()
    page = look(f"{full.url}/zipkin/trace/{SKEWED}")
    expect(page.get_by_test_id("span-row")).to_have_count(3)
    expect(page.get_by_text("clock", exact=False).first).to_be_visible()


def test_names_are_text_whatever_they_hold(full, look):
    page = look(f"{full.url}/zipkin/trace/{NAMES}?span=1")
    rows = page.get_by_test_id("span-row")
    expect(rows).to_have_count(5)
    assert {row.get_attribute("data-service") for row in rows.all()} >= {HEBREW, ARABIC, "<b>bold</b>&amp;"}
    expect(page.get_by_test_id("span-tags")).to_contain_text("ערך")
    # What is long ends at the edge of its place, and tells the whole when asked.
    assert all(row.bounding_box()["width"] <= 1440 for row in rows.all())
    page = look(f"{full.url}/zipkin/?q=service:{urlquoted(HEBREW)}")
    expect(page.get_by_test_id("trace-row")).to_have_count(1)


def urlquoted(text: str) -> str:
    return f"%22{text}%22"


def test_a_hundred_services(full, look):
    page = look(f"{full.url}/zipkin/services")
    expect(page.get_by_test_id("service-row").nth(MANY_SERVICES)).to_be_attached()
    page = look(f"{full.url}/zipkin/map")
    expect(page.get_by_test_id("link-row").first).to_be_visible()
    page.get_by_label("Filter services").fill("service-001")
    expect(page.get_by_test_id("link-row").first).to_contain_text("service-001")


def test_an_empty_server_tells_how_to_begin_and_shows_the_first_trace(empty, look):
    page = look(f"{empty.url}/zipkin/")
    if page.get_by_test_id("first-span").count() == 0:
        expect(page.get_by_test_id("first-span").or_(page.get_by_test_id("trace-row")).first).to_be_visible()
    for path, test_id in (("services", "no-services"), ("map", "no-links")):
        if not empty.get_json("/api/v2/services"):
            other = look(f"{empty.url}/zipkin/{path}")
            expect(other.get_by_test_id(test_id)).to_be_visible()
            sound(other)
    sound(page)
    now = time.time_ns() // 1000
    assert empty.post_spans([span(f"{now:032x}", 1, None, "first", "hello", now - 1_000, 500)]).status == 202
    expect(page.get_by_test_id("trace-row").first).to_be_visible()


def test_while_it_loads_the_layout_stands(full, look):
    page = look(f"{full.url}/zipkin/status")
    held = []
    page.route("**/api/tracewell/v1/search**", lambda route: held.append(route))
    page.get_by_role("link", name="Search", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Searching")).to_be_visible(timeout=SEEN_MILLISECONDS_MAX)
    sound(page)
    # Every one of them goes on now, and those to come are not held.
    page.unroute_all(behavior="ignoreErrors")
    page.get_by_role("button", name="Search again").click()
    expect(page.get_by_test_id("trace-row").first).to_be_visible()


def test_a_wrong_query_is_pointed_at(full, look):
    page = look(f"{full.url}/zipkin/?q=service:cart+duration>fast")
    expect(page.locator("#query-problem")).to_contain_text("duration>fast")
    sound(page)


def test_when_the_server_goes_what_is_there_stays(start_server, look):
    """The pages have come with the first one; answers stay on screen, and what fails says so."""
    with start_server("page-offline") as server:
        now = time.time_ns() // 1000
        trace = f"{now:032x}"
        assert server.post_spans([span(trace, 1, None, "web", "get /", now - 1_000, 500), span(trace, 2, 1, "db", "select", now - 900, 300)]).status == 202
        page = look(f"{server.url}/zipkin/")
        expect(page.get_by_test_id("trace-row")).to_have_count(1)
        opened = look(f"{server.url}/zipkin/trace/{trace}")
        expect(opened.get_by_test_id("span-row")).to_have_count(2)
        live = look(f"{server.url}/zipkin/live")
        expect(live.get_by_test_id("live-waiting")).to_be_visible()
        page.wait_for_timeout(6_000)
    page.get_by_role("button", name="Search again").click()
    expect(page.get_by_test_id("failure")).to_contain_text("did not answer")
    expect(page.get_by_test_id("trace-row")).to_have_count(1)
    sound(page)
    page.get_by_role("link", name="Map", exact=True).click()
    expect(page.get_by_test_id("failure")).to_contain_text("did not answer")
    page.get_by_role("link", name="Open a file").click()
    expect(page.get_by_test_id("drop-zone")).to_be_visible()
    opened.keyboard.press("j")
    opened.keyboard.press("2")
    expect(opened.get_by_test_id("flame")).to_be_visible()
    opened.keyboard.press("3")
    expect(opened.get_by_test_id("table-row").first).to_be_visible()
    sound(opened)
    expect(live.get_by_role("status")).to_contain_text("again")
