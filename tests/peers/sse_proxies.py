"""Event streams behind nginx and haproxy, and under HTTP/1.0: they arrive event by event, and who
leaves is noticed."""

import concurrent.futures
import contextlib
import json
import re
import subprocess
import tempfile
import time
import traceback

from common import Checks, EventServer, Peer, curl, find, nginx, port_of, shorten, split, values

check = Checks()
EVERY = 0.2
"""How far apart our server sends events. Lumps have no distance, and a busy machine some less."""
CLOSEST, FARTHEST = 0.05, 1.0


def start_nginx(url, folder):
    def servers(port):
        return f"""
            server {{
                listen 127.0.0.1:{port};
                proxy_http_version 1.1;
                proxy_set_header Connection "";
                location / {{ proxy_pass {url}; }}
                location /old/ {{ proxy_pass {url}/; proxy_http_version 1.0; proxy_set_header Connection close; }}
                location /short/ {{ proxy_pass {url}/; proxy_read_timeout 2s; }}
            }}"""

    return nginx(folder, servers)


def start_haproxy(url, folder, options="", server_timeout="20s"):
    def start(port):
        with open(f"{folder}/haproxy.cfg", "w") as file:
            file.write(f"""
defaults
    mode http
    timeout connect 2s
    timeout client 20s
    timeout server {server_timeout}
    {options}
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    server tidewire 127.0.0.1:{port_of(url)}
""")
        return [find("haproxy"), "-db", "-q", "-f", f"{folder}/haproxy.cfg"]

    return Peer(start)


class Reader:
    """curl, whose output is read as it comes. Dropped, it is killed."""

    def __init__(self, url, *args, seconds=10):
        command = ["curl", "-N", "-sS", "--noproxy", "*", "--max-time", str(seconds), "-H", "Accept: text/event-stream", *args, url]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.got = b""
        self.blocks = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def read(self, count, what=b"data: "):
        """The first `count` events, or those that came before the end, each with its time."""
        while len(found := [it for it in self.blocks if what in it[1]]) < count:
            piece = self.process.stdout.read1(65536)
            if not piece:
                break
            *whole, self.got = (self.got + piece).split(b"\n\n")
            self.blocks += [(time.monotonic(), block) for block in whole]
        return found[:count]

    def data(self, count):
        return [re.search(rb"data: (.*)", block).group(1).decode() for _, block in self.read(count)]


def one_by_one(name, events):
    if name.startswith("haproxy without options"):
        # It waits for more before it sends, which the kernel lets it for 200 ms.
        late = [round(at - events[0][0] - n * EVERY, 3) for n, (at, _) in enumerate(events)]
        return check(f"{name}: no event is later than it has to be", len(late) >= 6 and max(late) - min(late) < 0.8, late)
    gaps = [round(after[0] - before[0], 3) for before, after in zip(events, events[1:])]
    return check(f"{name}: events come one by one", len(gaps) >= 5 and all(CLOSEST < gap < FARTHEST for gap in gaps), gaps)


def stream(name, server, url, *args):
    """What holds of any way to our server."""
    key = name.replace(" ", "-").replace("/", "")
    target = f"/events?every={EVERY * 1000:.0f}&to=7&{key}"
    with Reader(url + target, *args) as reader:
        events = reader.read(7)
        check.equal(f"{name}: they are those that were sent", [block for _, block in events], [b"id: %d\ndata: %d" % (n, n) for n in range(1, 8)])
        reader.read(8)
        check.equal(f"{name}: the stream ends in order", (reader.got, reader.process.wait(timeout=5)), (b"", 0))
    one_by_one(name, events)

    words = "Wer reitet so spät durch Nacht und Wind".split()
    target = f"/words?every={EVERY * 1000:.0f}&{key}"
    with Reader(url + target, *args, "--data-binary", " ".join(words)) as reader:
        events = reader.read(9)
        got = [block.removeprefix(b"data: ").decode() for _, block in events]
        check.equal(f"{name}: the words of a POST", got, [*(json.dumps({"token": word}, ensure_ascii=False, separators=(",", ":")) for word in words), "[DONE]"])
    one_by_one(f"{name}, POST", events[:-1])

    target = f"/events?to=200&size=50000&{key}"
    with Reader(url + target, *args) as reader:
        got = [block for _, block in reader.read(201)]
    check(f"{name}: 10 MB of events arrive whole and in order", got == [b"id: %d\ndata: %d%s" % (n, n, b"x" * 50_000) for n in range(1, 201)], len(got))


def leaving(name, server, url, *args):
    """A client that is gone is noticed at once, although nothing is sent to it. But haproxy looks at
    its client only when it has something for it: there it is noticed by the heartbeats."""
    key = name.replace(" ", "-").replace("/", "")
    deaf = name.startswith("haproxy")
    beat, bound = (500, 2.5) if deaf else (60_000, 1)
    for kind, target in [("talks", f"/events?every=200&leave-{key}"), ("is silent", f"/silent?heartbeat={beat}&leave-{key}")]:
        with Reader(url + target, *args) as reader:
            if kind == "talks":
                reader.read(2)
            else:
                end = time.monotonic() + 3
                while not server.requests(target) and time.monotonic() < end:
                    time.sleep(0.01)
                time.sleep(0.2)
        left = time.monotonic()
        told = server.ended(target, seconds=4)
        took = [round(at - left, 3) for at, _ in told]
        check(f"{name}: a client that leaves a stream that {kind} is noticed within {bound} s",
              [line["how"] for _, line in told] == ["left"] and took[0] < bound, told and took)


def topics(name, server, url, *args):
    """The hub, subscribed to and published to through a proxy."""
    topic = name.replace(" ", "-").replace("/", "")

    def publish(first, last):
        out, status = curl("-X", "POST", f"{url}/hub/{topic}?from={first}&to={last}")
        return json.loads(out) if status == 0 else status

    check.equal(f"{name}: a topic keeps what nobody reads", publish(1, 5), {"dropped": 0, "kept": 5, "published": 5, "queued": 0, "subscribers": 0})
    with Reader(f"{url}/hub/{topic}", *args) as fresh, Reader(f"{url}/hub/{topic}", *args, "-H", "Last-Event-ID: 2") as back:
        check.equal(f"{name}: who comes back gets what it has missed", back.data(3), ["3", "4", "5"])
        end = time.monotonic() + 3
        while json.loads(curl(f"{url}/topic/{topic}")[0])["subscribers"] < 2 and time.monotonic() < end:
            time.sleep(0.02)
        publish(6, 9)
        check.equal(f"{name}: and all that follows", back.data(7), ["3", "4", "5", "6", "7", "8", "9"])
        check.equal(f"{name}: who is new gets what follows alone", fresh.data(4), ["6", "7", "8", "9"])
        comments = fresh.read(2, what=b":\n" if b":\n" in fresh.got else b":")
        check(f"{name}: silence is filled", len(comments) == 2, fresh.blocks)
    with Reader(f"{url}/hub/{topic}", *args, "-H", "Last-Event-ID: of-somebody-else") as lost:
        got = lost.read(10)
        check(f"{name}: who names an event that nobody knows is told", b"event: gap" in got[0][1] and len(got) == 10, got)
    end = time.monotonic() + 4
    while (stats := json.loads(curl(f"{url}/topic/{topic}")[0]))["subscribers"] and time.monotonic() < end:
        time.sleep(0.05)
    check.equal(f"{name}: they have all left", stats, {"dropped": 0, "kept": 9, "published": 9, "queued": 0, "subscribers": 0})


def heartbeat(name, url, prefix=""):
    """A proxy that cuts what is silent for two seconds."""
    start = time.monotonic()
    _, status = curl("-N", f"{url}{prefix}/silent?heartbeat=60000", seconds=8)
    took = time.monotonic() - start
    check(f"{name}: cuts a stream that is silent", status != 28 and 1.5 < took < 5, (status, took))
    out, status = curl("-N", f"{url}{prefix}/silent?heartbeat=1000", seconds=6)
    check(f"{name}: heartbeats keep it", status == 28 and 4 <= out.count(b":\n\n") <= 6, (status, out))


def http_1_0(name, url):
    out, status = curl("-0", "-i", "-N", f"{url}/events?to=3")
    line, fields, body = split(out)
    check.equal(f"{name}: an HTTP/1.0 client gets no chunks",
                (status, line.split()[1], values(fields, "transfer-encoding"), values(fields, "content-length"), values(fields, "connection"), body),
                (0, "200", [], [], ["close"], b"".join(b"id: %d\ndata: %d\n\n" % (n, n) for n in (1, 2, 3))))


with contextlib.ExitStack() as stack:
    server = stack.enter_context(EventServer())
    folders = [stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(4)]
    proxy = stack.enter_context(start_nginx(server.at, folders[0])).url
    balancer = stack.enter_context(start_haproxy(server.at, folders[1], "option http-no-delay")).url
    plain = stack.enter_context(start_haproxy(server.at, folders[2])).url
    hasty = stack.enter_context(start_haproxy(server.at, folders[3], "option http-no-delay", "2s")).url
    ways = [
        ("direct", server.at),
        ("direct HTTP/1.0", server.at, "-0"),
        ("nginx", proxy),
        ("nginx, client HTTP/1.0", proxy, "-0"),
        ("nginx as HTTP/1.0", proxy + "/old"),
        ("haproxy", balancer),
        ("haproxy, client HTTP/1.0", balancer, "-0"),
        ("haproxy without options", plain),
    ]
    tasks = []
    # Side by side, since much of it is waiting.
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for name, url, *args in ways:
            tasks.append(pool.submit(stream, name, server, url, *args))
            tasks.append(pool.submit(leaving, name, server, url, *args))
        for name, url, *args in [ways[0], ways[1], ways[2], ways[4], ways[5]]:
            tasks.append(pool.submit(topics, name, server, url, *args))
        for name, url in [("direct", server.at), ("nginx", proxy), ("haproxy", balancer)]:
            tasks.append(pool.submit(http_1_0, name, url))
        tasks.append(pool.submit(heartbeat, "nginx", proxy, "/short"))
        tasks.append(pool.submit(heartbeat, "haproxy", hasty))
        for task in tasks:
            try:
                task.result(timeout=60)
            except Exception as error:
                traceback.print_exc()
                check("every step comes to its end", False, repr(error))
    check("the server is still running", server.process.poll() is None)
    check.equal("no handler failed", server.failures(), [])
check.exit()
