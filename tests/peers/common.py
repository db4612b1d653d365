"""What the peers in Python share: checks that print a line, and examples that run as processes."""

import os
import queue
import re
import subprocess
import sys
import threading
import time

RUNTIME = sys.argv[1] if len(sys.argv) > 1 else "smol"


class Checks:
    def __init__(self):
        self.failed = 0

    def __call__(self, name, ok, detail=""):
        print(f"ok    {name}" if ok else f"FAIL  {name}: {detail}", flush=True)
        self.failed += not ok
        return ok

    def equal(self, name, got, want):
        return self(name, got == want, f"got {shorten(got)}, want {shorten(want)}")

    def exit(self):
        sys.exit(1 if self.failed else 0)


def shorten(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:280]}... ({len(text)} characters)"


class Example:
    """An example of the repository as a process, its lines of output with the time they came."""

    def __init__(self, name, *args):
        program = os.path.join(os.environ["EXAMPLES"], name)
        self.name = name
        self.seen = []
        self.queue = queue.Queue()
        self.process = subprocess.Popen(
            [program, "--runtime", RUNTIME, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()

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
