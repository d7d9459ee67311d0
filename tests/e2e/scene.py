"""What the end-to-end tests have in common: scales, secrets put, rows and logs looked at."""

import os
import secrets as random_secrets
import sqlite3
import time

from harness import NoReply, put_secret, secrets

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


def until(probe, what, timeout=10, every=0.02):
    """Asks the daemon again and again (it tells no one of this) until the probe gives something."""
    ends = time.monotonic() + timeout
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() >= ends:
            raise NoReply(f"{what}: not within {timeout} s")
        time.sleep(every)


def wait_state(client, connection, state, owner="o", timeout=10):
    """The record, once the connection is in this state."""
    def probe():
        found = record(client, connection, owner)
        return found if found["state"] == state else None
    return until(probe, f"{connection} {state}", timeout)


def wait_generation(client, connection, generation, owner="o", timeout=10):
    def probe():
        found = record(client, connection, owner)
        return found if found["generation"] >= generation else None
    return until(probe, f"{connection} generation {generation}", timeout)


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
    return sqlite3.connect(daemon.db, isolation_level=None, timeout=10)


def rows(daemon, sql, *values):
    handle = database(daemon)
    try:
        return handle.execute(sql, values).fetchall()
    finally:
        handle.close()


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
