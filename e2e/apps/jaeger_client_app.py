"""jaeger-client's example: `TestSpan` around `ChildSpan`, each with an event, sent to an agent over UDP.

    python jaeger_client_app.py [--udp-port 6831] [--sampling-port 5778] [--sampler const] [--service your-app-name] [--debug-id ID]
"""

import argparse
import logging
import time

from jaeger_client import Config
from opentracing import Format

parser = argparse.ArgumentParser()
parser.add_argument("--udp-port", type=int, default=6831)
parser.add_argument("--sampling-port", type=int, default=5778)
parser.add_argument("--sampler", choices=["const", "never", "remote"], default="const")
parser.add_argument("--service", default="your-app-name")
parser.add_argument("--debug-id")
options = parser.parse_args()

logging.basicConfig(format="%(asctime)s %(message)s", level=logging.DEBUG)
config = {
    "logging": True,
    "local_agent": {
        "reporting_host": "127.0.0.1",
        "reporting_port": options.udp_port,
        "sampling_port": options.sampling_port,
    },
    "sampling_refresh_interval": 1,
}
if options.sampler != "remote":
    config["sampler"] = {"type": "const", "param": options.sampler == "const"}

tracer = Config(config=config, service_name=options.service, validate=True).initialize_tracer()
if options.sampler == "remote":
    # The first answer of the agent comes within the refresh interval.
    time.sleep(4)

parent = None
if options.debug_id:
    parent = tracer.extract(Format.HTTP_HEADERS, {"jaeger-debug-id": options.debug_id})
with tracer.start_span("TestSpan", child_of=parent) as span:
    span.log_kv({"event": "test message", "life": 42})
    with tracer.start_span("ChildSpan", child_of=span) as child:
        child.log_kv({"event": "down below"})

# As its README says: the reporter needs a moment before and after it is closed.
time.sleep(2)
tracer.close()
time.sleep(1)
