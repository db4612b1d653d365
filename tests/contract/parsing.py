"""The bytes of a stream (WHATWG HTML, 9.2.5 and 9.2.6): whatever pieces they come in, the same items come of them."""

from harness import Failed, check, comment, equal, event, expect

BOM = "\ufeff"
END_OF_STREAM = "the stream came to its end"


def gives(name, data, *items):
    """A check that these bytes give these items, in one piece, byte by byte, in pairs and in threes."""

    @check(name)
    def _(case):
        size = len(data.encode() if isinstance(data, str) else data)
        for pieces in (size, 1, 2, 3):
            # A connection each: nothing is left of the one before.
            _, connection, client = case.stream()
            connection.send_in(data, pieces)
            try:
                client.expect(*items)
                connection.end()
                client.error(END_OF_STREAM)
            except Failed as failed:
                raise Failed(f"in pieces of {pieces}: {failed}") from None


def data(*texts):
    return [event(text) for text in texts]


LINE_ENDS = [("LF", "\n"), ("CRLF", "\r\n"), ("CR", "\r")]
for name, e in LINE_ENDS:
    gives(f"{name}: one line", f"data: one{e}{e}", *data("one"))
    gives(f"{name}: one line, then two", f"data: 1{e}{e}data: 2a{e}data: 2b{e}{e}", *data("1", "2a\n2b"))
    gives(f"{name}: an empty line of data first", f"data:{e}data: b{e}data: c{e}{e}", *data("\nb\nc"))
    gives(f"{name}: an empty line of data within", f"data: a{e}data:{e}data: c{e}{e}", *data("a\n\nc"))
    gives(f"{name}: an empty line of data last", f"data: a{e}data{e}{e}", *data("a\n"))
    gives(f"{name}: one blank line too many", f"data: a{e}{e}{e}data: b{e}{e}", *data("a", "b"))
    gives(f"{name}: blank lines first, and many", f"{e}{e}data: a{e}{e}{e}{e}{e}data: b{e}{e}", *data("a", "b"))

gives("line ends of all kinds in one event", "data: a\ndata: b\r\ndata: c\rdata: d\n\r\ndata: e\r\r\n", *data("a\nb\nc\nd", "e"))
gives("LF and CR are two line ends", "data: a\n\rdata: b\n\r", *data("a", "b"))
gives("other line ends of Unicode are none", "data: a\u2028b\u0085c\x0bd\x0ce\n\n", *data("a\u2028b\u0085c\x0bd\x0ce"))


@check("CRLF whose CR ends a chunk")
def _(case):
    _, connection, client = case.stream()
    connection.send("data: a\r", "\ndata: b\r", "\n\r\ndata: c\r", "\n", "\r", "\n", pause=0.02)
    client.data("a\nb", "c")


@check("an event that CRs end comes at once")
def _(case):
    _, connection, client = case.stream()
    connection.send("data: a\r\r")
    client.data("a")
    connection.send("\ndata: b\r\r")
    client.data("b")


@check("an event in two chunks, split anywhere")
def _(case):
    _, connection, client = case.stream()
    whole = "event: e\r\nid: 7\r\ndata: käse\r\n\r\n".encode()
    for at in range(1, len(whole)):
        connection.send(whole[:at], whole[at:], pause=0.001)
        client.expect(event("käse", "e", "7"))


@check("two events in three chunks")
def _(case):
    _, connection, client = case.stream()
    connection.send("data: test", "test\n\ndata:", "test\n\n", pause=0.02)
    client.data("testtest", "test")


gives("two events in one", "data: a\n\ndata: b\n\n", *data("a", "b"))
gives("no data is an empty event", "data:\n\n", *data(""))
gives("a field without a colon", "data\n\ndata\ndata\n\n", *data("", "\n"))
gives("an event that no blank line ends is dropped", "data: a\n\ndata: b\n", *data("a"))
gives("one space goes, further ones stay", "data:a\n\ndata: b\n\ndata:  c\n\ndata:\td\n\n", *data("a", "b", " c", "\td"))
gives("a second colon is data", "data: a: b\n\ndata::\n\n", *data("a: b", ":"))
gives("unknown fields mean nothing", "color: blue\ndata: a\nDATA: b\n data: c\ndata2: d\ncolor\n\n", *data("a"))
gives("without data there is no event", "event: a\n\nid: 1\nretry: 50\n\ndata: b\n\n", event("b", id="1"))

gives("a type", "event: greeting\ndata: a\n\n", event("a", "greeting"))
gives("a type is for one event", "event: greeting\ndata: a\n\ndata: b\n\n", event("a", "greeting"), event("b"))
gives("a type of an event without data is forgotten", "event: greeting\n\ndata: b\n\n", event("b"))
gives("of two types the last counts", "event: a\nevent: b\ndata: c\n\n", event("c", "b"))
gives("an empty type is the default", "event: a\nevent:\ndata: c\n\nevent\ndata: d\n\n", *data("c", "d"))
gives("a type with a space in front and one behind", "event:  a \ndata: c\n\n", event("c", " a "))
gives("type and id in any order", "data: a\nid: 1\nevent: e\n\nid: 2\nevent: f\ndata: b\n\n", event("a", "e", "1"), event("b", "f", "2"))

gives("an id", "id: abc\ndata: a\n\n", event("a", id="abc"))
gives("an id holds on", "id: abc\ndata: a\n\ndata: b\n\n", event("a", id="abc"), event("b", id="abc"))
gives("an empty id resets it", "id: abc\ndata: a\n\nid: \ndata: b\n\nid: c\ndata: d\n\nid\ndata: e\n\n",
      event("a", id="abc"), event("b"), event("d", id="c"), event("e"))
gives("an id with NUL is ignored", "id: a\0bc\ndata: a\n\nid: 1\ndata: b\n\nid: 2\0\ndata: c\n\n",
      event("a"), event("b", id="1"), event("c", id="1"))
gives("of two ids the last counts", "id: 1\nid: 2\ndata: a\n\n", event("a", id="2"))
gives("an id of an event without data counts", "id: 1\n\ndata: a\n\n", event("a", id="1"))
gives("an id beyond ASCII", "id: käse 豆腐\ndata: a\n\n", event("a", id="käse 豆腐"))

gives("a comment", ":Hello\n", comment("Hello"))
gives("comments in a row", ":a\n: b\n:  c\n:\n", comment("a"), comment("b"), comment(" c"), comment(""))
gives("a comment before an event and one behind", ":a\ndata: b\n\n:c\n", comment("a"), event("b"), comment("c"))
gives("a comment within an event", "data: a\n:b\r\ndata: c\n\n", comment("b"), event("a\nc"))
gives("a comment that looks like a field", ":data: a\n\n", comment("data: a"))


@check("a comment comes at once, before its event is over")
def _(case):
    _, connection, client = case.stream()
    for number, e in enumerate(("\n", "\r\n", "\r", "\n")):
        connection.send(f"data: {number}\n:{number}{e}")
        client.expect(comment(str(number)))
    connection.send("\n")
    client.data("0\n1\n2\n3")


gives("characters of two, three and four bytes", "data: aé€豆腐😀\n\n", *data("aé€豆腐😀"))
gives("bytes that are no UTF-8", b"data: \xff|\xc3(|\xe2\x82|\xf0\x9f\x98|\xed\xa0\x80|\xc0\x80\n\n",
      *data("\ufffd|\ufffd(|\ufffd|\ufffd|\ufffd\ufffd\ufffd|\ufffd\ufffd"))
gives("half a character before a line end", b"data: a\xe2\x82\ndata: \xac\n\n", *data("a\ufffd\n\ufffd"))
gives("NUL and other controls in data", "data: \0\x01\x1b\x7f\n\n", *data("\0\x01\x1b\x7f"))
gives("quotes and backslashes in data", 'data: {"a":"\\"b\\\\u0000"}\n\n', *data('{"a":"\\"b\\\\u0000"}'))

gives("a BOM is dropped", BOM + "data: a\n\n", *data("a"))
gives("a BOM before a type, an id and two lines", BOM + "event: e\nid: 1\ndata: a\ndata: b\n\n", event("a\nb", "e", "1"))
gives("a BOM before a comment", BOM + ":a\ndata: b\n\n", comment("a"), event("b"))
gives("a BOM before a blank line", BOM + "\ndata: a\n\n", *data("a"))
gives("a BOM alone in a line is no line of the event", BOM + "data:\n\n", *data(""))
gives("a BOM later on is data", "data: a\n\ndata: " + BOM + "b\n\n", *data("a", BOM + "b"))
gives("a BOM that begins a later line begins a name", "data: a\n" + BOM + "data: b\n\n", *data("a"))
gives("of two BOMs one is dropped", BOM + BOM + "data: a\n\ndata: b\n\n" + "data: " + BOM + "c\n\n", *data("b", BOM + "c"))
gives("half a BOM is none", b"\xef\xbbdata: a\n\ndata: b\n\n", *data("b"))


@check("a BOM is dropped from each connection's stream")
def _(case):
    server, connection, client = case.stream()
    for _ in range(3):
        connection.send(BOM + "data: a\n\n").end()
        client.data("a")
        client.error(END_OF_STREAM)
        connection = server.next().open()


def letters(size):
    """No two stretches of which are alike."""
    return "".join(f"{number:x}." for number in range(size // 6))[:size]


def large(name, size, *splits):
    @check(name)
    def _(case):
        _, connection, client = case.stream()
        text = letters(size)
        at = [0, *(int(len(text) * split) for split in splits), len(text)]
        connection.send("data: ", *(text[start:end] for start, end in zip(at, at[1:])), "\n\n", "data: small\n\n")
        expect(client.next() == event(text), "it is not what was sent")
        client.data("small")


large("a large event in one chunk", 1 << 20)
large("a larger event in one chunk", 5 << 20)
large("a large event in two chunks, of nearly the limit", 14_000_000, 0.5)
large("a large event in many chunks", 2 << 20, *(number / 400 for number in range(1, 400)))


@check("a large event of many lines")
def _(case):
    _, connection, client = case.stream()
    lines = [f"line {number}" for number in range(50_000)]
    connection.send("".join(f"data: {line}\r\n" for line in lines) + "\r\n")
    expect(client.next() == event("\n".join(lines)), "it is not what was sent")


@check("an event beyond the limit is an error, and the end")
def _(case):
    server, connection, client = case.stream()
    connection.send("data: before\n\n")
    client.data("before")
    line = "data: " + "x" * 1_000_000 + "\n"
    try:
        for _ in range(40):
            connection.send(line)
    except OSError:
        pass  # the client has gone
    client.error("too big")
    server.nobody()
    client.nothing(0)


@check("a line without end is an error, and the end", alone=True)
def _(case):
    server, connection, client = case.stream()
    before = case.service.memory()
    try:
        for _ in range(100):
            connection.send("x" * 1_000_000)
        expect(False, "took 100 MB")
    except OSError:
        pass  # the client has gone
    client.error("too")
    grown = case.service.memory() - before
    expect(grown < 50 << 20, f"the service grew by {grown >> 20} MiB")
    server.nobody()


@check("an id beyond the limit is an error, and the end")
def _(case):
    server, connection, client = case.stream()
    connection.send("id: " + "x" * 100_000 + "\n")
    client.error("too long")
    connection.dropped()
    server.nobody()


@check("many events in one chunk, in their order")
def _(case):
    _, connection, client = case.stream()
    texts = [f"message {number}" for number in range(1000)]
    connection.send("".join(f"data: {text}\n\n" for text in texts))
    client.data(*texts)


@check("many events, each in a chunk of its own")
def _(case):
    _, connection, client = case.stream()
    texts = [str(number) for number in range(500)]
    connection.send(*(f"data: {text}\n\n" for text in texts))
    client.data(*texts)


@check("an event comes when it is over, not with the next")
def _(case):
    _, connection, client = case.stream()
    for number in range(20):
        connection.send(f"data: {number}\n\n")
        client.data(str(number))
    equal(client.receiver.came, 20, "callbacks")
