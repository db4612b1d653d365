"""What the service is told to do with its streams, and what it makes of requests that are none."""

import concurrent.futures
import json
import time

from harness import MOMENT, Failed, check, equal, event, expect

CAPABILITIES = ["bom", "comments", "headers", "last-event-id", "post", "read-timeout", "report", "restart",
                "server-directed-shutdown-request"]  # fmt: skip


@check("GET / tells the capabilities")
def _(case):
    status, fields, body = case.ask("GET", "/")
    equal((status, fields["Content-Type"]), (200, "application/json"), "status and type")
    told = json.loads(body)
    equal((sorted(told), sorted(told["capabilities"])), (["capabilities"], CAPABILITIES), "the body")
    status, fields, body = case.ask("HEAD", "/")
    equal((status, fields["Content-Type"], body), (200, "application/json", b""), "HEAD")


@check("unknown paths get 404")
def _(case):
    for path in ("/x", "/streams", "/streams/", "/streams/0", "/streams/999999", "/streams/x", "/streams/1/2", "//"):
        for method in ("GET", "POST", "DELETE"):
            status, _, body = case.ask(method, path, {})
            equal(status, 404, f"{method} {path}")
            expect(body, "no reason")


@check("methods out of place get 405, and hear of the others")
def _(case):
    _, _, client = case.stream()
    for path, allowed in (("/", "GET, HEAD, POST, DELETE"), (client.location, "POST, DELETE")):
        for method in {"GET", "HEAD", "PUT", "PATCH", "OPTIONS", "REPORT"} - set(allowed.split(", ")):
            status, fields, _ = case.ask(method, path)
            equal((status, fields["Allow"]), (405, allowed), f"{method} {path}")


def starts(case, status, name, **params):
    """What the service makes of these parameters, beside those that are needed; `...` leaves one out."""
    server = case.server()
    whole = {"streamUrl": server.url, "callbackUrl": case.service.callbacks.receiver().url, **params}
    whole = {name: value for name, value in whole.items() if value is not ...}
    got, fields, body = case.ask("POST", "/", whole)
    if got == 201:
        case.ask("DELETE", fields["Location"])
    equal(got, status, f"{name} ({body.decode()})")
    expect(got == 201 or len(body) > 10, f"{name}: the reason is {body!r}")
    return body.decode()


@check("a body that is no JSON gets 400 with the reason")
def _(case):
    _, _, client = case.stream()
    for path in ("/", client.location):
        for body in (b"", b"{", b"\xff", b"[]", b'"restart"', b"1", b"null", b"{} {}"):
            status, _, reason = case.ask("POST", path, body)
            equal(status, 400, f"POST {path} {body}")
            expect(len(reason) > 10, f"the reason is {reason!r}")


@check("parameters that cannot be get 400 with the reason")
def _(case):
    expect("streamUrl" in starts(case, 400, "no streamUrl", streamUrl=...), "the reason does not name it")
    expect("callbackUrl" in starts(case, 400, "no callbackUrl", callbackUrl=...), "the reason does not name it")
    for name, value in (
        ("streamUrl", "nowhere"), ("streamUrl", "ftp://127.0.0.1/"), ("streamUrl", 1),
        ("streamUrl", None), ("callbackUrl", "nowhere"), ("callbackUrl", "ftp://127.0.0.1/"), ("callbackUrl", None),
        ("initialDelayMs", -1), ("initialDelayMs", "1"), ("initialDelayMs", 1.5), ("readTimeoutMs", 0), ("readTimeoutMs", -1),
        ("lastEventId", "a\nb"), ("lastEventId", 1), ("headers", ["a"]), ("headers", {"a": 1}), ("headers", {"a b": "c"}),
        ("headers", {"a": "b\r\nc: d"}), ("headers", {"content-length": "1"}), ("method", "G T"), ("method", "CONNECT"),
        ("method", 1), ("body", {}),
    ):  # fmt: skip
        starts(case, 400, f"{name} {value!r}", **{name: value})


@check("parameters that are null or unknown mean nothing")
def _(case):
    names = ("tag", "initialDelayMs", "readTimeoutMs", "lastEventId", "headers", "method", "body")
    starts(case, 201, "null", **dict.fromkeys(names))
    starts(case, 201, "empty", tag="", lastEventId="", method="", body="", headers={})
    starts(case, 201, "unknown", color="blue", listen={"type": "a"})


@check("unknown commands get 400 with the reason")
def _(case):
    server, connection, client = case.stream()
    for command in ({}, {"command": "listen", "listen": {"type": "a"}}, {"command": ""}, {"command": None}, {"listen": {}}):
        status, _, reason = case.ask("POST", client.location, command)
        equal(status, 400, f"{command}")
        expect(len(reason) > 10, f"the reason is {reason!r}")
    connection.stays(0.1)
    server.nobody(0)


@check("a body that is too long gets 413")
def _(case):
    equal(case.ask("POST", "/", b" " * (2 << 20))[0], 413, "the status")
    equal(case.ask("GET", "/")[0], 200, "the status of a request behind it")


@check("each stream has a location of its own")
def _(case):
    server = case.server()
    locations = {case.start(server.url).location for _ in range(10)}
    equal(len(locations), 10, "locations")
    for location in locations:
        equal(case.ask("DELETE", location)[0], 204, f"DELETE {location}")
        equal(case.ask("DELETE", location)[0], 404, f"DELETE {location} again")


@check("a restart drops the connection and makes another, at once")
def _(case):
    server, connection, client = case.stream(initialDelayMs=60_000)
    connection.send("id: 1\ndata: a\n\n")
    client.data("a", id="1")
    for _ in range(3):
        client.restart()
        connection.dropped()
        connection = server.next(2).open()
        equal(connection.field("last-event-id"), "1", "Last-Event-ID")
    connection.send("data: b\n\n")
    # No error in between: it was no failure.
    client.data("b", id="1")


@check("a restart drops an event in part, and an id in part")
def _(case):
    server, connection, client = case.stream()
    connection.send("id: 1\ndata: a\n\nevent: e\nid: 2\ndata: b\n")
    client.data("a", id="1")
    client.restart()
    connection = server.next().open()
    equal(connection.field("last-event-id"), "1", "Last-Event-ID")
    connection.send("\ndata: c\n\n")
    client.data("c", id="1")


@check("a restart keeps what the stream has said of retry")
def _(case):
    server, connection, client = case.stream(initialDelayMs=60_000)
    connection.send("retry: 100\ndata: a\n\n")
    client.data("a")
    client.restart()
    server.next().open().end()
    client.error("the stream came to its end")
    server.next(5)


@check("a restart keeps to where the stream has moved for good")
def _(case):
    first, second = case.server(), case.server()
    client = case.start(first.url)
    first.next().redirect(301, second.url)
    second.next().open().send("data: a\n\n")
    client.data("a")
    client.restart()
    second.next()
    first.nobody(0.1)


@check("a restart cuts a wait short")
def _(case):
    server, connection, client = case.stream(initialDelayMs=60_000)
    connection.send("id: 1\ndata: a\n\n").end()
    client.data("a", id="1")
    client.error("the stream came to its end")
    server.nobody()
    client.restart()
    equal(server.next(2).field("last-event-id"), "1", "Last-Event-ID")


@check("a restart before the response")
def _(case):
    server = case.server()
    client = case.start(server.url, lastEventId="7")
    connection = server.next()
    client.restart()
    connection.dropped()
    connection = server.next(2).open().send("data: a\n\n")
    equal(connection.field("last-event-id"), "7", "Last-Event-ID")
    client.data("a", id="7")


@check("a restart while nobody takes the callbacks")
def _(case):
    server, connection, client = case.stream()
    client.receiver.gate.clear()
    connection.send("id: 1\ndata: a\n\ndata: b\n\n")
    client.data("a", id="1")  # under way
    client.restart()
    connection.dropped()
    server.next(2).open().send("data: c\n\n")
    client.receiver.gate.set()
    client.data("b", "c", id="1")


@check("a restart while more events wait than are kept")
def _(case):
    server, connection, client = case.stream()
    client.receiver.gate.clear()
    connection.send(*(f"data: {number}\n\n" for number in range(500)))
    client.data("0")  # under way
    time.sleep(0.2)
    client.restart()
    connection.dropped()
    client.receiver.gate.set()
    server.next().open().send("data: last\n\n")
    following = 1
    while (item := client.next()) == event(str(following)):
        following += 1
    equal(item, event("last"), f"the item behind {following - 1}")
    expect(following < 500, "all of them were kept")


@check("many restarts in a row")
def _(case):
    server, connection, client = case.stream()
    connection.send("id: 1\ndata: a\n\n")
    client.data("a", id="1")
    for _ in range(20):
        client.restart()
    # Connections that were dropped before they were looked at are among them.
    for _ in range(25):
        try:
            connection = server.next(2)
            connection.stays()
            break
        except Failed:
            pass
    connection.open().send("data: b\n\n")
    client.data("b", id="1")


@check("nothing comes of a stream that is closed, and its connection is dropped")
def _(case):
    server, connection, client = case.stream(initialDelayMs=0)
    connection.send("data: a\n\n")
    client.data("a")
    client.close()
    connection.dropped(1)
    server.nobody()
    client.nothing(0)
    equal(client.command("restart")[0], 404, "the status of a restart")
    equal(case.ask("DELETE", client.location)[0], 404, "the status of a second DELETE")


@check("a stream that is closed in the midst of many events")
def _(case):
    server, connection, client = case.stream()
    connection.send("data: a\n\n" * 5000)
    client.data("a")
    client.close()
    connection.dropped()
    time.sleep(MOMENT)  # for what was sent before, and not looked at yet
    came = client.receiver.came
    expect(came < 5000, "it was too late to close")
    time.sleep(MOMENT)
    equal(client.receiver.came, came, "callbacks")


@check("a stream that is closed before the response")
def _(case):
    server = case.server()
    client = case.start(server.url)
    connection = server.next()
    client.close()
    connection.dropped(1)
    server.nobody()


@check("a stream that is closed while it waits for its next attempt")
def _(case):
    server, connection, client = case.stream(initialDelayMs=300)
    connection.end()
    client.error("the stream came to its end")
    client.close()
    server.nobody(0.8)
    client.nothing(0)


@check("a stream that is closed while nobody takes its callbacks")
def _(case):
    _, connection, client = case.stream()
    client.receiver.gate.clear()
    connection.send("data: a\n\ndata: b\n\n")
    client.data("a")
    since = time.monotonic()
    client.close()
    expect(time.monotonic() - since < 2, "DELETE has waited for the callback")
    connection.dropped(1)
    client.receiver.gate.set()
    client.nothing()


@check("a stream that is over can be closed")
def _(case):
    server = case.server()
    client = case.start(server.url)
    server.next().reply(204)
    client.error("204")
    client.close()


@check("callbacks one at a time, however slow")
def _(case):
    _, connection, client = case.stream()
    client.receiver.delay = 0.01
    texts = [str(number) for number in range(100)]
    connection.send("".join(f"data: {text}\n\n" for text in texts))
    client.data(*texts)


@check("callbacks to a receiver that closes each connection")
def _(case):
    _, connection, client = case.stream()
    client.receiver.closes = True
    texts = [str(number) for number in range(50)]
    connection.send("".join(f"data: {text}\n\n" for text in texts))
    client.data(*texts)


@check("callbacks to a receiver that answers in chunks")
def _(case):
    _, connection, client = case.stream()
    client.receiver.chunked = True
    client.receiver.status = 202
    connection.send("data: a\n\ndata: b\n\ndata: c\n\n")
    client.data("a", "b", "c")


@check("a stream that nobody listens to any more is dropped")
def _(case):
    server, connection, client = case.stream()
    client.receiver.status = 404
    connection.send("data: a\n\n")
    client.data("a")
    connection.dropped()
    server.nobody()
    equal(client.command("restart")[0], 409, "the status of a restart")
    client.close()


@check("a stream whose callbacks wait is read no further, and goes on", alone=True)
def _(case):
    _, connection, client = case.stream()
    client.receiver.gate.clear()
    before = case.service.memory()
    text = "x" * 100_000
    connection.socket.settimeout(1)
    sent = 0
    piece = f"data: {text}\n\n".encode()
    rest = b""
    while sent < 2000 and not rest:
        whole = b"%x\r\n%s\r\n" % (len(piece), piece)
        try:
            done = connection.socket.send(whole)
        except TimeoutError:
            break
        rest = whole[done:]
        sent += 1
    expect(sent < 1000, f"took {sent} events")
    grown = case.service.memory() - before
    expect(grown < 100 << 20, f"the service grew by {grown >> 20} MiB")
    client.receiver.gate.set()
    connection.socket.settimeout(10)
    connection.raw(rest)
    connection.send("data: last\n\n")
    for number in range(sent):
        expect(client.next() == event(text), f"event {number} of {sent} is another")
    client.data("last")


@check("streams side by side")
def _(case):
    server = case.server()
    clients, connections = [], []
    for number in range(40):
        clients.append(case.start(server.url + f"/{number}"))
        connections.append(server.next().open())

    def send(number):
        connections[number].send(*(f"id: {event}\ndata: {number} {event}\n\n" for event in range(50)))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(40)))
    for number, client in enumerate(clients):
        equal(connections[number].target, f"/stream/{number}", "the target")
        client.expect(*(event(f"{number} {at}", id=str(at)) for at in range(50)))
    clients[0].close()
    clients[1].restart()
    connections[0].dropped()
    connections[1].dropped()
    for connection in connections[2:]:
        connection.stays(0.01)


@check("a stream too many gets 503, and one less lets it in", alone=True)
def _(case):
    server = case.server()
    params = {"streamUrl": server.url, "callbackUrl": case.service.callbacks.receiver().url, "initialDelayMs": 60_000}
    locations = []
    try:
        for _ in range(300):
            status, fields, reason = case.ask("POST", "/", params)
            if status == 503:
                break
            equal(status, 201, "the status")
            locations.append(fields["Location"])
        equal(status, 503, "the status of a stream too many")
        expect(b"256" in reason, f"the reason is {reason!r}")
        equal(case.ask("DELETE", locations.pop())[0], 204, "the status of DELETE")
        status, fields, _ = case.ask("POST", "/", params)
        equal(status, 201, "the status of one more")
        locations.append(fields["Location"])
    finally:
        for location in locations:
            case.ask("DELETE", location)
