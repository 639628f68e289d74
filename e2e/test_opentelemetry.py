"""opentelemetry-sdk from PyPI, unmodified, over OTLP gRPC and HTTP, plain and gzipped: the trace as Jaeger's and Zipkin's APIs tell it."""

import pytest

from harness.jaeger import by_operation, find_trace, pairs, parent_of
from harness.programs import run_program
from harness.traces import by_name
from harness.traces import find_trace as find_zipkin_trace


@pytest.fixture(scope="module")
def server(start_server):
    with start_server("opentelemetry", every_port=True) as started:
        yield started


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_trace_of_every_type(server, protocol, compression):
    service = f"otel-{protocol}-{compression}"
    path = "" if protocol == "grpc" else "/v1/traces"
    endpoint = f"http://{server.address(f'otlp-{protocol}')}{path}"
    run_program(
        "opentelemetry_app.py", "--protocol", protocol, "--endpoint", endpoint, "--service", service, "--compression", compression
    )
    check_jaeger(find_trace(server, 2, service=service))
    check_zipkin(find_zipkin_trace(server, 2, serviceName=service), service)


def check_jaeger(trace):
    spans = by_operation(trace)
    cart, pay = spans["GET /cart"], spans["POST /pay"]
    tags = pairs(cart["tags"])
    expect = {"text": "a", "yes": True, "whole": 7, "half": 0.5, "list": '["x","y"]', "span.kind": "server"}
    assert {key: tags[key] for key in expect} == expect
    assert (tags["otel.scope.name"], tags["otel.scope.version"]) == ("shop", "1.2.3")
    assert [pairs(log["fields"]) for log in cart["logs"]] == [{"event": "cache miss", "key": "cart-7"}]
    link = {"refType": "FOLLOWS_FROM", "traceID": "0102030405060708090a0b0c0d0e0f10", "spanID": "0102030405060708"}
    assert cart["references"] == [link]
    assert parent_of(pay) == cart["spanID"]
    failed = {"error": True, "otel.status_code": "ERROR", "otel.status_description": "declined", "span.kind": "client"}
    assert {key: pairs(pay["tags"])[key] for key in failed} == failed
    assert pairs(cart["process"]["tags"])["host.name"] == "h1"


def check_zipkin(trace, service):
    spans = by_name(trace)
    cart, pay = spans["get /cart"], spans["post /pay"]
    assert (cart["kind"], pay["kind"], pay["parentId"]) == ("SERVER", "CLIENT", cart["id"])
    assert {span["localEndpoint"]["serviceName"] for span in trace} == {service}
    assert cart["tags"]["whole"] == "7" and cart["tags"]["yes"] == "true" and cart["tags"]["list"] == '["x","y"]'
    assert pay["tags"]["error"] == "declined"
    assert pay["remoteEndpoint"]["serviceName"] == "payments"
