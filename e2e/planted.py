"""Traffic of a shop in which one thing is slow: ten causes to plant, and noise that is none of them.

Every request passes gateway, cart, inventory, payment and a database. All durations scatter, some requests are slow without any cause,
some fail without being slow, and every span carries what real ones carry: hosts, versions, regions, ids, tiers, threads.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

HOSTS = [f"node-{n}" for n in range(1, 9)]
STATEMENTS = [f"SELECT * FROM table_{n} WHERE id = ?" for n in range(30)]
FORMATS = ["csv", "html", "json", "pdf"]


@dataclass
class Request:
    """What was drawn for one request. `extra_us` is spent in the span that a cause is about."""

    draw: random.Random
    host: dict[str, str]
    version: str
    region: str
    tier: str
    format: str
    statements: list[str]
    is_cached: bool
    device: str
    fails: bool
    slow: bool = False
    calls: int = 1
    extra_us: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Cause:
    """`holds` says of which requests, `strikes` makes such a request slow; `expected` is what has to be named: service, key, value."""

    name: str
    holds: Callable[[Request], bool]
    strikes: Callable[[Request], None]
    expected: set[tuple]


def extra(service: str, us: int = 300_000):
    """Slow in this service's span."""

    def strike(request: Request) -> None:
        request.extra_us[service] = int(us * request.draw.uniform(0.7, 1.6))

    return strike


def retry(request: Request) -> None:
    request.calls = request.draw.randint(5, 9)


def time_out(request: Request) -> None:
    request.fails = True
    extra("payment", 400_000)(request)


CAUSES = [
    Cause("slow host", lambda r: r.host["inventory"] == "node-7", extra("inventory"), {("inventory", "host.name", "node-7")}),
    Cause("version", lambda r: r.version == "2.4.0", extra("cart"), {("cart", "service.version", "2.4.0")}),
    Cause("endpoint's value", lambda r: r.format == "pdf", extra("cart"), {("cart", "report.format", "pdf")}),
    Cause("retry storm", lambda r: r.draw.random() < 0.1, retry, {("gateway", "name", "authorize", "times"), ("payment", "name", "authorize", "times")}),
    Cause("region", lambda r: r.region == "ap-south", extra("gateway"), {("gateway", "cloud.region", "ap-south")}),
    Cause("statement", lambda r: STATEMENTS[17] in r.statements, extra("statement"), {("inventory", "db.statement", STATEMENTS[17])}),
    Cause("tier", lambda r: r.tier == "free", extra("payment"), {("gateway", "customer.tier", "free")}),
    Cause("error path", lambda r: r.draw.random() < 0.08, time_out, {("payment", "status", "error"), ("payment", "error", "timeout")}),
    Cause("cold cache", lambda r: not r.is_cached, extra("statement", 200_000), {("inventory", "cache.hit", "false")}),
    Cause(
        "two together", lambda r: r.version == "2.4.0" and r.device == "tv", extra("cart"),
        {("cart", frozenset({("service.version", "2.4.0"), ("device.type", "tv")}))},
    ),
]


def drawn(draw: random.Random, cause: Cause) -> Request:
    """A request; where the cause holds it is slow nearly always, elsewhere hardly ever."""
    request = Request(
        draw=draw,
        host={service: draw.choice(HOSTS) for service in ("gateway", "cart", "inventory", "payment")},
        version=draw.choices(["2.3.0", "2.3.1", "2.4.0"], [5, 3, 2])[0],
        region=draw.choices(["eu-west", "us-east", "ap-south"], [5, 4, 1])[0],
        tier=draw.choices(["gold", "silver", "free"], [3, 6, 1])[0],
        format=draw.choices(FORMATS, [4, 4, 4, 1])[0],
        statements=draw.sample(STATEMENTS, 3),
        is_cached=draw.random() > 0.12,
        device=draw.choices(["phone", "web", "tv"], [5, 3, 2])[0],
        fails=draw.random() < 0.02,
    )
    if cause.holds(request) and draw.random() < 0.9:
        cause.strikes(request)
    elif draw.random() < 0.02:
        extra(draw.choice(["gateway", "cart", "inventory", "payment"]))(request)
    return request


def spans_of(request: Request, at: int, start_us: int) -> list[dict]:
    """The request's spans, each as long as those below it take and some more."""
    draw, spans, number = request.draw, [], 0
    trace_id = f"{draw.getrandbits(126) + 1:032x}"

    def noise(service: str) -> dict[str, str]:
        return {
            "host.name": request.host[service], "cloud.region": request.region, "thread.name": f"worker-{draw.randrange(40)}",
            "request.id": f"{draw.getrandbits(64):x}", "net.peer.port": str(draw.randrange(30_000, 60_000)),
        }

    def took(typical_us: int) -> int:
        return int(typical_us * draw.lognormvariate(0, 0.35))

    def span(parent, service, name, kind, begin, children, own_us, tags, remote=None):
        """`children` are made with this span as their parent; each begins when the one before it has ended."""
        nonlocal number
        number += 1
        made = {
            "traceId": trace_id, "id": f"{(at + 1) * 256 + number:016x}", "name": name, "kind": kind, "timestamp": begin,
            "localEndpoint": {"serviceName": service}, "tags": tags,
            **({"parentId": parent["id"]} if parent else {}), **({"remoteEndpoint": {"serviceName": remote}} if remote else {}),
        }
        spans.append(made)
        own_us += request.extra_us.get(service, 0) if kind == "SERVER" else 0
        end = begin + own_us // 2
        for child in children:
            end = child(made, end)
        made["duration"] = max(end + own_us - own_us // 2 - begin, 1)
        return begin + made["duration"]

    def query(statement: str, is_first: bool):
        is_struck = statement == STATEMENTS[17] or (is_first and STATEMENTS[17] not in request.statements)
        own_us = took(900) + (request.extra_us.get("statement", 0) if is_struck else 0)
        tags = {"db.system": "postgresql", "db.statement": statement, "db.rows": str(draw.randrange(200))}
        return lambda parent, begin: span(parent, "inventory", "select", "CLIENT", begin, [], own_us, tags, remote="stock")

    def stock(parent, begin):
        queries = [query(statement, at == 0) for at, statement in enumerate(request.statements)]
        tags = noise("inventory") | {"cache.hit": str(request.is_cached).lower(), "items": str(draw.randrange(1, 60))}
        return span(parent, "inventory", "get stock", "SERVER", begin, queries, took(1500), tags)

    def cart(parent, begin):
        tags = noise("cart") | {"service.version": request.version, "report.format": request.format, "device.type": request.device}
        return span(parent, "cart", "render", "SERVER", begin, [stock], took(2500), tags)

    def payment(fails: bool):
        failure = {"error": "timeout"} if fails else {}
        tags = noise("payment") | {"card.bin": str(draw.randrange(400_000, 400_900))} | failure
        own_us = took(3000)
        return lambda parent, begin: span(parent, "payment", "authorize", "SERVER", begin, [], own_us, tags)

    def charge(fails: bool):
        own_us = took(300) + (60_000 if request.calls > 1 else 0)
        return lambda parent, begin: span(parent, "gateway", "authorize", "CLIENT", begin, [payment(fails)], own_us, {})

    charges = [charge(request.fails and call == request.calls - 1) for call in range(request.calls)]
    tags = noise("gateway") | {
        "http.method": draw.choice(["GET", "POST"]), "customer.tier": request.tier, "customer.id": str(draw.randrange(5_000)),
        "http.status_code": "504" if request.fails else "200", "user_agent": f"agent/{draw.randrange(25)}",
    }
    span(None, "gateway", "checkout", "SERVER", start_us, [cart, *charges], took(2000), tags)
    return spans


def traffic(cause: Cause, seed: int, requests: int, end_us: int, length_us: int) -> list[dict]:
    """Requests spread over a time that ends then."""
    draw = random.Random(f"{cause.name} {seed}")
    return [
        span for at in range(requests)
        for span in spans_of(drawn(draw, cause), at, end_us - length_us + at * length_us // requests)
    ]
