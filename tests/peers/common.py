"""What the peers in Python share: checks that print a line, and examples that run as processes."""

import contextlib
import hashlib
import json
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

RUNTIME = sys.argv[1] if len(sys.argv) > 1 else "smol"


class Checks:
    def __init__(self):
        self.failed = 0

    def __call__(self, name, ok, detail=""):
        line = f"ok    {name}" if ok else f"FAIL  {name}: {detail}"
        print(line + "\n", end="", flush=True)  # one write, whatever other threads print
        self.failed += not ok
        return ok

    def equal(self, name, got, want):
        return self(name, got == want, f"got {shorten(got)}, want {shorten(want)}")

    def exit(self):
        sys.exit(1 if self.failed else 0)


def shorten(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:280]}... ({len(text)} characters)"


def curl(*args, seconds=5, **more):
    """Standard output and the exit status. 28 is curl's own for the end of --max-time."""
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(seconds), *args]
    if "input" not in more:
        more["stdin"] = subprocess.DEVNULL
    done = subprocess.run(command, capture_output=True, timeout=seconds + 5, check=False, **more)
    return done.stdout, done.returncode


def split(response):
    """The status line, the fields (lower-case names) and the body."""
    head, _, body = response.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    return status, [(name.lower(), value.strip()) for name, _, value in (f.partition(":") for f in fields)], body


def values(fields, name):
    return [value for n, value in fields if n == name]


def pattern(size):
    """What the test server's /bytes/N gives."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def summed(data):
    """What the test server's /count says of a body."""
    return f"{len(data)} {hashlib.sha1(data).hexdigest()}"


def pki(name):
    """A file that `certificates` has made."""
    return os.path.join(os.environ["PKI"], name)


def port_of(url):
    return int(url.rpartition(":")[2])


class Raw:
    """A client made of a socket."""

    def __init__(self, url, *data):
        self.socket = socket.create_connection(("127.0.0.1", port_of(url)), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got = b""
        for piece in data:
            self.send(piece)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def until(self, mark, seconds=5):
        """Reads until `mark` has come and returns what came, or all if it ends or takes too long."""
        end = time.monotonic() + seconds
        while mark not in self.got:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                piece = self.socket.recv(65536)
            except TimeoutError:
                return self.got + b"<still open>"
            except ConnectionError:
                piece = b""
            if not piece:
                break
            self.got += piece
        at = self.got.find(mark) + len(mark) if mark in self.got else len(self.got)
        got, self.got = self.got[:at], self.got[at:]
        return got

    def end(self, seconds=5):
        """What comes until the server closes; `<still open>` behind it if it does not."""
        return self.until(b"<never sent>", seconds)


def exchange(url, *data, seconds=5):
    """What a server answers to bytes, until it closes."""
    with Raw(url, *data) as raw:
        return raw.end(seconds)


class Example:
    """A program of the repository as a process, its lines of output with the time they came: an
    example, or one of the tests' own from the folder PROGRAMS. `under` is a command that starts it."""

    def __init__(self, name, *args, folder="EXAMPLES", stdin=subprocess.DEVNULL, under=()):
        program = os.path.join(os.environ[folder], name)
        self.name = name
        self.seen = []
        self.queue = queue.Queue()
        self.process = subprocess.Popen(
            [*under, program, "--runtime", RUNTIME, *args], stdin=stdin, stdout=subprocess.PIPE, text=True
        )
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.queue.put((time.monotonic(), line.rstrip("\n")))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def wait_for(self, pattern, seconds):
        """The time of, and the match in, the next line that matches; (None, None) if none comes."""
        end = time.monotonic() + seconds
        while True:
            try:
                at, line = self.queue.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                return None, None
            self.seen.append(line)
            match = re.search(pattern, line)
            if match:
                return at, match

    def url(self, scheme):
        """The address that a server prints on its first line."""
        _, match = self.wait_for(rf"^listening on ({scheme}://127\.0\.0\.1:\d+)$", 10)
        if not match:
            self.stop()
            sys.exit(f"FAIL  {self.name} says where it listens: {shorten(self.seen)}")
        return match.group(1)

    def descriptors(self):
        """How many files and sockets the process has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def listens(process, port):
    """Whether it is this process that listens there. That somebody does is not enough."""
    with open("/proc/net/tcp") as file:
        sockets = [line.split() for line in file]
    # Local address, state (0A is LISTEN), inode.
    inodes = {line[9] for line in sockets if line[1].endswith(f":{port:04X}") and line[3] == "0A"}
    try:
        files = [os.readlink(f"/proc/{process}/fd/{fd}") for fd in os.listdir(f"/proc/{process}/fd")]
    except OSError:
        return False  # one of them was closed meanwhile
    return any(f"socket:[{inode}]" in files for inode in inodes)


class Peer:
    """A program of others that listens on a port of its choice: `start(port)` gives its command. What
    it says goes to the file `log`, if there is one."""

    def __init__(self, start, attempts=5, log=None):
        for _ in range(attempts):
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
            says = open(log, "ab") if log else contextlib.nullcontext()
            with says as out:
                self.process = subprocess.Popen(start(self.port), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            end = time.monotonic() + 10
            while self.process.poll() is None and time.monotonic() < end:
                if listens(self.process.pid, self.port):
                    return
                time.sleep(0.02)
            self.stop()  # somebody else got the port
        sys.exit(f"FAIL  {self.process.args[0]} starts")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def nginx(folder, servers):
    """nginx with its files in `folder`; `servers(port)` gives what stands in its `http`."""

    def start(port):
        temporary = "".join(f"{x}_temp_path {folder}/{x};" for x in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(f"{folder}/nginx.conf", "w") as file:
            file.write(
                f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log info;"
                f"events {{ worker_connections 512; }} http {{ access_log off; {temporary} {servers(port)} }}"
            )
        return [find("nginx"), "-e", f"{folder}/error.log", "-p", folder, "-c", f"{folder}/nginx.conf"]

    return Peer(start)


def find(command):
    """Daemons are not in everybody's path."""
    return shutil.which(command, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")


def test_server(*args):
    return Example("http-test-server", *args, folder="PROGRAMS")


def stats(url):
    """Connections and requests so far, and connections now, this one among all of them."""
    return [int(number) for number in curl(url + "/stats")[0].split()]


class EventServer(Example):
    """The test server of event streams, and what it tells with the time that it came."""

    def __init__(self):
        self.told = []
        super().__init__("sse-test-server", folder="PROGRAMS")
        self.at = self.url("http")

    def _read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self.told.append((time.monotonic(), json.loads(line)))
            else:
                self.queue.put((time.monotonic(), line.rstrip("\n")))

    def requests(self, target):
        told = [(at, line["request"]) for at, line in list(self.told) if "request" in line]
        return [(at, request) for at, request in told if request["target"] == target]

    def named(self, target):
        """The last ids that requests have named. What was answered was told before, and is read soon."""
        time.sleep(0.1)
        return [request.get("Last-Event-ID") for _, request in self.requests(target)]

    def ended(self, target, count=1, seconds=3):
        """The streams that have ended, once there are so many, or time is up."""
        end = time.monotonic() + seconds
        while True:
            told = [(at, line) for at, line in list(self.told) if line.get("ended") == target]
            if len(told) >= count or time.monotonic() > end:
                return told
            time.sleep(0.01)

    def failures(self):
        failed = [line["failed"] for _, line in list(self.told) if "failed" in line]
        return [why for why in failed if why != "cut, as asked"]


class Answer:
    """What the test client tells of a request; what it does not tell is None, or an empty list."""

    def __init__(self, line):
        self.line = line
        for name in ("status", "body", "error", "late", "url", "sent", "same", "idle", "echo", "ended"):
            setattr(self, name, None)
        self.fields, self.trailers, self.interim = [], [], []
        for word in line.split("\t"):
            key, _, value = word.partition("=")
            if key[0] in ".+":
                (self.fields if key[0] == "." else self.trailers).append((key[1:].lower(), value))
            elif key == "interim":
                self.interim.append(value)
            else:
                setattr(self, key, int(value) if value.isdecimal() else value)

    def field(self, name):
        return ", ".join(values(self.fields, name))

    def __repr__(self):
        return self.line


class Client(Example):
    """The test client, which asks what it is told to."""

    def __init__(self, *args, **more):
        self.how = args, more
        super().__init__("http-test-client", *args, folder="PROGRAMS", stdin=subprocess.PIPE, **more)

    def ask(self, method, url, *more, seconds=8, **options):
        """`more` are options that come several times: pairs."""
        if self.process.poll() is not None:
            self.__init__(*self.how[0], **self.how[1])  # it gave no answer the last time
        words = [method, url, *(f"{key}={value}" for key, value in [*more, *options.items()])]
        self.process.stdin.write("\t".join(words) + "\n")
        self.process.stdin.flush()
        _, match = self.wait_for(r"\tidle=\d+$", seconds)
        if not match:
            self.stop()
        return Answer(match.string if match else f"never=no answer in {seconds} s")
