"""Random traffic between the programs `ws-test-*` and WebSocket packages of Python, in both roles:
messages of all sizes, in fragments, with pings between them and whatever compression was agreed on,
over a proxy that cuts the bytes anywhere. What comes back is compared byte for byte, and how each
connection ends is compared on both sides.

SEED=N repeats the messages, cuts and parameters of a run; not its timing. With `tls` as the second
argument they speak TLS, whose records are what is cut then; it is about TLS, so there are fewer of them.
"""

import asyncio
import os
import random
import ssl
import subprocess
import sys
import urllib.parse

from common import Checks, Example, pki, shorten

SEED = int(os.environ.get("SEED") or int.from_bytes(os.urandom(4)))
SECONDS = 20  # for one connection
COMBINATIONS = 28  # both sides with and without context takeover, each with windows of 9 to 15 bits
PLAIN = 6  # connections on which one side alone would compress
TLS = sys.argv[2:] == ["tls"]
NUMBERS = range(0, COMBINATIONS + PLAIN, 5 if TLS else 1)
SCHEME = "wss" if TLS else "ws"

# Several scripts, characters of one to four bytes.
WORDS = ["tide ", "wire ", "na\u00efve ", "\u03b8\u03ac\u03bb\u03b1\u03c3\u03c3\u03b1 ", "\u043f\u0440\u0438\u043b\u0438\u0432 ",
         "\u6f6e\u6c50", "\u062a\u064a\u0651\u0627\u0631 ", "\U0001f30a", "\u0915\u094d\u0937", "\n", '{"id": 17, ', '"text": "']


def text(rng, size):
    """Text of exactly `size` bytes."""
    data = "".join(rng.choices(WORDS, k=min(size, 2000) // 2 + 1)).encode()
    data = (data * (size // len(data) + 1))[:size].decode(errors="ignore")
    return data + "x" * (size - len(data.encode()))


def message(rng, earlier):
    """One of any size; at times much like one before, which is what a window remembers."""
    size = rng.choice([0, 1, 2, 125, 126, 127, rng.randrange(200), rng.randrange(2000), rng.randrange(2000),
                       rng.randrange(40_000), rng.choice([65535, 65536, 65537]), rng.randrange(300_000)])
    if earlier and rng.random() < 0.3:
        again = rng.choice(earlier)
        start = rng.randrange(len(again) + 1)
        return again[start:] + again[:start]
    if rng.random() < 0.5:
        return text(rng, size)
    # One byte that fills it, bytes that nothing compresses, and what lies between.
    return rng.choice([lambda: rng.randbytes(1) * size, lambda: rng.randbytes(size),
                       lambda: (rng.randbytes(rng.randrange(1, 5000)) * (size + 1))[:size]])()


class Task:
    """What one connection does, from a seed."""

    def __init__(self, name, number):
        rng = self.rng = random.Random(f"{SEED} {name} {number}")
        self.id = f"{name}-{number}"
        self.number = number
        self.messages = []
        for _ in range(rng.randrange(1, 12)):
            self.messages.append(message(rng, self.messages))
        self.reason = text(rng, rng.randrange(0, 124)).replace("\n", " ") if rng.random() < 0.8 else ""
        self.code = rng.choice([1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 3000, 3999, 4000, rng.randrange(3000, 5000)])
        self.we_close = rng.random() < 0.5  # we: the library's side, as `ours` everywhere
        self.pings = rng.random() < 0.7
        self.our_pings = rng.choice([0, 1, 3])
        self.query = {"id": self.id} | rng.choice([{}, {"stream": 1}, {"fragment": rng.choice([1000, 65536])}])
        self.deflate = None  # the peer's part: parameters by their names
        if number < COMBINATIONS:
            self.compress(number)
        elif number % 2:  # one side alone would
            self.deflate = {}
        else:
            self.query["deflate"] = 1
        if self.our_pings:
            self.query["ping"] = self.our_pings
        if self.we_close:
            self.query |= {"after": len(self.messages), "close": self.code, "reason": self.reason.encode().hex()}

    def compress(self, number):
        """A limit is set by either side, or by both."""
        limits = {
            "server_no_context_takeover": number & 1,
            "client_no_context_takeover": number >> 1 & 1,
            "server_max_window_bits": 9 + number // 4,
            "client_max_window_bits": 15 - number // 4,
        }
        self.query |= {"deflate": 1, "level": self.rng.randrange(1, 10), "threshold": self.rng.choice([0, 0, 64, 1000])}
        self.deflate = {}
        for name, limit in limits.items():
            side = self.rng.choice(["ours", "theirs", "both"])
            if limit and side != "theirs":
                self.query[name] = limit
            if limit and side != "ours":
                self.deflate[name] = limit

    def cuts(self, whole):
        """The fragments to send a message in; one of them: no fragments."""
        if self.rng.random() < 0.5:
            return [whole]
        at = sorted(self.rng.choices(range(len(whole) + 1), k=self.rng.choice([1, 2, 3, 20])))
        return [whole[a:b] for a, b in zip([0, *at], [*at, len(whole)])]

    def between(self):
        """The payload of a ping to send now, or None."""
        return self.rng.randbytes(self.rng.choice([0, 1, 4, 125])) if self.pings and self.rng.random() < 0.3 else None

    @property
    def target(self):
        return "/?" + urllib.parse.urlencode(self.query)

    def context(self, side):
        """The peer's TLS, if it is to speak it: one version or the other."""
        if not TLS:
            return None
        context = ssl.SSLContext(side)
        context.maximum_version = [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2][self.number % 2]
        if side == ssl.PROTOCOL_TLS_CLIENT:
            context.load_verify_locations(pki("ca.pem"))
        else:
            context.load_cert_chain(pki("server.pem"), pki("server.key"))
        return context


class Proxy:
    """Hands on what comes, in pieces of any size."""

    def __init__(self, port, rng):
        self.port, self.rng, self.pumps, self.writers = port, rng, [], []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def __aexit__(self, *_):
        self.server.close()
        if self.pumps:  # both ends have closed
            await asyncio.wait(self.pumps, timeout=2)
        for writer in self.writers:
            writer.transport.abort()

    async def accept(self, reader, writer):
        further_reader, further_writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers += [writer, further_writer]
        for ends in [(reader, further_writer), (further_reader, writer)]:
            self.pumps.append(asyncio.create_task(self.pump(random.Random(self.rng.random()), *ends)))

    async def pump(self, rng, reader, writer):
        typical = rng.choice([2, 40, 1000, 20_000, 1_000_000])
        try:
            done = 0
            while data := await reader.read(65536):
                while data:
                    # Small pieces for the first thousands of bytes, for the sake of time.
                    size = 1 + int(rng.expovariate(1 / max(typical, done // 20)))
                    writer.write(data[:size])
                    await writer.drain()
                    data = data[size:]
                    done += size
                    await asyncio.sleep(0.0002 if rng.random() < 0.05 else 0)
            writer.write_eof()
        except OSError:
            writer.transport.abort()


async def traffic(peer, task):
    """The peer's part in a connection: `peer` has the methods that are called here. Returns what
    was wrong, or None, the agreed compression, and the code and reason of the Close frame that came."""
    wrong = None

    async def send():
        for whole in task.messages:
            is_text = isinstance(whole, str)
            if is_text and peer.cuts_characters:
                whole = whole.encode()
            await peer.send(task.cuts(whole), is_text, task.between)

    async def receive():
        nonlocal wrong
        for number, whole in enumerate(task.messages):
            got = await peer.receive()
            if got != whole and not wrong:
                wrong = f"message {number} of {len(whole)} came back as {shorten(got)} ({len(got)})"

    await asyncio.gather(send(), receive())
    if not task.we_close:
        await peer.pinged()  # the last of its pings is answered
        await peer.close(task.code, task.reason)
    return wrong, peer.deflate(), *await peer.ended()


NAMES = ["server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits", "client_max_window_bits"]


class Run:
    """Both roles against one package: `connect(task, port)` and `listen(task)` give its connections.
    `fit(role, task)` leaves out what it cannot do."""

    def __init__(self, name, connect, listen, fit=lambda role, task: None):
        self.check, self.name, self.fit = Checks(), name, fit
        self.connect, self.listen = connect, listen

    async def ours(self, program, task):
        """What our side says of a connection."""
        pattern = rf"^(ended|failed)\tid={task.id}\t"
        _, match = await asyncio.to_thread(program.wait_for, pattern, SECONDS)
        if not match:
            return {"kind": f"nothing was said in {SECONDS} s"}
        kind, *words = match.string.split("\t")
        return {"kind": kind, **dict(word.split("=", 1) for word in words)}

    def compare(self, role, task, said, wrong, deflate, code, reason):
        """In what the two sides differ, in words."""
        expected = {"kind": "ended", "messages": str(len(task.messages)), "code": str(task.code), "clean": "true", "strange": "0"}
        if not task.we_close:
            expected |= {"reason": task.reason, "pongs": said.get("pings"), "unanswered": "0"}
        differs = [f"{k} is {said.get(k)!r}, not {v!r}" for k, v in expected.items() if said.get(k) != v]
        if wrong:
            differs.append(wrong)
        differs += self.compare_deflate(role, task, said.get("deflate", "none"), deflate)
        if task.we_close and (code, reason) != (task.code, task.reason):
            differs.append(f"closed with {code} {reason!r}, not {task.code} {task.reason!r}")
        if not task.we_close and code != task.code:
            differs.append(f"the echo of the Close has {code}, not {task.code}")
        return differs

    def compare_deflate(self, role, task, ours, theirs):
        both = "deflate" in task.query and task.deflate is not None
        if not both or ours == "none" or theirs is None:
            return [] if not both and ours == "none" and theirs is None else [f"compression is {ours} here and {theirs} there"]
        ours = dict(zip(NAMES, map(int, ours.split())))
        theirs = dict(zip(NAMES, map(int, theirs)))
        differs = []
        for name in NAMES:
            # What holds more of either parameter is what is more of a limit.
            here, there = (x[name] if "context" in name else -x[name] for x in (ours, theirs))
            if here != there and not (role == "client" and name.startswith("client") and here > there):
                differs.append(f"{name} is {ours[name]} here and {theirs[name]} there")
            limit = task.query.get(name, 0 if "context" in name else 15)
            if here < (limit if "context" in name else -limit):
                differs.append(f"{name} is {ours[name]} in spite of {limit}")
        return differs

    async def our_server(self, server, port, task):
        async with Proxy(port, task.rng) as port:
            peer = await self.connect(task, port)
            return await traffic(peer, task)

    async def our_client(self, client, task):
        async with self.listen(task) as (port, peer), Proxy(port, task.rng) as port:
            client.process.stdin.write(f"{SCHEME}://127.0.0.1:{port}{task.target}\n")
            client.process.stdin.flush()
            return await traffic(await peer, task)

    async def role(self, role, program, one):
        done = bytes_ = 0
        with program:
            url = program.url(SCHEME) if role == "server" else None
            for number in NUMBERS:
                task = Task(f"{self.name}-{role}", number)
                self.fit(role, task)
                try:
                    seen = await asyncio.wait_for(one(program, *([int(url.rpartition(":")[2])] if url else []), task), SECONDS)
                except (OSError, EOFError, asyncio.TimeoutError, *self.errors) as error:
                    seen = repr(error), None, None, None
                differs = self.compare(role, task, await self.ours(program, task), *seen)
                if differs:
                    self.check(f"our {role}, {task.id} {task.query} {task.deflate}", False, "; ".join(differs))
                done += not differs
                bytes_ += sum(map(len, task.messages))
            self.check(f"our {role} is still up", program.process.poll() is None)
        self.check(f"our {role}: {done} connections, {bytes_ >> 10} KiB there and back{' by TLS' if TLS else ''} (seed {SEED})", done == len(NUMBERS))

    def run(self, *errors):
        self.errors = errors
        identity = ["--cert", pki("server.pem"), "--key", pki("server.key")] if TLS else []
        server = Example("ws-test-server", "--listen", "127.0.0.1:0", *identity, folder="PROGRAMS")
        asyncio.run(self.role("server", server, self.our_server))
        client = Example("ws-test-client", *(["--ca", pki("ca.pem")] if TLS else []), folder="PROGRAMS", stdin=subprocess.PIPE)
        asyncio.run(self.role("client", client, self.our_client))
        self.check.exit()
