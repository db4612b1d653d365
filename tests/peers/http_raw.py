"""The test server against sockets that say and do what no library would."""

import re
import threading
import time

from common import Checks, Raw, curl, exchange, pattern, shorten, stats, summed, test_server

check = Checks()
HOST = b"Host: h\r\n"


def get(target, *fields):
    return b"GET " + target.encode() + b" HTTP/1.1\r\n" + HOST + b"".join(f + b"\r\n" for f in fields) + b"\r\n"


def post(target, *fields, body=b""):
    return get(target, *fields).replace(b"GET", b"POST", 1) + body


def responses(data, heads=()):
    """Cuts responses with Content-Length apart: status, head, body. `heads` answer HEAD."""
    found = []
    while data:
        head, mark, rest = data.partition(b"\r\n\r\n")
        match = re.search(rb"\r\ncontent-length: *(\d+)", head.lower())
        length = int(match.group(1)) if match and len(found) not in heads else 0
        if not mark or len(rest) < length:
            return found + [("cut off", head, rest)]
        found.append((int(head.split()[1]), head, rest[:length]))
        data = rest[length:]
    return found


def pipelining(url):
    sizes = [0, 1, 5, 70_000, 3, 0, 200_000] * 10
    requests = b"".join(get(f"/bytes/{n}") for n in sizes) + get("/", b"Connection: close") + get("/bytes/9")
    got = responses(exchange(url, requests))
    check.equal("70 pipelined requests are answered in order", [len(body) for _, _, body in got], [*sizes, 2])
    check("with the right bytes", all(body == pattern(n) for (_, _, body), n in zip(got, sizes)), "other bytes")
    check("the last one says close", b"connection: close" in got[-1][1].lower(), got[-1][1])
    check("and no other", not any(b"connection: close" in head.lower() for _, head, _ in got[:-1]))

    mixed = [
        post("/echo", b"Content-Length: 3", body=b"abc"),
        post("/echo", b"Transfer-Encoding: chunked", body=b'3;a=b;c="d;\\"e"\r\nabc\r\n002\r\nde\r\n0\r\nX: y\r\n\r\n'),
        get("/bytes/10").replace(b"GET", b"HEAD", 1),
        post("/early/404", b"Content-Length: 5", body=b"12345"),
        get("/status/204"),
        get("/status/304"),
        post("/echo", b"Content-Length: 0"),
        get("/", b"Connection: close"),
    ]
    want = [(200, b"abc"), (200, b"abcde"), (200, b""), (404, b"no"), (204, b""), (304, b""), (200, b""), (200, b"ok")]
    for name, pieces in [("at once", [b"".join(mixed)]), ("byte by byte", [bytes([b]) for b in b"".join(mixed)])]:
        got = responses(exchange(url, *pieces), heads=(2,))
        check.equal(f"bodies of all kinds, pipelined {name}", [(status, body) for status, _, body in got], want)

    with Raw(url, get("/slow/300"), get("/")) as raw:
        start = time.monotonic()
        first = raw.until(b"slow")
        took = time.monotonic() - start
        second = raw.until(b"ok")
    check("a request waits for the one before it", 0.25 < took < 2 and b"ok" not in first and second.endswith(b"ok"), (took, first, second))


def half_close(url):
    for name, request, end in [
        ("a request", get("/"), b"\r\n\r\nok"),
        ("a request that takes time", get("/slow/300"), b"\r\n\r\nslow"),
        ("a large response", get("/bytes/5000000"), pattern(5_000_000)[-1000:]),
        ("an upload", post("/count", b"Content-Length: 3", body=b"abc"), summed(b"abc").encode()),
        ("a chunked upload", post("/count", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"), summed(b"abc").encode()),
        ("two requests", get("/slow/200") + get("/bytes/5"), pattern(5)),
    ]:
        with Raw(url, request) as raw:
            raw.half_close()
            got = raw.end()
        check(f"{name} is answered though the client has closed its half", got.endswith(end), shorten(got[-200:]))
    for name, request in [
        ("half a request line", b"GET / HT"),
        ("half a head", b"GET / HTTP/1.1\r\nHost: h\r\n"),
        ("half a body", post("/count", b"Content-Length: 30", body=b"abc")),
        ("a body without its last chunk", post("/count", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n")),
    ]:
        with Raw(url, request) as raw:
            raw.half_close()
            got = raw.end()
        check(f"{name} is not taken for a whole one", b" 200 " not in got and b"<still open>" not in got, shorten(got))
    with Raw(url) as raw:
        raw.half_close()
        check.equal("nothing is answered with nothing", raw.end(), b"")


def refusals(url):
    """RFC 9112: what must not be taken for anything else. Behind each comes a good request, which must
    not be answered."""
    long = b"x" * 20_000
    table = [
        (400, "no Host (3.2)", b"GET / HTTP/1.1\r\n\r\n"),
        (400, "two Hosts (3.2)", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        (400, "a bad Host (3.2)", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        (400, "space before the colon (5.1)", b"GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n"),
        (400, "a folded line (5.2)", b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n z\r\n\r\n"),
        (400, "bare CR (2.2)", b"GET / HTTP/1.1\r\nHost: h\r\nX: y\rz\r\n\r\n"),
        (400, "bare LF (2.2)", b"GET / HTTP/1.1\nHost: h\n\n"),
        (400, "NUL in a value (RFC 9110, 5.5)", b"GET / HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n"),
        (400, "a space in the target (3.2)", b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "a fragment in the target (3.2)", b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "no target", b"GET HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "a bad method", b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "HTTP/0.9", b"GET /\r\n\r\n"),
        (505, "HTTP/2.0 (3.4 of RFC 9113)", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (505, "HTTP/3.1", b"GET / HTTP/3.1\r\nHost: h\r\n\r\n"),
        (400, "http/1.1", b"GET / http/1.1\r\nHost: h\r\n\r\n"),
        (400, "a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        (400, "a value without a name", b"GET / HTTP/1.1\r\nHost: h\r\n: y\r\n\r\n"),
        (400, "a line without a colon", b"GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n"),
        (400, "Content-Length and Transfer-Encoding (6.1)",
         b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, "two lengths (6.3)", b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
        (400, "a length with a sign (6.2)", b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n12345"),
        (400, "a hexadecimal length (6.2)", b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\n12345"),
        (400, "a length with an underscore (6.2)", b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1_0\r\n\r\n1234567890"),
        (400, "an empty length (6.2)", b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n"),
        (None, "a length beyond all numbers (6.2)",
         b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n"),
        (400, "chunked is not last (6.3)", b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        (400, "chunked twice (6.1)", b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
        (501, "an unknown coding (6.1)", b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        (400, "Transfer-Encoding in HTTP/1.0 (6.1)",
         b"POST /echo HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (413, "a length above the limit", b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n"),
        (431, "a field of 20 kB", b"GET / HTTP/1.1\r\nHost: h\r\nX: " + long + b"\r\n\r\n"),
        (None, "a target of 20 kB", b"GET /" + long + b" HTTP/1.1\r\nHost: h\r\n\r\n"),
    ]
    chunks = [
        ("no size", b"\r\nabc\r\n0\r\n\r\n"), ("a size that is no number", b"x\r\nabc\r\n"), ("a size with a sign", b"+3\r\nabc\r\n"),
        ("a size with 0x", b"0x3\r\nabc\r\n"), ("a size of 17 digits", b"10000000000000003\r\nabc\r\n"),
        ("no CRLF behind the data (7.1)", b"3\r\nabcd\r\n"), ("LF behind the size", b"3\nabc\r\n"), ("space in the size", b"3 3\r\nabc"),
        ("LF in an extension (7.1.1)", b"3;a=\nb\r\nabc\r\n"), ("CR in an extension", b"3;a=\rb\r\nabc\r\n"),
        ("a long extension", b"3;" + b"a" * 5000 + b"\r\nabc\r\n"), ("a bad trailer", b"0\r\nX y\r\n\r\n"),
    ]
    for name, body in chunks:
        table.append((None, f"in chunks: {name}", post("/echo", b"Transfer-Encoding: chunked", body=body)))
    for status, name, request in table:
        good = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
        got = exchange(url, request + good)
        whole = responses(got)
        ok = len(whole) == 1 and (whole[0][0] == status if status else whole[0][0] in (400, 413, 414, 431))
        check(f"{name}: {status or 'refused'}, and closed", ok, shorten(got))
        pieces = exchange(url, *[bytes([b]) for b in request[:300]], request[300:] + good)
        same = [answer[0] for answer in responses(pieces)] == [answer[0] for answer in whole]
        check("    byte by byte too", same, shorten(pieces))


def early(url):
    """An answer to someone who sends on is not lost to a reset (RFC 9112, 9.6)."""
    for name, head in [("Content-Length", b"Content-Length: 60000000"), ("chunked", b"Transfer-Encoding: chunked")]:
        piece = bytes(65536) if name == "Content-Length" else b"10000\r\n" + bytes(65536) + b"\r\n"
        with Raw(url, post("/early/403", head, b"Connection: close")) as raw:
            sent = 0
            try:
                while sent < 500:
                    raw.send(piece)
                    sent += 1
                    time.sleep(0.001)
            except (ConnectionError, TimeoutError):
                pass
            got = raw.end()
        check(f"403 arrives though the client sends on by {name}", got.startswith(b"HTTP/1.1 403") and got.endswith(b"no"), shorten(got))


def deadlines(server, url):
    """Clients that take their time are left, and told if they asked something."""
    begin = post("/count", b"Content-Length: 30", body=b"abc")

    def slowly(raw, data):
        for byte in data:
            try:
                raw.send(bytes([byte]))
            except OSError:
                return
            time.sleep(0.2)

    for name, first, then, want in [
        ("who says nothing", b"", b"", b""),
        ("whose head stops", b"GET / HT", b"", b"HTTP/1.1 408 "),
        ("whose head trickles", b"", b"GET / HTTP/1.1\r\nHost: h", b"HTTP/1.1 408 "),
        ("whose body stops", begin, b"", b"HTTP/1.1 408 "),
        ("whose chunks stop", post("/count", b"Transfer-Encoding: chunked", body=b"5\r\nab"), b"", b"HTTP/1.1 408 "),
        ("whose body trickles", post("/count", b"Content-Length: 30"), b"0123456789", b"HTTP/1.1 408 "),
        ("who is idle", get("/"), b"", b"HTTP/1.1 200 "),
    ]:
        start = time.monotonic()
        with Raw(url, first) as raw:
            if then:
                threading.Thread(target=slowly, args=(raw, then), daemon=True).start()
            got = raw.end()
        took = time.monotonic() - start
        statuses = [line for line in got.split(b"\r\n") if line.startswith(b"HTTP/")]
        right = got.startswith(want) and len(statuses) == (1 if want else 0)
        check(f"{name}: left in time", b"<still open>" not in got and 0.9 < took < 3.5, f"{took:.1f} s, {shorten(got)}")
        check(f"{name}: {want.decode().strip() or 'nothing is answered'}", right, shorten(got))
    # It takes nothing of the response.
    with Raw(url, get("/bytes/60000000")) as raw:
        time.sleep(3)
        check.equal("who takes nothing is left", stats(url)[2], 1)
        got = raw.end()
        check("and can tell that it is not all", len(got) < 60_000_000, len(got))
    # But who is slow and steady is served: 1 KiB in each of these seconds is enough, and for a body
    # that is shorter, to come to its end.
    with Raw(url, post("/count", b"Content-Length: 10000")) as raw:
        for n in range(10):
            raw.send(bytes(1000))
            time.sleep(0.2)
        check("who is steady is served", raw.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200"))
    check("no connection is left over", stats(url)[2] == 1 and server.process.poll() is None, stats(url))


def shutdown(server, url):
    """Nothing that was begun is cut off, and nothing new is begun."""
    results, stop = [], threading.Event()

    def load(target, want):
        while not stop.is_set():
            try:
                raw = Raw(url)
            except OSError:
                results.append("refused")
                return
            with raw:
                while not stop.is_set():
                    try:
                        raw.send(get(target))
                    except OSError:
                        results.append("closed")
                        break
                    try:
                        head = raw.until(b"\r\n\r\n")
                    except OSError as error:
                        head = repr(error).encode()
                    if head == b"":
                        results.append("closed")
                        break
                    body = raw.until(want)
                    whole = head.startswith(b"HTTP/1.1 200") and body == want
                    results.append("whole" if whole else shorten((head, body)))
                    if b"connection: close" in head.lower():
                        results.append("told")
                        break

    kinds = [("/slow/50", b"slow"), ("/", b"ok"), ("/bytes/300000", pattern(300_000)), ("/slow/7", b"slow")]
    threads = [threading.Thread(target=load, args=kind, daemon=True) for kind in kinds * 2]
    ends = {}

    def wait_for_the_end(name, request):
        with Raw(url, request) as raw:
            ends[name] = raw.end(10)

    threads += [
        threading.Thread(target=wait_for_the_end, args=of, daemon=True)
        for of in [("idle", get("/")), ("events", get("/events"))]
    ]
    for thread in threads:
        thread.start()
    time.sleep(1)
    before = len(results)
    start = time.monotonic()
    check.equal("the server is asked to end", curl(url + "/shutdown"), (b"bye", 0))
    ended, _ = server.wait_for("^ended$", 5)
    check("it ends, long before its grace is over", ended and ended - start < 1, ended and ended - start)
    for thread in threads:
        thread.join(timeout=5)
    stop.set()
    bad = [x for x in results if x not in ("whole", "told", "closed", "refused")]
    check("under load no response was cut off", not bad and before > 100, (before, bad[:3]))
    check("those under way were told to be the last", "told" in results, set(results))
    check.equal("then connections are refused", results.count("refused"), len(kinds) * 2)
    check("an idle connection is closed", ends["idle"].endswith(b"\r\n\r\nok"), ends["idle"])
    check("an event stream ends in order", ends["events"].endswith(b"\r\n0\r\n\r\n"), shorten(ends["events"]))
    check.equal("the program ends", server.process.wait(timeout=5), 0)


with test_server() as server:
    url = server.url("http")
    pipelining(url)
    half_close(url)
    refusals(url)
    early(url)
    check("still running", server.process.poll() is None)
    shutdown(server, url)
with test_server("--patience", "1000") as server:
    deadlines(server, server.url("http"))
check.exit()
