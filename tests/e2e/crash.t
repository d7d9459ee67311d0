#!/usr/bin/python3
"""SIGKILL at every point between intent and answer, and at any other moment.

The provider rotates strictly and outlives the daemon. Whatever the moment: what was acknowledged or
served is on the disk, and no refresh token is sent once its successor is known.
"""

import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, Sim, SkipTest, limit, put_secret, run
from machine import LONG_MS, PATIENCE_S
from scene import (FAULT_POINTS, SLOW, STATES, check_store, database, events_of, now, put, record,
                   rows, scaled, types_of, until)

ROUNDS = 200
IN_DOUBT = STATES.index("IN_DOUBT")
POINTS = ("store-before-commit", "store-after-commit", "intent-committed", "reply-received",
          "reply-committed", "conclusion-made", "conclusion-committed", "answered")


def needs_points():
    if not FAULT_POINTS:
        raise SkipTest("configure --enable-fault-points")


# --- each point, once, with what must come of it

KEPT = ("ACTIVE", ["refreshed"], 1)       # the reply is on the disk: it is taken up
UNTOUCHED = ("ACTIVE", [], 0)             # there is not even an intent
UNSENT = ("ACTIVE", ["in_doubt", "recovered"], 1)    # nobody can know: one probe, which is good
LOST = ("NEEDS_REAUTH", ["in_doubt", "reauth"], 2)   # one probe, which finds the grant dead
AGAIN_1 = ("ACTIVE", ["refreshed"], 1)    # sent (again) as if nothing had happened
AGAIN_2 = ("ACTIVE", ["refreshed"], 2)

EACH = [("store-before-commit:1", UNTOUCHED, UNTOUCHED), ("store-after-commit:1", UNSENT, AGAIN_1),
        ("intent-committed", UNSENT, AGAIN_1), ("reply-received", LOST, AGAIN_2),
        ("store-before-commit:2", LOST, AGAIN_2), ("store-after-commit:2", KEPT, KEPT),
        ("reply-committed", KEPT, KEPT), ("conclusion-made", KEPT, KEPT),
        ("store-before-commit:3", KEPT, KEPT), ("store-after-commit:3", KEPT, KEPT),
        ("conclusion-committed", KEPT, KEPT), ("answered", KEPT, KEPT)]


def each_point(t, rule, sim_rule, column):
    needs_points()
    sim = t.use(Endpoint(rotation=sim_rule, prefix="POINT"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(rotation=rule)}}))
    for row in EACH:
        point, (state, moves, calls) = row[0], row[column]
        c, grant = d.client(), sim.issue(point, ttl=3600)
        connection = put(c, grant, lives_s=3600)
        d.stop()
        d.env = {"BURSAR_FAULT_POINT": point}
        d.start()
        d.client().send("refresh", owner="o", connection=connection, force=True)
        t.eq(d.wait_exit(), -9, f"{rule}, {point}: the point is reached")
        d.env = {}
        d.start()
        c = d.client()
        until(lambda: rows(d, "SELECT count(*) FROM intent")[0][0] == 0
              and record(c, connection)["state"] == state
              and types_of(c, connection)[1:] == moves, f"{rule}, {point}: {state} {moves}")
        sent = sim.grant(grant["grant_id"])["requests"]
        t.eq((types_of(c, connection)[1:], sent), (moves, calls), f"{rule}, {point}: {moves}")
        if state == "ACTIVE":
            t.eq(c.code("refresh", owner="o", connection=connection, force=True), "ok",
                 f"{rule}, {point}: the token on the disk is the provider's newest")
        else:
            t.eq(record(c, connection)["reason"], "lost_in_flight", f"{rule}, {point}: reason")
    d.stop()
    check_store(t, d, rule)


@limit(120)
def test_points_strict(t):
    each_point(t, "strict", "strict", 1)


@limit(120)
def test_points_unknown(t):
    each_point(t, "unknown", "strict", 1)


@limit(120)
def test_points_reuse_grace(t):
    each_point(t, "reuse_grace", "grace:60", 2)


@limit(120)
def test_points_none(t):
    each_point(t, "none", "none", 2)


# --- many rounds under load

class Storm:
    """One daemon that is killed again and again, and all that is known to be true of it."""

    ACCOUNTS = 12

    def __init__(self, t, seed):
        self.t, self.random = t, random.Random(seed)
        self.sim = t.use(Sim(prefix="STORM", ttl=3600))
        self.d = t.use(Daemon({"providers": {"acme": self.sim.provider()},
                               "log": {"level": "warning"}}))
        self.c, self.jobs = None, {}
        self.acknowledged = {}  # connection: generation
        self.served = {}        # (connection, generation): access token
        self.connections = {}   # account: connection
        self.intents = {}       # (connection, generation): (has a reply, is a probe), after a kill
        self.resting = {}       # account: when it is asked again
        self.faults, self.codes, self.kept = [], {}, 0
        self.connect()
        for i in range(self.ACCOUNTS):
            self.put(f"a{i}")
        while self.jobs:
            self.take(PATIENCE_S)
        self.connections = {r["account"]: r["id"] for r in
                            self.c.ask("connection.list", owner="o")["connections"]}
        self.d.stop()

    def wrong(self, what):
        self.faults.append(what)

    def connect(self):
        if self.c:
            self.c.close()
        self.c, self.jobs = self.d.client(), {}

    # --- load

    def put(self, account):
        grant = self.sim.issue(account)
        job = self.c.send("credential.put", owner="o", provider="acme", account=account,
                          secret=put_secret(grant), expires_at=now() + 3600, deadline_ms=LONG_MS)
        self.jobs[job] = account

    def ask(self, account):
        connection = self.connections[account]
        generation = self.acknowledged.get(connection, 0)
        how = self.random.random()
        if how < 0.5:
            job = self.c.send("refresh", owner="o", connection=connection, force=True,
                              deadline_ms=LONG_MS)
        elif how < 0.8:
            job = self.c.send("invalidate", owner="o", connection=connection, vend=True,
                              generation=generation, deadline_ms=LONG_MS)
        else:
            job = self.c.send("vend", owner="o", connection=connection, deadline_ms=LONG_MS)
        self.jobs[job] = account

    def take(self, timeout):
        """One reply: what it acknowledges is held against the daemon for ever."""
        if not self.c.wait(timeout):
            return False
        reply = self.c.recv(0)
        account = self.jobs.pop(reply["id"])
        code = "ok" if reply["ok"] else reply["error"]["code"]
        self.codes[code] = self.codes.get(code, 0) + 1
        if code == "ok":
            self.note(reply)
        elif code == "in_doubt":
            self.resting[account] = time.monotonic() + 0.1
        elif code == "needs_reauth":
            self.put(account)
        elif code != "conflict":
            self.wrong(f"{account}: {code}: {reply['error']['message']}")
        return True

    def note(self, reply):
        connection, generation = reply["connection"], reply["generation"]
        self.acknowledged[connection] = max(generation, self.acknowledged.get(connection, 0))
        if "secret" in reply:
            token = reply["secret"]["access_token"]
            if self.served.setdefault((connection, generation), token) != token:
                self.wrong(f"{connection}: two secrets of generation {generation}")

    def load(self, until_time):
        """Keeps one job of each account under way until the time comes or the daemon goes."""
        dead = [account for account, connection in self.connections.items()
                if connection in self.spent]
        for account in dead:
            self.put(account)
        while time.monotonic() < until_time and self.d.running():
            for account in set(self.connections) - set(self.jobs.values()):
                if time.monotonic() >= self.resting.get(account, 0):
                    self.ask(account)
            self.take(0.01)
            while self.take(0):
                pass

    # --- rounds

    @property
    def spent(self):
        """Connections that only a new grant can bring back."""
        return {row[0] for row in rows(
            self.d, "SELECT id FROM connection WHERE state = 4 OR (state = 3 AND is_probed"
            " AND id NOT IN (SELECT connection FROM intent))")}

    def round(self, point):
        """One life of the daemon. `point`: where it ends; None: anywhere."""
        self.d.env = {"BURSAR_FAULT_POINT": point} if point else {}
        early = point is None and self.random.random() < 0.15
        self.d.start(wait=False)
        if early:  # perhaps before it is ready
            time.sleep(self.random.uniform(0, 0.08))
        else:
            try:
                self.d.wait_ready()
            except RuntimeError:
                if self.d.running() or not point:
                    raise
            self.connect()
            until_time = time.monotonic() + (
                PATIENCE_S if point else self.random.uniform(0.01, 0.3) * SLOW)
            self.load(until_time)
        if point and self.d.running():
            self.wrong(f"{point} was never reached")
        status = self.d.kill() if self.d.running() else self.d.wait_exit()
        if status != -9:
            self.wrong(f"{point}: ended with {status}")
        while self.jobs and self.take(0.02):  # what it had answered before
            pass
        self.look(point or "a random moment")

    def look(self, where):
        """The disk, as the kill has left it."""
        handle = database(self.d)
        found = {row[0]: row[1:] for row in handle.execute(
            "SELECT id, generation, state FROM connection")}
        intents = {(row[0], row[1]): (bool(row[2]), found[row[0]][1] == IN_DOUBT)
                   for row in handle.execute(
                       "SELECT connection, generation, reply IS NOT NULL FROM intent")}
        log = handle.execute("SELECT count(*), min(seq), max(seq) FROM event").fetchone()
        sound = handle.execute("PRAGMA integrity_check").fetchall()
        handle.close()
        if sound != [("ok",)]:
            self.wrong(f"{where}: integrity_check: {sound}")
        if log != (log[0], 1, log[0]):
            self.wrong(f"{where}: a gap in seq: {log}")
        for connection, generation in self.acknowledged.items():
            if found.get(connection, (0,))[0] < generation:
                self.wrong(f"{where}: {connection}: generation {generation} was acknowledged,"
                           f" {found.get(connection)} is on the disk")
        for (connection, generation), (has_reply, is_probe) in self.intents.items():
            # A probe's kept reply may be a refusal.
            if (connection, generation) in intents or not has_reply or is_probe:
                continue
            self.kept += 1
            if found[connection][0] <= generation:
                self.wrong(f"{where}: {connection}: the kept reply of generation {generation}"
                           f" was not taken up: {found[connection]}")
        self.intents = intents

    # --- the end

    def settle(self):
        """A last life in which everything comes to rest; then the whole history is looked at."""
        self.d.env = {}
        self.d.start()
        self.connect()
        until(lambda: rows(self.d, "SELECT count(*) FROM intent")[0][0] == 0
              and not rows(self.d, "SELECT id FROM connection WHERE state = 3 AND NOT is_probed"),
              "rest")
        self.look("the end")
        events = events_of(self.c)
        journal = self.sim.journal()
        for account, connection in self.connections.items():
            self.check_events(account, [e for e in events if e.get("connection") == connection])
            self.check_tokens(account, journal)
            self.check_alive(account, connection)
        return events, journal

    def check_events(self, account, events):
        """Each doubt is settled once, and a grant is only called dead when a reply was lost."""
        state = None
        for event in events:
            kind = event["type"]
            if kind == "reauth" and (state != "in_doubt"
                                     or event["reason"]["code"] != "lost_in_flight"):
                self.wrong(f"{account}: reauth after {state}: {event['reason']['code']}")
            if state == "in_doubt" and kind not in ("recovered", "reauth"):
                self.wrong(f"{account}: {kind} after in_doubt")
            if state == "reauth" and kind != "recovered":
                self.wrong(f"{account}: {kind} after reauth")
            state = kind
        generations = [e["generation"] for e in events
                       if e["type"] in ("connected", "refreshed", "recovered")]
        if generations != list(range(1, len(generations) + 1)):
            self.wrong(f"{account}: generations {generations}")

    def check_tokens(self, account, journal):
        """No token after its successor; each once, and once more where its reply was lost."""
        order, times = {}, {}
        for entry in journal:
            if entry["account"] != account:
                continue
            grant, fp = entry["grant"], entry["fp"]
            seen = order.setdefault(grant, [])
            if fp in seen and seen[-1] != fp:
                self.wrong(f"{account}: a token was sent after its successor")
            if fp not in seen:
                seen.append(fp)
            times[fp] = times.get(fp, 0) + 1
        if times and max(times.values()) > 2:
            self.wrong(f"{account}: a token was sent {max(times.values())} times")

    def check_alive(self, account, connection):
        if connection in self.spent:
            return
        code = self.c.code("refresh", owner="o", connection=connection, force=True)
        if code != "ok":
            self.wrong(f"{account}: a living grant cannot be refreshed: {code}")


def storm(t, points, seed):
    s = Storm(t, seed)
    start = time.monotonic()
    for point in points(s.random):
        s.round(point)
    while rows(s.d, "SELECT sum(generation - 1) FROM connection")[0][0] < 60:  # a busy machine does less in a round
        s.round(None)
    rounds_s = time.monotonic() - start
    events, journal = s.settle()
    counts = {}
    for event in events:
        counts[event["type"]] = counts.get(event["type"], 0) + 1
    for entry in journal:
        key = f"provider: {entry['outcome']}"
        counts[key] = counts.get(key, 0) + 1
    t.diag(f"{rounds_s:.0f} s; {counts}; answers: {s.codes}; kept replies taken up: {s.kept}")
    t.eq(s.faults[:10], [], "nothing is lost, nothing is invented, no token is used once too often")
    probes = counts.get("provider: reuse", 0)
    t.ok(counts.get("reauth", 0) <= probes <= counts.get("in_doubt", 0),
         "a spent token is only ever sent as the one probe of a doubt", repr(counts))
    t.ok(counts.get("refreshed", 0) > 20, "and work was done")
    t.ok(s.acknowledged, "and acknowledged")
    s.d.stop()
    check_store(t, s.d, "the store")


@limit(300)
def test_points_under_load(t):
    needs_points()
    count = scaled(ROUNDS // 2, 2 * len(POINTS))

    def points(rng):
        for i in range(count):
            point = POINTS[i % len(POINTS)]
            yield f"{point}:{rng.randrange(1, 40 if point.startswith('store') else 20)}"

    storm(t, points, 1)
    t.ok(count >= 2 * len(POINTS), f"{count} rounds, each point several times")


@limit(300)
def test_random_moments(t):
    count = scaled(ROUNDS // 2, 10)
    storm(t, lambda _: [None] * count, 2)
    t.ok(count >= 10, f"{count} rounds")


run([test_points_strict, test_points_unknown, test_points_reuse_grace, test_points_none,
     test_points_under_load, test_random_moments])
