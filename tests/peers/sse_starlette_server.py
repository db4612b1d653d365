"""A server of event streams by `sse-starlette` on uvicorn, for our client: PORT is its argument."""

import asyncio
import json
import sys

import uvicorn
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

SEPARATORS = {"crlf": "\r\n", "cr": "\r", "lf": "\n"}
asked = []


def number(request, key, default=None):
    value = request.query_params.get(key)
    return default if value is None else int(value)


async def events(request):
    """Numbered events, as the query says: see the test server of our own."""
    asked.append(request.headers.get("Last-Event-ID"))
    last, to = int(asked[-1] or 0), number(request, "to", 1 << 60)
    if last >= to:
        return Response(status_code=204)

    async def numbered():
        if retry := number(request, "retry"):
            yield {"retry": retry}
        for sent, n in enumerate(range(last + 1, to + 1), 1):
            yield {"id": str(n), "data": f"{n}{'x' * number(request, 'size', 0)}", "event": request.query_params.get("type")}
            if sent == number(request, "end"):
                return
            if sent == number(request, "cut"):
                raise RuntimeError("cut, as asked")
            if every := number(request, "every"):
                await asyncio.sleep(every / 1000)

    return EventSourceResponse(numbered(), sep=SEPARATORS[request.query_params.get("sep", "crlf")], ping=number(request, "ping"))


async def formats(request):
    async def all():
        for event in [
            {"comment": "not for anybody"},
            {"data": "plain"},
            {"data": "two\nlines"},
            {"data": "CR\rLF\nboth\r\nnone"},
            {"data": ""},
            {"data": " leading and trailing "},
            {"data": json.dumps({"text": "Grüße ☃ 𝄞"}, ensure_ascii=False), "id": "é ☃", "event": "Zeit/Überschrift"},
            {"data": "keeps the id"},
            {"data": "last", "id": "end", "comment": "beside it"},
        ]:
            yield event

    return EventSourceResponse(all(), sep=SEPARATORS[request.query_params.get("sep", "crlf")])


async def words(request):
    body = (await request.body()).decode()
    model = request.headers.get("X-Model")

    async def tokens():
        for word in body.split():
            yield json.dumps({"token": word, "model": model}, ensure_ascii=False)
            await asyncio.sleep(0.1)
        yield "[DONE]"

    return EventSourceResponse(tokens())


async def silent(request):
    async def nothing():
        yield "ready"
        await asyncio.Event().wait()

    return EventSourceResponse(nothing(), ping=number(request, "ping", 1), headers={"X-Served-By": "sse-starlette"})


async def redirect(request):
    return RedirectResponse(request.url.query, int(request.path_params["status"]))


async def status(request):
    return PlainTextResponse("as asked", int(request.path_params["status"]))


async def report(request):
    return Response(json.dumps(asked))


app = Starlette(
    routes=[
        Route("/events", events),
        Route("/formats", formats),
        Route("/words", words, methods=["POST"]),
        Route("/silent", silent),
        Route("/redirect/{status}", redirect, methods=["GET", "POST"]),
        Route("/status/{status}", status),
        Route("/asked", report),
    ],
    middleware=[Middleware(GZipMiddleware, minimum_size=1)],
)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical", timeout_graceful_shutdown=1)
