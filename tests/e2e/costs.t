#!/usr/bin/python3
"""What a vend from memory or the store, a refresh and a provider cost, counted and not timed: instructions, allocations,
system calls, fsyncs, memory."""

import collections
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from audit_log import entry_rows, mend, spoil
from costing import WORKER, Calls, callgrind, callgrind_control, curl_keeps, needs, profile
from harness import Daemon, Endpoint, limit, program, run
from scene import make_secret, put, rows, until

# Bounds lie a seventh or so over what was counted last: a path that gets worse by a fifth fails, and whoever
# makes one better lowers its bound. doc/testing.md says how to look into a count.
OUR_INSTRUCTIONS = 5400   # of a warm vend, in the dispatcher
ZMQ_INSTRUCTIONS = 3650    # libzmq's, there
# Allocations of our own, there, each counted up to three times, with the wrappers': none for a vend. The tables of the audit
# log; memory for replies that ZeroMQ has not done with, of which the pool keeps as many as there ever were; and for each
# batch of audit rows a message. How many come together, and how many batches that takes, is a matter of time.
OURS_ONCE = 40
OURS_A_REPLY_UNDER_WAY = 3
OURS_A_BATCH = 12
ZMQ_ALLOCATIONS = 1.02     # ZeroMQ's own: one for a frame that it does not copy, as for one that it does
JOURNAL_INSTRUCTIONS = 3900 # of the store thread, all of them, for a row that goes to the audit log's journal
CALLS_ALONE = 15           # system calls of the dispatcher for a vend that comes alone: 12 to 13, by chance
IO_CALLS_ALONE = 19        # and of ZeroMQ's thread
CALLS_OF_MANY = 1.4        # of both, for one of a hundred that come together
FSYNCS_ALONE = 3050        # of 1000 refreshes, one after the other: intent, reply, conclusion
FSYNCS_OF_MANY = 600       # of 1000, all at once; chance: it shows only whether they share their commits
REFRESH_INSTRUCTIONS = {"bursard": 66500, "libcurl": 55000, "libsqlite3": 17500}  # of a refresh, in its worker
REFRESH_ALLOCATIONS = 76       # there
REFRESH_UNSEALS = 1            # there: its grant; the secret is not opened
WORKER_IDLE_KB = 300           # resident, of a provider that nobody asks for anything
WORKER_USED_KB = 500           # and of one that has refreshed

COLD_INSTRUCTIONS = 2800   # of a cold vend, in its worker
COLD_SQLITE = 17200        # SQLite's, there

VENDS = 1000
COLD = 400
ROWS = 2000
AT_ONCE = 100
SECRET_BYTES = 1200
REFRESHES = 200


def start(t, config=None, **kwargs):
    """A daemon whose log says nothing of single jobs, as it is in use."""
    return t.use(Daemon({"log": {"level": "info"}, "providers": {"plain": {"kind": "static"}}, **(config or {})},
                        **kwargs))


def start_counted(t):
    """The same under callgrind."""
    d = start(t, {"sandbox": "off"}, start=False)
    d.wrapper = callgrind(d.dir)
    d.start()
    return d


def warm(c):
    token = make_secret("costs" + "x" * (SECRET_BYTES - 30))
    reply = c.ask("credential.put", owner="o", provider="plain", secret={"kind": "bearer", "token": token})
    c.ask("vend", owner="o", provider="plain")
    return reply["connection"]


def ask_many(c, count, at_once, op, keys):
    for first in range(0, count, at_once):
        for i in range(first, first + at_once):
            c.send(op, owner="o", **keys(i))
        for _ in range(at_once):
            if not c.recv()["ok"]:
                raise AssertionError(f"a {op} was refused")


def vend(c, connection, count, at_once):
    ask_many(c, count, at_once, "vend", lambda _: {"connection": connection})


@limit(180)
def test_instructions(t):
    needs("valgrind")
    d = start_counted(t)
    c = d.client()
    connection = warm(c)
    vend(c, connection, 2 * AT_ONCE, AT_ONCE)  # so that replies have their memory
    c.ask("whoami")
    vend(c, connection, VENDS, AT_ONCE)
    c.ask("whoami")
    d.stop()
    found = profile(d.dir, 2)
    ours = os.path.basename(program("bursard", "BURSARD")[0])
    for name, count in sorted(found.by_object.items()):
        t.diag(f"{name}: {count / VENDS:.0f} instructions a vend")
    t.eq(found.calls["process_key_open"], VENDS, "each vend opens one seal")
    t.eq(found.calls["unseal"], 0, "of the process's own: the stored secret is not opened any more")
    t.le(found.of(ours) / VENDS, OUR_INSTRUCTIONS,
         "instructions of our own for a warm vend")
    t.le(found.of("libzmq") / VENDS, ZMQ_INSTRUCTIONS, "instructions of ZeroMQ's for it")
    makers = collections.Counter()
    for (maker, callee), count in found.calls_from.items():
        if callee in ("malloc", "calloc", "realloc") and maker:
            makers[maker] += count
    t.diag(f"allocations: {dict(makers)}")
    t.le(sum(count for maker, count in makers.items() if not maker.startswith("libzmq")),
         OURS_ONCE + OURS_A_REPLY_UNDER_WAY * AT_ONCE + OURS_A_BATCH * found.calls["write_new"],
         "allocations of our own, and of all libraries but ZeroMQ: none for a vend")
    t.le(sum(count for maker, count in makers.items() if maker.startswith("libzmq")) / VENDS, ZMQ_ALLOCATIONS,
         "ZeroMQ's")


@limit(180)
def test_audit(t):
    needs("callgrind_control")
    d = start_counted(t)
    c = d.client()
    connection = warm(c)

    def told():
        return (rows(d, "SELECT coalesce(sum(count), 0) FROM audit WHERE kind = 1")[0][0]
                + sum(r["count"] for (entry,) in rows(d, "SELECT entry FROM audit_journal") for r in entry_rows(entry)))
    c.ask("audit.head")
    given = told()
    spoil(d)  # so that they come together, however slow all is
    c.ask("vend", owner="o", connection=connection)
    d.wait_log("the audit log cannot be written")
    ask_many(c, ROWS, AT_ONCE, "vend", lambda i: {"connection": connection, "purpose": f"purpose {i}"})
    mend(d)
    until(lambda: told() == given + ROWS + 1, "all is on the disk")
    callgrind_control(d, "--dump")
    d.stop()
    found = profile(d.dir, 1, "audit_journal_write")
    names = ("apply_journal_add", "audit_batch_add")
    for name in ("audit_journal_write", "apply_audit", *names):
        t.diag(f"{name}: {found.within[name] / ROWS:.0f} instructions a row")
    t.le(sum(found.within[name] for name in names) / ROWS, JOURNAL_INSTRUCTIONS,
         "instructions of the store thread for a row that goes to the journal")


@limit(180)
def test_cold(t):
    """Vends that are read from the store, many under way: what the worker does for one."""
    needs("callgrind_control")
    d = start_counted(t)
    c = d.client()
    token = make_secret("costs" + "x" * (SECRET_BYTES - 30))
    key = lambda i: {"provider": "plain", "account": f"a{i}"}
    ask_many(c, COLD, AT_ONCE, "credential.put", lambda i: {**key(i), "secret": {"kind": "bearer", "token": token}})
    callgrind_control(d, "--zero")
    ask_many(c, COLD, AT_ONCE, "vend", key)
    callgrind_control(d, "--dump")
    d.stop()
    found = profile(d.dir, 1, "worker_look")
    for name, count in sorted(found.by_object.items()):
        t.diag(f"{name}: {count / COLD:.0f} instructions a cold vend")
    t.eq(found.calls["reader_find"], COLD, "each is read once")
    t.le(found.of(os.path.basename(program("bursard", "BURSARD")[0])) / COLD, COLD_INSTRUCTIONS,
         "instructions of the worker's own for a cold vend")
    t.le(found.of("libsqlite3") / COLD, COLD_SQLITE, "SQLite's for it")
    t.ok(0 < found.calls["reader_hold"] <= COLD / 4, "many are read by one view of the store")


def each(t, counts, jobs):
    """System calls for each job, by thread, without those that were under way before."""
    threads = {}
    for (thread, call), count in sorted(counts.items()):
        if call != "restart_syscall":
            threads.setdefault(thread, {})[call] = count / jobs
    for thread, calls in threads.items():
        t.diag(f"{thread}: " + ", ".join(f"{call} {n:.3f}" for call, n in calls.items()))
    return threads


@limit(120)
def test_system_calls(t):
    needs("strace")
    d = start(t)
    c = d.client()
    connection = warm(c)
    vend(c, connection, 2000, AT_ONCE)
    with Calls(d) as calls:
        vend(c, connection, 500, 1)
    alone = each(t, calls.counts, 500)
    t.le(sum(alone["dispatcher"].values()), CALLS_ALONE, "system calls of the dispatcher for one vend")
    t.le(sum(alone["ZMQbg/IO/0"].values()), IO_CALLS_ALONE, "of ZeroMQ's thread")
    t.eq([name for name in alone if "worker" in name or name in ("plain", "query")], [], "no other thread has to do")
    # Whether they come together is chance on a busy machine, so the fewest of a few count; sent one by one, they never
    # are few.
    found = []
    while len(found) < 8 and (not found or min(found) > CALLS_OF_MANY):
        with Calls(d) as calls:
            vend(c, connection, 2000, AT_ONCE)
        many = each(t, calls.counts, 2000)
        found.append(sum(sum(many[name].values()) for name in ("dispatcher", "ZMQbg/IO/0")))
    t.le(min(found), CALLS_OF_MANY, "system calls of both for one of a hundred vends")


@limit(120)
def test_fsyncs(t):
    needs("strace")
    sim = t.use(Endpoint(prefix="COSTS"))
    d = start(t, {"providers": {"acme": sim.provider()}})
    c = d.client()
    connections = [put(c, grant, lives_s=3600) for grant in sim.issue_many(REFRESHES, ttl=3600)]
    for at_once, bound, name in ((1, FSYNCS_ALONE, "one after the other"), (REFRESHES, FSYNCS_OF_MANY, "all at once")):
        with Calls(d, "fsync,fdatasync,sync_file_range,msync") as calls:
            ask_many(c, REFRESHES, at_once, "refresh", lambda i: {"connection": connections[i], "force": True})
        count = sum(calls.counts.values()) * 1000 / REFRESHES
        t.ok(count > 0, "what is committed goes to the disk")
        t.le(count, bound, f"fsyncs of 1000 refreshes, {name}")


@limit(180)
def test_refresh(t):
    needs("callgrind_control")
    sim = t.use(Endpoint(prefix="COSTS"))
    d = start(t, {"sandbox": "off", "providers": {"acme": sim.provider()}}, start=False)
    d.wrapper = callgrind(d.dir)
    d.start()
    c = d.client()
    connections = [put(c, grant, lives_s=3600) for grant in sim.issue_many(REFRESHES, ttl=3600)]
    refresh = lambda i: {"connection": connections[i], "force": True}
    ask_many(c, REFRESHES, 50, "refresh", refresh)
    callgrind_control(d, "--zero")
    ask_many(c, REFRESHES, 50, "refresh", refresh)
    callgrind_control(d, "--dump")
    d.stop()
    found = profile(d.dir, 1, WORKER)
    for name, count in sorted(found.by_object.items()):
        t.diag(f"{name}: {count / REFRESHES:.0f} instructions a refresh")
    t.eq(found.calls["flight_conclude"], REFRESHES, "each refresh is concluded once")
    t.le(found.calls["unseal"] / REFRESHES, REFRESH_UNSEALS, "what is opened for a refresh")
    t.eq(found.calls["process_key_open"], REFRESHES, "and kept for its reply")
    t.le(found.calls["reader_find"], REFRESHES * 1.1, "its row is read once")
    if curl_keeps():
        t.le(found.calls["curl_easy_init"], REFRESHES / 4, "handles of libcurl's are used again")
    for name, bound in REFRESH_INSTRUCTIONS.items():
        part = os.path.basename(program("bursard", "BURSARD")[0]) if name == "bursard" else name
        t.le(found.of(part) / REFRESHES, bound, f"instructions of {name} for it, in the worker")
    t.le((found.calls["malloc"] + found.calls["calloc"]) / REFRESHES, REFRESH_ALLOCATIONS, "allocations for it")


def resident_kb(daemon):
    with open(f"/proc/{daemon.pid}/smaps_rollup", encoding="utf-8") as file:
        return int(re.search(r"^Rss:\s+(\d+)", file.read(), re.MULTILINE)[1])


@limit(180)
def test_workers(t):
    needs("true")
    sim = t.use(Endpoint(prefix="COSTS"))
    count, sizes = 60, []
    for providers in (1, 1 + count):
        d = start(t, {"providers": {f"p{i}": sim.provider() for i in range(providers)}})
        c = d.client()
        c.ask("whoami")
        sizes.append(resident_kb(d))
        for i in range(providers):
            (grant,) = sim.issue_many(1, ttl=3600)
            c.ask("refresh", owner="o", connection=put(c, grant, provider=f"p{i}", lives_s=3600), force=True)
        sizes.append(resident_kb(d))
        d.stop()
    t.le((sizes[2] - sizes[0]) / count, WORKER_IDLE_KB, "kB of a provider's worker that has nothing to do")
    t.le((sizes[3] - sizes[1]) / count, WORKER_USED_KB, "kB of one that has refreshed")


run([test_instructions, test_audit, test_cold, test_system_calls, test_fsyncs, test_refresh, test_workers])
