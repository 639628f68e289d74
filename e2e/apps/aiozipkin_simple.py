"""aiozipkin's README, "Simple example": one client span with a tag and two annotations, sent when the tracer closes.

    python aiozipkin_simple.py [http://127.0.0.1:9411]
"""

import asyncio
import sys

import aiozipkin as az


async def run(zipkin):
    # setup zipkin client
    zipkin_address = zipkin + "/api/v2/spans"
    endpoint = az.create_endpoint("simple_service", ipv4="127.0.0.1", port=8080)
    tracer = await az.create(zipkin_address, endpoint, sample_rate=1.0)

    # create and setup new trace
    with tracer.new_trace(sampled=True) as span:
        # give a name for the span
        span.name("Slow SQL")
        # tag with relevant information
        span.tag("span_type", "root")
        # indicate that this is client span
        span.kind(az.CLIENT)
        # make timestamp and name it with START SQL query
        span.annotate("START SQL SELECT * FROM")
        # imitate long SQL query
        await asyncio.sleep(0.1)
        # make other timestamp and name it "END SQL"
        span.annotate("END SQL")

    await tracer.close()


if __name__ == "__main__":
    # the README's get_event_loop().run_until_complete(...) is gone from newer Pythons
    asyncio.run(run(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:9411"))
