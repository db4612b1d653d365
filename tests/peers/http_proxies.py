"""The test server behind nginx and haproxy: they speak our dialect to it, and hand on what it says."""

import asyncio
import concurrent.futures
import contextlib
import os
import re
import subprocess
import tempfile
import time
import traceback

from websockets.asyncio.client import connect

from common import Checks, Peer, Raw, curl, find, nginx, pattern, port_of, shorten, split, stats, summed, test_server, values

check = Checks()
LARGE = pattern(5 << 20)


def start_nginx(url, folder):
    def servers(port):
        return f"""
            client_max_body_size 100m;
            upstream tidewire {{ server 127.0.0.1:{port_of(url)}; keepalive 8; }}
            map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
            server {{
                listen 127.0.0.1:{port};
                proxy_http_version 1.1;
                proxy_set_header Connection $connection_upgrade;
                proxy_set_header Upgrade $http_upgrade;
                location / {{ proxy_pass http://tidewire; }}
                location /unbuffered/ {{
                    proxy_pass http://tidewire/;
                    proxy_request_buffering off;
                    proxy_buffering off;
                }}
                location /old/ {{ proxy_pass http://tidewire/; proxy_http_version 1.0; }}
                location /older/ {{
                    proxy_pass http://tidewire/;
                    proxy_http_version 1.0;
                    proxy_set_header Connection close;
                }}
            }}"""

    return nginx(folder, servers)


def start_haproxy(url, folder):
    def start(port):
        with open(f"{folder}/haproxy.cfg", "w") as file:
            file.write(f"""
defaults
    mode http
    timeout connect 2s
    timeout client 20s
    timeout server 20s
    timeout tunnel 20s
    http-reuse always
    # Else it holds back chunks of an event stream for 200 ms.
    option http-no-delay
    retry-on conn-failure empty-response
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    server tidewire 127.0.0.1:{port_of(url)}
""")
        return [find("haproxy"), "-db", "-q", "-f", f"{folder}/haproxy.cfg"]

    return Peer(start)


def keep_alive(name, server, url):
    before = stats(server)
    out, status = curl("-w", " %{http_code}\n", *[f"{url}/bytes/{n}" for n in range(3)] * 10)
    check.equal(f"{name}: 30 requests are answered", (status, out.count(b" 200\n")), (0, 30))
    for n in range(10):
        out, status = curl(f"{url}/bytes/{n}")
        check(f"{name}: client {n} is answered", (status, out) == (0, pattern(n)), shorten(out))
    after = stats(server)
    # `stats` comes on a connection of its own.
    connections, requests = after[0] - before[0] - 1, after[1] - before[1] - 1
    check(f"{name}: they share connections to the server", requests == 40 and connections <= 2, (connections, requests))
    out, status = curl("-H", "Connection: close", "-w", " %{num_connects}\n", *[url + "/"] * 3)
    check.equal(f"{name}: Connection: close holds for the client", (status, out), (0, b"ok 1\n" * 3))
    out, status = curl("-0", "-i", url + "/")
    check.equal(f"{name}: HTTP/1.0 is answered", (status, split(out)[2]), (0, b"ok"))
    load = subprocess.run(["wrk", "-t1", "-c8", "-d1s", url + "/"], capture_output=True, text=True, timeout=20, check=False).stdout
    rate = re.search(r"Requests/sec: *([\d.]+)", load)
    check(f"{name}: takes load without an error", rate and "errors" not in load and "Non-2xx" not in load, load)
    print(f"{name}: {rate and rate.group(1)} requests/s through it", flush=True)
    connections = stats(server)[0] - after[0] - 3
    check(f"{name}: which it carries on few connections", connections < 100, connections)


def bodies(name, server, url):
    for size in [0, 1, 100_000, 5 << 20]:
        out, status = curl("-i", f"{url}/bytes/{size}")
        line, fields, body = split(out)
        check(f"{name}: {size} bytes arrive", (status, line.split()[1], body) == (0, "200", pattern(size)), shorten(out))
        check.equal(f"{name}: with their length", values(fields, "content-length"), [str(size)])
    for label, data in [("nothing", b""), ("3 bytes", b"abc"), ("5 MiB", LARGE)]:
        for coding in ["Content-Length", "chunked"]:
            chunked = ["-H", "Transfer-Encoding: chunked"] if coding == "chunked" else []
            for path in ["/count", *(["/unbuffered/count"] if name == "nginx" else [])]:
                out, status = curl("-H", "Expect:", *chunked, "--data-binary", "@-", url + path, input=data, seconds=10)
                check.equal(f"{name}: {label} by {coding} to {path}", (status, out.decode()), (0, summed(data)))
    out, status = curl("--data-binary", "@-", f"{url}/echo", input=LARGE, seconds=10)
    check(f"{name}: 5 MiB come back", (status, out) == (0, LARGE), shorten(out))
    for how in ("chunked", "known"):
        out, status = curl("-w", "%{num_connects}", *[f"{url}/{how}/300000"] * 2)
        check(f"{name}: 300 kB in pieces, {how}", (status, out) == (0, pattern(300_000) + b"1" + pattern(300_000) + b"0"), shorten(out))
    out, status = curl("-o", "/dev/null", "-w", "%{http_code}", f"{url}/cut/100000")
    check(f"{name}: a response that is cut off is seen to be", status == 18, (status, out))
    with Raw(url) as raw:
        raw.send(b"POST /count HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        for byte in b"a\r\n0123456789\r\n" * 2 + b"0\r\n\r\n":
            raw.send(bytes([byte]))
            time.sleep(0.005)
        got = raw.end()
    check(f"{name}: a body that trickles arrives", summed(b"0123456789" * 2).encode() in got, shorten(got))


def trailers(url):
    """haproxy hands them on, both ways. nginx drops them."""
    with Raw(url) as raw:
        raw.send(b"POST /trailers HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        raw.send(b"4\r\nbody\r\n0\r\nX-Sum: 4\r\nX-More: a b\r\n\r\n")
        got = raw.end()
    check("haproxy: trailers of a request", b"x-sum: 4\nx-more: a b\n" in got.lower(), shorten(got))
    check("haproxy: trailers of a response", got.lower().endswith(b"0\r\nx-count: 2\r\nx-length: 4\r\n\r\n"), shorten(got))
    out, status = curl("-i", f"{url}/hints")
    got = [head.split(b"\r\n")[0] for head in out.split(b"\r\n\r\n")[:3]]
    check.equal("haproxy: interim responses", got, [b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 102 Processing", b"HTTP/1.1 200 OK"])


def echo(name, url):
    """A protocol that no proxy knows."""
    with Raw(url) as raw:
        raw.send(b"GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        head = raw.until(b"\r\n\r\n")
        raw.send(b"hello")
        got = raw.until(b"hello")
    check(f"{name}: an upgrade to a protocol of its own", head.startswith(b"HTTP/1.1 101 ") and got == b"hello", (head, got))


def without_bodies(name, url):
    out, status = curl("-I", f"{url}/bytes/1000")
    check.equal(f"{name}: HEAD has the length", (status, values(split(out)[1], "content-length")), (0, ["1000"]))
    targets = [f"{url}/status/{code}" for code in (204, 304, 205, 404, 503)] + [f"{url}/"]
    out, status = curl("-w", " %{http_code}:%{num_connects} ", *targets)
    want = b" 204:1  304:0  205:0 as asked 404:0 as asked 503:0 ok 200:0 "
    check.equal(f"{name}: statuses come as they are, on one connection", (status, out), (0, want))
    out, status = curl("-i", "-H", 'If-None-Match: "1"', f"{url}/status/304")
    check.equal(f"{name}: a 304 keeps its tag", (status, values(split(out)[1], "etag")), (0, ['"1"']))


def expectations(name, url):
    args = ["-i", "--expect100-timeout", "20", "-H", "Expect: 100-continue", "--data-binary", "@-"]
    out, status = curl(*args, f"{url}/count", input=LARGE, seconds=10)
    check(f"{name}: 100 Continue comes before the answer",
          status == 0 and out.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n") and summed(LARGE).encode() in out,
          shorten(out))
    # Not 417: to that curl asks again on the same connection, where haproxy waits for the body.
    for code in (413, 403):
        out, status = curl(*args, f"{url}/early/{code}", input=LARGE, seconds=10)
        out = out.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")  # nginx gives it by itself
        check.equal(f"{name}: {code} before the body", (status, split(out)[0].split()[1], split(out)[2]), (0, str(code), b"no"))
    out, status = curl("-i", "-H", "Expect:", "--data-binary", "@-", f"{url}/early/413", input=pattern(20 << 20), seconds=10)
    check.equal(f"{name}: 413 to 20 MiB that nobody reads", split(out)[0].split()[1:2], ["413"])


def pipelining(name, url):
    sizes = [0, 5, 70_000, 3] * 5
    requests = b"".join(b"GET /bytes/%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in sizes)
    with Raw(url, requests + b"GET /bytes/1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") as raw:
        got, bodies = raw.end(), []
    while got:
        head, _, got = got.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head.lower()).group(1))
        bodies.append(got[:length])
        got = got[length:]
    check(f"{name}: pipelined requests are answered in order", bodies == [pattern(n) for n in [*sizes, 1]], [len(b) for b in bodies])


async def websocket(name, url):
    async with asyncio.timeout(20):
        target = url.replace("http", "ws") + "/ws"
        options = {"compression": None, "max_size": None, "proxy": None}
        async with connect(target, **options) as ws:
            for message in ["a", b"b", "x" * 70_000, os.urandom(1 << 20)]:
                await ws.send(message)
                got = await ws.recv()
                check(f"{name}: a message of {len(message)} comes back", got == message, shorten(got))
            await (await ws.ping(b"p"))
            for n in range(500):
                await ws.send(str(n))
            check.equal(f"{name}: 500 messages keep their order", [await ws.recv() for _ in range(500)], [str(n) for n in range(500)])
            await ws.close(1000, "done")
            check.equal(f"{name}: the close is answered", ws.protocol.close_rcvd and ws.protocol.close_rcvd.code, 1000)


def event_stream(name, server, url):
    before = stats(server)[2]
    with Raw(url, b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n") as raw:
        start = time.monotonic()
        times = []
        for n in range(5):
            raw.until(b"data: %d\n\n" % n)
            times.append(time.monotonic() - start)
        raw.send(b"")
    check(f"{name}: events come one by one", times[0] < 1 and times[4] - times[0] > 0.25, times)
    end = time.monotonic() + 5
    while (now := stats(server)[2]) > before and time.monotonic() < end:
        time.sleep(0.05)
    check(f"{name}: and the server learns that the client left", now <= before, (before, now))


def behind(name, start):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(test_server())
        url = server.url("http")
        proxy = stack.enter_context(start(url, stack.enter_context(tempfile.TemporaryDirectory())))
        keep_alive(name, url, proxy.url)
        bodies(name, url, proxy.url)
        without_bodies(name, proxy.url)
        expectations(name, proxy.url)
        pipelining(name, proxy.url)
        asyncio.run(websocket(name, proxy.url))
        event_stream(name, url, proxy.url)
        echo(name, proxy.url)
        if name == "nginx":
            http_1_0(proxy.url)
        else:
            trailers(proxy.url)
        check(f"{name}: the server is still running", server.process.poll() is None)
        server.wait_for("^never said$", 0.1)
        failed = [line for line in server.seen if line.startswith("handler") and "shorter" not in line]
        check(f"{name}: no handler failed", not failed, failed)


def http_1_0(url):
    for path in ["/old", "/older"]:
        out, status = curl("-w", "%{num_connects}", f"{url}{path}/bytes/100000", f"{url}{path}/")
        check(f"nginx as HTTP/1.0 by {path}", (status, out) == (0, pattern(100_000) + b"1ok0"), shorten(out))
        out, status = curl("--data-binary", "@-", f"{url}{path}/count", input=LARGE, seconds=10)
        check.equal(f"nginx as HTTP/1.0 by {path} uploads", (status, out.decode()), (0, summed(LARGE)))


def race(name, start):
    """The server closes idle connections after a second, just when the proxy wants to use them."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(test_server("--patience", "1000"))
        proxy = stack.enter_context(start(server.url("http"), stack.enter_context(tempfile.TemporaryDirectory())))
        out = []
        for n in range(12):
            out.append(curl("-w", "%{http_code}", proxy.url + "/")[0])
            time.sleep(0.94 + n / 100)
        check.equal(f"{name}: an idle connection that closes fails nobody", out, [b"ok200"] * 12)


# The races take their time and nothing else: they go beside the rest.
proxies = [("nginx", start_nginx), ("haproxy", start_haproxy)]
with concurrent.futures.ThreadPoolExecutor() as pool:
    for task in [pool.submit(what, *proxy) for proxy in proxies for what in (race, behind)]:
        try:
            task.result(timeout=100)
        except Exception as error:
            traceback.print_exc()
            check("every step comes to its end", False, repr(error))
check.exit()
