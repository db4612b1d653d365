"""Random traffic with the `wsproto` package, which does no I/O of its own."""

import asyncio
import contextlib

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection, BytesMessage, CloseConnection, Ping, Pong, Request, TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from ws_traffic import Run


class Peer:
    cuts_characters = False

    def __init__(self, role, task, reader, writer):
        self.machine = WSConnection(role)
        self.extensions = [] if task.deflate is None else [PerMessageDeflate(**task.deflate)]
        self.reader, self.writer = reader, writer
        self.events, self.got, self.pings, self.close_frame = [], [], [], (None, None)

    def write(self, event):
        self.writer.write(self.machine.send(event))

    async def event(self):
        while not self.events:
            data = await self.reader.read(65536)
            self.machine.receive_data(data or None)
            self.events.extend(self.machine.events())
            if not data and not self.events:
                raise EOFError("the connection broke off")
        return self.events.pop(0)

    async def send(self, fragments, is_text, between):
        kind = TextMessage if is_text else BytesMessage
        for number, fragment in enumerate(fragments, 1):
            self.write(kind(fragment, message_finished=number == len(fragments)))
            await self.writer.drain()
            if (payload := between()) is not None:
                self.write(Ping(payload))
                self.pings.append(payload)

    def seen_to(self, event):
        """Whether an event is none of the program's business."""
        if isinstance(event, Ping):
            if self.machine.state is ConnectionState.OPEN:
                self.write(event.response())
        elif isinstance(event, Pong):
            # One may stand for several pings (RFC 6455, 5.5.3).
            payload = bytes(event.payload)
            if payload not in self.pings:
                raise EOFError(f"a pong with {payload!r}")
            del self.pings[: self.pings.index(payload) + 1]
        else:
            return False
        return True

    async def receive(self):
        pieces = []
        while True:
            event = await self.event()
            if self.seen_to(event):
                continue
            if not isinstance(event, (TextMessage, BytesMessage)):
                raise EOFError(repr(event))
            pieces.append(event.data)
            if event.message_finished:
                return ("" if isinstance(event, TextMessage) else b"").join(pieces)

    async def pinged(self):
        while self.pings:
            if not self.seen_to(event := await self.event()):
                raise EOFError(repr(event))

    def deflate(self):
        for it in self.extensions:
            if it.enabled():
                return (it.server_no_context_takeover, it.client_no_context_takeover,
                        it.server_max_window_bits, it.client_max_window_bits)
        return None

    async def close(self, code, reason):
        self.write(CloseConnection(code, reason))
        await self.writer.drain()

    async def ended(self):
        while not isinstance(event := await self.event(), CloseConnection):
            self.seen_to(event)
        if self.machine.state is ConnectionState.REMOTE_CLOSING:
            self.write(event.response())
            await self.writer.drain()
        # The server ends the stream (RFC 6455, 7.1.1); nothing may come behind a Close.
        if not self.machine.client:
            self.writer.write_eof()
        if rest := await self.reader.read():
            raise EOFError(f"{rest!r} behind the Close")
        self.writer.close()
        return event.code, event.reason or ""


async def to(task, port):
    peer = Peer(ConnectionType.CLIENT, task, *await asyncio.open_connection("127.0.0.1", port))
    peer.write(Request(host=f"127.0.0.1:{port}", target=task.target, extensions=peer.extensions))
    event = await peer.event()
    if not isinstance(event, AcceptConnection):
        raise EOFError(repr(event))
    return peer


@contextlib.asynccontextmanager
async def listen(task):
    arrived = asyncio.get_running_loop().create_future()

    async def accept(reader, writer):
        peer = Peer(ConnectionType.SERVER, task, reader, writer)
        event = await peer.event()
        if not isinstance(event, Request):
            raise EOFError(repr(event))
        peer.write(AcceptConnection(extensions=peer.extensions))
        arrived.set_result(peer)

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], arrived


def fit(role, task):
    if "stream" in task.query and task.deflate is not None:
        # The package takes a control frame for the end of a compressed message, and we answer its
        # pings at once, between the fragments.
        task.pings = False
    if role == "client" and task.deflate is not None:
        # As a server it neither says that it limits its own window, nor minds whether it may limit
        # the client's (RFC 7692, 7.1.2.2): the limits are the client's alone.
        for name in ("server_max_window_bits", "client_max_window_bits"):
            task.deflate.pop(name, None)


Run("wsproto", to, listen, fit).run(LocalProtocolError, RemoteProtocolError)
