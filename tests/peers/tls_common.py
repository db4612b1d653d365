"""What the scripts about TLS and about proxies share: peers of Python's that speak TLS or do not, and our
clients with flags."""

import contextlib
import json
import ssl
import subprocess
import threading
import time

from websockets.sync.server import serve

from common import Example, Raw, pattern, pki, shorten

CA = ["--ca", pki("ca.pem")]
IDENTITY = ["--cert", pki("server.pem"), "--key", pki("server.key")]
CLIENT = ["--cert", pki("client.pem"), "--key", pki("client.key")]
LARGE = pattern(5 << 20)
MESSAGES = ["a", b"b", "", "\u6f6e\u6c50 " * 5000, pattern(1 << 20), *map(str, range(50))]


def context(side, version=None):
    """Python's TLS: a client that trusts our issuer, or a server that is `localhost`."""
    made = ssl.SSLContext(side)
    if version:
        made.minimum_version = made.maximum_version = version
    if side == ssl.PROTOCOL_TLS_CLIENT:
        made.load_verify_locations(pki("ca.pem"))
    else:
        made.load_cert_chain(pki("server.pem"), pki("server.key"))
    return made


class Secure(Raw):
    """A client made of a socket with TLS. An end without `close_notify` is an error."""

    def __init__(self, url, *data, tls=None, name="localhost", session=None):
        super().__init__(url)
        tls = tls or context(ssl.PROTOCOL_TLS_CLIENT)
        self.socket = tls.wrap_socket(self.socket, server_hostname=name, suppress_ragged_eofs=False, session=session)
        for piece in data:
            self.send(piece)


def talk(ws):
    """Sends messages to a peer that sends them back, and closes. What differs."""
    differs = []
    for message in MESSAGES:
        ws.send(message)
        got = ws.recv(timeout=5)
        if got != message:
            differs.append(f"{shorten(message)} came back as {shorten(got)}")
    if not ws.ping(b"p").wait(5):
        differs.append("no pong")
    ws.close(1000, "done")
    if ws.close_code != 1000:
        differs.append(f"closed with {ws.close_code}")
    return differs


@contextlib.contextmanager
def websockets_server(tls=None):
    """The port of a server that talks to each client, and what it saw."""
    seen = []

    def handler(ws):
        try:
            seen.append(talk(ws))
        except Exception as error:
            seen.append([repr(error)])

    with serve(handler, "127.0.0.1", 0, ssl=tls, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.socket.getsockname()[1], seen
        finally:
            server.shutdown()
            thread.join(5)


def our_websocket(check, name, url, seen, *flags):
    """Our WebSocket client, to a server of `websockets_server` by any way."""
    before = len(seen)
    said, end = ask_websocket(url, *flags), time.monotonic() + 3
    while len(seen) == before and time.monotonic() < end:  # the server may be the last to know
        time.sleep(0.01)
    ok = said.startswith("ended\t") and f"\tcode=1000\tclean=true\tmessages={len(MESSAGES)}\t" in said and seen[before:] == [[]]
    check(f"{name}: our WebSocket", ok, (said, seen[before:]))


def ask_websocket(url, *flags, **more):
    """What our client says of a connection."""
    with Example("ws-test-client", *flags, folder="PROGRAMS", stdin=subprocess.PIPE, **more) as client:
        client.process.stdin.write(f"{url}\n")
        client.process.stdin.flush()
        _, match = client.wait_for("^(ended|failed)\t.*", 10)
        return match.string if match else "nothing in 10 s"


def our_events(check, name, url, *flags, count=4):
    """Our EventSource: events come a tenth of a second apart, and not in a lump. A busy machine may delay some."""
    with Example("sse-test-client", "--url", url, "--messages", str(count), "--attempts", "1", *flags, folder="PROGRAMS") as client:
        came, others, end = [], [], time.monotonic() + 10
        while len(came) < count:
            at, match = client.wait_for("^{.*", end - time.monotonic())
            if not match:
                break
            told = json.loads(match.string)
            if told["kind"] == "message":
                came.append((at, told["data"]))
            else:
                others.append(told)
            if told["kind"] in ("error", "closed"):
                break
    data, took = [data for _, data in came], came[-1][0] - came[0][0] if came else 0
    check(f"{name}: our EventSource gets events in time", data == [str(n) for n in range(count)] and 0.05 * (count - 1) < took < 3, (came, others))
