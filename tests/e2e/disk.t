#!/usr/bin/python3
"""A full disk and a read-only one: nothing is sent that could not be kept. Root only (a tmpfs)."""

import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from audit_log import entry_rows
from harness import Daemon, Endpoint, SkipTest, limit, run
from machine import LONG_MS, PATIENCE_S, standing_still
from scene import (check_store, events_of, is_writing, make_secret, put, record, rows, types_of, until,
                   wait_generation)

SIZE = "16m"


class Disk:
    """A small file system for the store of a daemon that has not been started yet."""

    def __init__(self, t, d):
        self.place = d.path("disk")
        self.ballast = os.path.join(self.place, "ballast")
        os.mkdir(self.place, 0o700)
        if os.getuid() != 0 or self._mount("-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs"):
            raise SkipTest("needs root, and the right to mount a tmpfs")
        t.cleanup(d.close)
        t.cleanup(self.free)
        d.db = os.path.join(self.place, "bursar.db")
        d.configure({**d.config, "store": f"sqlite:{d.db}"})
        # The search for secrets comes with close(): the mount goes after it.
        close = d.close

        def close_and_unmount(**keys):
            self.free()
            close(**keys)
            subprocess.run(["umount", "--lazy", self.place], check=False, capture_output=True)
        d.close = close_and_unmount

    def _mount(self, *arguments):
        return subprocess.run(["mount", *arguments, self.place], check=False,
                              capture_output=True).returncode

    def remount(self, how):
        if self._mount("-o", f"remount,{how}"):
            raise RuntimeError(f"remount,{how}")

    def cover(self):
        if self._mount("--bind", self.place) or self._mount("-o", "remount,bind,ro"):
            raise RuntimeError("mount --bind")

    def uncover(self):
        subprocess.run(["umount", self.place], check=True, capture_output=True)

    def room(self):
        status = os.statvfs(self.place)
        return status.f_bavail * status.f_frsize

    def fill(self, leave=0):
        """Takes what room there is, but for so much."""
        with open(self.ballast, "ab") as file:
            while self.room() > leave:
                try:
                    file.write(b"\0" * min(self.room() - leave, 1 << 20))
                    file.flush()
                except OSError:
                    break

    def free(self):
        if os.path.exists(self.ballast):
            os.unlink(self.ballast)


def start(t, **provider):
    sim = t.use(Endpoint(prefix="DISK"))
    d = Daemon({"providers": {"acme": sim.provider(**provider), "plain": {"kind": "static"}}},
               start=False)
    t.cleanup(lambda: d.close())  # pylint: disable=unnecessary-lambda
    disk = Disk(t, d)
    d.start()
    return sim, d, d.client(), disk


def stuff(c, name):
    """Uses up what room the files of a store have inside, until nothing goes in any more. Gives the codes that came
    of it: in the end it is refused, and finds room again only when the store has tidied up."""
    bulk, done, failures, last_success = {str(i): "x" * 900 for i in range(60)}, 0, 0, time.monotonic()
    codes = set()
    while failures < 30 or time.monotonic() - last_success < 1:  # the store tidies up when it is idle
        keys = {"metadata": bulk} if failures < 10 else {}
        code = c.code("connection.create", owner="stuff", provider="plain",
                      account=f"{name} {done}", **keys)
        codes.add(code)
        if code == "ok":
            done, failures, last_success = done + 1, 0, time.monotonic()
        else:
            failures += 1
            time.sleep(0.02)
    return codes - {"ok"}


class Flood(threading.Thread):
    """Small changes without a pause. A store that is full still has the room of its log, and takes
    that again when it is idle: so it has to be kept full."""

    def __init__(self, d, account):
        super().__init__(daemon=True)
        self.client, self.ending = d.client(), threading.Event()
        self.connection = self.client.ask("connection.create", owner="flood", provider="plain",
                                          account=account)["connection"]
        self.done, self.failures, self.last_success = 0, 0, time.monotonic()

    def run(self):
        turn = 0
        while not self.ending.wait(0.003):
            turn += 1
            if self.client.code("connection.update", owner="flood", connection=self.connection,
                                tags=[str(turn)]) == "ok":
                self.done, self.failures, self.last_success = self.done + 1, 0, time.monotonic()
            else:
                self.failures += 1

    def fails_for(self, seconds):
        return self.failures >= 20 and time.monotonic() - self.last_success > seconds

    def end(self):
        self.ending.set()
        self.join(PATIENCE_S)


def soon_due(t, sim, c, spoil, mend):
    """A connection that is due while the store is spoiled, which it is when this returns. Where the machine is too
    busy for that, it is refreshed before, and another one has to last longer."""
    for lives_s in (3, 10, 30, 90):
        calls = len(sim.journal())
        old = put(c, sim.issue(f"old {lives_s}", ttl=3600), lives_s=lives_s)
        spoil()
        acme = c.ask("status")["providers"]["acme"]
        if len(sim.journal()) == calls and not acme["in_flight"] and record(c, old)["generation"] == 1:
            return old
        mend()
        wait_generation(c, old, 2)
    t.fail("it takes more than a minute to spoil the store")
    return None


def fails_and_recovers(t, sim, d, c, name, spoil, mend):
    """The same story for whatever keeps the store from being written."""
    warm = put(c, sim.issue("warm", ttl=3600), lives_s=3600)
    cold = put(c, sim.issue("cold", ttl=3600), lives_s=3600)
    for _ in range(2):
        c.ask("vend", owner="o", connection=warm)
    old = soon_due(t, sim, c, spoil, mend)
    log, calls = len(events_of(c)), len(sim.journal())
    ends_at = record(c, old)["expires_at"]
    error = c.call("refresh", owner="o", connection=warm, force=True)["error"]
    t.eq((error["code"], error["retryable"]), ("store_unavailable", True), f"{name}: a refresh")
    until(lambda: c.call("vend", owner="o", connection=old).get("error", {}).get("code") ==
          "store_unavailable", f"{name}: the end of a secret")
    t.ok(record(c, old)["expires_at"] == ends_at, f"{name}: an expired one: store_unavailable")
    for connection, how in ((warm, "warm"), (cold, "cold")):
        reply = c.ask("vend", owner="o", connection=connection)
        t.eq((reply["generation"], reply["stale"]), (1, False), f"{name}: {how} vends go on")
    t.eq(len(sim.journal()) - calls, 0, f"{name}: nothing was sent to the provider")
    mend()
    t.eq(wait_generation(c, old, 2)["state"], "ACTIVE",
         f"{name}: it recovers by itself")
    t.eq(c.ask("vend", owner="o", connection=old)["generation"], 2, f"{name}: vended again")
    t.eq(c.code("refresh", owner="o", connection=warm, force=True), "ok", f"{name}: refreshed, too")
    t.eq(len(events_of(c)), log + 2, f"{name}: one event each")


@limit(60)
def test_full(t):
    sim, d, c, disk = start(t)
    fails_and_recovers(t, sim, d, c, "full", disk.fill, disk.free)
    disk.fill()
    t.eq(stuff(c, "full"), {"store_unavailable"}, "full: no other change either")
    t.eq(c.ask("status")["store"], "sqlite", "full: reading goes on")
    disk.free()
    t.eq(until(lambda: c.code("credential.put", owner="o", provider="plain", account="after",
                              secret={"kind": "bearer", "token": "not-a-secret"}) == "ok",
               "a put"), True, "and puts work again")
    d.stop()
    check_store(t, d, "full")


@limit(60)
def test_nearly_full(t):
    """Not full yet, and too full for a refresh to be begun."""
    sim, d, c, disk = start(t)
    fails_and_recovers(t, sim, d, c, "nearly full", lambda: disk.fill(leave=1 << 20), disk.free)
    d.stop()
    check_store(t, d, "nearly full")


@limit(60)
def test_read_only(t):
    """A file system that cannot be written: here another, read-only view of it lies on top."""
    sim, d, c, disk = start(t)
    fails_and_recovers(t, sim, d, c, "read-only", disk.cover, disk.uncover)
    d.stop()
    check_store(t, d, "read-only")
    disk.remount("ro")
    t.cleanup(disk.remount, "rw")
    d.start(wait=False)
    t.ok(d.wait_exit() > 0, "read-only: it does not start")
    t.ok("disk/bursar.db" in d.log_tail(5), "and names the file", d.log_tail(5))
    disk.remount("rw")
    d.start()
    t.eq(c.code("vend", owner="o", provider="acme", account="warm"), "ok", "writable: it does")


@limit(60)
def test_full_at_start(t):
    """A daemon that was killed, whose audit log was still counted together, starts with a full disk, and loses no row."""
    _, d, c, disk = start(t)
    jobs = [c.send("credential.put", owner="o", provider="plain", account=f"a{i}",
                   secret={"kind": "bearer", "token": make_secret("DISK")}) for i in range(100)]
    ids = [c.recv_id(job)["connection"] for job in jobs]
    vends = 0

    def gathered():
        nonlocal vends
        for job in [c.send("vend", owner="o", connection=one) for one in ids]:
            c.recv_id(job)
        vends += len(ids)
        return rows(d, "SELECT count(*) FROM audit_journal")[0][0]
    def killed():
        """How many vends of one are on the disk of a daemon that is killed with rows in its journal: what it had not
        told yet is lost with it. Looked at before, for whoever closes the store as the last tidies it up."""
        with standing_still(d.pid):
            entries = rows(d, "SELECT entry FROM audit_journal")
            if not entries or is_writing(d):
                return 0
            direct = rows(d, "SELECT coalesce(sum(count), 0) FROM audit WHERE kind = 1 AND connection = ?", ids[0])
            d.kill()
            return direct[0][0] + sum(r["count"] for (entry,) in entries for r in entry_rows(entry)
                                      if r["connection"] == ids[0])
    kept = until(lambda: gathered() and killed(), "rows in the journal")
    t.le(kept, vends / len(ids), "no more than was given")
    disk.fill()
    d.start()
    c = d.client()
    t.eq({c.code("vend", owner="o", connection=one) for one in ids}, {"ok"}, "all are served")
    disk.free()
    told = until(lambda: (n := sum(one["count"] for one in c.ask(
        "audit.vends", owner="o", connection=ids[0], limit=10)["vends"])) > kept and n, "the one that was just given")
    t.eq(told, kept + 1, "what was told before is in the log")
    until(lambda: rows(d, "SELECT count(*) FROM audit_journal") == [(0,)], "and nothing is left behind")


@limit(60)
def test_fills_under_way(t):
    """The disk fills while the provider answers: what was received is kept until there is room."""
    sim, d, c, disk = start(t)
    for account, hold_at in (("before", "before"), ("after", "after")):
        # The flood itself has to keep up: the store of a daemon that is left alone finds room after a while.
        for turn in range(8):
            if fills(t, sim, d, c, disk, f"{account} {turn}", hold_at):
                break
        else:
            t.fail(f"{account}: there is room again and again")
    t.eq(rows(d, "SELECT count(*) FROM intent"), [(0,)], "no intent is left")
    d.stop()
    check_store(t, d, "filled under way")


def fills(t, sim, d, c, disk, account, hold_at):
    """One such refresh; False where there was room meanwhile, and so nothing to be seen."""
    grant = sim.issue(account, ttl=3600)
    connection = put(c, grant, lives_s=3600)
    calls = len(sim.journal())
    sim.script({"hold": account, "hold_at": hold_at})
    job = c.send("refresh", owner="o", connection=connection, force=True, deadline_ms=LONG_MS)
    t.ok(sim.wait_requests(calls + 1), f"{account}: the request is with the provider")
    flood = Flood(d, account)
    disk.fill()
    flood.start()
    until(lambda: flood.fails_for(0.5), f"{account}: no room at all")
    had_room = flood.done
    sim.release(account)
    t.ok(sim.wait_done(calls + 1), f"{account}: it is answered")
    told = c.wait(1.5)
    vended = c.ask("vend", owner="o", connection=connection)["generation"]
    # The store may have found room, and the flood not have seen it: looked at last, for what was told is there then.
    on_disk = rows(d, "SELECT generation FROM connection WHERE id = ?", connection)[0][0]
    if flood.done > had_room or on_disk == 2:
        disk.free()
        flood.end()
        c.recv_id(job)
        return False
    t.ok(not told, f"{account}: nobody is told what is not on the disk")
    t.eq(vended, 1, f"{account}: the old secret is vended meanwhile")
    disk.free()
    flood.end()
    t.eq(c.recv_id(job)["generation"], 2, f"{account}: with room it is committed, answered")
    t.eq((record(c, connection)["state"], types_of(c, connection)),
         ("ACTIVE", ["connected", "refreshed"]), f"{account}: nothing else happened")
    t.eq(sim.grant(grant["grant_id"])["requests"], 1, f"{account}: no second use")
    t.eq(c.code("refresh", owner="o", connection=connection, force=True), "ok",
         f"{account}: the rotated token was kept")
    return True


run([test_full, test_nearly_full, test_read_only, test_full_at_start, test_fills_under_way])
