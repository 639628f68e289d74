"""The first of two Flask services traced with py_zipkin: `webapp` (spans `index`, `do_stuff`) calls `service1` with B3 headers.

    python py_zipkin_webapp.py [--port 5000] [--service1 http://localhost:6000] [--zipkin-port 9411] [--sleep-seconds 5]
"""

import argparse
import time

import requests
from flask import Flask
from py_zipkin.transport import SimpleHTTPTransport
from py_zipkin.zipkin import create_http_headers_for_new_span, zipkin_span

app = Flask(__name__)


@zipkin_span(service_name="webapp", span_name="do_stuff")
def do_stuff():
    time.sleep(options.sleep_seconds)
    headers = create_http_headers_for_new_span()
    requests.get(options.service1 + "/service1/", headers=headers).raise_for_status()
    return "OK"


@app.route("/")
def index():
    with zipkin_span(
        service_name="webapp",
        span_name="index",
        transport_handler=SimpleHTTPTransport("localhost", options.zipkin_port),
        port=options.port,
        sample_rate=100,  # 0.05, # Value between 0.0 and 100.0
    ):
        body = do_stuff()
        time.sleep(options.sleep_seconds)
    return body, 200


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--service1", default="http://localhost:6000")
    parser.add_argument("--zipkin-port", type=int, default=9411)
    parser.add_argument("--sleep-seconds", type=float, default=5)
    options = parser.parse_args()
    app.run(host="localhost", port=options.port)
