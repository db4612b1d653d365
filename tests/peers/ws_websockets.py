"""Random traffic with the `websockets` package."""

import asyncio
import contextlib
import ssl

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConcurrencyError, ConnectionClosed, InvalidHandshake
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.protocol import Side

from ws_traffic import SCHEME, Run

OPTIONS = {"compression": None, "max_size": None, "ping_interval": None, "open_timeout": 10, "close_timeout": 10}


class Peer:
    cuts_characters = True

    def __init__(self, ws):
        self.ws, self.pong = ws, None

    async def send(self, fragments, is_text, between):
        if len(fragments) == 1:
            return await self.ws.send(fragments[0], text=is_text)

        async def each():
            for fragment in fragments:
                yield fragment
                if (payload := between()) is not None:
                    await self.ping(payload)

        await self.ws.send(each(), text=is_text)

    async def ping(self, payload):
        # The package refuses a payload that is on its way already.
        with contextlib.suppress(ConcurrencyError):
            self.pong = await self.ws.ping(payload)

    async def receive(self):
        return await self.ws.recv()

    async def pinged(self):
        if self.pong:
            await self.pong

    def deflate(self):
        for it in self.ws.protocol.extensions:
            local = int(it.local_no_context_takeover), it.local_max_window_bits
            remote = int(it.remote_no_context_takeover), it.remote_max_window_bits
            server, client = (remote, local) if self.ws.protocol.side is Side.CLIENT else (local, remote)
            return server[0], client[0], server[1], client[1]
        return None

    async def close(self, code, reason):
        await self.ws.close(code, reason)

    async def ended(self):
        await self.ws.wait_closed()
        close = self.ws.protocol.close_rcvd
        return (close.code, close.reason) if close else (None, None)


def extensions(task, factory):
    if task.deflate is None:
        return None
    return [factory(**task.deflate, compress_settings={"level": task.rng.randrange(10)})]


async def to(task, port):
    offer = extensions(task, ClientPerMessageDeflateFactory)
    tls = task.context(ssl.PROTOCOL_TLS_CLIENT)
    return Peer(await connect(f"{SCHEME}://127.0.0.1:{port}{task.target}", ssl=tls, extensions=offer, proxy=None, **OPTIONS))


@contextlib.asynccontextmanager
async def listen(task):
    arrived, done = asyncio.get_running_loop().create_future(), asyncio.Event()

    async def handler(ws):
        arrived.set_result(Peer(ws))
        await done.wait()

    accepted = extensions(task, ServerPerMessageDeflateFactory)
    tls = task.context(ssl.PROTOCOL_TLS_SERVER)
    async with serve(handler, "127.0.0.1", 0, ssl=tls, extensions=accepted, **OPTIONS) as server:
        try:
            yield server.sockets[0].getsockname()[1], arrived
        finally:
            done.set()


def fit(role, task):
    # The package cannot compress with a window of 8 bits; we can.
    name = f"{role}_max_window_bits"
    if task.query.get(name) == 9 and name not in task.deflate:
        task.query[name] = 8


Run("websockets", to, listen, fit).run(ConnectionClosed, InvalidHandshake)
