// What to paste to send a first span. In: the server's origin as this browser sees it. Out: a shell command and two Python programs
// against the published packages.

export interface Snippet {
  name: string;
  text: string;
}

export function snippets(origin: string): Snippet[] {
  return [
    { name: 'curl', text: curl(origin) },
    { name: 'Python: py_zipkin', text: pyZipkin(origin) },
    { name: 'Python: aiozipkin', text: aiozipkin(origin) },
  ];
}

function curl(origin: string): string {
  return `curl -i ${origin}/api/v2/spans -H 'content-type: application/json' -d '[{
  "traceId": "'$(od -An -N8 -tx1 /dev/urandom | tr -d ' \\n')'",
  "id": "352bff9a74ca9ad2",
  "name": "hello",
  "kind": "SERVER",
  "timestamp": '$(date +%s)'000000,
  "duration": 250000,
  "localEndpoint": {"serviceName": "first-service"},
  "tags": {"http.method": "GET", "http.path": "/hello"}
}]'`;
}

function pyZipkin(origin: string): string {
  return `# pip install py_zipkin requests
import time
import requests
from py_zipkin import Encoding
from py_zipkin.zipkin import zipkin_span

def send(body):
    requests.post("${origin}/api/v2/spans", data=body,
                  headers={"content-type": "application/json"}).raise_for_status()

with zipkin_span(service_name="first-service", span_name="hello", sample_rate=100,
                 transport_handler=send, encoding=Encoding.V2_JSON):
    with zipkin_span(service_name="first-service", span_name="work"):
        time.sleep(0.25)`;
}

function aiozipkin(origin: string): string {
  return `# pip install aiozipkin
import asyncio
import aiozipkin as az

async def main():
    endpoint = az.create_endpoint("first-service")
    tracer = await az.create("${origin}/api/v2/spans", endpoint, sample_rate=1.0)
    with tracer.new_trace(sampled=True) as span:
        span.name("hello")
        span.kind(az.SERVER)
        with tracer.new_child(span.context) as child:
            child.name("work")
            await asyncio.sleep(0.25)
    await tracer.close()

asyncio.run(main())`;
}
