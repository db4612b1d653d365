"""The checks of this folder, several at a time. ONLY=WORDS picks those whose names contain these words."""

import concurrent.futures
import os
import sys
import time
import traceback

import harness

# Each adds its checks.
import parsing  # noqa: F401
import connecting  # noqa: F401
import reconnecting  # noqa: F401
import commanding  # noqa: F401

# Most of the time of a check it waits.
AT_A_TIME = 6


def run(body, service):
    """What is wrong, if anything."""
    try:
        with harness.Case(service) as case:
            body(case)
    except harness.Failed as failed:
        return str(failed)
    except Exception:  # any other is a failure as well
        return traceback.format_exc()
    finally:
        if service.process.poll() is not None:
            return "the service has ended"
    return None


def main():
    only = os.environ.get("ONLY", "")
    chosen = [known for known in harness.CHECKS if only in known[0]]
    if not chosen:
        sys.exit(f"no check has {only!r} in its name")
    start = time.monotonic()
    failed = 0

    def tell(name, wrong):
        nonlocal failed
        print(f"FAIL  {name}: {wrong}" if wrong else f"ok    {name}", flush=True)
        failed += bool(wrong)

    with harness.Service() as service:
        idle = service.descriptors()
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            running = [(name, pool.submit(run, body, service)) for name, body, alone in chosen if not alone]
            for name, future in running:
                tell(name, future.result())
        for name, body, alone in chosen:
            if alone:
                tell(name, run(body, service))
        tell("nothing is left of streams that are closed", left_over(service, idle))
        tell("DELETE / ends the service and its streams", end(service))
        tell("the service has never panicked", panics(service))
    print(f"SUMMARY {harness.RUNTIME}: {len(chosen) + 3} checks, {failed} failed, {time.monotonic() - start:.1f} s")
    sys.exit(1 if failed else 0)


def left_over(service, idle):
    """But for connections of the HTTP client that are kept for the next callback, 8 at the most."""
    end = time.monotonic() + harness.PATIENCE
    while (now := service.descriptors()) > idle + 8:
        if time.monotonic() > end:
            return f"{now} descriptors are open, {idle} were before"
        time.sleep(0.05)
    return None


def end(service):
    try:
        with harness.Case(service) as case:
            _, connection, client = case.stream()
            case.clients.clear()
            harness.equal(service.ask("DELETE", "/")[0], 204, "the status")
            connection.dropped()
            client.nothing(0)
        harness.equal(service.process.wait(timeout=harness.PATIENCE), 0, "the exit code")
    except Exception as error:
        return repr(error)
    return None


def panics(service):
    """Once it has ended."""
    _, match = service.wait_for("panicked at", 1)
    return match and match.string


if __name__ == "__main__":
    main()
