"""`sse-test-client` against servers of others: `sse-starlette` on uvicorn, node's `http`, `aiohttp` with
`aiohttp-sse`, and the HTTP/1.0 server of Python's standard library."""

import asyncio
import concurrent.futures
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import traceback

from aiohttp import web
from aiohttp_sse import sse_response

from common import Checks, Example, Peer, curl, shorten

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = "Wer rüttelt am ☃ so spät".split()
check = Checks()


class Source(Example):
    """Our EventSource, and what it tells with the time that it came."""

    def __init__(self, url, **options):
        self.told = []
        words = [word for key, value in options.items() for word in ("--" + key.replace("_", "-"), *([] if value is True else [str(value)]))]
        super().__init__("sse-test-client", "--url", url, *words, folder="PROGRAMS")

    def _read(self):
        for line in self.process.stdout:
            self.told.append((time.monotonic(), json.loads(line)))

    def all(self, kind, count=1, seconds=8):
        """What it has told of this kind, once there are so many, or it has ended, or time is up."""
        end = time.monotonic() + seconds
        while True:
            over = not self.thread.is_alive() or time.monotonic() > end
            found = [(at, told) for at, told in list(self.told) if told["kind"] == kind]
            if len(found) >= count or over:
                return found
            time.sleep(0.01)

    def messages(self, count, seconds=8):
        return [(told["type"], told["data"], told["id"]) for _, told in self.all("message", count, seconds)[:count]]

    def kinds(self, seconds=8):
        """All that it has told, once it has ended."""
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return "it has not ended"
        self.thread.join(timeout=2)
        return [told["kind"] for _, told in self.told]


def ask(url, **options):
    return Source(url, **options)


def numbers(first, last, type="message", size=0):
    return [(type, f"{n}{'x' * size}", str(n)) for n in range(first, last + 1)]


def asked(server, target=None):
    got = json.loads(curl(f"{server}/asked")[0])
    return got if target is None else [id for where, id, *_ in got if where == target]


def gaps(events):
    return [round(after[0] - before[0], 3) for before, after in zip(events, events[1:])]


def one_by_one(name, events, count):
    found = gaps(events)
    check(f"{name}: events come one by one", len(found) == count - 1 and all(0.02 < gap < 1 for gap in found), found)


def tokens(name, url, post, fields, want):
    with ask(url, post=post, fields=fields, messages=len(WORDS) + 1) as source:
        got = source.all("message", len(WORDS) + 1)
        data = [told["data"] for _, told in got]
        check.equal(f"{name}: the words of a POST", [json.loads(it) for it in data[:-1]] + data[-1:], [*({"token": word, **want} for word in WORDS), "[DONE]"])
        one_by_one(f"{name}, POST", got[:-1], len(WORDS))
        check.equal(f"{name}: closed behind the last", source.kinds()[-1:], ["closed"])


def refused(name, url, error, body="", kinds=("error", "closed"), **options):
    with ask(url, **options) as source:
        got = source.kinds()
        why = [(told["error"], told["final"]) for _, told in source.told if told["kind"] == "error"]
        check(f"{name}: {error!r}, for good", got == list(kinds) and len(why) == 1 and re.search(error, why[0][0]) and why[0][1], shorten(source.told))
        if body:
            check.equal(f"{name}: with what it says", [told["body"] for _, told in source.told if told["kind"] == "error"], [body])


def redirects(name, server):
    for status in (301, 302, 303, 307, 308):
        with ask(f"{server}/redirect/{status}?/events?to=1", messages=1) as source:
            check.equal(f"{name}: a redirect by {status}", source.messages(1), numbers(1, 1))


def numbered(name, server, **more):
    """What holds of every server with numbered events. `more` are ways in which it breaks off."""
    target = "/events?to=6&end=2&retry=100"
    with ask(server + target, wait=100) as source:
        check.equal(f"{name}: events through three streams", source.messages(6), numbers(1, 6))
        want = ["open", "message", "message", "error"] * 3 + ["refused", "error", "closed"]
        check.equal(f"{name}: until 204", [kind for kind in source.kinds() if kind != "comment"], want)
        check.equal(f"{name}: for which it is closed", source.told[-1][1]["why"], "Failed(Status(Status(204)))")
    for how in ("cut", *more):
        with ask(f"{server}/events?to=1000&size=300&{how}=400&retry=100") as source:
            source.all("closed", seconds=20)
            check.equal(f"{name}: 1,000 events, {how} twice", source.messages(1000), numbers(1, 1000, size=300))
    with ask(f"{server}/events?to=2&size=3000000", messages=2) as source:
        check(f"{name}: events of 3 MB", source.messages(2) == numbers(1, 2, size=3_000_000), [told["kind"] for _, told in source.told])
    with ask(f"{server}/events?every=200&to=7", messages=7) as source:
        one_by_one(name, source.all("message", 7), 7)
    with ask(f"{server}/events?to=9", last_event_id=5, messages=4) as source:
        check.equal(f"{name}: goes on behind a given event", source.messages(4), numbers(6, 9))


def starlette_command(port):
    return [sys.executable, f"{HERE}/sse_starlette_server.py", str(port)]


def with_starlette():
    name = "sse-starlette"
    with Peer(starlette_command) as server:
        numbered(name, server.url)
        ids = asked(server.url)
        check.equal(f"{name}: each request says where to go on", ids[:4], [None, "2", "4", "6"])
        want = [
            ("message", "plain", ""),
            ("message", "two\nlines", ""),
            ("message", "CR\nLF\nboth\nnone", ""),
            ("message", "", ""),
            ("message", " leading and trailing ", ""),
            ("Zeit/Überschrift", '{"text": "Grüße ☃ 𝄞"}', "é ☃"),
            ("message", "keeps the id", "é ☃"),
            ("message", "last", "end"),
        ]
        for separator in ("crlf", "cr", "lf"):
            with ask(f"{server.url}/formats?sep={separator}", messages=len(want)) as source:
                check.equal(f"{name}: what an event can have, by {separator}", source.messages(len(want)), want)
                comments = [told["comment"] for _, told in source.all("comment", 2)]
                check.equal(f"{name}: and comments", comments, ["not for anybody", "beside it"])
            with ask(f"{server.url}/events?to=5&every=50&type=ping&sep={separator}", messages=5) as source:
                check.equal(f"{name}: a type of its own, by {separator}", source.messages(5), numbers(1, 5, "ping"))
        with ask(f"{server.url}/silent?ping=1", idle=2500) as source:
            pings = [told["comment"] for _, told in source.all("comment", 3, seconds=6)]
            check(f"{name}: pings are told, and keep the stream", len(pings) >= 3 and all(it.startswith("ping - ") for it in pings), pings)
            check.equal(f"{name}: with nothing lost", [told["kind"] for _, told in source.told if told["kind"] not in ("comment", "message")], ["open"])
            fields = source.told[0][1]["fields"]
            check.equal(f"{name}: the head is told", (fields["x-served-by"], fields["cache-control"]), ("sse-starlette", "no-store"))
        with ask(f"{server.url}/silent?ping=60", idle=600, wait=100) as source:
            errors = source.all("error", 2, seconds=6)
            check(f"{name}: silence without pings is an error, again and again", [told["error"] for _, told in errors[:2]] == ["the server took too long"] * 2, shorten(source.told))
        tokens(name, f"{server.url}/words", " ".join(WORDS), "X-Model: echo", {"model": "echo"})
        redirects(name, server.url)
        for status in (400, 404, 500):
            refused(f"{name}, {status}", f"{server.url}/status/{status}", f"status is {status}", body="as asked", kinds=("refused", "error", "closed"))

        with ask(f"{server.url}/events?every=100&retry=200", attempts=50) as source:
            source.all("message", 3)
            server.stop()
            check.equal(f"{name}: a server that goes is an error", len(source.all("error", 1)) > 0, True)
            time.sleep(0.5)
            server.process = subprocess.Popen(starlette_command(server.port), stdin=subprocess.DEVNULL)
            count = len(source.all("message", 0)) + 3
            got = source.messages(count, seconds=15)
            check(f"{name}: when it is back, so are we, with the next event", got == numbers(1, count), got)


def with_node():
    name = "node"
    with Peer(lambda port: ["node", f"{HERE}/sse_node_server.cjs", str(port)]) as server:
        numbered(name, server.url, reset=True)
        check.equal(f"{name}: each request says where to go on", asked(server.url, "/events?to=6&end=2&retry=100"), [None, "2", "4", "6"])
        want = [
            ("message", "behind a mark", ""),
            ("message", "no space", ""),
            ("message", " two spaces", ""),
            ("message", "\n", ""),
            ("message", "Grüße ☃ 𝄞", "1"),
            ("message", "NUL in an id", "1"),
            ("e", "empty id", ""),
            ("message", "known", ""),
            ("message", "empty type", ""),
            ("message", "last", "end"),
        ]
        for size in (1, 2, 3, 1000):
            start = time.monotonic()
            with ask(f"{server.url}/edges?size={size}", wait=20_000, messages=len(want) + 1) as source:
                check.equal(f"{name}: the format at its edges, {size} bytes at a time", source.messages(len(want)), want)
                comments = [told["comment"] for _, told in source.all("comment", 2)][:2]
                check.equal(f"{name}: and comments", comments, ["comment", ""])
                source.all("closed")
            check(f"{name}: of the fields `retry` the one that counts does", time.monotonic() - start < 4)
            check.equal(f"{name}: it goes on behind the last id", asked(server.url, f"/edges?size={size}"), [None, "end"])
        with ask(f"{server.url}/bad-utf8", messages=1) as source:
            check.equal(f"{name}: bytes that are no UTF-8", source.messages(1), [("message", "\ufffd\ufffd x\ufffd", "")])
        with ask(f"{server.url}/stalled", idle=400, wait=100, messages=2) as source:
            check.equal(f"{name}: a stream that stalls is asked for again", source.messages(2), [("message", "and then nothing", "7")] * 2)
        check.equal(f"{name}: behind its last event", asked(server.url, "/stalled"), [None, "7"])
        tokens(name, f"{server.url}/words", json.dumps({"prompt": " ".join(WORDS)}), "Content-Type: application/json", {"type": "application/json"})
        with ask(f"{server.url}/gzip", messages=1) as source:
            check.equal(f"{name}: nothing is compressed that need not be", source.messages(1), [("message", "1", "")])
        refused(f"{name}, gzip", f"{server.url}/always-gzip", "content coding", kinds=("refused", "error", "closed"))
        with ask(f"{server.url}/events?to=4&end=1&retry=100&renewed", renew=True) as source:
            check.equal(f"{name}: a token that is renewed for each attempt", source.kinds(), [*["attempt", "open", "message", "error"] * 4, "attempt", "refused", "error", "closed"])
        tokens_seen = [token for where, _, token in json.loads(curl(f"{server.url}/asked")[0]) if "renewed" in where]
        check.equal(f"{name}: comes with each request", tokens_seen, [f"Bearer {n}" for n in range(1, 6)])
        for type in ("text/event-stream", "TEXT/Event-Stream; charset=latin1", "text/event-stream;x"):
            with ask(f"{server.url}/as?type={type.replace(' ', '%20')}", messages=1) as source:
                check.equal(f"{name}: {type} is an event stream", source.messages(1), [("message", "1", "")])
        for type in ("", "text/html", "text/event-streams", "text/plain;text/event-stream"):
            refused(f"{name}, {type!r}", f"{server.url}/as?type={type}", "content type", kinds=("refused", "error", "closed"), body="data: 1\n\n")
        for status in (401, 403, 429, 503):
            refused(f"{name}, {status}", f"{server.url}/fail?status={status}", f"status is {status}", kinds=("refused", "error", "closed"), body='{"error":"no such model"}')
        refused(f"{name}, redirects without end", f"{server.url}/loop", "redirect", kinds=("refused", "error", "closed"))
        refused(f"{name}, a redirect to elsewhere", f"{server.url}/away", "", kinds=("refused", "error", "closed"))


class Aiohttp:
    """aiohttp's server, with `aiohttp-sse`, in a thread."""

    def __init__(self):
        self.asked = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.call(self.start())

    def call(self, what):
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(timeout=10)

    async def start(self):
        app = web.Application()
        app.add_routes([web.get("/events", self.events), web.post("/words", self.words), web.get("/gzip", self.gzip), web.get("/redirect/{status}", self.redirect)])
        self.runner = web.AppRunner(app, shutdown_timeout=1, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def events(self, request):
        query = request.query
        self.asked.append(request.headers.get("Last-Event-ID"))
        last, to = int(self.asked[-1] or 0), int(query["to"])
        if last >= to:
            return web.Response(status=204)
        async with sse_response(request) as response:
            for sent, n in enumerate(range(last + 1, to + 1), 1):
                retry = int(query["retry"]) if sent == 1 and "retry" in query else None
                await response.send(f"{n}{'x' * int(query.get('size', 0))}", id=str(n), retry=retry)
                if str(sent) == query.get("end"):
                    break
                if str(sent) == query.get("cut"):
                    request.transport.close()
                    break
                await asyncio.sleep(int(query.get("every", 0)) / 1000)
        return response

    async def words(self, request):
        """By aiohttp alone: `aiohttp-sse` answers nothing but a GET."""
        words = (await request.text()).split()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for word in words:
            await response.write(f"data: {json.dumps({'token': word})}\n\n".encode())
            await asyncio.sleep(0.1)
        await response.write(b"data: [DONE]\n\n")
        return response

    async def gzip(self, request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.enable_compression()
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await response.write_eof()
        return response

    async def redirect(self, request):
        return web.Response(status=int(request.match_info["status"]), headers={"Location": request.query_string})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call(self.runner.cleanup())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout=5)


def with_aiohttp():
    name = "aiohttp-sse"
    with Aiohttp() as server:
        numbered(name, server.url)
        check.equal(f"{name}: each request says where to go on", server.asked[:4], [None, "2", "4", "6"])
        tokens(name, f"{server.url}/words", " ".join(WORDS), "", {})
        redirects(name, server.url)
        with ask(f"{server.url}/gzip", messages=1) as source:
            check.equal(f"{name}: nothing is compressed that need not be", source.messages(1), [("message", "1", "")])


class Simple(http.server.BaseHTTPRequestHandler):
    """HTTP/1.0: the stream ends with the connection."""

    def do_GET(self):
        last = int(self.headers.get("Last-Event-ID") or 0)
        if last >= 8:
            self.send_response(204)
            return self.end_headers()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for n in range(last + 1, last + 5):
            self.wfile.write(b"id: %d\ndata: %d\n\n" % (n, n))
            time.sleep(0.15)

    def log_message(self, *_):
        pass


def with_http_1_0():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Simple) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with ask(f"http://127.0.0.1:{server.server_address[1]}/", wait=100) as source:
            check.equal("HTTP/1.0: events through two streams, until 204", source.messages(8), numbers(1, 8))
            one_by_one("HTTP/1.0", source.all("message", 8), 8)
            check.equal("HTTP/1.0: told in order", source.kinds(), ["open", *["message"] * 4, "error"] * 2 + ["refused", "error", "closed"])
        server.shutdown()


def with_nobody():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ask(f"http://127.0.0.1:{port}/", wait=50, attempts=2) as source:
        kinds = source.kinds()
        check("nobody: attempts have their end", kinds == ["error"] * (len(kinds) - 1) + ["closed"] and 2 <= len(kinds) <= 4 and "GaveUp" in source.told[-1][1]["why"], shorten(source.told))


# Side by side, since much of it is waiting.
with concurrent.futures.ThreadPoolExecutor() as pool:
    for task in [pool.submit(what) for what in (with_starlette, with_node, with_aiohttp, with_http_1_0, with_nobody)]:
        try:
            task.result(timeout=100)
        except Exception as error:
            traceback.print_exc()
            check("every step comes to its end", False, repr(error))
check.exit()
