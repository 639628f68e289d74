"""starlette-zipkin's README, "Advanced Tutorial": middleware with a `ZipkinConfig`, and a `trace` whose headers go on to a second service.

    python starlette_app.py [--port 8000] [--second http://127.0.0.1:8001] [--zipkin-port 9411]

Where the README cannot run with starlette-zipkin 0.3.0 this does what it means: `trace` has no `.context` (here `trace.make_headers()`) and
no `.kind()` (here an argument), and `uvicorn.run(app, reload=True)` wants an import string.
"""

import argparse
import asyncio
import json

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette_zipkin import B3Headers, ZipkinConfig, ZipkinMiddleware, trace


def make_app(second, zipkin_port):
    async def homepage(request):
        async with trace("NewParent", kind="SERVER") as child_span:
            # ! if headers not explicitly provided,
            # root span from middleware injects headers
            # and becomes the parent for subsequent services
            headers = trace.make_headers()
            child_span.annotate("Child, sleeps for 0.1, injects headers and becomes parent")
            await asyncio.sleep(0.1)
            async with aiohttp.ClientSession() as session:
                async with session.get(second + "/", headers=headers) as answer:
                    body = await answer.json()
            return JSONResponse({"hello": "world", "second": body}, headers=headers)

    routes = [
        Route("/", JSONResponse({"status": "OK"})),
        Route("/homepage", homepage),
    ]

    app = Starlette(debug=True, routes=routes)

    config = ZipkinConfig(
        host="localhost",
        port=zipkin_port,
        service_name="service_name",
        sample_rate=1.0,
        inject_response_headers=True,
        force_new_trace=False,
        json_encoder=json.dumps,
        header_formatter=B3Headers,
    )
    app.add_middleware(ZipkinMiddleware, config=config)
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--second", default="http://127.0.0.1:8001")
    parser.add_argument("--zipkin-port", type=int, default=9411)
    options = parser.parse_args()
    uvicorn.run(make_app(options.second, options.zipkin_port), host="127.0.0.1", port=options.port, log_level="info")
