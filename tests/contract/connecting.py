"""How a stream is asked for, and what counts as one (WHATWG HTML, 9.2.3; RFC 9110)."""

import time

from harness import PATIENCE, check, equal, event, expect

BODY = '{"hello": "world"}'
JSON = {"content-type": "application/json; charset=utf-8"}


@check("the request's method and fields")
def _(case):
    server, connection, _ = case.stream()
    equal((connection.method, connection.target, connection.version), ("GET", "/stream", "HTTP/1.1"), "the request line")
    equal(connection.field("accept"), "text/event-stream", "Accept")
    equal(connection.field("host"), f"127.0.0.1:{server.port}", "Host")
    # Fetch, HTTP-network-or-cache fetch, for the cache mode `no-store`.
    equal(connection.field("cache-control"), "no-cache", "Cache-Control")
    equal(connection.field("last-event-id"), None, "Last-Event-ID")
    equal(connection.field("content-length") or "0", "0", "Content-Length")


@check("the target with its query")
def _(case):
    server = case.server()
    case.start(server.url + "/a%20b?x=1&y=%C3%A4")
    equal(server.next().target, "/stream/a%20b?x=1&y=%C3%A4", "the target")


@check("fields of the caller's, on each connection")
def _(case):
    server, connection, client = case.stream(headers={"header-name-1": "value-1", "header-name-2": "wörter, auch zwei"})
    for _ in range(2):
        equal(connection.field("header-name-1"), "value-1", "the first")
        equal(connection.field("header-name-2"), "wörter, auch zwei", "the second")
        equal(connection.field("accept"), "text/event-stream", "Accept")
        connection.end()
        connection = server.next().open()


@check("fields of the caller's replace our own")
def _(case):
    _, connection, _ = case.stream(headers={"accept": "text/event-stream, text/plain;q=0.1", "cache-control": "max-age=0"})
    equal(connection.field("accept"), "text/event-stream, text/plain;q=0.1", "Accept")
    equal(connection.field("cache-control"), "max-age=0", "Cache-Control")


def with_body(method):
    @check(f"{method} with a body, on each connection")
    def _(case):
        server, connection, client = case.stream(method=method, body=BODY, headers=JSON)
        for again in range(3):
            equal(connection.method, method, "the method")
            equal(connection.body.decode(), BODY, "the body")
            equal(connection.field("content-type"), JSON["content-type"], "Content-Type")
            equal(connection.field("accept"), "text/event-stream", "Accept")
            connection.send(f"id: {again}\ndata: a\n\n")
            client.data("a", id=str(again))
            if again == 1:
                client.restart()
            else:
                connection.cut()
                client.error()
            connection = server.next().open()
            equal(connection.field("last-event-id"), str(again), "Last-Event-ID")


with_body("POST")
with_body("REPORT")
with_body("QUERY")


@check("POST without a body")
def _(case):
    _, connection, _ = case.stream(method="POST")
    equal((connection.method, connection.field("content-length"), connection.body), ("POST", "0", b""), "the request")


@check("a large body")
def _(case):
    body = "0123456789abcdef" * 50_000
    _, connection, client = case.stream(method="POST", body=body)
    expect(connection.body.decode() == body, "it is not what was given")
    connection.send("data: a\n\n")
    client.data("a")


def type_is(name, value, good):
    @check(f"the content type is {name}")
    def _(case):
        server = case.server()
        client = case.start(server.url)
        connection = server.next()
        fields = [("Content-Type", value)] if value is not None else []
        connection.head(200, *fields).send("data: a\n\n")
        if good:
            client.data("a")
            return
        connection.socket.close()
        client.error("content type")
        server.nobody()
        client.nothing(0)


type_is("text/event-stream", "text/event-stream", True)
type_is("text/event-stream with a parameter", "text/event-stream;charset=windows-1252", True)
type_is("text/event-stream in capitals", "TEXT/Event-Stream ; charset=utf-8", True)
type_is("another: an error, and the end", "text/html", False)
type_is("another with that prefix: an error, and the end", "text/event-streams", False)
type_is("not there: an error, and the end", None, False)


@check("a stream until the connection closes")
def _(case):
    server = case.server()
    client = case.start(server.url)
    connection = server.next().open(chunked=False)
    connection.send_in("data: a\n\ndata: b\n\n", 4)
    client.data("a", "b")
    connection.end()
    client.error()
    server.next()


@check("a stream of known length")
def _(case):
    server = case.server()
    client = case.start(server.url)
    connection = server.next()
    connection.head(200, ("Content-Type", "text/event-stream"), ("Content-Length", 18)).send("data: a\n\ndata: b\n\n")
    client.data("a", "b")
    client.error("the stream came to its end")
    connection.dropped()
    server.next()


@check("a stream of HTTP/1.0")
def _(case):
    server = case.server()
    client = case.start(server.url)
    connection = server.next()
    connection.raw("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n")
    client.data("a")
    connection.cut()
    client.error()


@check("interim responses before the stream")
def _(case):
    server = case.server()
    client = case.start(server.url)
    connection = server.next()
    connection.raw("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
    connection.open().send("data: a\n\n")
    client.data("a")


@check("head and events in one packet, and the head byte by byte")
def _(case):
    server = case.server()
    client = case.start(server.url)
    whole = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n"
    server.next().raw(whole)
    client.data("a")
    client.restart()
    server.next().send_in(whole, 1)
    client.data("a")


@check("a response that is no HTTP is an error, and tried again")
def _(case):
    server = case.server()
    client = case.start(server.url)
    server.next().raw("SMTP ready\r\n\r\n")
    client.error("HTTP")
    server.next().open().send("data: a\n\n")
    client.data("a")


@check("chunks that are none are an error, and tried again")
def _(case):
    server, connection, client = case.stream()
    connection.send("data: a\n\n").raw("no chunk\r\n")
    client.data("a")
    client.error("HTTP")
    server.next()


for status in (204, 201, 205, 206, 400, 401, 403, 404, 410, 429, 500, 502, 503):

    @check(f"{status} stops it" if status == 204 else f"{status} is an error, and the end")
    def _(case, status=status):
        server = case.server()
        client = case.start(server.url, initialDelayMs=0)
        connection = server.next()
        connection.reply(status, ("Content-Type", "text/event-stream"), body="" if status == 204 else "data: a\n\n")
        client.error(str(status))
        server.nobody(0.5)
        client.nothing(0)
        equal(client.command("restart")[0], 409, "the status of a restart")


@check("a refusal whose body does not end")
def _(case):
    server = case.server()
    client = case.start(server.url, readTimeoutMs=300)
    connection = server.next().head(404, ("Content-Type", "text/plain"))
    connection.send("no ")
    client.error("404")
    connection.dropped()
    server.nobody()


@check("a refusal whose body is longer than anybody wants")
def _(case):
    server = case.server()
    client = case.start(server.url)
    connection = server.next().head(500, ("Content-Length", 1 << 40))
    try:
        for _ in range(1000):
            connection.send("x" * 100_000)
        expect(False, "took 100 MB")
    except OSError:
        pass  # the client has gone
    client.error("500")
    server.nobody()


@check("a head without end is an error, and tried again")
def _(case):
    server = case.server()
    client = case.start(server.url)
    connection = server.next()
    try:
        connection.head(200, *((f"x-{number}", "x" * 500) for number in range(90)))
    except OSError:
        pass  # the client has gone
    client.error("HTTP")
    connection.dropped()
    server.next().open().send("data: a\n\n")
    client.data("a")


@check("interim responses without end are no response")
def _(case):
    server = case.server()
    client = case.start(server.url, readTimeoutMs=500)
    connection = server.next()
    end = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < end and client.receiver.items.empty():
            connection.raw("HTTP/1.1 102 Processing\r\n\r\n" * 100)
    except OSError:
        pass  # the client has gone
    client.error()
    server.next().open().send("data: a\n\n")
    client.data("a")


@check("204 stops it in place of a reconnection")
def _(case):
    server, connection, client = case.stream()
    connection.send("data: a\n\n").end()
    client.data("a")
    client.error("the stream came to its end")
    server.next().reply(204)
    client.error("204")
    server.nobody()
    client.nothing(0)


for status, for_ever in ((301, True), (302, False), (303, False), (307, False), (308, True)):

    @check(f"{status} is followed, and {'remembered' if for_ever else 'asked again'}")
    def _(case, status=status, for_ever=for_ever):
        first, second = case.server(), case.server()
        client = case.start(first.url, headers={"x-mine": "1"}, lastEventId="9")
        first.next().redirect(status, second.url + "/there?x=1")
        connection = second.next().open()
        equal((connection.method, connection.target), ("GET", "/stream/there?x=1"), "the request")
        equal(connection.field("x-mine"), "1", "a field of the caller's")
        equal(connection.field("last-event-id"), "9", "Last-Event-ID")
        connection.send("data: a\n\n").end()
        client.data("a", id="9")
        client.error("the stream came to its end")
        (second if for_ever else first).next()
        (first if for_ever else second).nobody(0.1)


@check("a redirect to a path, and one to a query")
def _(case):
    server = case.server()
    client = case.start(server.url)
    server.next().redirect(302, "/other")
    connection = server.next()
    equal(connection.target, "/other", "the target")
    connection.redirect(302, "?q=1")
    connection = server.next().open().send("data: a\n\n")
    equal(connection.target, "/other?q=1", "the target")
    client.data("a")


for status, method, body in ((307, "POST", BODY), (308, "POST", BODY), (303, "GET", ""), (301, "GET", "")):

    @check(f"{status} of a POST leads to a {method}")
    def _(case, status=status, method=method, body=body):
        server = case.server()
        client = case.start(server.url, method="POST", body=BODY, headers=JSON)
        server.next().redirect(status, "/other")
        connection = server.next().open().send("data: a\n\n")
        equal((connection.method, connection.body.decode()), (method, body), "the request")
        equal(connection.field("content-type"), JSON["content-type"] if body else None, "Content-Type")
        client.data("a")


@check("credentials do not go along to another origin")
def _(case):
    first, second = case.server(), case.server()
    case.start(first.url, headers={"authorization": "Bearer 1", "x-mine": "1"})
    connection = first.next()
    equal(connection.field("authorization"), "Bearer 1", "Authorization")
    connection.redirect(307, second.url)
    connection = second.next()
    equal((connection.field("authorization"), connection.field("x-mine")), (None, "1"), "the fields")


for status in (301, 307):
    for name, fields in (("without Location", ()), ("with an empty Location", (("Location", ""),)), ("to nowhere", (("Location", "http://"),))):

        @check(f"{status} {name} is an error, and not for ever")
        def _(case, status=status, fields=fields):
            server = case.server()
            client = case.start(server.url)
            asked = 0
            # An empty reference means the same URL (RFC 3986, 5.2.2).
            while client.receiver.items.empty() and asked < 100:
                try:
                    server.next(0.2).reply(status, *fields)
                    asked += 1
                except Exception:
                    break
            client.error("redirect")
            expect(1 <= asked <= 21, f"asked {asked} times")
            server.nobody()
            client.nothing(0)


@check("redirects in a circle are an error, and the end")
def _(case):
    one, other = case.server(), case.server()
    client = case.start(one.url)
    for _ in range(10):
        one.next().redirect(302, other.url)
        other.next().redirect(302, one.url)
    one.next().redirect(302, other.url)
    client.error("redirect")
    other.nobody()
    client.nothing(0)


@check("a redirect to TLS where nobody is, is an error")
def _(case):
    server = case.server()
    client = case.start(server.url, initialDelayMs=60_000)
    server.next().redirect(302, "https://127.0.0.1/")
    client.error()
    client.nothing()


@check("a host by its name")
def _(case):
    server = case.server()
    client = case.start(f"http://localhost:{server.port}/")
    connection = server.next().open().send("id: 1\ndata: a\n\n")
    equal(connection.field("host"), f"localhost:{server.port}", "Host")
    client.expect(event("a", id="1"))
