"""Zipkin's own page, unmodified, in front of the server: it finds a trace, draws it and draws the dependencies.

Every call it makes must be answered with 200: a page that people keep using after the server was swapped.
"""

import base64
import time

import pytest
from playwright.sync_api import expect

from harness.page import SEEN_MILLISECONDS_MAX, screenshot
from harness.paths import FIXTURES
from harness.server import eventually
from lens_proxy import lens_in_front_of

TRACE_ID = "5af7183fb1d4cf5f"
FRONTEND = {"serviceName": "frontend", "ipv4": "127.0.0.1", "port": 8080}
PAYMENTS = {"serviceName": "payments", "ipv4": "127.0.0.1", "port": 8081}

# The fill of a node in the page's dependency drawing, read off a picture of it in front of the real Zipkin.
NODE_COLOUR = (51, 123, 161)


@pytest.fixture(scope="module")
def lens(server):
    """The page in front of the server that holds one recent trace and an old, large, real one."""
    posted = server.post_spans(recent_trace(int(time.time() * 1_000_000) - 5_000_000))
    assert posted.status == 202
    assert server.post_spans((FIXTURES / "zipkin-traces" / "smartthings-oauth-authorization.json").read_bytes()).status == 202
    with lens_in_front_of(server.url) as (address, handed_on):
        yield address
        assert handed_on, "the page asked the server"
        assert {status for status, _ in handed_on} == {200}, [call for call in handed_on if call[0] != 200]


def recent_trace(start: int) -> list[dict]:
    """A checkout whose payment failed: a server span, a client span and its shared server half, in microseconds from `start`."""
    return [
        {
            "traceId": TRACE_ID, "id": "000000000000000a", "kind": "SERVER", "name": "get /checkout",
            "timestamp": start, "duration": 100_000, "localEndpoint": FRONTEND, "tags": {"http.method": "GET"},
        },
        {
            "traceId": TRACE_ID, "parentId": "000000000000000a", "id": "000000000000000b", "kind": "CLIENT", "name": "post /charge",
            "timestamp": start + 10_000, "duration": 80_000, "localEndpoint": FRONTEND, "remoteEndpoint": PAYMENTS,
        },
        {
            "traceId": TRACE_ID, "parentId": "000000000000000a", "id": "000000000000000b", "kind": "SERVER", "shared": True,
            "name": "post /charge", "timestamp": start + 20_000, "duration": 60_000, "localEndpoint": PAYMENTS,
            "tags": {"error": "card declined"}, "annotations": [{"timestamp": start + 30_000, "value": "bank asked"}],
        },
    ]


def test_finds_a_trace_and_draws_it(lens, page):
    page.goto(f"{lens}?serviceName=frontend&lookback=15m&limit=10")
    page.get_by_role("button", name="Run Query").click()
    expect(page.get_by_text("1 Result")).to_be_visible(timeout=SEEN_MILLISECONDS_MAX)
    result = page.get_by_role("row").filter(has_text="frontend: get /checkout")
    expect(result.get_by_test_id("TraceSummaryRow-duration")).to_have_text("100.000ms")
    screenshot(page, "lens-search")

    result.get_by_role("button", name="Show").click()
    expect(page).to_have_url(f"{lens}traces/{TRACE_ID}", timeout=SEEN_MILLISECONDS_MAX)
    expect(page.get_by_text(f"Trace ID{TRACE_ID}")).to_be_visible(timeout=SEEN_MILLISECONDS_MAX)
    # The page draws the two halves of a shared span as one, under the server's name.
    expect(page.get_by_text("Total Spans2")).to_be_visible()
    main = page.get_by_role("main")
    # Once as the heading, once as the first bar of the timeline.
    expect(main.get_by_text("frontend: get /checkout", exact=True)).to_have_count(2)
    main.get_by_text("payments: post /charge", exact=True).click()
    for detail in ("000000000000000b", "card declined", "bank asked", "Client Start", "Server Finish"):
        expect(main.get_by_text(detail).first).to_be_attached()
    screenshot(page, "lens-trace")


def test_opens_a_large_real_trace_by_its_link(lens, page):
    page.goto(f"{lens}traces/8ce82b2e9ed820ba")
    expect(page.get_by_text("Trace ID8ce82b2e9ed820ba")).to_be_visible(timeout=SEEN_MILLISECONDS_MAX)
    # 175 spans, 45 of them shared halves.
    expect(page.get_by_text("Total Spans130")).to_be_visible()
    screenshot(page, "lens-large-trace")


def test_draws_the_dependencies(lens, page, server):
    if server.pid is None:
        pytest.skip("counts on a store without other services")
    page.goto(f"{lens}dependency")
    page.get_by_test_id("search-button").click()
    graph = page.get_by_test_id("dependencies-graph")
    canvas = graph.locator("canvas")
    expect(canvas).to_be_visible(timeout=SEEN_MILLISECONDS_MAX)

    x, y = eventually("a node drawn at the same place twice", lambda: settled_leftmost_node(page, canvas))
    screenshot(page, "lens-dependencies")
    # A click on the drawn caller opens whom it calls, how often, and how often that failed.
    canvas.click(position={"x": x, "y": y})
    expect(page.get_by_text("Uses (traced requests)")).to_be_visible(timeout=SEEN_MILLISECONDS_MAX)
    expect(page.get_by_role("row").filter(has_text="payments").get_by_role("cell")).to_have_text(["payments", "1", "1"])
    screenshot(page, "lens-dependency-detail")

    graph.get_by_placeholder("Select...").click()
    expect(page.get_by_role("option")).to_have_text(["frontend", "payments"])


def settled_leftmost_node(page, canvas):
    seen = [leftmost_node(page, canvas) for _ in range(2)]
    return seen[0] if seen[0] == seen[1] else None


def leftmost_node(page, canvas):
    """The middle of the leftmost circle in the drawing, found by its colour; None while there is none."""
    picture = base64.b64encode(canvas.screenshot()).decode()
    return page.evaluate(FIND_LEFTMOST, {"picture": picture, "colour": NODE_COLOUR})


FIND_LEFTMOST = """async ({picture, colour}) => {
    const image = new Image();
    image.src = 'data:image/png;base64,' + picture;
    await image.decode();
    const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, image.width, image.height).data;
    const found = [];
    for (let i = 0; i < pixels.length; i += 4)
        if (colour.every((value, channel) => Math.abs(pixels[i + channel] - value) <= 3))
            found.push([i / 4 % image.width, Math.floor(i / 4 / image.width)]);
    if (!found.length) return null;
    const left = Math.min(...found.map(([x]) => x)), near = found.filter(([x]) => x - left < 40);
    const middle = axis => Math.round(near.reduce((sum, point) => sum + point[axis], 0) / near.length);
    return [middle(0), middle(1)];
}"""
