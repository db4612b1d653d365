"""Our HTTP client against nginx, aiohttp, node's server, and one that speaks HTTP/1.0."""

import asyncio
import concurrent.futures
import hashlib
import http.server
import logging
import os
import tempfile
import threading
import time
import traceback

from aiohttp import web

from common import Checks, Client, Peer, nginx, pattern, summed

check = Checks()
logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # clients that leave are meant to
HERE = os.path.dirname(os.path.abspath(__file__))


def start_nginx(folder):
    site = os.path.join(folder, "www")
    os.mkdir(site)
    for name, size in [("empty", 0), ("small", 100), ("large", 50 << 20)]:
        with open(os.path.join(site, name), "wb") as file:
            file.write(pattern(size))
    with open(os.path.join(site, "page.shtml"), "wb") as file:
        file.write(b'<!--# echo var="request_method" --> ' + b"x" * 200_000)

    def servers(port):
        redirects = "".join(
            f"location /{code} {{ return {code} /show; }} location /{code}/far {{ return {code} http://localhost:{port}/show; }}"
            for code in (301, 302, 303, 307, 308)
        )
        return f"""
            client_max_body_size 1m; ssi_types *; keepalive_requests 100;
            server {{
                listen 127.0.0.1:{port};
                root {site};
                add_header X-Connection $connection always;
                {redirects}
                location /loop {{ return 302 /loop; }}
                location /chain {{ return 302 ../301; }}
                location /nowhere {{ return 302 http://; }}
                location /tls {{ return 302 https://127.0.0.1/; }}
                location /show {{ return 200 "$request_method $content_length $http_host $http_authorization"; }}
                location /nothing {{ return 204; }}
                location /drop {{ return 444; }}
                location /delimited {{ alias {site}; chunked_transfer_encoding off; ssi on; }}
                location /chunked {{ alias {site}; ssi on; }}
                location /brief {{ alias {site}; keepalive_timeout 1s; }}
                location /slow {{ alias {site}; limit_rate 200k; }}
            }}"""

    return nginx(folder, servers)


def with_nginx(client, server):
    url = server.url

    def show(method, length="", authorization=""):
        host = url.removeprefix("http://")
        return summed(f"{method} {length} {host} {authorization}".encode())

    for name, size in [("empty", 0), ("small", 100), ("large", 50 << 20)]:
        got = client.ask("GET", f"{url}/{name}")
        check.equal(f"nginx: the {name} file", (got.status, got.body), (200, summed(pattern(size))))
    first = client.ask("GET", f"{url}/small")
    got = client.ask("GET", f"{url}/small", times=60)
    check.equal("nginx: 60 requests", (got.same, got.idle), (60, 1))
    check.equal("nginx: on one connection", got.field("x-connection"), first.field("x-connection"))
    got = client.ask("GET", f"{url}/small", times=250)
    check("nginx: 250 more, though it closes after every 100", got.same == 250 and got.status == 200, got)
    got = client.ask("GET", f"{url}/small", together=20, times=5)
    check("nginx: 20 at the same time", got.same == 100 and got.status == 200 and got.idle <= 8, got)

    got = client.ask("HEAD", f"{url}/large")
    check.equal("nginx: HEAD", (got.status, got.body, got.field("content-length")), (200, summed(b""), str(50 << 20)))
    got = client.ask("GET", f"{url}/large", field="Range: bytes=1000-1999")
    check.equal("nginx: a range", (got.status, got.body), (206, summed(pattern(2000)[1000:])))
    got = client.ask("GET", f"{url}/small", field="Range: bytes=1000-")
    check.equal("nginx: a range beyond the end", got.status, 416)
    got = client.ask("GET", f"{url}/small", field=f"If-None-Match: {first.field('etag')}")
    check.equal("nginx: 304", (got.status, got.body), (304, summed(b"")))
    for method, path, status in [("GET", "/none", 404), ("POST", "/small", 405), ("GET", "/nothing", 204), ("GET", "/large/", 404)]:
        got = client.ask(method, url + path, times=3)
        check.equal(f"nginx: {method} {path}", (got.status, got.same), (status, 3))
    page = b"GET " + b"x" * 200_000
    for path, why in [("/chunked", "in chunks"), ("/delimited", "until it closes")]:
        got = client.ask("GET", f"{url}{path}/page.shtml", times=3)
        check.equal(f"nginx: a page {why}", (got.status, got.body, got.same), (200, summed(page), 3))
        check.equal("nginx: as said", got.field("transfer-encoding"), "chunked" if path == "/chunked" else "")
    got = client.ask("GET", f"{url}/slow/large", take=1000, times=3)
    check("nginx: a response that is dropped", got.status == 200 and got.error is None, got)
    got = client.ask("GET", f"{url}/drop")
    check("nginx: no answer at all is an error", got.error, got)

    for code in (301, 302, 303, 307, 308):
        kept = code in (307, 308)
        for method in ("GET", "HEAD", "POST", "PUT"):
            body = {"body": 5} if method in ("POST", "PUT") else {}
            got = client.ask(method, f"{url}/{code}", field="Authorization: me", **body)
            # Only 303 changes PUT, and 301 and 302 change POST as everybody does (RFC 9110, 15.4).
            becomes = method if kept or method == "HEAD" or (method == "PUT" and code != 303) else "GET"
            want = summed(b"") if method == "HEAD" else show(becomes, "5" if becomes in ("POST", "PUT") else "", "me")
            check.equal(f"nginx: {method} and {code}", (got.status, got.url, got.body), (200, f"{url}/show", want))
        far = url.replace("127.0.0.1", "localhost")
        got = client.ask("GET", f"{url}/{code}/far", field="Authorization: me")
        want = summed(f"GET  {far.removeprefix('http://')} ".encode())
        check.equal(f"nginx: {code} elsewhere takes no credentials along", (got.status, got.url, got.body), (200, f"{far}/show", want))
    got = client.ask("GET", f"{url}/302", redirects=0)
    check.equal("nginx: a redirect that is not to be followed", (got.status, got.field("location")[-5:]), (302, "/show"))
    got = client.ask("GET", f"{url}/chain")
    check.equal("nginx: two redirects, one of them relative", (got.status, got.url), (200, f"{url}/show"))
    for path, why in [("/loop", "a loop"), ("/nowhere", "to nowhere"), ("/tls", "to what is not spoken")]:
        got = client.ask("GET", url + path, redirects=5)
        check(f"nginx: a redirect, {why}, is an error", got.error and got.status is None, got)
    got = client.ask("POST", f"{url}/307", stream=1000)
    check.equal("nginx: 307 to a streamed body is the response", got.status, 307)

    got = client.ask("POST", f"{url}/none", stream=5 << 20)
    check.equal("nginx: an answer before the end of the chunks", (got.status, got.error), (404, None))
    got = client.ask("POST", f"{url}/none", known=5 << 20)
    check.equal("nginx: 413 to a length", (got.status, got.error), (413, None))
    got = client.ask("POST", f"{url}/none", known=5 << 20, expect=1)
    check.equal("nginx: 413 before the body is sent", (got.status, got.sent), (413, 0))

    got = client.ask("PIPELINE", url, *[("path", path) for path in ["/small", "/empty", "/none", "/302", "/small"] * 4])
    check.equal("nginx: 20 pipelined requests", (got.status, got.ended), (",".join(["200,200,404,302,200"] * 4), "open"))

    seen = []
    for n in range(12):
        seen.append(client.ask("GET", f"{url}/brief/small"))
        time.sleep(0.94 + n / 100)
    bad = [got for got in seen if (got.status, got.body) != (200, summed(pattern(100)))]
    check("nginx: an idle connection that closes fails nobody", not bad, bad)


class Aiohttp:
    """aiohttp's server in a thread."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.received = []
        self.call(self.start())

    def call(self, what):
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(timeout=10)

    async def start(self):
        app = web.Application(client_max_size=1 << 20)
        app.add_routes([
            web.post("/count", self.count),
            web.post("/collect", self.collect),
            web.post("/refuse", self.refuse),
            web.post("/unwanted", self.count, expect_handler=self.unwanted),
            web.post("/both", self.both),
            web.get("/chunks/{n}/{ms}", self.chunks),
            web.get("/slow/{ms}", self.slow),
            web.get("/close", self.close),
            web.get("/port", self.port),
            web.get("/fail", self.fail),
        ])
        self.runner = web.AppRunner(app, keepalive_timeout=1.0, shutdown_timeout=1, access_log=None)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def count(self, request):
        length, digest, pieces = 0, hashlib.sha1(), 0
        async for piece in request.content.iter_any():
            length, pieces = length + len(piece), pieces + 1
            digest.update(piece)
        self.received.append(pieces)
        return web.Response(text=f"{length} {digest.hexdigest()}")

    async def collect(self, request):
        return web.Response(body=await request.read())

    async def refuse(self, request):
        return web.Response(status=413, text="no")

    async def unwanted(self, request):
        raise web.HTTPExpectationFailed(text="unknown")

    async def both(self, request):
        response = web.StreamResponse()
        await response.prepare(request)
        async for piece in request.content.iter_any():
            await response.write(piece)
        await response.write_eof()
        return response

    async def chunks(self, request):
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for n in range(int(request.match_info["n"])):
            await response.write(b"%d" % (n % 10))
            await asyncio.sleep(int(request.match_info["ms"]) / 1000)
        await response.write_eof()
        return response

    async def slow(self, request):
        await asyncio.sleep(int(request.match_info["ms"]) / 1000)
        return web.Response(text="slow")

    async def close(self, request):
        response = web.Response(text="closed")
        response.force_close()
        return response

    async def port(self, request):
        return web.Response(text=str(request.transport.get_extra_info("peername")[1]))

    async def fail(self, request):
        request.transport.abort()
        return web.Response()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call(self.runner.cleanup())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout=5)


def with_aiohttp(client, server):
    url = server.url
    for size in (0, 1, 100_000, 5 << 20):
        for how in ("stream", "known", "body"):
            got = client.ask("POST", f"{url}/count", **{how: size})
            want = (200, summed(summed(pattern(size)).encode()))
            check.equal(f"aiohttp: {size} bytes as {how}", (got.status, got.body), want)
    server.received.clear()
    got = client.ask("POST", f"{url}/count", stream=20, piece=1, pause=20)
    check.equal("aiohttp: chunks that trickle", got.body, summed(summed(pattern(20)).encode()))
    check("aiohttp: come as they are sent", server.received and server.received[0] >= 5, server.received)
    got = client.ask("POST", f"{url}/both", duplex=100_000, pause=1)
    check.equal("aiohttp: an echo while it is sent", (got.status, got.body), (200, summed(pattern(100_000))))
    for how in ("stream", "known", "body"):
        got = client.ask("POST", f"{url}/both", pause=1, **{how: 200_000})
        check.equal(f"aiohttp: an answer that begins before 200 kB as {how} are sent", (got.status, got.body), (200, summed(pattern(200_000))))
    got = client.ask("POST", f"{url}/both", body=20 << 20)
    check.equal("aiohttp: 20 MiB come back while they are sent", (got.status, got.body), (200, summed(pattern(20 << 20))))
    # aiohttp has no parser for them, but must not stumble.
    got = client.ask("POST", f"{url}/count", ("trailer", "X-Sum: 1"), stream=1000, times=2)
    check.equal("aiohttp: trailers", (got.status, got.body, got.same), (200, summed(summed(pattern(1000)).encode()), 2))

    got = client.ask("POST", f"{url}/count", known=5 << 20, expect=1)
    check.equal("aiohttp: 100 Continue", (got.status, got.body), (200, summed(summed(pattern(5 << 20)).encode())))
    got = client.ask("POST", f"{url}/count", body=100, expect=1)
    check.equal("aiohttp: 100 Continue to a body in one piece", (got.status, got.body), (200, summed(summed(pattern(100)).encode())))
    got = client.ask("POST", f"{url}/unwanted", body=100, expect=1)
    check.equal("aiohttp: after 417 it is asked once more without", (got.status, got.body), (200, summed(summed(pattern(100)).encode())))
    got = client.ask("POST", f"{url}/unwanted", known=100, expect=1)
    check.equal("aiohttp: so is a streamed one, of which nothing was sent", (got.status, got.sent), (200, 100))
    got = client.ask("POST", f"{url}/collect", body=5 << 20)
    check.equal("aiohttp: 413 in the middle", (got.status, got.error), (413, None))
    for how in ("stream", "known"):
        got = client.ask("POST", f"{url}/refuse", piece=65536, pause=5, **{how: 30 << 20})
        check(f"aiohttp: an early 413 to {how} ends the upload", got.status == 413 and got.sent < 15 << 20, got)

    got = client.ask("GET", f"{url}/chunks/30/10")
    check.equal("aiohttp: chunks that trickle in", (got.status, got.body), (200, summed(b"0123456789" * 3)))
    start = time.monotonic()
    got = client.ask("GET", f"{url}/slow/3000", head=300)
    check("aiohttp: a head that is late", got.late == "Head" and time.monotonic() - start < 2, got)
    got = client.ask("GET", f"{url}/chunks/2/3000", rest=300)
    check("aiohttp: a body that is late", (got.status, got.late) == (200, "Body") and time.monotonic() - start < 4, got)
    got = client.ask("GET", f"{url}/chunks/200/30", rest=1000, total=500)
    check("aiohttp: a body that is late as a whole", (got.status, got.late) == (200, "Total"), got)
    got = client.ask("GET", f"{url}/slow/300", head=3000, rest=3000, total=3000)
    check.equal("aiohttp: and one that is in time", (got.status, got.late), (200, None))
    got = client.ask("GET", f"{url}/slow/100", together=50)
    check.equal("aiohttp: 50 at the same time", (got.status, got.same), (200, 50))
    got = client.ask("PIPELINE", url, *[("path", f"/slow/{n * 7 % 30}") for n in range(10)])
    check.equal("aiohttp: 10 pipelined requests", (got.status, got.body), (",".join(["200"] * 10), summed(b"slow" * 10)))
    got = client.ask("PIPELINE", url, *[("path", path) for path in ["/slow/1", "/close", "/slow/2"]])
    check.equal("aiohttp: pipelined requests behind the last response", (got.status, got.body), ("200,200", summed(b"slowclosed")))
    got = client.ask("GET", f"{url}/close", times=5)
    check.equal("aiohttp: Connection: close", (got.status, got.same), (200, 5))
    got = client.ask("GET", f"{url}/fail")
    check("aiohttp: a connection that breaks is an error", got.error, got)
    time.sleep(1.5)
    ports = {client.ask("GET", f"{url}/port").body for _ in range(10)}
    check.equal("aiohttp: a connection is used again", len(ports), 1)
    seen = []
    for n in range(8):
        seen.append(client.ask("GET", f"{url}/port"))
        time.sleep(0.96 + n / 100)
    check("aiohttp: an idle connection that closes fails nobody", all(got.status == 200 for got in seen), seen)
    time.sleep(1.5)
    got = client.ask("POST", f"{url}/count", body=10)
    check.equal("aiohttp: not even a POST, if it is known to be closed", (got.status, got.same), (200, 1))


def with_node(client, server):
    url = server.url
    got = client.ask("GET", f"{url}/hints")
    check.equal("node: 103 and 102 are told", (got.status, got.interim), (200, ["103 Link: </style.css>; rel=preload", "102"]))
    got = client.ask("GET", f"{url}/trailers", times=3)
    check.equal("node: trailers", (got.body, got.trailers, got.same), (summed(b"somebody"), [("x-sum", "8"), ("x-more", "yes")], 3))
    got = client.ask("POST", f"{url}/count", ("trailer", "X-Sum: 1"), ("trailer", "X-More: a b"), ("field", "Trailer: X-Sum, X-More"), stream=1000)
    want = (summed(pattern(1000)) + ' {"x-sum":"1","x-more":"a b"}').encode()
    check.equal("node: trailers of a request", (got.status, got.body), (200, summed(want)))
    for how in ("stream", "known", "body"):
        got = client.ask("POST", f"{url}/count", times=3, **{how: 3 << 20})
        check.equal(f"node: 3 MiB as {how}", (got.status, got.body, got.same), (200, summed((summed(pattern(3 << 20)) + " {}").encode()), 3))
    want = summed((summed(pattern(1000)) + " {}").encode())
    for argument, slower in [("now", 0), ("late", 0.3), ("silent", 1)]:
        start = time.monotonic()
        got = client.ask("POST", f"{url}/continue/{argument}", known=1000, expect=1)
        took = time.monotonic() - start
        check.equal(f"node: 100 Continue {argument}", (got.status, got.body), (200, want))
        check("    and no sooner or later", slower - 0.05 <= took < slower + 0.6, f"{took:.2f} s")
    got = client.ask("POST", f"{url}/continue/refuse", known=1000, expect=1)
    check.equal("node: 403 instead", (got.status, got.sent), (403, 0))
    got = client.ask("POST", f"{url}/both", duplex=200_000, pause=1)
    check.equal("node: an echo while it is sent", (got.status, got.body), (200, summed(pattern(200_000))))
    got = client.ask("GET", f"{url}/drip/30")
    check.equal("node: chunks that trickle in", got.body, summed(b"0123456789" * 3))
    got = client.ask("GET", f"{url}/close", times=3)
    check.equal("node: Connection: close", (got.status, got.same), (200, 3))
    got = client.ask("GET", f"{url}/delimited", times=3)
    check.equal("node: a body until it closes", (got.status, got.body, got.same), (200, summed(b"x" * 100_000 + b"end"), 3))
    check.equal("node: has no other end", got.field("content-length") + got.field("transfer-encoding"), "")
    got = client.ask("PIPELINE", url, *[("path", path) for path in ["/drip/5", "/trailers", "/hints", "/none", "/drip/3"]])
    check.equal("node: pipelined requests", (got.status, got.body), ("200,200,200,404,200", summed(b"01234somebodyhinted012")))
    got = client.ask("GET", f"{url}/any", ("field", "Connection: Upgrade"), ("field", "Upgrade: echo"), upgrade="hello")
    check.equal("node: an upgrade, with data in the segment of the 101", (got.status, got.echo), (101, "welcome hello"))
    for name in ["bare-lf", "two-lengths", "length-and-coding", "obs-fold", "space-before-colon", "unasked-upgrade", "no-http", "cut-head", "nothing"]:
        got = client.ask("GET", f"{url}/wrong/{name}")
        check(f"node: {name} is an error", got.error and got.status is None, got)
    for name in ["bad-chunk", "cut-body", "cut-chunks"]:
        got = client.ask("GET", f"{url}/wrong/{name}")
        check(f"node: {name} is an error behind the head", got.error and got.status == 200, got)
    got = client.ask("GET", f"{url}/reset")
    check("node: a reset in the body is an error", got.error and got.status == 200, got)
    got = client.ask("GET", f"{url}/wrong/twice", times=2)
    after = client.ask("GET", f"{url}/port")
    check("node: an answer that nobody asked for answers nothing",
          got.body == summed(b"ok") and after.status == 200 and after.body != summed(b"evil"), (got, after))
    time.sleep(1.5)
    ports = {client.ask("GET", f"{url}/port").body for _ in range(10)}
    check.equal("node: a connection is used again", len(ports), 1)


class Simple:
    """The server of Python's standard library, which speaks HTTP/1.0."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            if self.path != "/delimited":
                self.send_header("Content-Length", "300000")
            self.end_headers()
            self.wfile.write(pattern(300_000))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.end_headers()
            self.wfile.write(summed(body).encode())

        def log_message(self, *_):
            pass

    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def with_http_1_0(client, server):
    for path in ("/", "/delimited"):
        got = client.ask("GET", server.url + path, times=5)
        check.equal(f"HTTP/1.0: {path}", (got.status, got.body, got.same, got.idle), (200, summed(pattern(300_000)), 5, 0))
    got = client.ask("POST", f"{server.url}/", known=1 << 20, times=2)
    check.equal("HTTP/1.0: an upload", (got.status, got.body, got.same), (201, summed(summed(pattern(1 << 20)).encode()), 2))


def with_peer(start, what):
    with start as peer, Client() as client:
        what(client, peer)
        check("the client is still running", client.process.poll() is None)


node = Peer(lambda port: ["node", f"{HERE}/http_node_server.cjs", str(port)])
with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor() as pool:
    # Side by side, since much of it is waiting.
    peers = [(start_nginx(folder), with_nginx), (Aiohttp(), with_aiohttp), (node, with_node), (Simple(), with_http_1_0)]
    for task in [pool.submit(with_peer, *peer) for peer in peers]:
        try:
            task.result(timeout=100)
        except Exception as error:
            traceback.print_exc()
            check("every step comes to its end", False, repr(error))
check.exit()
