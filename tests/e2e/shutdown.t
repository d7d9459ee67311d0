#!/usr/bin/python3
"""Start, end, reload; and what the process keeps from others."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, limit, program, run, secrets
from machine import LONG_MS, PATIENCE_S
from scene import (SANITIZED, check_store, edit, make_secret, put, quickest, record, rows, until,
                   wait_generation)


def start(t, **more):
    sim = t.use(Endpoint(prefix="END"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(), "plain": {"kind": "static"}}, **more}))
    return sim, d, d.client()


def test_flight_is_finished(t):
    sim, d, c = start(t)
    sim.script({"hold": "gate"})
    connection = put(c, sim.issue("alice", ttl=3600))
    jobs = [c.send("vend", owner="o", connection=connection) for _ in range(3)]
    t.ok(sim.wait_requests(1), "a flight is under way")
    c.ask("whoami")  # jobs of one socket keep their order: those before it are taken
    d.child.send(signal.SIGTERM)
    d.wait_log("ending")
    d.wait_notify("STOPPING=1")
    late = d.client()
    error = until(lambda: refusal(late), "shutting_down")
    t.eq((error["code"], error["retryable"]), ("shutting_down", True), "new jobs are refused")
    t.ok(d.running() and not c.wait(0.2), "it waits for the flight")
    sim.release("gate")
    t.eq([c.recv_id(job)["generation"] for job in jobs], [2] * 3, "who waited is answered")
    t.eq(d.wait_exit(), 0, "it ends with 0")
    t.eq(rows(d, "SELECT generation, state FROM connection"), [(2, 2)], "all is on the disk")
    check_store(t, d, "afterwards")
    d.start()
    t.eq(c.ask("vend", owner="o", connection=connection)["generation"], 2, "and there again")


def refusal(client):
    reply = client.call("whoami")
    return None if reply["ok"] else reply["error"]


def seconds_of(action):
    start_at = time.monotonic()
    action()
    return time.monotonic() - start_at


def test_idle_end(t):
    """With nothing to finish it ends at once, by SIGTERM and by SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        def end(number=number):
            _, d, c = start(t)
            c.ask("whoami")
            d.child.send(number)
            return seconds_of(lambda: t.eq(d.wait_exit(), 0, f"signal {number}"))
        quickest(t, 5, f"signal {number}: at once", end)


@limit(90)
def test_hung_flight(t):
    """A flight that does not end is given 30 s and no more."""
    def end():
        sim, d, c = start(t)
        sim.script({"hold": "never"})
        connection = put(c, sim.issue("alice", ttl=3600))
        job = c.send("vend", owner="o", connection=connection, deadline_ms=LONG_MS)
        t.ok(sim.wait_requests(1), "a flight hangs")
        c.ask("whoami")
        d.child.send(signal.SIGTERM)

        def told():
            reply = c.recv_id(job)
            t.ok(not reply["ok"] and reply["error"]["code"] in ("shutting_down", "in_doubt"),
                 "who waits is told", repr(reply))
        took = seconds_of(told)
        t.eq(d.wait_exit(), 0, "it ends all the same")
        return took
    quickest(t, 40, "in 30 s", end, tries=3)


def test_backoff_is_not_waited_for(t):
    def end():
        sim, d, c = start(t)
        sim.script({"status": 503, "headers": {"Retry-After": "300"}, "times": -1})
        connection = put(c, sim.issue("alice"))
        t.ok(sim.wait_done(1), "the provider is away")
        job = c.send("vend", owner="o", connection=connection, deadline_ms=LONG_MS)
        c.ask("whoami")
        d.child.send(signal.SIGTERM)

        def told():
            reply = c.recv_id(job)
            t.ok(reply["error"]["code"] in ("shutting_down", "provider_unavailable", "rate_limited"),
                 "who waits for the next attempt is told", repr(reply))
        took = seconds_of(told)
        return max(took, seconds_of(lambda: t.eq(d.wait_exit(), 0, "it ends")))
    quickest(t, 5, "at once", end)


def test_second_daemon(t):
    _, d, c = start(t)
    with tempfile.TemporaryDirectory(prefix="bursar-second") as folder:
        config = os.path.join(folder, "second.yaml")
        with open(d.config_file, encoding="utf-8") as source, \
                open(os.open(config, os.O_WRONLY | os.O_CREAT, 0o600), "w",
                     encoding="utf-8") as copy:
            text = source.read()
            for name in ("jobs", "intake", "events"):
                text = text.replace(f"{d.dir}/{name}", f"{folder}/{name}")
            copy.write(text)
        done = subprocess.run([*program("bursard", "BURSARD"), "-c", config], timeout=PATIENCE_S,
                              capture_output=True, check=False)
        t.ok(done.returncode > 0, "a second daemon on the same store is refused")
        t.ok(b"another bursard has this store open" in done.stderr, "and says why",
             secrets.mask_all(done.stderr.decode()))
        t.ok(b"ready" not in done.stderr, "before it was ready")
    t.eq(c.ask("whoami")["principal"], f"uid:{os.getuid()}", "the first one goes on")
    d.kill()
    d.start()
    t.ok(c.ask("whoami"), "a killed one leaves no lock behind")


def test_reload(t):
    sim, d, c = start(t, log={"level": "info"})
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    before = c.ask("vend", owner="o", connection=connection)
    with open(d.config_file, encoding="utf-8") as file:
        good = file.read()
    for broken in ("providers: [", good.replace('"kind"', '"knd"'), "\0\0", "[]"):
        offset = len(d.log())
        d.configure(broken)
        d.reload()
        d.wait_log("nothing was changed", since=offset)
        t.eq({**c.ask("vend", owner="o", connection=connection), "id": 0}, {**before, "id": 0},
             "a broken file changes nothing")
    os.unlink(d.config_file)
    offset = len(d.log())
    d.reload()
    d.wait_log("nothing was changed", since=offset)
    t.eq(c.code("refresh", owner="o", connection=connection, force=True), "ok", "nor a missing one")
    offset = len(d.log())
    d.configure(good.replace('"info"', '"debug"'))
    d.reload()
    d.wait_log("read again", since=offset)
    push = d.push()
    push.raw(b"\xc1")
    d.wait_log("intake job dropped", since=offset)
    t.ok(True, "a good one takes effect: the log level")
    wait_generation(c, connection, 2)
    t.eq(record(c, connection)["state"], "ACTIVE", "and the rest is as it was")


def test_refuses_to_start(t):
    """What is wrong is said, and nothing is left running."""
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}}}, start=False))
    keyring = d.path("etc/keyring")
    secret = open(keyring, encoding="utf-8").read()  # pylint: disable=consider-using-with

    def tries(name, pattern):
        offset = len(d.log())
        d.start(wait=False)
        t.ok(d.wait_exit() > 0, f"{name}: it does not start")
        t.ok(pattern in d.log()[offset:], f"{name}: and says why",
             lambda: secrets.mask_all(d.log()[offset:]))

    os.chmod(keyring, 0o644)
    tries("a keyring that others can read", "keyring")
    os.chmod(keyring, 0o600)
    with open(keyring, "w", encoding="utf-8") as file:
        file.write("key nonsense\n")
    tries("a broken keyring", "keyring")
    os.unlink(keyring)
    tries("no keyring", "keyring")
    with open(os.open(keyring, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        file.write(secret)
    with open(d.db, "wb") as file:
        file.write(b"no database at all, but long enough to be looked at" * 100)
    tries("a store that is none", "bursar.db")
    os.unlink(d.db)
    edit(d, "CREATE TABLE t (x)")
    tries("another program's database", "another program")
    os.unlink(d.db)
    d.start()
    c = d.client()
    connection = c.ask("credential.put", owner="o", provider="plain",
                       secret={"kind": "bearer", "token": make_secret("start")})["connection"]
    d.stop()
    version = rows(d, "PRAGMA user_version")[0][0]
    edit(d, "PRAGMA user_version = 99")
    tries("a store of a later version", "99")
    edit(d, f"PRAGMA user_version = {version}")
    d.start()
    t.eq(c.code("vend", owner="o", connection=connection), "ok", "mended, it starts")


def test_memory_is_private(t):
    """No core, no look into the memory, and the keys are not written to a swap."""
    sim, d, c = start(t)
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    c.ask("vend", owner="o", connection=connection)
    t.eq(resource.prlimit(d.pid, resource.RLIMIT_CORE), (0, 0), "no core file")
    with open(f"/proc/{d.pid}/smaps", encoding="utf-8") as file:
        flags = [line.split()[1:] for line in file if line.startswith("VmFlags:")]
    kept = [f for f in flags if "dd" in f]
    t.ok(kept, "the arena is kept out of dumps")
    locked = c.ask("status")["secret_memory"]["locked"]
    if locked and not SANITIZED:  # sanitizers make mlock() do nothing
        t.ok(d.proc("VmLck") > 0 and any("lo" in f for f in kept), "and locked in memory")
    elif SANITIZED:
        t.skip("locked memory", "not under a sanitizer")
    else:
        t.skip("locked memory", "RLIMIT_MEMLOCK is too small here")
    with open(f"/proc/{d.pid}/cmdline", "rb") as file:
        words = file.read()
    t.ok(not any(secret.encode() in words for secret in secrets.all()), "no secret in arguments")
    d.child.send(signal.SIGABRT)
    t.eq(d.wait_exit() != 0, True, "when it is ended by a fault")
    t.eq([name for name in os.listdir(d.dir) if "core" in name], [], "it leaves no core")


run([test_flight_is_finished, test_idle_end, test_hung_flight, test_backoff_is_not_waited_for,
     test_second_daemon, test_reload, test_refuses_to_start, test_memory_is_private])
