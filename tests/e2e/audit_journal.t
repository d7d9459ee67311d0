#!/usr/bin/python3
"""The journal of the audit log: what is in it is on the disk, is told once, and is not taken out of it unseen."""

import contextlib
import hashlib
import os
import signal
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from audit_log import ME, entry_rows, keyring_of, log_of, mend, seal_of, sound, spoil, start, total, verify
from harness import SkipTest, run
from machine import standing_still
from scene import FAULT_POINTS, edit, is_writing, make_secret, rows, until

MANY = 100  # connections: more than are worth a row at once
SLICES = 1700  # connections whose rows are more than become rows of the log in three commits
THREE_SLICES = 1501  # of them
SECRET = make_secret("JOURNAL")


def journal_of(t, d):
    """The rows in the journal of a daemon, whose links and seal are looked at."""
    found, before = [], bytes(32)
    for nr, (entry, link) in enumerate(rows(d, "SELECT entry, link FROM audit_journal ORDER BY nr"), 1):
        before = hashlib.blake2b(b"bursar audit journal 1\0" + before + entry, digest_size=32).digest()
        t.eq(link, before, f"the link of entry {nr}")
        found += entry_rows(entry)
    if found:
        key_id, key = keyring_of(d)
        head = rows(d, "SELECT anchor_seq, anchor, seq, link FROM audit_ends")[0]
        t.eq(rows(d, "SELECT journal_nr, journal, seal FROM audit_ends"),
             [(nr, before, seal_of(key, key_id, *head, struct.pack(">Q", nr) + before))], "they are sealed")
    return found


def vend_many(c, connections, times):
    for _ in range(times):
        for connection in connections:
            c.send("vend", owner="o", connection=connection)
        for _ in connections:
            if not c.recv()["ok"]:
                raise AssertionError("a vend was refused")


def in_journal(d):
    return [r for (entry,) in rows(d, "SELECT entry FROM audit_journal") for r in entry_rows(entry)]


def is_filled(d, enough):
    """Is there something in the journal of so many connections?"""
    return len({r["connection"] for r in in_journal(d)}) >= enough


def fill_journal(d, c, connections, enough=1):
    """Vends until there is something in the journal, of so many connections; how many."""
    given = 0
    while not is_filled(d, enough):
        vend_many(c, connections, 2)
        given += 2 * len(connections)
    return given


def on_disk(d):
    """How many vends are told on the disk, and of which connections."""
    direct = rows(d, "SELECT count, connection FROM audit WHERE kind = 1")
    gathered = in_journal(d)
    return (sum(count for count, _ in direct) + total(gathered),
            {connection for _, connection in direct} | {r["connection"] for r in gathered})


def store_many(c, count):
    jobs = [c.send("credential.put", owner="o", provider="plain", account=f"a{i}",
                   secret={"kind": "api_key", "api_key": SECRET}) for i in range(count)]
    return [c.recv_id(job)["connection"] for job in jobs]


def journaled(t):
    """A daemon with something in its journal, its connections, and how many vends it has given, all on the disk."""
    d, c = start(t)
    connections = store_many(c, MANY)
    given = fill_journal(d, c, connections)
    vend_many(c, connections, 3)
    given += 3 * MANY

    until(lambda: on_disk(d)[0] == given, "all that was given is on the disk")
    return d, c, connections, given


@contextlib.contextmanager
def unsettled(d, c, connections, enough=1):
    """Stops the daemon while there is something in its journal, of so many connections, which it would make rows of
    in its time. Gives how many more vends that took."""
    given = 0
    while True:
        with standing_still(d.pid):
            if is_filled(d, enough) and not is_writing(d):
                yield given
                return
        given += fill_journal(d, c, connections, enough)


def test_journal(t):
    d, c, connections, given = journaled(t)
    with unsettled(d, c, connections) as more:
        d.kill()
    before, direct = rows(d, "SELECT count(*), coalesce(sum(count), 0) FROM audit WHERE kind = 1")[0]
    found = journal_of(t, d)
    told = total(found) + direct
    t.ok(given <= told <= given + more, "a daemon that is killed has told all of it", (given, more, told))
    t.eq(({r["principal"] for r in found}, {r["op"] for r in found}), ({ME}, {"vend"}), "with what and to whom")
    d.start()
    t.eq(rows(d, "SELECT count(*) FROM audit_journal"), [(0,)], "the next one makes rows of it")
    c = d.client()
    vends = log_of(c, op="vend")
    t.eq(total(vends), told, "that tell of each vend")
    t.eq(len(vends) - before, len({r["connection"] for r in found}), "counted together")
    sound(t, c, "journal")


def test_settled(t):
    d, c, connections, given = journaled(t)
    t.eq(total(log_of(c, op="vend")), given, "who asks the log gets what was in the journal")
    t.eq(rows(d, "SELECT count(*) FROM audit_journal"), [(0,)], "which is rows now")
    given += fill_journal(d, c, connections)
    until(lambda: not rows(d, "SELECT 1 FROM audit_journal"), "it is settled though nobody asks")
    d.stop()
    t.eq(rows(d, "SELECT sum(count) FROM audit WHERE kind = 1"), [(given,)], "and at the end")


def test_cannot_be_written(t):
    d, c, connections, given = journaled(t)
    with unsettled(d, c, connections) as more:
        spoil(d)
        made = rows(d, "SELECT count(*) FROM audit WHERE op = 'vend'")[0][0]
    vend_many(c, connections, 1)
    t.eq(len(log_of(c, op="vend")), made, "its rows cannot be made: who asks does not wait for ever")
    d.wait_log("the audit log cannot be written")
    mend(d)
    d.wait_log("the audit log can be written again")
    t.eq(total(log_of(c, op="vend")), given + more + MANY, "and nothing is missing or told twice")
    sound(t, c, "mended")


def test_in_slices(t):
    """What is in the journal becomes rows in several commits: a daemon that is killed between two goes on there."""
    if not FAULT_POINTS:
        raise SkipTest("built without --enable-fault-points")
    d, c = start(t)
    connections = store_many(c, SLICES)
    with unsettled(d, c, connections, THREE_SLICES):
        d.kill()  # what it had not told yet is lost with it
    (told, of), direct = on_disk(d), rows(d, "SELECT coalesce(sum(count), 0) FROM audit WHERE kind = 1")[0][0]
    for turn in range(2):
        d.env = {"BURSAR_FAULT_POINT": "audit-partly-settled"}
        d.start(wait=False)
        t.eq(d.wait_exit(), -signal.SIGKILL, f"killed behind some of them, turn {turn}")
        before, direct = direct, rows(d, "SELECT sum(count) FROM audit WHERE kind = 1")[0][0]
        t.ok(before < direct < told, "which are rows", (before, direct, told))
        journal_of(t, d)
    d.env = {}
    d.start()
    t.eq(rows(d, "SELECT count(*) FROM audit_journal"), [(0,)], "the next one makes the others")
    c = d.client()
    vends = log_of(c, op="vend")
    t.eq((total(vends), {r["connection"] for r in vends}), (told, of), "each vend is told, once")
    told += fill_journal(d, c, connections)
    t.eq(total(log_of(c, op="vend")), told, "as by a daemon that is not killed")
    sound(t, c, "in slices")


def test_cut(t):
    d, c, connections, _ = journaled(t)
    with unsettled(d, c, connections):
        d.kill()
    edit(d, "DELETE FROM audit_journal WHERE nr = (SELECT max(nr) FROM audit_journal)")
    d.start()
    t.ok("the audit log was changed" in d.log(), "what somebody takes out of it is told")
    seq = rows(d, "SELECT seq FROM audit WHERE op = 'audit.break'")[0][0]
    t.eq(verify(d.client())[0], [(seq, "broken")], "ever after")


run([test_journal, test_settled, test_cannot_be_written, test_in_slices, test_cut])
