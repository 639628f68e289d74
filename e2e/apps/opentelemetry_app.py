"""opentelemetry-sdk: a server span with attributes of every type, an event, a link and a failed client span, exported as OTLP.

    python opentelemetry_app.py [--protocol grpc] [--endpoint http://localhost:4317] [--service otel-app]
"""

import argparse

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

parser = argparse.ArgumentParser()
parser.add_argument("--protocol", choices=["grpc", "http"], default="grpc")
parser.add_argument("--endpoint", default="http://localhost:4317")
parser.add_argument("--service", default="otel-app")
parser.add_argument("--compression", choices=["none", "gzip"], default="none")
options = parser.parse_args()

if options.protocol == "grpc":
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    compression = Compression.Gzip if options.compression == "gzip" else Compression.NoCompression
    exporter = OTLPSpanExporter(endpoint=options.endpoint, insecure=True, compression=compression)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(endpoint=options.endpoint, compression=Compression(options.compression))

provider = TracerProvider(resource=Resource.create({"service.name": options.service, "host.name": "h1"}))
provider.add_span_processor(BatchSpanProcessor(exporter))
tracer = provider.get_tracer("shop", "1.2.3")

other = SpanContext(0x0102030405060708090A0B0C0D0E0F10, 0x0102030405060708, is_remote=True, trace_flags=TraceFlags(1))
attributes = {"text": "a", "yes": True, "whole": 7, "half": 0.5, "list": ["x", "y"]}
with tracer.start_as_current_span("GET /cart", kind=SpanKind.SERVER, attributes=attributes, links=[Link(other)]) as server:
    server.add_event("cache miss", {"key": "cart-7"})
    with tracer.start_as_current_span("POST /pay", kind=SpanKind.CLIENT) as client:
        client.set_attribute("peer.service", "payments")
        client.set_status(Status(StatusCode.ERROR, "declined"))

assert provider.force_flush()
provider.shutdown()
