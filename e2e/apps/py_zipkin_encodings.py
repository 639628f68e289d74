"""py_zipkin: a root span and a child, sent once in an encoding of its.

    python py_zipkin_encodings.py [--zipkin-port 9411] [--encoding V2_JSON] [--service NAME] [--labelled-thrift]
"""

import argparse
import urllib.request

from py_zipkin import Encoding, Kind
from py_zipkin.transport import SimpleHTTPTransport
from py_zipkin.zipkin import zipkin_client_span, zipkin_span

parser = argparse.ArgumentParser()
parser.add_argument("--zipkin-port", type=int, default=9411)
parser.add_argument("--encoding", choices=["V1_JSON", "V2_JSON", "V2_PROTO3"], default="V2_JSON")
parser.add_argument("--service", default="encodings")
parser.add_argument("--labelled-thrift", action="store_true", help="to /api/v1/spans as x-thrift, as old tutorials have it")
options = parser.parse_args()


def as_old_tutorials_do(body):
    address = f"http://127.0.0.1:{options.zipkin_port}/api/v1/spans"
    body = body if isinstance(body, bytes) else body.encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/x-thrift"})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 202, answer.status


transport = as_old_tutorials_do if options.labelled_thrift else SimpleHTTPTransport("127.0.0.1", options.zipkin_port)
with zipkin_span(
    service_name=options.service, span_name="root", transport_handler=transport, sample_rate=100, port=8080,
    encoding=getattr(Encoding, options.encoding), kind=Kind.SERVER, binary_annotations={"path": "/"},
):
    with zipkin_client_span(service_name=options.service, span_name="call", annotations={"sent": 1.5e9}) as call:
        call.add_sa_binary_annotation(port=3306, service_name="db", host="127.0.0.2")
