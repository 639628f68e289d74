"""The service that `starlette_app.py` calls: starlette-zipkin's README, "Configuration", continuing the trace of the headers it is sent.

    python starlette_second.py [--port 8001] [--zipkin-port 9411]
"""

import argparse

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette_zipkin import ZipkinConfig, ZipkinMiddleware, trace


@trace("awesome sub trace", kind="CLIENT")
async def look_up():
    return {"status": "OK"}


async def root(request):
    return JSONResponse(await look_up())


def make_app(zipkin_port):
    app = Starlette(routes=[Route("/", root)])
    config = ZipkinConfig(host="localhost", port=zipkin_port, service_name="second_service")
    app.add_middleware(ZipkinMiddleware, config=config)
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--zipkin-port", type=int, default=9411)
    options = parser.parse_args()
    uvicorn.run(make_app(options.zipkin_port), host="127.0.0.1", port=options.port, log_level="info")
