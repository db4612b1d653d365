"""curl against the test server: what one request after the other shows."""

import email.utils
import re
import subprocess
import tempfile
import time

from common import Checks, curl, pattern, shorten, split, stats, summed, test_server, values

check = Checks()
LARGE = pattern(5 << 20)


def downloads(url):
    for size in [0, 1, 16_384, 100_000, 5 << 20]:
        out, status = curl("-i", f"{url}/bytes/{size}")
        line, fields, body = split(out)
        check(f"{size} bytes arrive", (status, line, body) == (0, "HTTP/1.1 200 OK", pattern(size)), shorten(out))
        check.equal("their length is told", values(fields, "content-length"), [str(size)])
    for size in [0, 1, 10_007, 100_000, 5 << 20]:
        for how, want in [("chunked", ([], ["chunked"])), ("known", ([str(size)], []))]:
            out, status = curl("-i", f"{url}/{how}/{size}")
            line, fields, body = split(out)
            check(f"{size} bytes in pieces arrive, {how}", (status, line, body) == (0, "HTTP/1.1 200 OK", pattern(size)), shorten(out))
            check.equal("framed so", (values(fields, "content-length"), values(fields, "transfer-encoding")), want)
    out, status = curl("-0", "-i", f"{url}/chunked/100000")
    line, fields, body = split(out)
    check("HTTP/1.0 gets no chunks", (status, body) == (0, pattern(100_000)) and not values(fields, "transfer-encoding"), shorten(out))
    out, status = curl("-w", " %{num_connects}\n", *[f"{url}/chunked/{n}" for n in (0, 2, 1)])
    check.equal("chunked responses share a connection", (status, out), (0, b" 1\n\0\1 0\n\0 0\n"))
    out, status = curl("-w", "%{num_connects}", "-I", f"{url}/chunked/1000", f"{url}/known/1000", f"{url}/")
    check.equal("HEAD of them too", (status, out.count(b"HTTP/1.1 200"), out[-1:]), (0, 3, b"0"))
    for how in ("cut/100000", "cut/0"):
        out, status = curl(f"{url}/{how}")
        check.equal(f"/{how} is seen to be cut off", status, 18)
    out, status = curl("-D", "-", "-o", "/dev/null", "-d", "abc", f"{url}/trailers")
    # curl writes trailers where it writes headers.
    check("trailers come behind the body", status == 0 and out.endswith(b"\r\n\r\nX-Count: 0\r\nX-Length: 3\r\n"), shorten(out))
    out, status = curl("-i", f"{url}/hints")
    check("interim responses come first", status == 0 and out.startswith(
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n"), shorten(out))
    out, status = curl("-0", "-i", f"{url}/hints")
    check("but not for HTTP/1.0", status == 0 and out.startswith(b"HTTP/1.1 200 OK\r\n"), shorten(out))
    out, status = curl("-i", "--compressed", "--range", "0-9", f"{url}/bytes/100")
    check.equal("ranges may be ignored", (status, split(out)[0], split(out)[2]), (0, "HTTP/1.1 200 OK", pattern(100)))
    out, status = curl("-I", f"{url}/bytes/1000")
    line, fields, body = split(out)
    check.equal("HEAD has the length and no body", (status, values(fields, "content-length"), body), (0, ["1000"], b""))
    out, status = curl("-I", "-w", "%{num_connects} ", f"{url}/bytes/7", f"{url}/status/304", f"{url}/")
    check.equal("HEAD leaves the connection in order", (status, re.findall(rb"\d (?=$|HTTP)", out)), (0, [b"1 ", b"0 ", b"0 "]))


def statuses(url):
    for code in [200, 201, 202, 204, 205, 206, 301, 304, 400, 401, 404, 410, 418, 500, 503, 599]:
        out, status = curl("-i", f"{url}/status/{code}")
        line, fields, body = split(out)
        bodiless = code in (204, 205, 304)
        want = (0, str(code), b"" if bodiless else b"as asked")
        check.equal(f"{code} comes as it is", (status, line.split()[1], body), want)
        if code in (204, 304):
            framing = values(fields, "content-length") + values(fields, "transfer-encoding")
            check(f"{code} has no framing but for a length that GET would have", code == 304 or not framing, framing)
    out, status = curl("-w", "%{http_code}:%{num_connects} ", *[f"{url}/status/{code}" for code in (204, 304, 205, 204)])
    check.equal("what has no body leaves the connection in order", (status, out), (0, b"204:1 304:0 205:0 204:0 "))


def connections(url):
    before = stats(url)
    out, status = curl("-w", " %{num_connects}\n", *[f"{url}/bytes/{n}" for n in range(3)] * 10)
    connects = re.findall(rb" (\d)\n", out)
    check.equal("30 requests need one connection", (status, len(connects), sum(map(int, connects))), (0, 30, 1))
    after = stats(url)
    # `stats` itself is one connection each time.
    check.equal("the server saw the same", (after[0] - before[0], after[1] - before[1]), (2, 31))
    out, status = curl("-H", "Connection: close", "-w", " %{num_connects}\n", *[url + "/"] * 3)
    check.equal("with Connection: close each needs one", (status, out), (0, b"ok 1\n" * 3))
    out, status = curl("-0", "-i", url + "/")
    line, fields, body = split(out)
    check.equal("HTTP/1.0 is answered by HTTP/1.1", (status, line, body), (0, "HTTP/1.1 200 OK", b"ok"))
    check.equal("and closed", values(fields, "connection"), ["close"])
    out, status = curl("-0", "-H", "Connection: keep-alive", "-w", " %{num_connects}\n", *[url + "/"] * 3)
    check.equal("HTTP/1.0 with keep-alive is kept", (status, out), (0, b"ok 1\nok 0\nok 0\n"))
    out, status = curl("-0", "--data-binary", "@-", f"{url}/count", input=LARGE)
    check.equal("HTTP/1.0 uploads 5 MiB", (status, out.decode()), (0, summed(LARGE)))


def uploads(url):
    # What curl says by itself for large bodies, without waiting for it, and with.
    for expect in ["Expect:", "Expect: 100-continue"]:
        for name, data in [("nothing", b""), ("3 bytes", b"abc"), ("100 kB", pattern(100_000)), ("5 MiB", LARGE)]:
            for coding in ["Content-Length", "chunked"]:
                if (coding, data, expect[-1]) == ("chunked", b"", "e"):
                    continue  # curl 7.88 is told to continue and then forgets the last chunk
                chunked = ["-H", "Transfer-Encoding: chunked"] if coding == "chunked" else []
                args = ["-H", expect, *chunked, "--expect100-timeout", "20", "--data-binary", "@-"]
                out, status = curl(*args, f"{url}/count", input=data, seconds=10)
                label = f"{name} by {coding}, {expect.rstrip(':')}{' not asked' if expect.endswith(':') else ''}"
                check.equal(f"upload of {label}", (status, out.decode()), (0, summed(data)))
    out, status = curl("--data-binary", "@-", f"{url}/echo", input=LARGE, seconds=10)
    check("5 MiB come back", (status, out) == (0, LARGE), shorten(out))
    for coding in ["Content-Length: 5242880", "Transfer-Encoding: chunked"]:
        out, status = curl("-H", coding, "-H", "Expect:", "--data-binary", "@-", f"{url}/mirror", input=LARGE, seconds=10)
        check(f"5 MiB come back while they are sent by {coding[:17]}", (status, out) == (0, LARGE), shorten(out))
    out, status = curl("-X", "PUT", "-w", " %{num_connects}\n", "-d", "abc", *[f"{url}/echo"] * 3)
    check.equal("uploads share a connection", (status, out), (0, b"abc 1\nabc 0\nabc 0\n"))
    out, status = curl("-w", " %{num_connects}\n", "-H", "Transfer-Encoding: chunked", "-d", "abc", *[f"{url}/echo"] * 3)
    check.equal("so do chunked ones", (status, out), (0, b"abc 1\nabc 0\nabc 0\n"))
    out, status = curl("-w", " %{http_code} %{num_connects}\n", "-d", "abc", *[f"{url}/status/404"] * 3)
    check.equal("and those that nobody reads", (status, out), (0, b"as asked 404 1\nas asked 404 0\nas asked 404 0\n"))

    # A body in pieces, with pauses.
    process = subprocess.Popen(
        ["curl", "-sS", "--noproxy", "*", "--max-time", "10", "-T", "-", f"{url}/count"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    for n in range(20):
        process.stdin.write(b"%d" % (n % 10))
        process.stdin.flush()
        time.sleep(0.02)
    out, _ = process.communicate(timeout=15)
    check.equal("a body that trickles arrives", (process.returncode, out.decode()), (0, summed(b"0123456789" * 2)))


def expectations(url):
    start = time.monotonic()
    out, status = curl("-i", "--expect100-timeout", "4", "-H", "Expect: 100-continue", "-d", "abc", f"{url}/echo")
    check("100 Continue comes before the answer", out.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), shorten(out))
    check("and at once", status == 0 and time.monotonic() - start < 2, f"{time.monotonic() - start:.1f} s")
    for code in (413, 417, 200):
        start = time.monotonic()
        out, status = curl(
            "-i", "--expect100-timeout", "20", "-H", "Expect: 100-continue", "--data-binary", "@-",
            "-w", "%{size_upload}", f"{url}/early/{code}", input=LARGE, seconds=10,
        )
        line, fields, body = split(out)
        check.equal(f"{code} before the body: the body is not sent", (status, line.split()[1], body), (0, str(code), b"no0"))
        check.equal("and the connection closes", values(fields, "connection"), ["close"])
        check("at once", time.monotonic() - start < 2, f"{time.monotonic() - start:.1f} s")
    out, status = curl("-i", "-H", "Expect: a-miracle", "-d", "abc", f"{url}/echo")
    check.equal("an unknown expectation is 417", (status, split(out)[0].split()[1]), (0, "417"))
    out, status = curl("-0", "-i", "-H", "Expect: 100-continue", "-d", "abc", f"{url}/echo")
    check.equal("HTTP/1.0 gets no 100", (status, split(out)[0], split(out)[2]), (0, "HTTP/1.1 200 OK", b"abc"))


def early(url):
    """Answers to uploads that take long: the client learns them, and need not send the rest."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(LARGE)
        file.flush()
        for code in (413, 200):
            start = time.monotonic()
            out, status = curl(
                "-i", "-H", "Expect:", "--limit-rate", "2M", "-T", file.name, f"{url}/early/{code}", seconds=15
            )
            took = time.monotonic() - start
            line, _, body = split(out)
            if code == 413:
                check.equal("413 reaches a client that still sends", (status, line.split()[1], body), (0, "413", b"no"))
                check("and that stops it", took < 2, f"{took:.1f} s")
            else:
                check.equal("200 too, and the rest is read", (status, line.split()[1], body), (0, "200", b"no"))
                out, status = curl("-H", "Expect:", "-w", " %{num_connects}\n", "-T", file.name, f"{url}/early/200",
                                   "--next", "-sS", "--noproxy", "*", f"{url}/")
                check.equal("after which the connection serves again", (status, out), (0, b"no 1\nok"))
    too_much = pattern(65 << 20)
    for coding in ["Content-Length", "chunked"]:
        chunked = ["-H", "Transfer-Encoding: chunked"] if coding == "chunked" else []
        out, status = curl("-o", "/dev/null", "-w", "%{http_code}", *chunked, "-H", "Expect:", "--data-binary", "@-",
                           f"{url}/count", input=too_much, seconds=10)
        check.equal(f"65 MiB by {coding} are more than the server takes", out, b"413")


def fields(url):
    out, _ = curl("-i", url + "/")
    _, fields, _ = split(out)
    dates = [email.utils.parsedate_to_datetime(date).timestamp() for date in values(fields, "date")]
    check("a response says when it was made", len(dates) == 1 and abs(dates[0] - time.time()) < 3, values(fields, "date"))
    check.equal("and by whom", values(fields, "server"), ["tidewire"])
    out, _ = curl("-i", f"{url}/bytes/no")
    check.equal("so does one that nobody wrote", len(values(split(out)[1], "date")), 1)


def targets(url):
    for target in ["/head?a=b&c=%20d", "/head?" + "x" * 8000, "/head?a//../b", "/head?'()*!$&+,;=:@"]:
        out, status = curl("--path-as-is", "--globoff", f"{url}{target}")
        check(f"{target[:30]} arrives as sent", status == 0 and out.startswith(f"GET {target} ".encode()), shorten(out))
    out, status = curl("--request-target", f"{url}/head?absolute", url)
    check("the absolute form is understood", status == 0 and b"?absolute " in out.split(b"\n")[0], shorten(out))
    out, status = curl("-X", "OPTIONS", "--request-target", "*", "-i", url)
    check("OPTIONS * is answered", status == 0 and out.startswith(b"HTTP/1.1 "), shorten(out))
    out, _ = curl("-o", "/dev/null", "-w", "%{http_code}", "-H", "X: " + "x" * 20_000, url + "/")
    check.equal("a head of 20 kB is refused", out, b"431")
    out, _ = curl("-o", "/dev/null", "-w", "%{http_code}", *[x for n in range(150) for x in ("-H", f"X{n}: y")], url + "/")
    check.equal("so are 150 fields", out, b"431")
    out, status = curl("-H", "X-Empty;", "-H", "X-Latin: \u00e4".encode("latin-1"), "-H", "x-TWO: 1", "-H", "X-two: 2", f"{url}/head")
    lines = out.split(b"\n")
    wanted = [b"X-Empty: ", "X-Latin: \ufffd".encode(), b"x-TWO: 1", b"X-two: 2"]
    check("fields keep case, order and duplicates", status == 0 and [x for x in lines if x.lower().startswith(b"x-")] == wanted, lines)


def handlers(server, url):
    for path, told in [("/fail", "it failed"), ("/panic", "panicked"), ("/forget", None)]:
        out, status = curl("-o", "/dev/null", "-w", "%{http_code}", url + path)
        check.equal(f"{path} gives its client a 500", (status, out), (0, b"500"))
        if told:
            _, match = server.wait_for(rf"^handler: .*{told}", 5)
            check("and says so", match, shorten(server.seen))
    out, status = curl("-N", f"{url}/events", seconds=1)
    check("events come while curl waits", status == 28 and out.startswith(b"data: 0\n\ndata: 1\n\ndata: 2\n\n"), shorten(out))


with test_server() as server:
    url = server.url("http")
    downloads(url)
    statuses(url)
    connections(url)
    uploads(url)
    expectations(url)
    early(url)
    fields(url)
    targets(url)
    handlers(server, url)
    check("still running", server.process.poll() is None)
check.exit()
