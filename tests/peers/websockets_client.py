"""The `websockets` package as a client against the example ws_echo_server."""

import asyncio
import base64
import os
import random
import re
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from common import Checks, Example, shorten

check = Checks()


def open_to(url):
    return connect(url, compression=None, max_size=None, ping_interval=None, open_timeout=5, close_timeout=5, proxy=None)


async def recv(ws, seconds=10):
    return await asyncio.wait_for(ws.recv(), seconds)


async def messages(url):
    async with open_to(url) as ws:
        for name, message in [
            ("text", "Gr\u00fc\u00dfe \U0001f30a"),
            ("binary", bytes(range(256))),
            ("empty text", ""),
            ("empty binary", b""),
            ("125 bytes", "x" * 125),
            ("126 bytes", "x" * 126),
            ("65535 bytes", os.urandom(65535)),
            ("65536 bytes", os.urandom(65536)),
            ("70000 bytes of text", "\u20ac" * 23333 + "x"),
            ("70000 bytes", os.urandom(70000)),
            ("4 MiB", os.urandom(4 << 20)),
        ]:
            await ws.send(message)
            check.equal(f"{name} is echoed", await recv(ws), message)
        await ws.send(["frag", "", "mented \u00e4", "\u00f6"])
        check.equal("text in fragments comes back whole", await recv(ws), "fragmented \u00e4\u00f6")
        await ws.send([b"a" * 1000] * 70)
        check.equal("binary in fragments comes back whole", await recv(ws), b"a" * 70000)
        rtt = await asyncio.wait_for(await ws.ping(b"payload"), 5)
        check("a ping is answered with its payload", rtt < 1, rtt)
        await ws.pong(b"unasked")
        for n in range(1000):
            await ws.send(f"message {n}")
        got = [await recv(ws) for _ in range(1000)]
        check("1000 messages at once come back in order", got == [f"message {n}" for n in range(1000)], got[:3])


async def between_fragments(url):
    async with open_to(url) as ws:

        async def fragments():
            yield "before "
            await asyncio.wait_for(await ws.ping(b"between"), 5)
            yield "after"

        await asyncio.wait_for(ws.send(fragments()), 10)
        check.equal("a ping between fragments leaves both intact", await recv(ws), "before after")


async def closing(url):
    for code, reason in [(1000, ""), (1000, "done"), (1001, "leaving"), (3000, "r" * 123), (4999, "\u00e4")]:
        async with open_to(url) as ws:
            await asyncio.wait_for(ws.close(code, reason), 5)
            echoed = ws.protocol.close_rcvd
            check(f"{code} is echoed and the server closes first", echoed and echoed.code == code, echoed)


def frame(first, payload, masked=True):
    key = os.urandom(4)
    body = bytes(b ^ key[i % 4] for i, b in enumerate(payload)) if masked else payload
    return bytes([first, (0x80 if masked else 0) | len(payload)]) + (key if masked else b"") + body


async def violations(url):
    """What the library would not send."""
    for name, data, code in [
        ("an unmasked frame", frame(0x81, b"hello", masked=False), 1002),
        ("a reserved opcode", frame(0x83, b""), 1002),
        ("a reserved bit", frame(0xC1, b""), 1002),
        ("a continuation of nothing", frame(0x80, b""), 1002),
        ("a fragmented ping", frame(0x09, b""), 1002),
        ("a close frame of one byte", frame(0x88, b"x"), 1002),
        ("a close code nobody may send", frame(0x88, b"\x03\xed"), 1002),
        ("a length longer than need be", b"\x81\xfe\x00\x05" + b"\0\0\0\0hello", 1002),
        ("bad UTF-8", frame(0x81, b"\xff"), 1007),
        ("bad UTF-8, though the frame is not complete", frame(0x81, b"ab\xed\xa0\x80" + b"x" * 90)[:15], 1007),
        ("a frame of 2^62 bytes", b"\x82\xff\x40" + bytes(7) + bytes(4), 1009),
    ]:
        async with open_to(url) as ws:
            ws.transport.write(data)
            try:
                await recv(ws, 5)
                check(f"{name} is closed with {code}", False, "a message came back")
            except ConnectionClosed as closed:
                check.equal(f"{name} is closed with {code}", closed.rcvd and closed.rcvd.code, code)
            except asyncio.TimeoutError:
                check(f"{name} is closed with {code}", False, "still open")


async def handshakes(url):
    """What the library would not ask for."""
    host, port = re.match(r"ws://(.*):(\d+)", url).groups()
    key = base64.b64encode(os.urandom(16)).decode()
    good = {
        "Host": f"{host}:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
    }

    async def answer(fields, behind=b""):
        reader, writer = await asyncio.open_connection(host, int(port))
        head = "GET / HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields.items()) + "\r\n"
        writer.write(head.encode() + behind)
        try:
            got = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            rest = await asyncio.wait_for(reader.readexactly(len(behind) - 4), 5) if behind else b""
        except (asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            return f"<{error!r}>", b""
        finally:
            writer.close()
        return got.decode("latin-1"), rest

    got, rest = await answer({**good, "Connection": "keep-alive, upgrade", "Upgrade": "WebSocket"}, frame(0x81, b"first"))
    check("token lists in any case are fine", got.startswith("HTTP/1.1 101 "), shorten(got))
    check.equal("a frame in the segment of the request is echoed", rest, b"\x81\x05first")
    got, _ = await answer({**good, "Sec-WebSocket-Version": "8"})
    fields = got.lower().split("\r\n")
    check("version 8: 426, and 13 is named", got.startswith("HTTP/1.1 426 ") and "sec-websocket-version: 13" in fields, shorten(got))
    for name, fields in [
        ("no key", {n: v for n, v in good.items() if n != "Sec-WebSocket-Key"}),
        ("a short key", {**good, "Sec-WebSocket-Key": "c2hvcnQ="}),
    ]:
        got, _ = await answer(fields)
        check(f"{name}: 400", got.startswith("HTTP/1.1 400 "), shorten(got))
    got, _ = await answer({"Host": "h"})
    check("no upgrade: an answer that is not 101", re.match(r"HTTP/1\.1 [245]\d\d ", got), shorten(got))


async def random_traffic(url, seconds=3, clients=8):
    """Several clients with random messages, in fragments or not, and pings in between."""
    seed = int.from_bytes(os.urandom(4))
    end = time.monotonic() + seconds

    async def one(n):
        rng = random.Random(f"{seed} {n}")
        echoed = 0
        async with open_to(url) as ws:
            while time.monotonic() < end:
                batch = []
                for _ in range(rng.randrange(1, 8)):
                    size = rng.choice([0, 1, rng.randrange(200), rng.randrange(5000), rng.randrange(200_000)])
                    message = rng.randbytes(size) if rng.random() < 0.5 else "".join(rng.choices("a\u00e4\u20ac\U0001f30a", k=size // 4))
                    if len(message) > 2 and rng.random() < 0.3:
                        cuts = sorted(rng.choices(range(len(message)), k=rng.randrange(1, 5)))
                        await ws.send([message[a:b] for a, b in zip([0, *cuts], [*cuts, len(message)])])
                    else:
                        await ws.send(message)
                    if rng.random() < 0.2:
                        await ws.ping()
                    batch.append(message)
                for message in batch:
                    if await recv(ws) != message:
                        return None
                    echoed += 1
        return echoed

    echoed = await asyncio.gather(*(one(n) for n in range(clients)))
    check(f"random traffic: {sum(e or 0 for e in echoed)} messages echoed (seed {seed})", all(echoed), echoed)


with Example("ws_echo_server", "--listen", "127.0.0.1:0") as server:
    url = server.url("ws")
    before = server.descriptors()
    for part in (messages, between_fragments, closing, violations, handshakes, random_traffic):
        try:
            asyncio.run(asyncio.wait_for(part(url), 60))
        except (OSError, asyncio.TimeoutError, ConnectionClosed) as error:
            check(f"{part.__name__} comes to its end", False, repr(error))
    time.sleep(0.5)
    after = server.descriptors()
    check("no socket is left", after <= before, f"{before} before, {after} after")
    check("the server is still up", server.process.poll() is None)
check.exit()
