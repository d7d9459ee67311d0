#!/usr/bin/python3
"""Workers that have nothing to do: their threads end, and come back for a job, for what is due, and for the end."""

import contextlib
import os
import resource
import sqlite3
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, limit, run
from machine import LONG_MS
from scene import make_secret, put, record, until, wait_generation

IDLE = {"idle_s": 1}
MANY = 100
BEARER = {"kind": "bearer"}


def workers(d):
    """The names of the workers' threads, as far as they are of this test's providers."""
    names = set()
    for task in os.listdir(f"/proc/{d.pid}/task"):
        try:
            with open(f"/proc/{d.pid}/task/{task}/comm", encoding="utf-8") as file:
                names.add(file.read().strip())
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended meanwhile
    return {name for name in names if name == "worker" or name.startswith(("acme", "plain", "p"))} - {"publisher"}


def wait_rest(d, who="nobody"):
    expected = set() if who == "nobody" else {who}
    until(lambda: workers(d) == expected, "all rest")


def start(t, **providers):
    sim = t.use(Endpoint(prefix="REST"))
    d = t.use(Daemon({"connectors": IDLE,
                      "providers": {"acme": sim.provider(), "plain": {"kind": "static"}, **providers}}))
    return sim, d, d.client()


def put_plain(c, account="a"):
    token = make_secret("REST")
    reply = c.ask("credential.put", owner="o", provider="plain", account=account, secret={**BEARER, "token": token})
    return reply["connection"], token


@limit(120)
def test_jobs(t):
    """Each comes back for the job that is its, and rests again; what it has told about itself stays."""
    sim, d, c = start(t)
    wait_rest(d)
    t.ok(True, "nobody has anything to do")
    connection, token = put_plain(c)
    # It rests again after a second: what is looked at later says nothing.
    t.ok(until(lambda: "plain" in workers(d) or put_plain(c) and False, "it is seen"), "one came back for a put")
    wait_rest(d)
    t.eq(record(c, connection)["state"], "ACTIVE", "and for a question")
    wait_rest(d)
    t.eq(c.ask("vend", owner="o", connection=connection)["secret"]["token"], token, "and for a vend from the store")
    grant = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    t.eq(c.ask("refresh", owner="o", connection=grant, force=True)["generation"], 2, "a refresh")
    wait_rest(d)
    t.eq(c.ask("status")["providers"]["acme"]["refreshed"], 1, "what it counted is still there")
    t.eq(workers(d), set(), "status wakes nobody")
    t.eq(c.ask("refresh", owner="o", connection=grant, force=True)["generation"], 3, "another one")
    t.eq(c.ask("status")["providers"]["acme"]["refreshed"], 2, "and it goes on counting")


def test_budget(t):
    """What is left of a budget is told as it is, also while nobody is there to count."""
    sim = t.use(Endpoint(prefix="REST"))
    d = t.use(Daemon({"connectors": IDLE, "providers": {"acme": sim.provider(token_rate={"limit": 100, "window_s": 100})}}))
    c = d.client()
    grants = [put(c, grant, lives_s=3600) for grant in sim.issue_many(8, ttl=3600)]
    wait_rest(d)
    full = c.ask("status")["providers"]["acme"]["budget"]
    # At once: one is there again each second.
    jobs = [c.send("refresh", owner="o", connection=grant, force=True) for grant in grants]
    t.ok(all(c.recv_id(job)["ok"] for job in jobs), "they are refreshed")
    t.ok(c.ask("status")["providers"]["acme"]["budget"]["left"] < full["left"], "some of it is used")
    wait_rest(d)
    t.eq(c.ask("status")["providers"]["acme"]["budget"], full, "all of it is there again")


@limit(120)
def test_due(t):
    """What falls due while it rests is done in time."""
    sim, d, c = start(t)
    connection = put(c, sim.issue("alice", ttl=52), lives_s=52)  # due in 46
    wait_rest(d)
    t.eq(sim.journal(), [], "nothing is due yet")
    t.ok(sim.wait_done(1), "nobody asks for it, and it is refreshed")
    fresh = wait_generation(c, connection, 2)
    t.eq((fresh["state"], len(sim.journal())), ("ACTIVE", 1), "once")


def rename(d, before, now):
    with contextlib.closing(sqlite3.connect(d.db, timeout=30)) as db, db:
        db.execute(f"ALTER TABLE {before} RENAME TO {now}")


@limit(90)
def test_unreadable(t):
    """Who cannot read what is due does not rest: it looks again, and does it as soon as it can."""
    sim, d, c = start(t)
    for lives_s in (6, 30, 120):  # a busy machine may take so long to take the table away
        done = len(sim.journal())
        put(c, sim.issue(f"alice {lives_s}", ttl=3600), lives_s=lives_s)
        rename(d, "connection", "elsewhere")
        if len(sim.journal()) == done:
            break
        rename(d, "elsewhere", "connection")
    until(lambda: d.log().count('at="next due"') > 3, "it has looked for longer than it takes to rest")
    t.eq(len(sim.journal()), done, "and refreshed nothing")
    rename(d, "elsewhere", "connection")
    t.ok(sim.wait_done(done + 1), "it is refreshed")


@limit(120)
def test_all_at_once(t):
    """Sweeps, keys and jobs for a hundred that rest, while they go to rest and come back."""
    providers = {f"p{i}": {"kind": "static"} for i in range(MANY)}
    _, d, c = start(t, **providers)
    tokens = {}
    for i in range(MANY):
        token = make_secret("REST")
        reply = c.ask("credential.put", owner="o", provider=f"p{i}", secret={**BEARER, "token": token})
        tokens[reply["connection"]] = token
    wait_rest(d)
    for turn in range(3):
        for connection in tokens:
            c.send("connection.get", owner="o", connection=connection)
        t.ok(all(c.recv()["ok"] for _ in tokens), f"all answered, turn {turn}")
    wait_rest(d)
    key = c.ask("key.new", activate=True)["key"]
    until(lambda: not c.ask("status")["rewrap"]["running"], "all wrapped anew")
    t.eq({row["key"]: row["rows"] for row in c.ask("key.list")["keys"]}[key], MANY, "under the new key")
    wait_rest(d)
    sweep = c.ask("connection.freeze", select={"owner": "o"})["sweep"]
    t.ok(c.call("sweep.get", sweep=sweep, wait=True, deadline_ms=LONG_MS)["ok"], "a sweep ends")
    t.eq({c.code("vend", owner="o", connection=one) for one in tokens}, {"frozen"}, "all are frozen")
    wait_rest(d)


def test_end(t):
    """Who rests is ended like any other, and a start finds all as it was."""
    _, d, c = start(t)
    connection, token = put_plain(c)
    wait_rest(d)
    d.stop()
    d.start()
    t.eq(d.client().ask("vend", owner="o", connection=connection)["secret"]["token"], token, "it was all there")
    wait_rest(d)
    d.kill()
    d.start()
    t.eq(d.client().ask("vend", owner="o", connection=connection)["secret"]["token"], token, "and after a kill")


def set_limit(d, which, most):
    """Also of a daemon that runs. Gives what puts it back."""
    before = resource.prlimit(d.pid, which, (most, resource.prlimit(d.pid, which)[1]))
    return lambda: resource.prlimit(d.pid, which, before)


def test_no_files(t):
    """Who comes back and cannot open the store says so at once, and again until it can; it can be ended too."""
    _, d, c = start(t)
    connection, token = put_plain(c)
    wait_rest(d)
    put_back = set_limit(d, resource.RLIMIT_NOFILE, 8)
    for attempt in ("first", "second"):
        t.eq(c.code("vend", owner="o", connection=connection), "store_unavailable", attempt)
    frozen = c.ask("connection.freeze", select={"owner": "o"})["sweep"]
    put_back()
    t.ok(c.call("sweep.get", sweep=frozen, wait=True, deadline_ms=LONG_MS)["ok"], "a freeze that was begun meanwhile is done")
    t.eq(c.code("vend", owner="o", connection=connection), "frozen", "and holds")
    other, token = put_plain(c, "b")
    wait_rest(d)
    set_limit(d, resource.RLIMIT_NOFILE, 8)
    t.eq(c.code("vend", owner="o", connection=other), "store_unavailable", "once more")
    d.stop()
    d.start()
    t.eq(d.client().ask("vend", owner="o", connection=other)["secret"]["token"], token, "ended, and there again")


@limit(90)
def test_no_threads(t):
    """Who cannot have a thread says so at once, and has one as soon as it can."""
    d = t.use(Daemon({"connectors": IDLE, "providers": {"plain": {"kind": "static"}}},
                     env={"GLIBC_TUNABLES": "glibc.pthread.stack_cache_size=0"}))
    c = d.client()
    connection, token = put_plain(c)
    wait_rest(d)
    put_back = set_limit(d, resource.RLIMIT_AS, (d.proc("VmSize") + 256) * 1024)
    for attempt in ("first", "second"):
        t.eq(c.code("vend", owner="o", connection=connection), "overloaded", attempt)
    t.eq(d.log().count("thread cannot be started"), 1, "the log tells of it once")
    frozen = c.ask("connection.freeze", select={"owner": "o"})["sweep"]
    put_back()
    t.ok(c.call("sweep.get", sweep=frozen, wait=True, deadline_ms=LONG_MS)["ok"], "nobody asks it, and it comes back")
    t.eq(c.code("vend", owner="o", connection=connection), "frozen", "and takes up what had come")
    other, token = put_plain(c, "b")
    wait_rest(d)
    set_limit(d, resource.RLIMIT_AS, (d.proc("VmSize") + 256) * 1024)
    t.eq(c.code("vend", owner="o", connection=other), "overloaded", "once more")
    d.stop()
    d.start()
    t.eq(d.client().ask("vend", owner="o", connection=other)["secret"]["token"], token, "ended, and there again")


def test_never(t):
    d = t.use(Daemon({"connectors": {"idle_s": 0}, "providers": {"plain": {"kind": "static"}}}))
    put_plain(d.client())
    d.client().ask("whoami")
    t.ok({"plain", "worker"} <= workers(d), "idle_s: 0, and they stay")


run([test_jobs, test_budget, test_due, test_unreadable, test_all_at_once, test_end, test_no_files, test_no_threads, test_never])
