"""aiozipkin's README, "aiohttp example", the client: a client span whose B3 headers travel with the request.

    python aiozipkin_client.py [--server http://127.0.0.1:8080] [--zipkin http://127.0.0.1:9411]
"""

import argparse
import asyncio

import aiohttp
import aiozipkin as az


async def run(server, zipkin):
    endpoint = az.create_endpoint("AIOHTTP_CLIENT")
    # sampled always: the default keeps one trace in a hundred
    tracer = await az.create(zipkin + "/api/v2/spans", endpoint, sample_rate=1.0)

    async with aiohttp.ClientSession() as session:
        with tracer.new_trace() as span:
            span.name("get post")
            span.kind(az.CLIENT)
            headers = span.context.make_headers()
            host = server + "/api/v1/posts/{}".format(1)
            resp = await session.get(host, headers=headers)
            await resp.text()
            resp.raise_for_status()

    await tracer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--zipkin", default="http://127.0.0.1:9411")
    options = parser.parse_args()
    asyncio.run(run(options.server, options.zipkin))
