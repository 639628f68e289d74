"""Zipkin's own Java reporter, unmodified, in each of its encodings; and py_zipkin in each of its."""

import subprocess

import pytest

from harness.paths import E2E
from harness.programs import run_program
from harness.traces import by_name, find_trace

REPORTER = E2E / ".cache" / "zipkin-reporter"
PATHS = {"JSON_V2": "/api/v2/spans", "PROTO3": "/api/v2/spans", "THRIFT": "/api/v1/spans", "JSON_V1": "/api/v1/spans"}


@pytest.mark.parametrize("encoding", PATHS)
def test_the_java_reporter(start_server, encoding):
    # The ids are the same each time, so each has a server of its own.
    with start_server(f"zipkin-reporter-{encoding}") as server:
        service = f"java-{encoding.lower()}"
        command = ["java", "-cp", f"{REPORTER}:{REPORTER}/*", "Report", server.url + PATHS[encoding], encoding, service]
        subprocess.run(command, check=True, timeout=60)
        spans = by_name(find_trace(server, 2, serviceName=service))
    root, query = spans["get /cart"], spans["select"]
    local = {"serviceName": service, "ipv4": "127.0.0.1", "port": 8080}
    assert (root["traceId"], root["id"], root["kind"]) == ("463ac35c9f6413ad48485a3953bb6124", "a2fb4a1d1a96d312", "SERVER")
    assert (root["duration"], query["duration"]) == (200_000, 100_000)
    assert query["timestamp"] - root["timestamp"] == 2_000
    assert (root["localEndpoint"], query["localEndpoint"]) == (local, local)
    assert query["remoteEndpoint"] == {"serviceName": "db", "ipv6": "2001:db8::c001", "port": 3306}
    assert (query["parentId"], query["kind"]) == (root["id"], "CLIENT")
    assert root["annotations"] == [{"timestamp": root["timestamp"] + 1_000, "value": "cache miss"}]
    assert (root["tags"], query["tags"]) == ({"http.path": "/cart"}, {"error": "ключ"})


@pytest.mark.parametrize("arguments", [["V1_JSON"], ["V2_JSON"], ["V2_PROTO3"], ["V2_JSON", "--labelled-thrift"]], ids="-".join)
def test_py_zipkin(server, arguments):
    service = "-".join(["py-zipkin", *arguments]).lower()
    run_program("py_zipkin_encodings.py", "--zipkin-port", server.port, "--service", service, "--encoding", *arguments)
    spans = by_name(find_trace(server, 2, serviceName=service))
    root, call = spans["root"], spans["call"]
    assert (root["kind"], call["kind"], call["parentId"]) == ("SERVER", "CLIENT", root["id"])
    assert root["tags"] == {"path": "/"}
    assert {"timestamp": 1_500_000_000_000_000, "value": "sent"} in call["annotations"]
    assert call["remoteEndpoint"] == {"serviceName": "db", "ipv4": "127.0.0.2", "port": 3306}
    assert root["localEndpoint"]["port"] == 8080
