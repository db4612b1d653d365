"""wrk against the test server: load without a single error. The rates are figures, not checks."""

import re
import subprocess
import time

from common import RUNTIME, Checks, stats, test_server

check = Checks()


def wrk(name, url, *args, seconds=2, connections=64):
    before = stats(url)
    command = ["wrk", "--threads", "2", "--connections", str(connections), "--duration", f"{seconds}s", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 20, check=False)
    got = re.search(r"(\d+) requests in .*\n(?:.*\n)*Requests/sec: *(\d+)", done.stdout)
    if not check(f"{name}: wrk comes to its end", got and int(got.group(1)), done.stdout + done.stderr):
        return 0
    answered, rate = map(int, got.groups())
    check(f"{name}: no errors", "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout)
    after = stats(url)
    # What is under way at the end is not counted by wrk.
    handled = after[1] - before[1] - 1
    check(f"{name}: what was handled was answered", 0 <= handled - answered <= connections * 2, (handled, answered))
    end = time.monotonic() + 2
    while (left := stats(url)[2]) > 1 and time.monotonic() < end:
        time.sleep(0.05)  # some are still being answered
    check.equal(f"{name}: no connection is left", left, 1)
    print(f"SUMMARY wrk, {RUNTIME}, {name}: {rate} requests/s", flush=True)
    return after[0] - before[0] - 1


with test_server() as server:
    url = server.url("http")
    used = wrk("kept connections", url, url + "/")
    check.equal("kept connections: there are no others", used, 64)
    wrk("Connection: close", url, "--header", "Connection: close", url + "/")
    wrk("100 kB each", url, url + "/bytes/100000")
    wrk("a tenth of a second each", url, url + "/slow/100", connections=500)
    check("still running", server.process.poll() is None)
check.exit()
