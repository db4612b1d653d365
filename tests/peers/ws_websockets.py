"""Random traffic with the `websockets` package."""

import asyncio
import contextlib

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConcurrencyError, ConnectionClosed, InvalidHandshake

from ws_traffic import Run, Task

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

    async def close(self, code, reason):
        await self.ws.close(code, reason)

    async def ended(self):
        await self.ws.wait_closed()
        close = self.ws.protocol.close_rcvd
        return (close.code, close.reason) if close else (None, None)


async def to(task, port):
    return Peer(await connect(f"ws://127.0.0.1:{port}{task.target}", proxy=None, **OPTIONS))


@contextlib.asynccontextmanager
async def listen(task):
    arrived, done = asyncio.get_running_loop().create_future(), asyncio.Event()

    async def handler(ws):
        arrived.set_result(Peer(ws))
        await done.wait()

    async with serve(handler, "127.0.0.1", 0, **OPTIONS) as server:
        try:
            yield server.sockets[0].getsockname()[1], arrived
        finally:
            done.set()


def tasks(name):
    for number in range(20):
        yield Task(name, number, None)


Run("websockets", to, listen, tasks).run(ConnectionClosed, InvalidHandshake)
