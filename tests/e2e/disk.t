#!/usr/bin/python3
"""A store that cannot be written: nothing is sent to the provider, what is there is served, and it
recovers by itself."""

import contextlib
import os
import resource
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, limit, run
from scene import check_store, put, record, rows, until

DISK_MIB = 24


class SmallDisk:
    """A tmpfs of its own at a folder."""

    def __init__(self, folder):
        self.folder = folder
        os.mkdir(folder, 0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0700", "tmpfs",
                        folder], check=True, capture_output=True)

    def fill(self, leave=0):
        """Takes all room but so many bytes."""
        with open(os.path.join(self.folder, "filler"), "ab", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1 << 16))
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(512))
            if leave:
                file.truncate(max(0, file.tell() - leave))

    def empty(self):
        os.unlink(os.path.join(self.folder, "filler"))

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=False, capture_output=True)


def start(t, prefix):
    """A daemon whose store lies on a small disk, or None where none can be made."""
    sim = t.use(Endpoint(prefix=prefix, rotation="strict"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}, start=False))
    try:
        disk = SmallDisk(d.path("disk"))
    except (OSError, subprocess.CalledProcessError):
        return sim, d, None
    t.cleanup(disk.close)
    d.db = d.path("disk/bursar.db")
    d.configure({"providers": {"acme": sim.provider()}, "store": f"sqlite:{d.db}"})
    d.start()
    return sim, d, disk


def connections(c, sim):
    """One that is warm, one that is valid and was never asked for, and one that has expired."""
    warm = put(c, sim.issue("warm", ttl=3600), lives_s=3600)
    cold = put(c, sim.issue("cold", ttl=3600), lives_s=3600)
    c.ask("vend", owner="o", connection=warm)
    return warm, cold


def serves_and_sends_nothing(t, sim, c, warm, cold, expired, how):
    t.eq(c.call("vend", owner="o", connection=warm)["ok"], True, f"{how}: a warm one is vended")
    t.eq(c.call("vend", owner="o", connection=cold)["ok"], True, f"{how}: a cold one is vended")
    reply = c.call("vend", owner="o", connection=expired)
    t.eq(reply.get("error", {}).get("code"), "store_unavailable", f"{how}: an expired one is not")
    t.eq(reply.get("error", {}).get("retryable"), True, f"{how}: and may be asked for again")
    t.eq(c.code("refresh", owner="o", connection=warm, force=True), "store_unavailable",
         f"{how}: nor is one refreshed")
    t.eq(len(sim.journal()), 0, f"{how}: nothing was sent")


def recovers(t, sim, d, c, expired, how):
    """Nobody has to do anything but ask."""
    reply = until(lambda: (lambda r: r if r["ok"] else None)(
        c.call("vend", owner="o", connection=expired)), "recovered", 20)
    t.eq(reply["generation"], 2, f"{how}: refreshed when there is room again")
    t.ok(sim.lookup(reply["secret"]["access_token"])["current"], f"{how}: the provider's token")
    t.ok(len(sim.journal()) <= 3, f"{how}: no storm", len(sim.journal()))
    check_store(t, d, how)


@limit(120)
def test_full(t):
    sim, d, disk = start(t, "FULL")
    if not disk:
        t.skip("needs the right to mount", 1)
        return
    c = d.client()
    warm, cold = connections(c, sim)
    disk.fill(leave=1 << 20)
    expired = put(c, sim.issue("expired", ttl=3600))
    serves_and_sends_nothing(t, sim, c, warm, cold, expired, "1 MiB left")
    disk.fill()
    serves_and_sends_nothing(t, sim, c, warm, cold, expired, "full")
    disk.empty()
    recovers(t, sim, d, c, expired, "full")


@limit(120)
def test_unwritable(t):
    """Every write to a file fails, as on a disk that was made read-only under the daemon."""
    sim = t.use(Endpoint(prefix="WRIT", rotation="strict"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    warm, cold = connections(c, sim)
    sim.script({"status": 503, "body": "later"})
    expired = put(c, sim.issue("expired", ttl=3600))
    until(lambda: record(c, expired).get("last_refresh"), "the first attempt")
    before = len(sim.journal())
    resource.prlimit(d.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    t.eq(c.call("vend", owner="o", connection=warm)["ok"], True, "a warm one is vended")
    t.eq(c.call("vend", owner="o", connection=cold)["ok"], True, "a cold one is vended")
    t.eq(c.code("vend", owner="o", connection=expired), "store_unavailable", "an expired one is not")
    t.eq(c.code("credential.put", owner="o", provider="acme", account="new",
                secret={"kind": "oauth2", "access_token": "none-of-ours"}), "store_unavailable",
         "nothing is stored")
    t.eq(len(sim.journal()), before, "nothing was sent")
    resource.prlimit(d.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    recovers(t, sim, d, c, expired, "unwritable")


@limit(120)
def test_full_under_way(t):
    """The disk fills while the reply is on its way: it is kept in memory until there is room."""
    sim, d, disk = start(t, "WAY")
    if not disk:
        t.skip("needs the right to mount", 1)
        return
    c = d.client()
    sim.script({"hold": "gate", "hold_at": "after"})
    grant = sim.issue("a", ttl=3600)
    connection = put(c, grant)
    job = c.send("vend", owner="o", connection=connection)
    t.ok(sim.wait_requests(1), "the request is with the provider")
    disk.fill()
    sim.release("gate")
    t.ok(sim.wait_done(1), "the provider has rotated the token and answered")
    d.wait_log(r"store cannot be written")
    t.eq(rows(d, "SELECT generation FROM connection"), [(1,)], "there is no room for it")
    # A checkpoint can make room in the log: then it is committed, and may be answered.
    t.ok(not c.wait(0.5) or rows(d, "SELECT generation FROM connection") == [(2,)],
         "and nothing is vended that is not on the disk")
    disk.empty()
    reply = c.recv_id(job, 20)
    t.eq(reply.get("generation"), 2, "committed and answered when there is room again")
    t.ok(sim.lookup(reply["secret"]["access_token"])["current"], "the provider's token")
    t.eq(len(sim.journal()), 1, "the token was presented once")
    t.eq(rows(d, "SELECT count(*) FROM intent"), [(0,)], "no intent is open")
    check_store(t, d, "filled under way")


run([test_full, test_unwritable, test_full_under_way], timeout=120)
