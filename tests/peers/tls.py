"""TLS of the programs of the tests: the servers under curl, openssl and Python, the clients against Python,
and both with nginx between them, which speaks TLS to either side. WebSocket traffic by TLS at random is
in ws_traffic.py and ws_node.cjs."""

import concurrent.futures
import contextlib
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import traceback

from websockets.sync.client import connect

from common import Checks, Client, curl, exchange, nginx, pattern, pki, port_of, shorten, summed, test_server
from tls_common import CA, CLIENT, IDENTITY, LARGE, Secure, context, our_events, our_websocket, talk, websockets_server

check = Checks()
VERSIONS = [(ssl.TLSVersion.TLSv1_2, "1.2", "0303"), (ssl.TLSVersion.TLSv1_3, "1.3", "0304")]
TRUST = ["--cacert", pki("ca.pem")]
GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"


def under_curl(port):
    for _, version, number in VERSIONS:
        out, status = curl(*TRUST, f"--tlsv{version}", "--tls-max", version, "-w", " %{http_version} %{num_connects}\n",
                           f"https://localhost:{port}/tls", f"https://localhost:{port}/tls")
        want = "".join(f"{number} http/1.1 localhost {summed(b'')} 1.1 {connects}\n" for connects in (1, 0))
        check.equal(f"curl, TLS {version}: two requests on one connection", (status, out.decode()), (0, want))
    url = f"https://127.0.0.1:{port}"
    out, status = curl(*TRUST, url + "/tls")
    check.equal("curl: an address is no name to be told", (status, out.decode().split(" ")[2]), (0, ""))
    out, status = curl(*TRUST, "-H", "Expect:", "--data-binary", "@-", url + "/echo", input=LARGE, seconds=10)
    check("curl: 5 MiB come back", (status, out) == (0, LARGE), shorten(out))
    out, status = curl(*TRUST, url + "/chunked/300000", url + "/known/300000")
    check("curl: 300 kB in pieces", (status, out) == (0, pattern(300_000) * 2), shorten(out))
    out, status = curl(*TRUST, "-o", "/dev/null", url + "/cut/100000")
    check("curl: a response that is cut off is seen to be", status in (18, 56), status)


def refusals(server, port):
    """What is no connection does not harm the server, which tells of it."""
    _, status = curl("--cacert", pki("other-ca.pem"), f"https://localhost:{port}/")
    _, told = server.wait_for("^tls: .*", 3)
    check("curl trusts somebody else, and the server is told", status == 60 and told and "unknown" in told.string.lower(), (status, told))
    got = exchange(f"http://127.0.0.1:{port}", GET % (b"/", b""))
    _, told = server.wait_for("^tls: .*", 3)
    check("HTTP without TLS is answered by an alert, and told", got[:1] == b"\x15" and told and "does not speak TLS" in told.string, (got, told))


def under_python(url):
    for version, name, _ in VERSIONS:
        tls = context(ssl.PROTOCOL_TLS_CLIENT, version)
        session, reused = None, []
        for _ in range(2):
            try:
                with Secure(url, GET % (b"/bytes/3", b"Connection: close\r\n"), tls=tls, session=session) as raw:
                    got = raw.end()
                    reused.append(raw.socket.session_reused)
                    session = raw.socket.session
            except OSError as error:
                got = repr(error)
            check(f"Python, TLS {name}: a response, and then close_notify", got[-3:] == pattern(3), got)
        check.equal(f"Python, TLS {name}: the second connection resumes the session", reused, [False, True])
    with Secure(url) as raw:
        for byte in GET % (b"/bytes/5", b""):
            raw.send(bytes([byte]))
        check("Python: a record for each byte", raw.until(pattern(5)).startswith(b"HTTP/1.1 200 "), raw.got)
        raw.send(GET % (b"/events", b""))
        times = []
        for n in range(4):
            raw.until(b"data: %d\n\n" % n)
            times.append(time.monotonic())
        # The server sends them a tenth of a second apart. A busy machine may delay some.
        check("Python: events come in time, and not in a lump", 0.15 < times[3] - times[0] < 3, times)


def under_openssl(port):
    """Both ends take new keys in the midst of a connection (RFC 8446, 4.6.3)."""
    command = ["openssl", "s_client", "-connect", f"localhost:{port}", "-CAfile", pki("ca.pem"), "-verify_return_error", "-servername", "localhost"]
    got, ask = b"", GET % (b"/bytes/%d", b"")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        guard = threading.Timer(8, client.kill)
        guard.start()
        # A command has to be in a read of its own.
        for piece, answer in [(b"", b"Verify return code"), (ask % 1000, pattern(1000)), (b"K\n", b"KEYUPDATE"), (ask % 2000, pattern(2000)),
                              (b"k\n", b"KEYUPDATE"), (ask % 3000, pattern(3000))]:
            with contextlib.suppress(BrokenPipeError):
                client.stdin.write(piece)
                client.stdin.flush()
            while answer not in got and (more := client.stdout.read1(65536)):
                got += more
            before, found, got = got.partition(answer)
            if not found:
                break
        client.kill()
        guard.cancel()
    check("openssl: goes on with new keys", found, shorten(before[-300:]))


def client_certificates():
    der = ssl.PEM_cert_to_DER_cert(open(pki("client.pem")).read())
    with test_server(*IDENTITY, *CA) as server:
        url = server.url("https").replace("127.0.0.1", "localhost")
        for _, version, number in VERSIONS:
            bound = [f"--tlsv{version}", "--tls-max", version]
            out, status = curl(*TRUST, *bound, "--cert", pki("client.pem"), "--key", pki("client.key"), url + "/tls")
            check.equal(f"curl, TLS {version}: has shown its certificate", (status, out.decode()), (0, f"{number} http/1.1 localhost {summed(der)}"))
            out, status = curl(*TRUST, *bound, url + "/tls")
            _, told = server.wait_for("^tls: .*", 3)
            check(f"curl, TLS {version}: without one it is refused", status in (35, 56, 98) and out == b"" and told and "no certificate" in told.string, (status, out, told))
        for name, why in [("stranger", "issued by nobody"), ("server", "cannot be used")]:
            out, status = curl(*TRUST, "--cert", pki(f"{name}.pem"), "--key", pki(f"{name}.key"), url + "/tls")
            _, told = server.wait_for("^tls: .*", 3)
            check(f"curl: nor does {name}.pem do", status in (35, 56, 98) and told and why in told.string, (status, told))
        client = Client(*CA, *CLIENT)
        with client:
            answer = client.ask("GET", url + "/tls")
            check.equal("our client has shown its certificate to our server", answer.body, summed(f"0304 http/1.1 localhost {summed(der)}".encode()))


class PythonServer:
    """Answers each connection with the same, by TLS, and ends it with `close_notify` or without."""

    def __init__(self, tls, answer, notify=True):
        self.tls, self.answer, self.notify, self.seen = tls, answer, notify, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            plain.settimeout(5)
            try:
                with self.tls.wrap_socket(plain, server_side=True) if self.tls else plain as peer:
                    while not self.answer.startswith(b"now ") and b"\r\n\r\n" not in peer.recv(65536):
                        pass
                    if self.tls:
                        self.seen.append((peer.version(), peer.selected_alpn_protocol(), peer.getpeercert()))
                    peer.sendall(self.answer)
                    if self.tls and self.notify:
                        peer.unwrap()
            except OSError as error:
                self.seen.append(repr(error))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(6)


def against_python():
    ok = b"HTTP/1.1 200 OK\r\n\r\nhello"
    for version, name, _ in VERSIONS:
        tls = context(ssl.PROTOCOL_TLS_SERVER, version)
        tls.set_alpn_protocols(["h2", "http/1.1"])
        with PythonServer(tls, ok) as server, Client(*CA) as client:
            answer = client.ask("GET", server.url)
            check(f"our client, TLS {name}: a body that close_notify ends", answer.body == summed(b"hello") and not answer.error, answer)
            check.equal(f"our client, TLS {name}: asks for HTTP/1.1", server.seen[:1], [(f"TLSv{name}", "http/1.1", None)])
        with PythonServer(tls, ok, notify=False) as server, Client(*CA) as client:
            answer = client.ask("GET", server.url)
            check(f"our client, TLS {name}: a body without it was cut off", "without close_notify" in str(answer.error), answer)

    demanding, elsewhere = context(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    demanding.verify_mode = ssl.CERT_REQUIRED
    demanding.load_verify_locations(pki("ca.pem"))
    elsewhere.load_cert_chain(pki("elsewhere.pem"), pki("elsewhere.key"))
    with PythonServer(demanding, ok) as server:
        with Client(*CA, *CLIENT) as client:
            answer = client.ask("GET", server.url)
            subject = server.seen and isinstance(server.seen[0], tuple) and server.seen[0][2].get("subject")
            check("our client shows its certificate", answer.status == 200 and subject == ((("commonName", "client"),),), (answer, server.seen))
        with Client(*CA) as client:
            answer = client.ask("GET", server.url)
            check("our client has none to show", "does not take the client's certificate" in str(answer.error), answer)
    for name, tls, answer, flags, why in [
        ("an issuer that it does not know", context(ssl.PROTOCOL_TLS_SERVER), ok, ["--ca", pki("other-ca.pem")], "issued by nobody who is trusted"),
        ("no root of the platform's", context(ssl.PROTOCOL_TLS_SERVER), ok, [], "issued by nobody who is trusted|no root certificates"),
        ("another name", elsewhere, ok, CA, "is not for 127.0.0.1, but for .*elsewhere.example"),
        ("a server without TLS", None, b"now HTTP/1.1 400 Bad Request\r\n\r\n", CA, "does not speak TLS"),
    ]:
        with PythonServer(tls, answer) as server, Client(*flags) as client:
            got = client.ask("GET", server.url)
            check(f"our client refuses {name}", re.search(why, str(got.error)), got)


def behind_nginx(folder):
    """nginx speaks TLS to the clients, and under /tls/ also to our server, to which it shows a certificate."""
    with contextlib.ExitStack() as stack:
        plain, secure = (stack.enter_context(test_server(*more)) for more in ([], [*IDENTITY, *CA]))
        plain, secure = plain.url("http"), secure.url("https")
        theirs, seen = stack.enter_context(websockets_server())
        proxy = stack.enter_context(nginx(folder, lambda port: f"""
            client_max_body_size 100m;
            map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
            upstream secure {{ server 127.0.0.1:{port_of(secure)}; keepalive 4; }}
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate {pki("server.pem")};
                ssl_certificate_key {pki("server.key")};
                ssl_session_cache shared:clients:1m;
                proxy_http_version 1.1;
                proxy_set_header Connection $connection_upgrade;
                proxy_set_header Upgrade $http_upgrade;
                location / {{ proxy_pass {plain}; }}
                location /theirs {{ proxy_pass http://127.0.0.1:{theirs}; }}
                location /tls/ {{
                    proxy_pass https://secure/;
                    proxy_ssl_name localhost;
                    proxy_ssl_server_name on;
                    proxy_ssl_verify on;
                    proxy_ssl_trusted_certificate {pki("ca.pem")};
                    proxy_ssl_certificate {pki("client.pem")};
                    proxy_ssl_certificate_key {pki("client.key")};
                }}
            }}"""))
        url = f"https://localhost:{proxy.port}"
        der = ssl.PEM_cert_to_DER_cert(open(pki("client.pem")).read())
        out, status = curl(*TRUST, *[url + "/tls/tls"] * 3)
        told = out.decode().removesuffix(summed(der))
        check("nginx: speaks TLS with our server, and shows its certificate", status == 0 and told != out.decode() and " localhost " in told, out)
        for path in ("", "/tls"):
            name = f"nginx{' by TLS' if path else ''}"
            with Client(*CA) as client:
                answer = client.ask("POST", f"{url}{path}/echo", body=len(LARGE))
                check(f"{name}: our client's 5 MiB come back", (answer.status, answer.body) == (200, summed(LARGE)), answer)
                answer = client.ask("GET", f"{url}{path}/bytes/1000", times=20)
                check(f"{name}: 20 requests on one connection", (answer.status, answer.same, answer.idle) == (200, 20, 1), answer)
                answer = client.ask("GET", f"{url}{path}/bytes/100000", together=6)
                check(f"{name}: 6 at once", (answer.status, answer.same, answer.body) == (200, 6, summed(pattern(100_000))), answer)
            our_events(check, name, f"{url}{path}/events", *CA)
            trust = context(ssl.PROTOCOL_TLS_CLIENT)
            with connect(f"wss://localhost:{proxy.port}{path}/ws", ssl=trust, max_size=None, proxy=None, open_timeout=5) as ws:
                check.equal(f"{name}: Python's WebSocket to our server", talk(ws), [])
        our_websocket(check, "nginx", f"wss://localhost:{proxy.port}/theirs", seen, *CA)


def our_server():
    with test_server(*IDENTITY) as server:
        url = server.url("https")
        under_curl(port_of(url))
        refusals(server, port_of(url))
        under_python(url)
        under_openssl(port_of(url))
        check("the server is still running", server.process.poll() is None)


def with_nginx():
    with tempfile.TemporaryDirectory() as folder:
        behind_nginx(folder)


with concurrent.futures.ThreadPoolExecutor() as pool:
    for task in [pool.submit(what) for what in (our_server, client_certificates, against_python, with_nginx)]:
        try:
            task.result(timeout=60)
        except Exception as error:
            traceback.print_exc()
            check("every step comes to its end", False, repr(error))
check.exit()
