"""How our clients get to a host: through the SOCKS5 proxy microsocks and the HTTP proxy tinyproxy, the
latter also with haproxy in front of it, which speaks TLS; and to a name with an address that is dead."""

import concurrent.futures
import contextlib
import re
import socket
import subprocess
import tempfile
import time
import traceback

from common import Checks, Client, Peer, find, pattern, pki, port_of, summed, test_server
from tls_common import CA, IDENTITY, ask_websocket, context, our_events, our_websocket, ssl, websockets_server

check = Checks()
BODY = summed(pattern(100_000))


class Logging(Peer):
    """A proxy that writes down where its clients want to go."""

    def __init__(self, start, log, pattern):
        self.log, self.pattern, self.read = log, pattern, 0
        super().__init__(start, log=log)

    def led_to(self, count=1, seconds=3):
        """Where since the last call, once there are so many."""
        end = time.monotonic() + seconds
        while True:
            with open(self.log, errors="replace") as file:
                led = re.findall(self.pattern, file.read())[self.read :]
            if len(led) >= count or time.monotonic() > end:
                self.read += len(led)
                return led
            time.sleep(0.02)


def microsocks(folder, *options):
    log = f"{folder}/microsocks{len(options)}.log"
    return Logging(lambda port: [find("microsocks"), "-i", "127.0.0.1", "-p", str(port), *options], log, r"connected to (\S+):\d+")


def tinyproxy(folder, name, *options):
    def start(port):
        with open(f"{folder}/{name}.conf", "w") as file:
            file.write("\n".join(["Listen 127.0.0.1", f"Port {port}", "Timeout 20", "MaxClients 50", "LogLevel Connect", f'PidFile "{folder}/{name}.pid"', *options]))
        return [find("tinyproxy"), "-d", "-c", f"{folder}/{name}.conf"]

    return Logging(start, f"{folder}/{name}.log", r"Request .*: CONNECT (\S+):\d+ ")


def haproxy(folder, behind):
    def start(port):
        with open(f"{folder}/haproxy.cfg", "w") as file:
            file.write(f"""
userlist known
    user Aladdin insecure-password opensesame
defaults
    mode http
    timeout connect 2s
    timeout client 20s
    timeout server 20s
    timeout tunnel 20s
frontend front
    bind 127.0.0.1:{port} ssl crt {pki("server+key.pem")}
    # Else it asks by 401, as servers do.
    option http-use-proxy-header
    http-request auth unless {{ http_auth(known) }}
    http-request del-header Proxy-Authorization
    default_backend back
backend back
    server proxy 127.0.0.1:{behind}
""")
        return [find("haproxy"), "-db", "-q", "-f", f"{folder}/haproxy.cfg"]

    return Peer(start)


class Hosts:
    """Servers with TLS and without, by their names."""

    def __init__(self, stack):
        self.plain, self.secure = (stack.enter_context(test_server(*more)) for more in ([], IDENTITY))
        self.http, self.https = (it.url(scheme).replace("127.0.0.1", "localhost") for it, scheme in [(self.plain, "http"), (self.secure, "https")])
        theirs, self.seen = stack.enter_context(websockets_server())
        by_tls, self.seen_by_tls = stack.enter_context(websockets_server(context(ssl.PROTOCOL_TLS_SERVER)))
        self.ws, self.wss = f"ws://localhost:{theirs}", f"wss://localhost:{by_tls}"

    def through(self, name, proxy, log, host, *, events=True):
        """Everything through this proxy, which is told of `host`."""
        flags = [*CA, "--proxy", proxy]
        our_websocket(check, f"{name}, ws", self.ws, self.seen, *flags)
        our_websocket(check, f"{name}, wss", self.wss, self.seen_by_tls, *flags)
        with Client(*flags) as client:
            for url in (self.http, self.https):
                answer = client.ask("GET", f"{url}/bytes/100000", times=3)
                check(f"{name}, {url.partition(':')[0]}: 3 requests through one tunnel", (answer.status, answer.same, answer.body) == (200, 3, BODY), answer)
        if events:
            our_events(check, name, f"{self.https}/events", *flags, count=3)
        check.equal(f"{name}: is told where to go", log.led_to(4 + events), [host] * (4 + events))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def refused(name, proxy, url, why, *flags):
    with Client(*(flags or CA), "--proxy", proxy) as client:
        answer = client.ask("GET", url)
        check(f"{name}: {why}", why in str(answer.error), answer)


def socks():
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        hosts = Hosts(stack)
        open_, closed = (stack.enter_context(microsocks(folder, *more)) for more in ([], ["-u", "us er", "-P", "p@ss:\u00fc"]))
        local, remote = (f"{scheme}://127.0.0.1:{open_.port}" for scheme in ("socks5", "socks5h"))
        hosts.through("SOCKS5, resolved here", local, open_, "127.0.0.1")
        hosts.through("SOCKS5, resolved there", remote, open_, "localhost", events=False)
        for proxy in (local, remote):
            refused(proxy.partition(":")[0], proxy, f"http://localhost:{free_port()}", "connection refused")
        at = f"127.0.0.1:{closed.port}"
        hosts.through("SOCKS5 with user and password", f"socks5h://us%20er:p%40ss%3A%C3%BC@{at}", closed, "localhost", events=False)
        refused("SOCKS5 with another password", f"socks5h://us%20er:pass@{at}", hosts.http, "did not take user and password")
        refused("SOCKS5 without the password it wants", f"socks5h://{at}", hosts.http, "the proxy wants user and password")
        said = ask_websocket(hosts.wss, *CA, "--proxy", f"socks5://user:pass@{at}")
        check("SOCKS5 with another user: a WebSocket is told", said.startswith("failed\t") and "did not take" in said, said)
        check.equal("SOCKS5: who may not is led nowhere", closed.led_to(seconds=0.2), [])


def http_proxy():
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        hosts = Hosts(stack)
        open_ = stack.enter_context(tinyproxy(folder, "open"))
        strict = stack.enter_context(tinyproxy(folder, "strict", "BasicAuth Aladdin opensesame", f"ConnectPort {port_of(hosts.https)}"))
        hosts.through("tinyproxy", open_.url, open_, "localhost")
        refused("tinyproxy, to where nobody listens", open_.url, f"https://localhost:{free_port()}", "the proxy answered 500")
        at = f"127.0.0.1:{strict.port}"
        refused("tinyproxy without a password", f"http://{at}", hosts.https, "the proxy wants user and password")
        refused("tinyproxy with another password", f"http://Aladdin:x@{at}", hosts.https, "the proxy answered 401")
        refused("tinyproxy, to a port that is not allowed", f"http://Aladdin:opensesame@{at}", hosts.http, "the proxy answered 403")
        said = ask_websocket(hosts.ws, "--proxy", f"http://{at}")
        check("tinyproxy without a password: a WebSocket is told", said.startswith("failed\t") and "wants user and password" in said, said)
        with Client(*CA, "--proxy", f"http://Aladdin:opensesame@{at}") as client:
            answer = client.ask("GET", f"{hosts.https}/bytes/100000")
            check("tinyproxy with the password", (answer.status, answer.body) == (200, BODY), answer)

        secure = stack.enter_context(haproxy(folder, open_.port))
        open_.led_to(seconds=0.2)
        at = f"localhost:{secure.port}"
        hosts.through("haproxy with TLS and password", f"https://Aladdin:opensesame@{at}", open_, "localhost", events=False)
        refused("haproxy without a password", f"https://{at}", hosts.https, "the proxy wants user and password")
        refused("haproxy with another password", f"https://Aladdin:x@{at}", hosts.https, "the proxy did not take user and password")
        refused("haproxy, whose issuer nobody knows", f"https://Aladdin:opensesame@{at}", hosts.http, "issued by nobody who is trusted", "--ca", pki("other-ca.pem"))
        check.equal("haproxy leads nobody else", open_.led_to(seconds=0.2), [])

        def by_environment(url, **variables):
            with Client(*CA, "--proxy", "environment", under=["env", *(f"{name}={value}" for name, value in variables.items())]) as client:
                answer = client.ask("GET", f"{url}/bytes/3")
                return answer.status, open_.led_to(seconds=0.2)

        nothing = f"http://127.0.0.1:{free_port()}"
        check.equal("http_proxy is for http://", by_environment(hosts.http, http_proxy=open_.url, https_proxy=nothing), (200, ["localhost"]))
        check.equal("https_proxy is for https://", by_environment(hosts.https, http_proxy=nothing, https_proxy=open_.url), (200, ["localhost"]))
        check.equal("all_proxy is for the rest", by_environment(hosts.https, http_proxy=nothing, all_proxy=open_.url), (200, ["localhost"]))
        check.equal("no_proxy is for what needs none", by_environment(hosts.https, all_proxy=open_.url, no_proxy="localhost"), (200, []))


def two_addresses(folder):
    """A name that is ::1 and 127.0.0.1, and the command under which it is: in a name space of its own, or
    as the machine has it. (None, None) if there is neither."""
    with open(f"{folder}/hosts", "w") as file:
        file.write("127.0.0.1 localhost\n::1 twofold\n127.0.0.1 twofold\n")
    mount = ["sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', f"{folder}/hosts"]
    ask = "import socket; print(sorted({it[4][0] for it in socket.getaddrinfo('NAME', 1)}))"
    for name, under in [("twofold", ["unshare", "-rm", *mount]), ("twofold", ["unshare", "-m", *mount]), ("localhost", [])]:
        with contextlib.suppress(OSError):
            got = subprocess.run([*under, "python3", "-c", ask.replace("NAME", name)], capture_output=True, timeout=5, check=False)
            if got.stdout == b"['127.0.0.1', '::1']\n":
                return name, under
    return None, None


def dead_and_alive():
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        name, under = two_addresses(folder)
        server = stack.enter_context(test_server())
        port = port_of(server.url("http"))
        try:
            silent = stack.enter_context(socket.socket(socket.AF_INET6))
            silent.bind(("::1", port))
        except OSError:
            name = None
        if not name:
            return print("skip  a name with a dead address: this machine has no IPv6, or no such name", flush=True)

        def ask(what, at_least, at_most):
            with Client(under=under) as client:
                client.ask("GET", f"http://127.0.0.1:{port}/")  # it runs
                start = time.monotonic()
                answer = client.ask("GET", f"http://{name}:{port}/bytes/3", connect=6000)
                took = time.monotonic() - start
            check(f"a name with an address that {what}", answer.status == 200 and at_least <= took < at_most, (took, answer))

        ask("refuses", 0, 3)
        # A queue that is full: whoever else comes is not answered.
        silent.listen(0)
        waiting = [stack.enter_context(socket.socket(socket.AF_INET6)) for _ in range(4)]
        for it in waiting:
            it.setblocking(False)
            it.connect_ex(("::1", port))
        time.sleep(0.1)
        with socket.socket(socket.AF_INET6) as probe:
            probe.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                probe.connect(("::1", port))
                return print("skip  an address that is silent: this system answers in spite of a full queue", flush=True)
        ask("is silent", 0.24, 3)  # RFC 8305, 5: the next one after a quarter of a second
        with Client(under=under) as client:
            answer = client.ask("GET", f"http://{name}:{free_port()}/")
            check("a name of which no address answers: each is told", all(it in str(answer.error) for it in ("[::1]:", "127.0.0.1:")), answer)


with concurrent.futures.ThreadPoolExecutor() as pool:
    for task in [pool.submit(what) for what in (socks, http_proxy, dead_and_alive)]:
        try:
            task.result(timeout=60)
        except Exception as error:
            traceback.print_exc()
            check("every step comes to its end", False, repr(error))
check.exit()
