"""What the end-to-end tests have in common: scales, secrets put, rows and logs looked at."""

import contextlib
import os
import secrets as random_secrets
import sqlite3
import threading
import time

from harness import NoReply, put_secret, secrets
from machine import PATIENCE_S

SANITIZED = os.environ.get("BURSAR_SANITIZE", "no") not in ("", "no")
FAULT_POINTS = os.environ.get("BURSAR_FAULT_POINTS") == "yes"
FACTOR = float(os.environ.get("BURSAR_TEST_FACTOR", "0.1" if SANITIZED else "1"))
SLOW = 8 if SANITIZED else 1  # what measured times are stretched by
STATES = ("NONE", "PENDING", "ACTIVE", "IN_DOUBT", "NEEDS_REAUTH", "REVOKED", "FROZEN")


def scaled(count, least=1):
    """A large count, made smaller where a sanitizer (or BURSAR_TEST_FACTOR) asks for it."""
    return max(least, int(count * FACTOR))


def make_secret(name):
    """A secret that the searches know."""
    value = f"{name}-{random_secrets.token_urlsafe(18)}"
    secrets.add(value)
    return value


def now():
    return int(time.time())


def put(client, grant, provider="acme", owner="o", lives_s=None, **keys):
    """Stores what a provider has issued; expired where lives_s is None. Gives the connection."""
    secret = {**put_secret(grant), **keys.pop("more", {})}
    expires_at = 1 if lives_s is None else now() + lives_s
    account = keys.pop("account", grant.get("account"))
    reply = client.ask("credential.put", owner=owner, provider=provider, account=account,
                       secret=secret, expires_at=expires_at, **keys)
    return reply["connection"]


def record(client, connection, owner="o"):
    return client.ask("connection.get", owner=owner, connection=connection)["record"]


def until(probe, what, *, every=0.02):
    """Asks the daemon again and again (it tells no one of this) until the probe gives something."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() >= ends:
            raise NoReply(f"{what}: not within {PATIENCE_S} s")
        time.sleep(every)


def quickest(t, most_s, name, action, tries=8):
    """A bound on how long an action takes. Nothing but a clock can tell, and on a busy machine any one of them may
    be late: so the quickest of a few counts, each begun anew. What waits where it should not is late every time.
    An action may give the seconds itself that count."""
    took = []
    while len(took) < tries and (not took or min(took) > most_s):
        start = time.monotonic()
        counted = action()
        took.append(time.monotonic() - start if counted is None else counted)
    t.ok(min(took) <= most_s, name, f"not within {most_s} s, but after {took}")


HELD_UP_MS = 50


class Sent:
    """When the daemon began each token request, by its own clock: the intent that it has written before. What
    arrives tells less, for some of them may have been on their way for longer than others."""

    def __init__(self, sim, daemon):
        self.at_ms, self._first, self._daemon, self._lock = [], {}, daemon, threading.Lock()
        sim.on_request = self._note

    def _note(self, request):
        found = rows(self._daemon, "SELECT at_ms FROM intent JOIN connection ON id = connection WHERE account = ?",
                     request.account)
        with self._lock:
            self.at_ms.append(found[0][0])
            self._first.setdefault(request.account, found[0][0])

    def between(self, since_ms, account):
        """How many were begun from then on, and before the first one of this account."""
        with self._lock:
            return sum(since_ms <= at < self._first[account] for at in self.at_ms)

    def most_in(self, window_s):
        """The largest number of them in any window that begins with one of them. It ends a little early: between the
        look at the ceiling and the note of the time a thread may have had no processor."""
        with self._lock:
            times = sorted(self.at_ms)
        long_ms = window_s * 1000 - HELD_UP_MS
        return max(sum(1 for other in times if at <= other < at + long_ms) for at in times)


def wait_state(client, connection, state, owner="o"):
    """The record, once the connection is in this state."""
    def probe():
        found = record(client, connection, owner)
        return found if found["state"] == state else None
    return until(probe, f"{connection} {state}")


def wait_generation(client, connection, generation, owner="o"):
    def probe():
        found = record(client, connection, owner)
        return found if found["generation"] >= generation else None
    return until(probe, f"{connection} generation {generation}")


def events_of(client, **fields):
    """The whole log, oldest first; only those with these fields."""
    events, seq = [], 0
    while True:
        reply = client.ask("events.since", seq=seq, limit=10000)
        if reply["next_seq"] == seq:
            break
        events += reply["events"]
        seq = reply["next_seq"]
    return [e for e in events if all(e.get(k) == v for k, v in fields.items())]


def types_of(client, connection):
    return [e["type"] for e in events_of(client, connection=connection)]


def database(daemon):
    """The daemon's store, opened beside it or while it is down."""
    return sqlite3.connect(daemon.db, isolation_level=None, timeout=PATIENCE_S)


def rows(daemon, sql, *values):
    handle = database(daemon)
    try:
        return handle.execute(sql, values).fetchall()
    finally:
        handle.close()


def is_writing(daemon):
    """Has the daemon begun a transaction? Who stands still in one lets nobody else write."""
    with contextlib.closing(sqlite3.connect(daemon.db, isolation_level=None, timeout=0)) as handle:
        try:
            handle.execute("BEGIN IMMEDIATE")
            return False
        except sqlite3.OperationalError:
            return True


def edit(daemon, sql, *values):
    """Changes the store of a daemon that is down."""
    handle = database(daemon)
    handle.execute(sql, values)
    handle.close()


def check_store(t, daemon, name):
    """The file is sound and its event log has no gap."""
    t.eq(rows(daemon, "PRAGMA integrity_check"), [("ok",)], f"{name}: integrity_check")
    count, low, high = rows(daemon, "SELECT count(*), min(seq), max(seq) FROM event")[0]
    t.ok(count == 0 or (low == 1 and high == count), f"{name}: seq without a gap",
         f"{count} events from {low} to {high}")


def holds(value, needle):
    """Whether a text stands anywhere in a decoded reply."""
    if isinstance(value, dict):
        return any(holds(k, needle) or holds(v, needle) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return any(holds(v, needle) for v in value)
    return isinstance(value, str) and needle in value
