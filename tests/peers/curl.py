"""curl against the example sse_server."""

import re
import socket
import subprocess
import time

from common import Checks, Example, curl, shorten, split, values

check = Checks()


def event_stream(url):
    """Reads the stream as curl hands it out, and notes when what came."""
    # -D - instead of -i, because curl flushes the former.
    command = ["curl", "-N", "-sS", "-D", "-", "--noproxy", "*", "--max-time", "5", "-H", "Accept: text/event-stream", url]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    pieces = []
    while piece := process.stdout.read1(65536):
        pieces.append((time.monotonic() - start, piece))
    status = process.wait(timeout=10)
    status_line, fields, body = split(b"".join(piece for _, piece in pieces))
    check.equal("an event stream is answered with 200", status_line.split()[:2], ["HTTP/1.1", "200"])
    types = values(fields, "content-type")
    check("its type is text/event-stream", len(types) == 1 and types[0].split(";")[0] == "text/event-stream", types)
    check.equal("it is not to be cached", values(fields, "cache-control"), ["no-cache"])
    check.equal("it has no Content-Length", values(fields, "content-length"), [])
    check.equal("any origin may read it", values(fields, "access-control-allow-origin"), ["*"])
    event = b"event: message\nid: 1\ndata: hello\n\n"
    check.equal("two events come in 5 seconds, byte for byte", body, event * 2)
    check("the head is out at once", pieces and pieces[0][0] < 0.5, f"after {pieces and pieces[0][0]:.2f} s")
    # The head may come in more than one piece.
    events = [at for at, piece in pieces if b"data: " in piece]
    check("the first event comes after 2 s", events and 1.8 <= events[0] <= 2.5, f"at {events}")
    check("the second 2 s later", len(events) == 2 and 1.8 <= events[1] - events[0] <= 2.5, f"at {events}")
    check.equal("the stream went on until curl left", status, 28)


def media_types(url):
    """Accept is a list of media types."""
    for accept, wanted in [
        (["text/event-stream, */*"], True),
        (["TEXT/EVENT-STREAM;q=0.9"], True),
        (["text/html", "text/event-stream"], True),
        (["text/event-stream;q=0"], False),
        (["*/*"], False),
        (["text/html"], False),
    ]:
        headers = [x for value in accept for x in ("-H", f"Accept: {value}")]
        out, _ = curl("-N", "-i", *headers, url, seconds=1)
        _, fields, _ = split(out)
        is_stream = any(v.startswith("text/event-stream") for v in values(fields, "content-type"))
        check.equal(f"{accept} asks for {'events' if wanted else 'no events'}", is_stream, wanted)


def plain(url):
    out, status = curl("-i", url)
    status_line, fields, body = split(out)
    check.equal("anything else is answered with ok", (status, status_line.split()[1:2], body), (0, ["200"], b"ok"))
    check.equal("its length is told", values(fields, "content-length"), ["2"])

    out, status = curl("-I", url)
    status_line, fields, body = split(out)
    check.equal("HEAD has no body", (status, status_line.split()[1:2], body), (0, ["200"], b""))
    check.equal("HEAD tells the length that GET would have", values(fields, "content-length"), ["2"])

    out, status = curl("-w", "%{num_connects} ", url, url)
    check.equal("two requests share one connection", (status, out), (0, b"ok1 ok0 "))

    out, status = curl("--http1.0", "-i", url)
    status_line, fields, body = split(out)
    check.equal("HTTP/1.0 is answered", (status, status_line.split()[1:2], body), (0, ["200"], b"ok"))
    check.equal("HTTP/1.0 gets no chunks", values(fields, "transfer-encoding"), [])

    out, status = curl("-i", "-H", "Connection: close", url)
    _, fields, body = split(out)
    check.equal("Connection: close is honoured", (status, values(fields, "connection"), body), (0, ["close"], b"ok"))

    out, status = curl("-i", "--data-binary", "x" * 100_000, url)
    status_line, _, body = split(out)
    check.equal("a body that nobody reads is no obstacle", (status, body), (0, b"ok"))

    out, _ = curl("--http1.0", "-N", "-i", "-H", "Accept: text/event-stream", url, seconds=3)
    _, fields, body = split(out)
    check.equal("HTTP/1.0 gets the events without chunks", body, b"event: message\nid: 1\ndata: hello\n\n")


def raw(url):
    """What curl would not send."""
    host, port = re.match(r"http://(.*):(\d+)", url).groups()

    def exchange(request):
        with socket.create_connection((host, int(port)), timeout=5) as s:
            s.settimeout(5)
            s.sendall(request)
            got = b""
            try:
                while piece := s.recv(65536):
                    got += piece
            except TimeoutError:
                got += b"<still open>"
            except ConnectionResetError:
                pass
            return got

    got = exchange(b"GET / HTTP/1.0\r\n\r\n")
    check("HTTP/1.0 closes the connection", got.endswith(b"\r\n\r\nok"), shorten(got))
    got = exchange(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    check.equal("pipelined requests are answered in order", (got.count(b"HTTP/1.1 200"), got.count(b"\r\n\r\nok")), (2, 2))
    got = exchange(b"GET / HTTP/1.1\r\n\r\n")
    check("no Host: 400 and closed", got.startswith(b"HTTP/1.1 400") and b"<still open>" not in got, shorten(got))
    got = exchange(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
    check("a TLS hello: 400 and closed", got.startswith(b"HTTP/1.1 400") and b"<still open>" not in got, shorten(got))
    got = exchange(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    check("two framings at once: 400 and closed", got.startswith(b"HTTP/1.1 400") and b"<still open>" not in got, shorten(got))


def leavers(server, url):
    """Subscribers that leave free their sockets, politely or not."""
    host, port = re.match(r"http://(.*):(\d+)", url).groups()
    before = server.descriptors()
    for _ in range(10):  # the server may still be closing the connections of earlier checks
        time.sleep(0.1)
        before = min(before, server.descriptors())
    subscribers = []
    for _ in range(50):
        s = socket.create_connection((host, int(port)), timeout=5)
        s.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n")
        subscribers.append(s)
    for s in subscribers:
        s.recv(1)
    during = server.descriptors()
    for i, s in enumerate(subscribers):
        if i % 2:  # with a reset
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    time.sleep(0.5)  # less than an interval: nobody may wait for the next event to find out
    after = server.descriptors()
    check("50 subscribers that left are gone at once", during >= before + 50 and after <= before + 1, f"{before}, {during}, {after}")


with Example("sse_server", "--listen", "127.0.0.1:0") as server:
    url = server.url("http")
    event_stream(url)
    media_types(url)
    plain(url)
    raw(url)
    leavers(server, url)
    check("the server is still up", server.process.poll() is None)
check.exit()
