#!/usr/bin/python3
"""SIGKILL: at each named point between intent and answer, and at random moments under load. The
provider rotates strictly: a token that is used twice kills its family, so a loss cannot hide."""

import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, limit, run
from scene import FAULT_POINTS, check_store, put, record, rows, scaled, until

POINT_ROUNDS = 10  # of each row of POINTS
RANDOM_ROUNDS = 100
CONNECTIONS = 8

# Where it ends; then the state, how often the token that was in use was presented in all, and by how
# much the generation has grown once everything is resolved.
POINTS = (
    ("store-before-commit:1", "ACTIVE", 0, 0),  # the intent was not written: nothing was sent
    ("store-after-commit:1", "ACTIVE", 1, 1),   # never sent: the probe finds the token unspent
    ("intent-committed", "ACTIVE", 1, 1),
    ("reply-received", "NEEDS_REAUTH", 2, 0),   # lost with the process: the probe finds it spent
    ("store-before-commit:2", "NEEDS_REAUTH", 2, 0),
    ("store-after-commit:2", "ACTIVE", 1, 1),   # kept: read and committed at the next start
    ("reply-committed", "ACTIVE", 1, 1),
    ("conclusion-made", "ACTIVE", 1, 1),
    ("store-before-commit:3", "ACTIVE", 1, 1),
    ("store-after-commit:3", "ACTIVE", 1, 1),
    ("conclusion-committed", "ACTIVE", 1, 1),
    ("answered", "ACTIVE", 1, 1),
)


def presented(sim, grant_id):
    """How often each refresh token of a grant came to the provider, by its fingerprint."""
    counts = {}
    for entry in sim.journal():
        if entry["grant"] == grant_id:
            counts[entry["fp"]] = counts.get(entry["fp"], 0) + 1
    return counts


def settled(d, c, connection):
    """The record, once no intent is open and nothing is in doubt."""
    def probe():
        if rows(d, "SELECT count(*) FROM intent") != [(0,)]:
            return None
        found = record(c, connection)
        return found if found["state"] != "IN_DOUBT" else None
    return until(probe, "resolved", 20)


def one_point(t, sim, d, point, state, presentations, growth):
    """Kills the daemon at the point while it refreshes, and looks at what it makes of it."""
    d.env.pop("BURSAR_FAULT_POINT", None)
    d.start()
    c = d.client()
    grant = sim.issue("a", ttl=3600)
    connection = put(c, grant, account=grant["grant_id"], lives_s=3600)
    d.stop()
    d.env["BURSAR_FAULT_POINT"] = point
    d.start()
    d.client().send("refresh", owner="o", connection=connection, force=True)
    status = d.wait_exit(20)
    del d.env["BURSAR_FAULT_POINT"]
    on_disk = rows(d, "SELECT generation FROM connection WHERE id = ?", connection)[0][0]
    d.start()
    c = d.client()
    found = settled(d, c, connection)
    reply = c.call("vend", owner="o", connection=connection)
    token = reply.get("secret", {}).get("access_token")
    counts = presented(sim, grant["grant_id"])
    problems = []
    if status != -9:
        problems.append(f"ended with {status}")
    if found["state"] != state:
        problems.append(f"is {found['state']}, not {state}")
    if found["generation"] != 1 + growth or not 1 <= on_disk <= 1 + growth:
        problems.append(f"generation {found['generation']}, on disk {on_disk}")
    if max(counts.values(), default=0) != presentations or sum(counts.values()) > 2:
        problems.append(f"presented {sorted(counts.values())}")
    if state == "ACTIVE" and not sim.lookup(token)["current"]:
        problems.append("vends a token that is not the current one")
    if state == "NEEDS_REAUTH" and found.get("reason") != "lost_in_flight":
        problems.append(f"reason {found.get('reason')}")
    c.ask("connection.delete", owner="o", connection=connection)
    d.stop()
    return problems


@limit(600)
def test_each_point(t):
    if not FAULT_POINTS:
        t.skip("needs --enable-fault-points", len(POINTS) + 2)
        return
    sim = t.use(Endpoint(prefix="POINT", rotation="strict"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}, start=False))
    for point, *expected in POINTS:
        problems = []
        count = scaled(POINT_ROUNDS, 1)
        for _ in range(count):
            problems += one_point(t, sim, d, point, *expected)
        t.ok(not problems, f"killed {count} times at {point}", "; ".join(problems[:5]))
    check_store(t, d, "after all points")


# --- random moments


class World:
    """The connections, and what of them was acknowledged to a client."""

    def __init__(self, sim):
        self.sim = sim
        self.grants, self.acknowledged, self.problems = {}, {}, []
        self.lost = self.resolved = 0

    def connect(self, c, account):
        grant = self.sim.issue(account, ttl=3600)
        connection = put(c, grant, account=account, lives_s=3600)
        generation = record(c, connection)["generation"]
        self.grants[account] = grant["grant_id"]
        self.acknowledged[account] = (connection, generation, None)

    def load(self, d, seconds):
        """Refreshes and vends as fast as answers come, until the daemon is killed under it."""
        clients = {account: d.client() for account in self.acknowledged}
        for account, client in clients.items():
            self.ask(client, account)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            for account, client in clients.items():
                if client.wait(0.001):
                    self.note(account, client.recv(1))
                    self.ask(client, account)
        d.kill()
        for account, client in clients.items():  # what was on its way counts as acknowledged
            while client.wait(0):
                self.note(account, client.recv(1))
            client.close()

    @staticmethod
    def ask(client, account):
        client.send("invalidate", owner="o", provider="acme", account=account, vend=True)

    def note(self, account, reply):
        connection, generation, _ = self.acknowledged[account]
        if reply["ok"] and reply["generation"] >= generation:
            self.acknowledged[account] = (connection, reply["generation"],
                                          reply["secret"]["access_token"])

    def check_disk(self, d):
        for account, (connection, generation, _) in self.acknowledged.items():
            found = rows(d, "SELECT generation FROM connection WHERE id = ?", connection)
            if not found or found[0][0] < generation:
                self.problems.append(f"{account}: {generation} was answered, {found} is on disk")

    def check_resolved(self, d, c):
        for account, (connection, generation, token) in list(self.acknowledged.items()):
            found = settled(d, c, connection)
            self.resolved += 1
            counts = presented(self.sim, self.grants[account])
            twice = [n for n in counts.values() if n > 1]
            if found["generation"] < generation:
                self.problems.append(f"{account}: went back to {found['generation']}")
            if found["state"] == "NEEDS_REAUTH":
                self.lost += 1
                if found.get("reason") != "lost_in_flight" or twice != [2]:
                    self.problems.append(f"{account}: {found.get('reason')}, presented {twice}")
                self.connect(c, account)
                continue
            if twice:
                self.problems.append(f"{account}: alive, and presented {twice}")
            reply = c.ask("vend", owner="o", connection=connection)
            now = reply["secret"]["access_token"]
            # An invalidation that outlived the process may have been followed by a refresh since.
            if reply["generation"] == generation and token not in (None, now):
                self.problems.append(f"{account}: another token for generation {generation}")
            if generation > 1 and not self.sim.lookup(now)["current"]:
                self.problems.append(f"{account}: vends a token that is not the current one")


@limit(600)
def test_random_moments(t):
    sim = t.use(Endpoint(prefix="RAND", rotation="strict"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    world = World(sim)
    random.seed(os.environ.get("BURSAR_TEST_SEED", time.time_ns()))
    c = d.client()
    for i in range(CONNECTIONS):
        world.connect(c, f"a{i}")
    count = scaled(RANDOM_ROUNDS, 5)
    refreshed = 0
    for _ in range(count):
        world.load(d, random.uniform(0.01, 0.12))
        world.check_disk(d)
        d.start()
        c = d.client()
        world.check_resolved(d, c)
        c.close()
    refreshed = len(sim.journal())
    t.ok(not world.problems, f"killed {count} times under load: nothing acknowledged is lost",
         "; ".join(world.problems[:8]))
    t.diag(f"{refreshed} requests came to the provider, {world.lost} grants were lost in flight")
    t.ok(refreshed > count, "it was killed while it worked", refreshed)
    check_store(t, d, "after all rounds")


run([test_each_point, test_random_moments], timeout=600)
