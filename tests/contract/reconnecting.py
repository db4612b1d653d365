"""What follows when a connection ends (WHATWG HTML, 9.2.3), how long after, and from which event on (9.2.4)."""

import time

from harness import PATIENCE, check, comment, equal, event, expect

END_OF_STREAM = "the stream came to its end"
# An upper bound says no more than that it is not another wait: the machine may be busy.
SLACK = 2.0


def waited(since, seconds):
    """A wait of so long is over now. It began after `since`: whatever held this side up meanwhile, it was no shorter."""
    took = time.monotonic() - since
    expect(seconds <= took < seconds + SLACK, f"the wait took {took:.3f} s, want {seconds} s")


def wait_after(server, connection, client, seconds):
    """Ends the connection and measures until the next one."""
    since = time.monotonic()
    connection.end()
    client.error(END_OF_STREAM)
    following = server.next().open()
    waited(since, seconds)
    return following


@check("the end of the stream is an error, and tried again")
def _(case):
    server, connection, client = case.stream()
    connection.send("id: 1\ndata: a\n\n").end()
    client.data("a", id="1")
    client.error(END_OF_STREAM)
    server.next().open().send("data: b\n\n")
    client.data("b", id="1")


@check("an end without an event, and again and again")
def _(case):
    server, connection, client = case.stream()
    for _ in range(10):
        connection.end()
        client.error(END_OF_STREAM)
        connection = server.next().open()
    connection.send("data: a\n\n")
    client.data("a")


@check("a connection that breaks within a chunk")
def _(case):
    server, connection, client = case.stream()
    connection.send("data: a\n\n").raw("40\r\ndata: b\n\n")
    client.data("a", "b")
    connection.cut()
    client.error("broke off")
    server.next()


@check("a connection that breaks within a stream of known length")
def _(case):
    server = case.server()
    client = case.start(server.url)
    connection = server.next()
    connection.head(200, ("Content-Type", "text/event-stream"), ("Content-Length", 100)).send("data: a\n\n").cut()
    client.data("a")
    client.error("broke off")
    server.next()


@check("a connection that is reset")
def _(case):
    server, connection, client = case.stream()
    connection.send("data: a\n\n")
    client.data("a")
    connection.reset()
    client.error()
    server.next().open().send("data: b\n\n")
    client.data("b")


@check("a connection that ends before the response")
def _(case):
    server = case.server()
    client = case.start(server.url)
    server.next().cut()
    client.error("broke off")
    connection = server.next()
    connection.raw("HTTP/1.1 200 OK\r\nContent-Ty")
    connection.cut()
    client.error("broke off")
    server.next().open().send("data: a\n\n")
    client.data("a")


@check("a server that is not there yet")
def _(case):
    server = case.server().down()
    client = case.start(server.url, lastEventId="7")
    for _ in range(3):
        client.error("no address accepted the connection")
    server.up()
    connection = server.next().open().send("data: a\n\n")
    equal(connection.field("last-event-id"), "7", "Last-Event-ID")
    while (item := client.next())["kind"] == "error":
        pass  # of attempts before
    equal(item, event("a", id="7"), "the first item that is no error")


@check("a server that goes away for a while")
def _(case):
    server, connection, client = case.stream()
    connection.send("id: 1\ndata: a\n\n")
    client.data("a", id="1")
    server.down()
    connection.end()
    client.error(END_OF_STREAM)
    client.error("no address accepted the connection")
    server.up()
    equal(server.next().field("last-event-id"), "1", "Last-Event-ID")


@check("an event in part is dropped with its connection")
def _(case):
    server, connection, client = case.stream()
    connection.send("id: abc\ndata: a\n\nevent: e\nid: def\ndata: b").cut()
    client.data("a", id="abc")
    client.error()
    connection = server.next().open()
    equal(connection.field("last-event-id"), "abc", "Last-Event-ID")
    connection.send("\n\ndata: c\n\n")
    client.data("c", id="abc")


@check("a line in part is dropped with its connection, its CR too")
def _(case):
    server, connection, client = case.stream()
    for text in ("data: a\r", "data: b\r\n", ":c"):
        connection.send(text).end()
        client.error(END_OF_STREAM)
        connection = server.next().open()
        connection.send("\n\ndata: d\n\n")
        client.data("d") if text != ":c" else client.expect(event("d"))


@check("half a character is dropped with its connection")
def _(case):
    server, connection, client = case.stream()
    connection.send(b"data: \xe2\x82").end()
    client.error(END_OF_STREAM)
    server.next().open().send(b"\xacdata: a\n\ndata: b\n\n")
    client.data("b")


@check("Last-Event-ID is that of the last event")
def _(case):
    server, connection, client = case.stream()
    for number in range(1, 4):
        connection.send(f"id: {number}\ndata: a\n\n").end()
        client.data("a", id=str(number))
        client.error(END_OF_STREAM)
        connection = server.next().open()
        equal(connection.field("last-event-id"), str(number), "Last-Event-ID")


@check("Last-Event-ID when later events have none")
def _(case):
    server, connection, client = case.stream()
    connection.send("id: abc\ndata: a\n\ndata: b\n\n").end()
    client.data("a", "b", id="abc")
    client.error(END_OF_STREAM)
    connection = server.next().open()
    equal(connection.field("last-event-id"), "abc", "Last-Event-ID")
    connection.end()
    client.error(END_OF_STREAM)
    equal(server.next().field("last-event-id"), "abc", "Last-Event-ID, again")


@check("Last-Event-ID is not sent once an empty id has come")
def _(case):
    server, connection, client = case.stream()
    connection.send("id: abc\ndata: a\n\nid: \ndata: b\n\n").end()
    client.expect(event("a", id="abc"), event("b"))
    client.error(END_OF_STREAM)
    equal(server.next().field("last-event-id"), None, "Last-Event-ID")


@check("Last-Event-ID of an event without data")
def _(case):
    server, connection, client = case.stream()
    connection.send("id: 5\n\n").end()
    client.error(END_OF_STREAM)
    equal(server.next().field("last-event-id"), "5", "Last-Event-ID")


@check("Last-Event-ID is UTF-8")
def _(case):
    server, connection, client = case.stream()
    connection.send("id: …käse, 豆腐\ndata: a\n\n").end()
    client.data("a", id="…käse, 豆腐")
    client.error(END_OF_STREAM)
    equal(server.next().field("last-event-id"), "…käse, 豆腐", "Last-Event-ID")


@check("Last-Event-ID that no field can carry is not sent")
def _(case):
    server, connection, client = case.stream()
    connection.send("id: a\x01b\ndata: a\n\n").end()
    client.data("a", id="a\x01b")
    client.error(END_OF_STREAM)
    connection = server.next().open()
    equal(connection.field("last-event-id"), None, "Last-Event-ID")


@check("a Last-Event-ID of the caller's")
def _(case):
    server, connection, client = case.stream(lastEventId="abc")
    equal(connection.field("last-event-id"), "abc", "Last-Event-ID")
    # As if an event had had it.
    connection.send("data: a\n\nid: def\ndata: b\n\n").end()
    client.expect(event("a", id="abc"), event("b", id="def"))
    client.error(END_OF_STREAM)
    equal(server.next().field("last-event-id"), "def", "Last-Event-ID")


@check("a Last-Event-ID of the caller's, until there is another")
def _(case):
    server, connection, client = case.stream(lastEventId="abc")
    for _ in range(2):
        connection.end()
        client.error(END_OF_STREAM)
        connection = server.next().open()
        equal(connection.field("last-event-id"), "abc", "Last-Event-ID")
    connection.send("id\n\n").end()
    client.error(END_OF_STREAM)
    equal(server.next().field("last-event-id"), None, "Last-Event-ID")


@check("an empty Last-Event-ID of the caller's is none")
def _(case):
    _, connection, _ = case.stream(lastEventId="")
    equal(connection.field("last-event-id"), None, "Last-Event-ID")


@check("initialDelayMs is waited for")
def _(case):
    server, connection, client = case.stream(initialDelayMs=700)
    for _ in range(2):
        connection = wait_after(server, connection, client, 0.7)


@check("initialDelayMs of zero is no wait")
def _(case):
    server, connection, client = case.stream(initialDelayMs=0)
    for _ in range(5):
        connection = wait_after(server, connection, client, 0)


@check("initialDelayMs is waited for when nobody answers")
def _(case):
    server = case.server().down()
    since = time.monotonic()
    client = case.start(server.url, initialDelayMs=500)
    client.error()
    client.error()
    waited(since, 0.5)


@check("retry is waited for, from then on")
def _(case):
    server, connection, client = case.stream()
    connection.send("retry: 600\n\n")
    for _ in range(2):
        connection = wait_after(server, connection, client, 0.6)


@check("retry counts at once, within an event and behind others")
def _(case):
    server, connection, client = case.stream(initialDelayMs=60_000)
    connection.send("data: a\nretry:5000\nretry: 300\n")
    connection = wait_after(server, connection, client, 0.3)
    connection.send("data: b\n\nretry: 500\r\n")
    client.data("b")
    wait_after(server, connection, client, 0.5)


@check("retry may shorten the wait")
def _(case):
    server, connection, client = case.stream(initialDelayMs=60_000)
    connection.send("retry: 0200\ndata: a\n\n")
    client.data("a")
    wait_after(server, connection, client, 0.2)


@check("retry of other things than digits is ignored")
def _(case):
    server, connection, client = case.stream(initialDelayMs=200)
    for value in ("60000ms", "-60000", "+60000", "60000.0", "6e4", "0xEA60", " 60000", "60000 ", "٦٠٠٠٠", ""):
        connection.send(f"retry: {value}\n")
    connection.send("retry\nRetry: 60000\n: retry: 60000\n\n")
    client.expect(comment("retry: 60000"))
    wait_after(server, connection, client, 0.2)


@check("retry beyond any number is a long wait")
def _(case):
    server, connection, client = case.stream()
    connection.send("retry: " + "9" * 50 + "\n\ndata: a\n\n").end()
    client.data("a")
    client.error(END_OF_STREAM)
    server.nobody(0.5)
    client.restart()
    server.next()


@check("readTimeoutMs ends a silent connection")
def _(case):
    server, connection, client = case.stream(readTimeoutMs=500)
    since = time.monotonic()
    connection.send("id: 1\ndata: a\n\n")
    client.data("a", id="1")
    client.error("too long")
    waited(since, 0.5)
    connection.dropped()
    connection = server.next().open().send("data: b\n\n")
    equal(connection.field("last-event-id"), "1", "Last-Event-ID")
    client.data("b", id="1")


@check("readTimeoutMs is fed by any byte")
def _(case):
    server, connection, client = case.stream(readTimeoutMs=800)
    connection.send_in(":\ndata: abcdef", 1, pause=0.2)
    connection.send("\n\n")
    client.expect(comment(""), event("abcdef"))
    server.nobody(0.1)


@check("readTimeoutMs counts before the response too")
def _(case):
    server = case.server()
    since = time.monotonic()
    client = case.start(server.url, readTimeoutMs=300)
    connection = server.next()
    client.error("too long")
    waited(since, 0.3)
    connection.dropped()
    server.next().open().send("data: a\n\n")
    client.data("a")


@check("readTimeoutMs is for a silent server, not for one that is not listened to")
def _(case):
    server, connection, client = case.stream(readTimeoutMs=300)
    client.receiver.gate.clear()
    connection.send(*(f"data: {number}\n\n" for number in range(300)))
    for _ in range(10):
        connection.send(":\n", pause=0.1)
    client.receiver.gate.set()
    client.data(*(str(number) for number in range(300)))
    client.expect(*[comment("")] * 10)
    client.error("too long")
    server.next()


@check("readTimeoutMs is not there unless given")
def _(case):
    _, connection, client = case.stream()
    connection.send("data: a\n\n")
    client.data("a")
    connection.stays(2.5)
    connection.send("data: b\n\n")
    client.data("b")


@check("a new connection is good for everything that the first was")
def _(case):
    server, connection, client = case.stream(lastEventId="0", headers={"x-mine": "1"})
    for number in range(1, 21):
        equal((connection.field("last-event-id"), connection.field("x-mine")), (str(number - 1), "1"), "the fields")
        connection.send(f"\ufeff:c\r\nid: {number}\revent: e\ndata: é\ndata\n\n")
        client.expect(comment("c"), event("é\n", "e", str(number)))
        (connection.end, connection.cut, connection.reset)[number % 3]()
        client.error()
        connection = server.next(PATIENCE).open()
