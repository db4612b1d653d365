"""The example ws_client against the `websockets` package as a server, and against sockets that say
what no library would."""

import asyncio
import base64
import hashlib
import re
import socket
import time

from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Opcode

from common import Checks, Example, shorten

check = Checks()
RECONNECT = (0.9, 1.5)  # seconds, around the example's one


def accept_for(key):
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest).decode()


class Raw:
    """A listening socket whose connections are answered by hand."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"

    def accept(self, seconds=5):
        """The next connection, the lines of its request, and when it came."""
        self.listener.settimeout(seconds)
        connection, _ = self.listener.accept()
        at = time.monotonic()
        connection.settimeout(5)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)  # what follows the head stays in the socket
            if not byte:
                raise ConnectionError("closed in the head")
            head += byte
        return connection, head.decode("latin-1").split("\r\n")[:-2], at


def field(lines, name):
    return [line.partition(": ")[2] for line in lines[1:] if line.lower().startswith(name.lower() + ":")]


def read_frame(connection):
    """First byte, whether masked, unmasked payload; for short frames."""

    def exactly(n):
        data = b""
        while len(data) < n:
            piece = connection.recv(n - len(data))
            if not piece:
                raise ConnectionError("closed in a frame")
            data += piece
        return data

    first, second = exactly(2)
    key = exactly(4) if second & 0x80 else b"\0\0\0\0"
    data = exactly(second & 0x7F)
    return first, bool(second & 0x80), bytes(b ^ key[i % 4] for i, b in enumerate(data))


def handshakes():
    raw = Raw()
    with Example("ws_client", "--url", raw.url, "--ping-seconds", "55") as client:
        # 1: what is asked; the answer with a frame behind it in one segment, and a list in Connection.
        connection, lines, _ = raw.accept()
        check.equal("the request line asks for /", lines[0], "GET / HTTP/1.1")
        check.equal("Host has the port", field(lines, "Host"), [f"127.0.0.1:{raw.port}"])
        check.equal("Connection", [v.lower() for v in field(lines, "Connection")], ["upgrade"])
        check.equal("Upgrade", [v.lower() for v in field(lines, "Upgrade")], ["websocket"])
        check.equal("version", field(lines, "Sec-WebSocket-Version"), ["13"])
        keys = field(lines, "Sec-WebSocket-Key")
        check("one key of 16 bytes", len(keys) == 1 and len(base64.b64decode(keys[0], validate=True)) == 16, keys)
        check.equal(
            "the user's headers come last, with case and order",
            lines[-2:],
            ["Cookie: PHPSID=abc; token=xyz", "OtherKey: values"],
        )
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_for(keys[0]).encode() + b"\r\n\r\n" + b"\x81\x05early"
        )
        at, match = client.wait_for(r"^message text early$", 5)
        check("a frame in the segment of the 101 is delivered", match, shorten(client.seen))
        callbacks = ["connect", "open 101 Switching Protocols", "message text early"]
        check.equal("the callbacks come in order", client.seen[:3], callbacks)
        check.equal("hello arrives, masked, as text", read_frame(connection), (0x81, True, b"hello"))
        connection.close()
        ended, match = client.wait_for(r"^close ", 5)
        check("the end of the stream is 1006", match and match.string.startswith("close 1006"), shorten(client.seen))

        # 2: byte by byte, without a reason phrase.
        connection, lines, at = raw.accept()
        check("back after 1 s", RECONNECT[0] <= at - (ended or 0) <= RECONNECT[1], f"{at - (ended or 0):.2f} s")
        fresh = field(lines, "Sec-WebSocket-Key")
        check("with a fresh key", fresh != keys, fresh)
        check.equal("with the same headers", lines[-2:], ["Cookie: PHPSID=abc; token=xyz", "OtherKey: values"])
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = (
            "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_for(fresh[0])}\r\n\r\n"
        ).encode() + b"\x01\x03sl\xc3\x80\x02\xb6w"
        for i in range(len(answer)):
            connection.sendall(answer[i : i + 1])
            time.sleep(0.001)
        _, match = client.wait_for("^message text sl\u00f6w$", 5)
        check("byte by byte, in two fragments, gives the same", match, shorten(client.seen[-5:]))
        connection.sendall(b"\x83\x00")  # a reserved opcode
        read_frame(connection)
        first, masked, payload = read_frame(connection)
        check.equal("a reserved opcode is closed with 1002", (first, masked, payload[:2]), (0x88, True, b"\x03\xea"))
        connection.close()
        # 1002 as we sent it, or 1006 because the peer sent none.
        _, match = client.wait_for(r"^close 100[26]", 5)
        check("and told", match, shorten(client.seen[-2:]))

        # 3 and 4: refusals.
        for answer, mark in [
            (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nno way", "403"),
            (
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
                "Accept",
            ),
        ]:
            connection, _, _ = raw.accept()
            del client.seen[:]
            connection.sendall(answer)
            _, match = client.wait_for(r"^close ", 5)
            errors = [line for line in client.seen if line.startswith("error ")]
            check(f"{answer.split()[1].decode()} with {mark}: one error that says so, one close",
                  match and len(errors) == 1 and mark in errors[0], shorten(client.seen))
            connection.close()
        check("still running", client.process.poll() is None)


def refused_port():
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with Example("ws_client", "--url", f"ws://127.0.0.1:{port}", "--ping-seconds", "55") as client:
        first, _ = client.wait_for(r"^close ", 5)
        second, _ = client.wait_for(r"^close ", 5)
        kinds = [line.split()[0] for line in client.seen]
        check.equal("a refused port: one error, then one close, again and again", kinds, ["error", "close"] * 2)
        if first and second:
            check("a second apart", RECONNECT[0] <= second - first <= RECONNECT[1], f"{second - first:.2f} s")


class Watched(ServerConnection):
    """Notes the pings that the library answers by itself."""

    def process_event(self, event):
        if getattr(event, "opcode", None) is Opcode.PING:
            self.__dict__.setdefault("pings", []).append(time.monotonic())
        super().process_event(event)


async def library():
    arrivals = asyncio.Queue()

    async def handler(ws):
        done = asyncio.Event()
        await arrivals.put((time.monotonic(), ws, done))
        await done.wait()

    async with serve(handler, "127.0.0.1", 0, create_connection=Watched, ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        with Example("ws_client", "--url", f"ws://127.0.0.1:{port}", "--ping-seconds", "1") as client:

            async def line(pattern, seconds=5):
                return await asyncio.to_thread(client.wait_for, pattern, seconds)

            opened, ws, done = await asyncio.wait_for(arrivals.get(), 5)
            check.equal("hello arrives as text", await asyncio.wait_for(ws.recv(), 5), "hello")
            await ws.send("text \u00e4\u00f6\u00fc")
            _, match = await line("^message text text \u00e4\u00f6\u00fc$")
            check("a text message is called text", match, shorten(client.seen))
            await ws.send(b"\x00\x01")
            _, match = await line(r"^message binary ")
            check("a binary message is called binary", match, shorten(client.seen))
            rtt = await asyncio.wait_for(await ws.ping(b"are you there"), 5)
            check("our ping is answered", rtt < 1, rtt)
            await asyncio.sleep(max(0, opened + 3.4 - time.monotonic()))
            pings = [at - opened for at in ws.__dict__.get("pings", [])]
            check("a ping every second", len(pings) == 3 and all(abs(at - n) < 0.4 for n, at in enumerate(pings, 1)), pings)

            await asyncio.wait_for(ws.close(1001, "bye"), 5)
            done.set()
            check.equal("our close is echoed", ws.close_code, 1001)
            closed, match = await line(r"^close ")
            check("the client says so", match and match.string == "close 1001 bye", shorten(client.seen[-3:]))
            at, ws, done = await asyncio.wait_for(arrivals.get(), 5)
            gap = at - (closed or 0)
            check("and is back after 1 s", RECONNECT[0] <= gap <= RECONNECT[1], f"{gap:.2f} s")
            check.equal("hello arrives again", await asyncio.wait_for(ws.recv(), 5), "hello")
            check.equal("it closed once", sum(line.startswith("close") for line in client.seen), 1)

            ws.transport.abort()
            done.set()
            _, match = await line(r"^close ")
            check("a reset is 1006", match and re.match("close 1006", match.string), shorten(client.seen[-3:]))
            at, ws, done = await asyncio.wait_for(arrivals.get(), 5)
            await asyncio.wait_for(ws.send("whole"), 5)
            _, match = await line("^message text whole$")
            check("and is back again", match, shorten(client.seen[-3:]))
            done.set()


for part in (handshakes, refused_port, lambda: asyncio.run(library())):
    try:
        part()
    except (OSError, asyncio.TimeoutError, LookupError) as error:
        check("every step comes to its end", False, repr(error))
check.exit()
