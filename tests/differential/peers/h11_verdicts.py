"""A case a line in, a verdict a line out: Python's h11."""

import json
import sys

import h11

LIMIT = 1 << 20


def text(data):
    return bytes(data).decode("latin-1")


def fields(headers):
    return [[text(name), text(value)] for name, value in headers.raw_items()]


def message(event, first, second):
    return {
        "first": text(first),
        "second": text(second),
        "minor": 0 if event.http_version == b"1.0" else 1,
        "fields": fields(event.headers),
        "body": "",
        "trailers": [],
        "keep_alive": None,
        "complete": False,
    }


def requests(data, messages):
    conn = h11.Connection(h11.SERVER, max_incomplete_event_size=LIMIT)
    conn.receive_data(data)
    while True:
        event = conn.next_event()
        if isinstance(event, h11.Request):
            messages.append(message(event, event.method, event.target))
        elif isinstance(event, h11.Data):
            messages[-1]["body"] += text(event.data)
        elif isinstance(event, h11.EndOfMessage):
            messages[-1].update(complete=True, trailers=fields(event.headers))
            status = 404 if messages[-1]["first"] == "CONNECT" else 200
            # Whether h11 could go on depends on the request alone.
            conn.send(h11.Response(status_code=status, headers=[("Content-Length", "0")]))
            conn.send(h11.EndOfMessage())
            messages[-1]["keep_alive"] = conn.their_state is h11.DONE
            if conn.their_state is not h11.DONE:
                return {"complete": {"surplus": len(conn.trailing_data[0])}}
            conn.start_next_cycle()
        elif event is h11.NEED_DATA:
            conn.receive_data(b"")
        elif isinstance(event, h11.ConnectionClosed):
            # h11 does not tell an unfinished head from no head.
            rest = conn.trailing_data[0]
            return "incomplete" if rest else {"complete": {"surplus": 0}}
        else:
            raise AssertionError(event)


ASKED = {
    "GET": ("GET", "/", []),
    "HEAD": ("HEAD", "/", []),
    "CONNECT": ("CONNECT", "example.com:443", []),
    "UPGRADE": ("GET", "/", [("Connection", "Upgrade"), ("Upgrade", "websocket")]),
}


def responses(asked, data, messages):
    conn = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT)
    conn.receive_data(data)
    for number, what in enumerate(asked):
        method, target, more = ASKED[what]
        conn.send(h11.Request(method=method, target=target, headers=[("Host", "example.com"), *more]))
        conn.send(h11.EndOfMessage())
        while True:
            event = conn.next_event()
            if isinstance(event, (h11.InformationalResponse, h11.Response)):
                status = str(event.status_code).encode()
                messages.append(message(event, status, event.reason))
                messages[-1]["complete"] = isinstance(event, h11.InformationalResponse)
            elif isinstance(event, h11.Data):
                messages[-1]["body"] += text(event.data)
            elif isinstance(event, h11.EndOfMessage):
                messages[-1].update(complete=True, trailers=fields(event.headers))
                messages[-1]["keep_alive"] = conn.their_state is h11.DONE
                last = number + 1 == len(asked)
                if last or conn.their_state is not h11.DONE:
                    return {"complete": {"surplus": len(conn.trailing_data[0])}}
                conn.start_next_cycle()
                break
            elif event is h11.NEED_DATA:
                conn.receive_data(b"")
            elif event is h11.PAUSED:
                messages[-1]["complete"] = True
                return "unknown"
            elif isinstance(event, h11.ConnectionClosed):
                if conn.their_state is h11.SWITCHED_PROTOCOL:
                    messages[-1]["complete"] = True
                    return "unknown"
                return "incomplete"
            else:
                raise AssertionError(event)


# How h11 says that the stream ended within a message.
UNFINISHED = "peer closed connection", "peer unexpectedly closed", "can't handle event type ConnectionClosed"


def judge(case):
    data = case["bytes"].encode("latin-1")
    messages = []
    try:
        if case["asked"]:
            end = responses(case["asked"], data, messages)
        else:
            end = requests(data, messages)
    except h11.RemoteProtocolError as error:
        why = str(error)
        unfinished = any(text in why for text in UNFINISHED)
        end = "incomplete" if unfinished else {"refused": {"why": why, "at": None}}
    return {"messages": messages, "end": end}


for line in sys.stdin:
    print(json.dumps(judge(json.loads(line))), flush=True)
