"""aiozipkin's README, "aiohttp example", the server: `az.setup` joins the trace whose headers a request carries.

    python aiozipkin_server.py [--port 8080] [--zipkin http://127.0.0.1:9411]
"""

import argparse

import aiozipkin as az
from aiohttp import web


async def post(request):
    post_id = request.match_info["id"]
    # a step inside the handler, as a child of the request's span
    span = az.request_span(request)
    with span.new_child("read post", az.CLIENT) as child:
        child.remote_endpoint("posts_db", ipv4="127.0.0.1", port=5432)
        child.tag("post.id", post_id)
    return web.json_response({"id": post_id, "title": "hello"})


async def init_app(host, port, zipkin):
    app = web.Application()
    app.router.add_get("/api/v1/posts/{id}", post)

    endpoint = az.create_endpoint("AIOHTTP_SERVER", ipv4=host, port=port)
    tracer = await az.create(zipkin + "/api/v2/spans", endpoint, sample_rate=1.0)
    az.setup(app, tracer)
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--zipkin", default="http://127.0.0.1:9411")
    options = parser.parse_args()
    web.run_app(init_app("127.0.0.1", options.port, options.zipkin), host="127.0.0.1", port=options.port)
