"""What the checks are made of: the service, a stream server of raw sockets, and a receiver of callbacks."""

import http.client
import http.server
import itertools
import json
import os
import queue
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
from common import RUNTIME, Example, shorten  # noqa: E402, F401

PATIENCE = 10  # seconds for what must happen
MOMENT = 0.3  # seconds for what must not

CHECKS = []


def check(name, alone=False):
    """Makes a check of a function of a Case; `alone`, if others at the same time would disturb it."""

    def add(body):
        if any(name == known for known, _, _ in CHECKS):
            sys.exit(f"two checks are called {name}")
        CHECKS.append((name, body, alone))
        return body

    return add


class Failed(Exception):
    pass


def expect(ok, what):
    if not ok:
        raise Failed(what)


def equal(got, want, what):
    expect(got == want, f"{what}: got {shorten(got)}, want {shorten(want)}")


def event(data, type="message", id=""):
    return {"kind": "event", "event": {"type": type, "data": data, "id": id}}


def comment(text):
    return {"kind": "comment", "comment": text}


class Callbacks(http.server.ThreadingHTTPServer):
    """Takes the callbacks of all streams: `/NAME/1`, `/NAME/2`, ..."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Callback)
        self.receivers = {}
        self.names = itertools.count()  # of which each is given once, to whichever thread
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # a callback that was given up

    def receiver(self):
        name = str(next(self.names))
        self.receivers[name] = Receiver(f"http://127.0.0.1:{self.server_port}/{name}")
        return self.receivers[name]


class Receiver:
    """The callbacks of one stream, in the order in which they came."""

    def __init__(self, url):
        self.url = url
        self.items = queue.Queue()  # items, or what is wrong with a callback, as text
        self.came = 0
        self.lock = threading.Lock()
        self.status = 200
        self.delay = 0
        self.closes = False  # the connection, behind each response
        self.chunked = False  # responses
        self.gate = threading.Event()  # cleared, no callback is answered
        self.gate.set()

    def take(self, path, kind, body):
        if not self.lock.acquire(blocking=False):
            self.items.put(f"{path} came before the one before it was answered")
            return
        try:
            self.came += 1
            if path != f"/{self.came}":
                self.items.put(f"{path} came in place of /{self.came}")
            elif kind != "application/json":
                self.items.put(f"{path} has the type {kind}")
            else:
                try:
                    self.items.put(json.loads(body))
                except ValueError as error:
                    self.items.put(f"{path} is no JSON: {error}")
            time.sleep(self.delay)
            self.gate.wait(60)
        finally:
            self.lock.release()


class Callback(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        name, _, number = self.path[1:].partition("/")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver = self.server.receivers[name]
        receiver.take("/" + number, self.headers["Content-Type"], body)
        self.send_response(receiver.status)
        if receiver.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", "2")
        if receiver.closes:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n" if receiver.chunked else b"ok")

    def log_message(self, *_):
        pass


class Service(Example):
    """The service as a process."""

    def __init__(self):
        super().__init__("sse-contract-service", "--port", "0", folder="PROGRAMS")
        self.port = int(self.url("http").rpartition(":")[2])
        self.callbacks = Callbacks()

    def ask(self, method, path, body=None):
        """Status, fields and body of the response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def memory(self):
        """In bytes, as the kernel counts it."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Case:
    """One check's view of the service. What it starts is closed at its end."""

    def __init__(self, service):
        self.service = service
        self.clients = []
        self.servers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.receiver.gate.set()
            self.service.ask("DELETE", client.location)
        for server in self.servers:
            server.close()

    def ask(self, *args):
        return self.service.ask(*args)

    def server(self):
        server = StreamServer()
        self.servers.append(server)
        return server

    def start(self, url, **params):
        """The client of a stream at `url`, with a reconnection delay of 20 ms unless `params` say otherwise."""
        client = Client(self.service, url, {"initialDelayMs": 20, **params})
        self.clients.append(client)
        return client

    def stream(self, **params):
        """A server, an open stream from it, and the client at its other end."""
        server = self.server()
        client = self.start(server.url, **params)
        return server, server.next().open(), client


class Client:
    """A client that the service has started."""

    def __init__(self, service, url, params):
        self.service = service
        self.receiver = service.callbacks.receiver()
        params = {"streamUrl": url, "callbackUrl": self.receiver.url, **params}
        status, fields, body = service.ask("POST", "/", params)
        equal(status, 201, f"the status of POST / ({body[:200]})")
        self.location = fields["Location"]
        expect(self.location, "no Location")

    def next(self, seconds=PATIENCE):
        try:
            item = self.receiver.items.get(timeout=seconds)
        except queue.Empty:
            raise Failed(f"no callback in {seconds} s") from None
        expect(isinstance(item, dict), item)
        return item

    def expect(self, *items):
        """These come next."""
        for number, item in enumerate(items, 1):
            equal(self.next(), item, f"item {number} of {len(items)}")

    def data(self, *texts, id=""):
        """Events of the default type come next, with this data."""
        self.expect(*(event(text, id=id) for text in texts))

    def error(self, *words, seconds=PATIENCE):
        """An error comes next, with these words in it."""
        item = self.next(seconds)
        equal((item.get("kind"), sorted(item)), ("error", ["error", "kind"]), f"an error, not {shorten(item)}")
        for word in words:
            expect(word in item["error"], f"{word!r} is not in {item['error']!r}")
        return item["error"]

    def nothing(self, seconds=MOMENT):
        """No callback comes for so long."""
        try:
            raise Failed(f"came unasked: {shorten(self.receiver.items.get(timeout=seconds))}")
        except queue.Empty:
            pass

    def command(self, command):
        return self.service.ask("POST", self.location, {"command": command})

    def restart(self):
        equal(self.command("restart")[0], 204, "the status of a restart")

    def close(self):
        equal(self.service.ask("DELETE", self.location)[0], 204, "the status of DELETE")


class StreamServer:
    """A server whose every byte the check decides on."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/stream"
        self.connections = []

    def down(self):
        """Refuses connections, and keeps its port."""
        self.socket.close()
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        return self

    def up(self):
        self.socket.listen(512)

    def close(self):
        self.socket.close()
        for connection in self.connections:
            connection.cut()

    def next(self, seconds=PATIENCE):
        """The next request."""
        self.socket.settimeout(seconds)
        try:
            accepted, _ = self.socket.accept()
        except TimeoutError:
            raise Failed(f"no connection in {seconds} s") from None
        connection = Connection(accepted)
        self.connections.append(connection)
        connection.read_request()
        return connection

    def nobody(self, seconds=MOMENT):
        """No connection comes for so long."""
        self.socket.settimeout(max(seconds, 0.01))
        try:
            self.socket.accept()
        except TimeoutError:
            return
        raise Failed("connected unasked")


class Connection:
    """A connection that the client has made, and its request."""

    def __init__(self, accepted):
        self.socket = accepted
        self.socket.settimeout(PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.chunked = False

    def read_request(self):
        read = b""
        while b"\r\n\r\n" not in read:
            read += self._receive()
        head, _, self.body = read.partition(b"\r\n\r\n")
        line, *fields = head.decode("utf-8").split("\r\n")
        self.method, self.target, self.version = line.split(" ")
        self.fields = [(name.lower(), value.strip()) for name, _, value in (f.partition(":") for f in fields)]
        while len(self.body) < int(self.field("content-length") or 0):
            self.body += self._receive()

    def _receive(self):
        try:
            read = self.socket.recv(65536)
        except TimeoutError:
            raise Failed("the client did not send its request") from None
        expect(read, "the client closed within its request")
        return read

    def field(self, name):
        """The value of a field; None if there is none. Two of a name fail the check."""
        values = [value for n, value in self.fields if n == name]
        expect(len(values) <= 1, f"{name} came {len(values)} times")
        return values[0] if values else None

    def head(self, status, *fields):
        lines = [f"HTTP/1.1 {status} Reason", *(f"{name}: {value}" for name, value in fields)]
        self.raw("\r\n".join(lines) + "\r\n\r\n")
        return self

    def reply(self, status, *fields, body=""):
        """A whole response, and the end of the connection."""
        length = () if status in (204, 304) else (("Content-Length", len(body)),)
        self.head(status, *fields, *length, ("Connection", "close")).raw(body)
        self.socket.shutdown(socket.SHUT_WR)

    def redirect(self, status, location):
        self.reply(status, ("Location", location))

    def open(self, chunked=True):
        """A stream in chunks, or until the connection closes."""
        self.chunked = chunked
        fields = [("Content-Type", "text/event-stream")]
        return self.head(200, *fields, *([("Transfer-Encoding", "chunked")] if chunked else []))

    def raw(self, data):
        data = data.encode() if isinstance(data, str) else data
        try:
            self.socket.sendall(data)
        except TimeoutError:
            raise Failed("the client took nothing") from None

    def send(self, *pieces, pause=0.0):
        """Pieces of the stream, each a chunk of its own if it is in chunks."""
        for piece in pieces:
            piece = piece.encode() if isinstance(piece, str) else piece
            self.raw(b"%x\r\n%s\r\n" % (len(piece), piece) if self.chunked and piece else piece)
            if pause:
                time.sleep(pause)
        return self

    def send_in(self, data, size, pause=0.001):
        """The stream's bytes in pieces of this size."""
        data = data.encode() if isinstance(data, str) else data
        return self.send(*(data[at : at + size] for at in range(0, len(data), size)), pause=pause)

    def end(self):
        """The end of the stream, in order."""
        if self.chunked:
            self.raw("0\r\n\r\n")
        self.socket.close()

    def cut(self):
        """The end of the connection, in the midst of whatever there was."""
        self.socket.close()

    def reset(self):
        """The end of the connection by a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def dropped(self, seconds=2):
        """The client closes its connection in this time."""
        self.socket.settimeout(seconds)
        try:
            read = self.socket.recv(1)
        except TimeoutError:
            raise Failed(f"the connection is still there after {seconds} s") from None
        except ConnectionError:
            return
        equal(read, b"", "what comes behind the request")

    def stays(self, seconds=MOMENT):
        """The client keeps its connection for so long."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1)
        except TimeoutError:
            return
        except ConnectionError:
            pass
        raise Failed("the connection was dropped")
