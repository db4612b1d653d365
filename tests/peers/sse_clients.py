"""`httpx-sse`, `aiohttp-sse-client2` and curl against `sse-test-server`."""

import asyncio
import datetime
import json
import logging
import time
import traceback

import httpx
from aiohttp_sse_client2 import client as aiohttp_sse
from httpx_sse import SSEError, aconnect_sse, connect_sse

from common import Checks, EventServer, curl, split, values

check = Checks()
logging.disable()
WORDS = "Wer rüttelt am ☃ so spät".split()
FORMATS = [
    ("message", "plain", ""),
    ("message", "two\nlines", ""),
    ("message", "CR\nLF\nboth\nnone", ""),
    ("message", "", ""),
    ("message", " leading and trailing ", ""),
    ("message", "colons: and\n:more", ""),
    ("message", '{"text":"Grüße ☃ 𝄞"}', ""),
    ("message", "a NUL \0 stays", "with spaces"),
    ("custom", "keeps the id", "with spaces"),
    ("Zeit/Überschrift", "other", "é"),
    ("message", "behind nothing", "of nothing"),
    ("message", "forgotten", ""),
    ("message", "\n", ""),
    ("message", "last", "end"),
]


def of_httpx(event):
    return event.event, event.data, event.id


def with_httpx(server):
    url = server.at
    with httpx.Client(trust_env=False, timeout=5) as client:
        with connect_sse(client, "GET", f"{url}/formats") as source:
            got = [of_httpx(event) for event in source.iter_sse()]
        # It dispatches an event without data too, once there was an id.
        want = [*FORMATS[:10], ("message", "", "of nothing"), *FORMATS[10:]]
        check.equal("httpx-sse: everything that an event can have", got, want)

        with connect_sse(client, "GET", f"{url}/events?to=2&size=3000000") as source:
            got = [event.data for event in source.iter_sse()]
        check("httpx-sse: events of 3 MB", got == [f"{n}{'x' * 3_000_000}" for n in (1, 2)], [len(data) for data in got])

        target = "/events?to=1000&cut=400&size=300&retry=20&httpx"
        got, last, waits, ended = [], None, set(), ""
        while not ended and len(server.requests(target)) < 50:
            headers = {"Last-Event-ID": last} if last else {}
            try:
                with connect_sse(client, "GET", url + target, headers=headers) as source:
                    if source.response.status_code == 204:
                        ended = "204"
                        break
                    for event in source.iter_sse():
                        waits.add(event.retry)
                        last = event.id or last
                        got += [event.data] if event.data else []
            except httpx.RemoteProtocolError:
                time.sleep(0.02)
        check("httpx-sse: 1,000 events through cuts", got == [f"{n}{'x' * 300}" for n in range(1, 1001)], len(got))
        check.equal("httpx-sse: until 204", ended, "204")
        check.equal("httpx-sse: is told when to come back", waits, {20, None})
        named = [int(id or 0) for id in server.named(target)]
        check("httpx-sse: each request says where to go on", len(named) >= 4 and named == sorted(named) and named[-1] == 1000, named)

        target = "/events?to=4&end=2&utf8&httpx"
        for _ in range(2):
            id = server.named(target) and got[-1]
            # A field's value is bytes.
            with connect_sse(client, "GET", url + target, headers={b"Last-Event-ID": id.encode()} if id else {}) as source:
                got = [event.id for event in source.iter_sse()]
        check.equal("httpx-sse: ids beyond ASCII", (server.named(target), got), ([None, "Grüße ☃ 𝄞 2"], ["Grüße ☃ 𝄞 3", "Grüße ☃ 𝄞 4"]))

        try:
            with connect_sse(client, "GET", f"{url}/as/text/plain") as source:
                list(source.iter_sse())
            refused = False
        except SSEError:
            refused = True
        check("httpx-sse: another type is refused", refused)

        # It takes a blank line for an event, once there was an id: that of a heartbeat too.
        with connect_sse(client, "GET", f"{url}/events?to=3&every=500&heartbeat=150") as source:
            got = [event.data for event in source.iter_sse()]
        check.equal("httpx-sse: heartbeats between events", [data for data in got if data], ["1", "2", "3"])

        target = "/silent?heartbeat=60000&httpx"
        with connect_sse(client, "GET", url + target):
            pass
        left = time.monotonic()
        told = server.ended(target)
        check("httpx-sse: the server learns that the client left", told and told[0][0] - left < 1, told)


async def with_httpx_async(server):
    async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False, timeout=5) as client:
        times, got = [], []
        async with aconnect_sse(client, "POST", f"{server.at}/words?every=200", content=" ".join(WORDS)) as source:
            async for event in source.aiter_sse():
                times.append(time.monotonic())
                got.append(event.data)
        check.equal("httpx-sse: a POST whose words come back", got, [*(json.dumps({"token": word}, ensure_ascii=False, separators=(",", ":")) for word in WORDS), "[DONE]"])
        gaps = [round(after - before, 3) for before, after in zip(times, times[1:-1])]
        check("httpx-sse: one by one", len(gaps) == 5 and all(0.05 < gap < 1 for gap in gaps), gaps)

        topic = f"{server.at}/hub/httpx"
        ready = asyncio.Barrier(6)

        async def subscriber():
            async with aconnect_sse(client, "GET", topic) as source:
                await ready.wait()
                events = []
                async for event in source.aiter_sse():
                    events.append(event.data)
                return [data for data in events if data]

        subscribers = [asyncio.create_task(subscriber()) for _ in range(5)]
        await ready.wait()
        for first in range(1, 501, 50):
            await client.post(f"{topic}?from={first}&to={first + 49}")
            await asyncio.sleep(0.05)
        stats = (await client.get(f"{server.at}/topic/httpx")).json()
        await client.delete(topic)
        got = await asyncio.gather(*subscribers)
        check("httpx-sse: five subscribers of a topic get all 500 events, and its end", got == [[str(n) for n in range(1, 501)]] * 5, [len(it) for it in got])
        check.equal("httpx-sse: which the topic has counted", (stats["subscribers"], stats["published"], stats["dropped"]), (5, 500, 0))


async def with_aiohttp(server):
    async with asyncio.timeout(30):
        target = "/events?to=6&end=2&retry=50&aiohttp"
        got, refused = [], None
        wait = datetime.timedelta(milliseconds=50)
        try:
            async with aiohttp_sse.EventSource(server.at + target, reconnection_time=wait) as source:
                async for event in source:
                    got.append((event.data, event.last_event_id, str(event.origin)))
        except ConnectionAbortedError as error:
            refused = "204" in str(error)
        check.equal("aiohttp-sse-client2: reconnects until 204", (got, refused), ([(str(n), str(n), server.at) for n in range(1, 7)], True))
        check.equal("aiohttp-sse-client2: each request says where to go on", server.named(target), [None, "2", "4", "6"])

        got = []
        async with aiohttp_sse.EventSource(f"{server.at}/formats") as source:
            async for event in source:
                got.append((event.type or "message", event.data, event.last_event_id))
                if event.last_event_id == "end":
                    break
        # It takes all spaces from the front and all line feeds from the back.
        want = [(type, data.lstrip(" ").rstrip("\n"), id) for type, data, id in FORMATS]
        check.equal("aiohttp-sse-client2: everything that an event can have", got, want)

        times, got = [], []
        async with aiohttp_sse.EventSource(f"{server.at}/words?every=200", {"method": "POST"}, data=" ".join(WORDS).encode()) as source:
            async for event in source:
                times.append(time.monotonic())
                got.append(event.data)
                if event.data == "[DONE]":
                    break
        check.equal("aiohttp-sse-client2: a POST whose words come back", [json.loads(data)["token"] for data in got[:-1]], WORDS)
        gaps = [round(after - before, 3) for before, after in zip(times, times[1:-1])]
        check("aiohttp-sse-client2: one by one", len(gaps) == 5 and all(0.05 < gap < 1 for gap in gaps), gaps)


def with_curl(server):
    url = server.at
    out, status = curl("-i", "-N", "--compressed", f"{url}/events?to=2&type=ping&retry=1234")
    line, fields, body = split(out)
    check.equal("curl: a stream, retry first", (status, line.split()[1], body),
                (0, "200", b"retry: 1234\n\nevent: ping\nid: 1\ndata: 1\n\nevent: ping\nid: 2\ndata: 2\n\n"))
    check.equal("curl: its type", values(fields, "content-type"), ["text/event-stream"])
    check.equal("curl: not to be cached or held back", (values(fields, "cache-control"), values(fields, "x-accel-buffering")), (["no-cache"], ["no"]))
    check.equal("curl: nor compressed", values(fields, "content-encoding"), [])
    out, status = curl("-N", "-H", "Last-Event-ID: 7", f"{url}/events?to=8")
    check.equal("curl: goes on behind the last event", (status, out), (0, b"id: 8\ndata: 8\n\n"))
    out, status = curl("-N", "-w", "%{http_code}", "-H", "Last-Event-ID: 8", f"{url}/events?to=8")
    check.equal("curl: 204 where there is no more", (status, out), (0, b"204"))
    out, status = curl("-I", f"{url}/silent", "-w", "%{num_connects}", f"{url}/status/200")
    check.equal("curl: HEAD has the head alone", (status, out.count(b"HTTP/1.1 200"), out.count(b"text/event-stream")), (0, 2, 1))
    out, status = curl("-N", "-w", "%{http_code}", f"{url}/events?cut=3")
    check.equal("curl: a stream that is cut is seen to be", (status, out), (18, b"".join(b"id: %d\ndata: %d\n\n" % (n, n) for n in (1, 2, 3)) + b"200"))
    out, status = curl("-N", "-w", "%{num_connects} ", *[f"{url}/events?to=1"] * 3)
    check.equal("curl: streams that end in order leave their connection to the next", (status, out), (0, b"".join(b"id: 1\ndata: 1\n\n%d " % n for n in (1, 0, 0))))



with EventServer() as server:
    for name, what in [("curl", with_curl), ("httpx-sse", with_httpx)]:
        try:
            what(server)
        except Exception as error:
            traceback.print_exc()
            check(f"{name}: every step comes to its end", False, repr(error))
    for name, what in [("httpx-sse", with_httpx_async), ("aiohttp-sse-client2", with_aiohttp)]:
        try:
            asyncio.run(what(server))
        except Exception as error:
            traceback.print_exc()
            check(f"{name}: every step comes to its end", False, repr(error))
    check.equal("no handler failed", server.failures(), [])
check.exit()
