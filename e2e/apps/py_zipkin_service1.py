"""The second of two Flask services traced with py_zipkin: `service1` joins the span whose B3 headers `webapp` sent.

    python py_zipkin_service1.py [--port 6000] [--zipkin-port 9411] [--sleep-seconds 5]
"""

import argparse
import time

from flask import Flask, request
from py_zipkin.transport import SimpleHTTPTransport
from py_zipkin.zipkin import ZipkinAttrs, zipkin_span

app = Flask(__name__)


@zipkin_span(service_name="service1", span_name="service1_do_stuff")
def do_stuff():
    time.sleep(options.sleep_seconds)
    return "OK"


@app.route("/service1/")
def index():
    with zipkin_span(
        service_name="service1",
        zipkin_attrs=ZipkinAttrs(
            trace_id=request.headers["X-B3-TraceID"],
            span_id=request.headers["X-B3-SpanID"],
            parent_span_id=request.headers["X-B3-ParentSpanID"],
            flags=1,
            is_sampled=request.headers["X-B3-Sampled"],
        ),
        span_name="index_service1",
        transport_handler=SimpleHTTPTransport("localhost", options.zipkin_port),
        port=options.port,
        sample_rate=100,  # 0.05, # Value between 0.0 and 100.0
    ):
        body = do_stuff()
    return body, 200


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=6000)
    parser.add_argument("--zipkin-port", type=int, default=9411)
    parser.add_argument("--sleep-seconds", type=float, default=5)
    options = parser.parse_args()
    app.run(host="localhost", port=options.port)
