#!/usr/bin/python3
"""Refresh ahead: nobody asks, and the secret is new all the same."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, Sim, limit, run
from machine import LONG_MS
from scene import (Sent, edit, now, put, record, rows, types_of, until, wait_generation, wait_state)

LEAD = {"expiry_ratio": 0.01}  # what lives a minute is due after some seconds


def start(t, **provider):
    sim = t.use(Endpoint(prefix="PLAN"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(**provider)}}))
    return sim, d, d.client()


def test_ahead(t):
    """Two generations, each before the end of the one before, and nobody asked."""
    sim, d, c = start(t, **LEAD)
    events = d.events()
    connection = put(c, sim.issue("alice", ttl=60), lives_s=60)
    ends_at = record(c, connection)["expires_at"]
    for generation in (2, 3):
        event = events.expect("refreshed", generation=generation)
        t.ok(event["at_ms"] / 1000 < ends_at, f"generation {generation} comes ahead of the end")
        ends_at = record(c, connection)["expires_at"]
    sim.options(ttl=3600)
    wait_generation(c, connection, 4)
    t.eq(sim.grant(sim.journal()[0]["grant"])["reuse"], 0, "each token was used once")


def test_lead(t):
    """When a secret is due: the smaller of the lead and the share of its life, a tenth spread."""
    sim, _, c = start(t, refresh_lead_s=1000, expiry_ratio=0.5)
    dues = []
    for i in range(40):
        connection = put(c, sim.issue(f"a{i}"), lives_s=10000)
        found = record(c, connection)
        dues.append(found["expires_at"] - found["next_refresh_at"])
    t.ok(all(900 <= due <= 1100 for due in dues), "1000 s ahead, ±10 %", repr(dues))
    t.ok(len(set(dues)) > 5, "spread", repr(dues))
    short = record(c, put(c, sim.issue("short"), lives_s=1800))
    left_s = short["expires_at"] - now()  # of its life at the time of the put, or less
    t.ok(0.45 * left_s <= short["expires_at"] - short["next_refresh_at"] <= 990, "half of a short life")
    t.eq(len(sim.journal()), 0, "and none was due yet")


@limit(90)
def test_after_a_pause(t):
    """200 became due while the daemon was down: all are refreshed soon after its start."""
    sim = t.use(Sim(prefix="PAUSE"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    connections = [put(c, g, lives_s=3600) for g in sim.issue_many(200, ttl=3600)]
    t.eq(sim.stats()["arrived"], 0, "none was due")
    d.stop()
    edit(d, "UPDATE connection SET expires_at = ?1, due_at = ?1, next_refresh_at = ?1", now() - 60)
    d.start()
    t.ok(sim.wait_done(200), "200 calls right after the start")
    for connection in connections[::20]:
        wait_generation(c, connection, 2)
    t.eq((sim.stats()["arrived"], sim.stats()["reuse"]), (200, 0), "one each")
    t.eq(c.ask("status")["connections"]["ACTIVE"], 200, "all are active")


@limit(90)
def test_oldest_first(t):
    sim = t.use(Sim(prefix="OLD"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c, order = d.client(), {}
    grants = sim.issue_many(300, ttl=3600)
    connections = [put(c, g, lives_s=3600) for g in grants]
    d.stop()
    at = now() - 10000
    for i, connection in enumerate(connections):
        order[grants[i]["grant_id"]] = (i * 7919) % 300
        edit(d, "UPDATE connection SET expires_at = ?1, due_at = ?1, next_refresh_at = ?1"
             " WHERE id = ?2", at + order[grants[i]["grant_id"]], connection)
    sim.script({"delay_s": 0.05, "times": -1})
    d.start()
    t.ok(sim.wait_done(300), "all are refreshed")
    places = [order[e["grant"]] for e in sim.journal()]
    # Those of one batch may arrive in any order; a batch is much smaller than all.
    worst = max(abs(place - i) for i, place in enumerate(places))
    t.le(worst, 100, "the oldest due go first")
    t.eq(sorted(places[:50]) < [100] * 50, True, "the first ones among the oldest")


def copies(d, count):
    """Rows like those that are there, for the same owners, due a little later. Their seals are another
    row's: whoever came to one could not open it."""
    columns = [name for name, in rows(d, "SELECT name FROM pragma_table_info('connection')")
               if name != "rowid"]
    made = {"id": "c.id || '-' || n", "account": "c.account || '-' || n",
            "due_at": "c.due_at + 1", "next_refresh_at": "c.next_refresh_at + 1"}
    chosen = ", ".join(made.get(name, f'c."{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    edit(d, f"WITH RECURSIVE step(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM step WHERE n < ?1)"
         f" INSERT INTO connection ({names}) SELECT {chosen} FROM connection AS c, step",
         count // rows(d, "SELECT count(*) FROM connection")[0][0])


@limit(60)
def test_hundred_thousand_overdue(t):
    """A start with 100 000 that are overdue floods nobody and keeps no caller waiting."""
    rate, window_s, owners = 30, 2, 100
    sim = t.use(Endpoint(prefix="FLOOD"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(
        token_rate={"limit": rate, "window_s": window_s})}}))
    c = d.client()
    grants = sim.issue_many(owners, ttl=86400)
    for i, grant in enumerate(grants):
        put(c, grant, owner=f"o{i}", lives_s=86400)
    d.stop()
    edit(d, "UPDATE connection SET expires_at = ?1, due_at = ?1, next_refresh_at = ?1", now() - 3600)
    copies(d, 100_000)
    d.start()
    c = d.client()
    t.le(100_000, c.ask("status")["connections"]["ACTIVE"], "so many are there")
    waiting = put(c, sim.issue("caller", ttl=86400), owner="caller")
    sim.wait_requests(5)
    sent = Sent(sim, d)
    job = c.send("vend", owner="caller", connection=waiting, deadline_ms=LONG_MS)
    c.ask("status")  # jobs of one socket keep their order: it is taken
    taken_ms = int(time.time() * 1000)
    t.eq(c.recv_id(job)["generation"], 2, "a caller gets a new secret")
    t.le(sent.between(taken_ms, "caller"), rate // 10 + 1, "in its turn: at once, before all that is only planned")
    status = c.ask("status")["providers"]["acme"]
    t.le(40_000, status["refresh_debt"], "status says how much does not fit into the hour")
    sim.wait_requests(int(rate * 2.5))
    journal = sim.journal()[:int(rate * 2.5)]  # fewer than there are owners: later ones have their second turn
    t.le(sent.most_in(window_s), rate, "the ceiling holds in every window of the provider's own clock")
    t.eq(len({e["account"] for e in journal}), len(journal), "one for each: owners in turn")
    t.eq(sim.stats()["reuse"], 0, "and no token twice")


def test_issuer_says_when(t):
    """The time that an issuer gives for the next refresh is followed, where it makes sense."""
    sim, _, c = start(t, refresh_at_path="$.refresh_in")
    # At the latest a tenth of what there is until the usual time, which is 3330 s at the latest.
    cases = ((1200, 1200, 1413), (3599, 3270, 3330), (9999, 3270, 3330), (10, 3270, 3330),
             (-5, 3270, 3330), ("soon", 3270, 3330))
    for i, (said, least, most) in enumerate(cases):
        grant = sim.issue(f"a{i}", ttl=3600)
        sim.script({"set": {"refresh_in": said}})
        found = wait_generation(c, put(c, grant), 2)
        due_s = found["next_refresh_at"] - found["expires_at"] + 3600
        t.ok(least - 1 <= due_s <= most + 1, f"refresh_in {said!r}: due after {least} to {most} s",
             repr(due_s))


def test_availability(t):
    """A wanted availability begins refreshes so early that an outage can be ridden out, and status shows
    whether it is met."""
    sim, _, c = start(t, availability=0.99999)
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    found = record(c, connection)
    lead_s = found["expires_at"] - found["next_refresh_at"]
    t.ok(300 < lead_s <= 1800, "more than the 300 s of the usual lead, less than half its life",
         repr(lead_s))
    status = c.ask("status")["providers"]["acme"]["availability"]
    t.eq((status["target"], status["met"], "measured" in status), (0.99999, True, False),
         "nothing was measured yet")
    t.ok(abs(status["lead_s"] - lead_s) <= lead_s // 10 + 1, "status has the lead", repr(status))
    put(c, sim.issue("bob", ttl=3600), lives_s=1)
    late = put(c, sim.issue("late", ttl=3600), lives_s=2)
    sim.script(*[{"status": 503}] * 2)
    wait_generation(c, late, 2)
    status = c.ask("status")["providers"]["acme"]["availability"]
    t.ok(0 < status["measured"] <= 1 and status["met"] == (status["measured"] >= 0.99999),
         "and what came of it", repr(status))


@limit(60)
def test_clock_set_back(t):
    """What was written by a clock that has been set back since does not wait until it is there
    again; what else is planned stays as it is."""
    sim = t.use(Sim(prefix="CLOCK"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    ahead = [put(c, sim.issue(f"ahead {i}", ttl=90000), lives_s=180000) for i in range(5)]
    usual = put(c, sim.issue("usual", ttl=90000), lives_s=90000)
    d.stop()
    edit(d, "UPDATE event SET at_ms = at_ms + 86400000 WHERE seq = (SELECT max(seq) FROM event)")
    edit(d, "UPDATE connection SET issued_at = issued_at + 86400 WHERE account LIKE 'ahead%'")
    d.start()
    for connection in ahead:
        wait_generation(c, connection, 2)
    t.eq(record(c, usual)["generation"], 1, "only what was issued in the future")
    t.eq(sim.stats()["arrived"], 5, "each once")
    t.eq(c.ask("vend", owner="o", connection=ahead[0])["refresh"]["state"], "idle", "and then idle")


@limit(60)
def test_dead_rows(t):
    """What cannot be refreshed takes no place in the batch, however many there are."""
    sim = t.use(Sim(prefix="DEAD"))
    believed = {"fleet_guard": {"refusals": 1000}}
    d = t.use(Daemon({"providers": {"acme": sim.provider(**believed),
                                    "plain": {"kind": "static"}}}))
    c = d.client()
    dead = [put(c, g) for g in sim.issue_many(100, account="dead")]
    states = ["NEEDS_REAUTH", "REVOKED"]
    t.ok(sim.wait_done(100), "they were refreshed once")
    for i, connection in enumerate(dead):
        wait_generation(c, connection, 2)
        if i % 2:
            c.ask("connection.revoke", owner="o", connection=connection)
            continue
        token = c.ask("vend", owner="o", connection=connection,
                      include=["refresh_token"])["secret"]["refresh_token"]
        sim.revoke(token=token)
        c.code("refresh", owner="o", connection=connection, force=True)
    calls = sim.stats()["arrived"]
    d.stop()
    edit(d, "UPDATE connection SET expires_at = 1000, due_at = 1000")
    d.start()
    t.eq({record(c, k)["state"] for k in dead}, set(states), "dead in two ways")
    alive = [put(c, g) for g in sim.issue_many(20, account="alive", ttl=3600)]
    for connection in alive:
        wait_generation(c, connection, 2)
    t.eq(sim.stats()["arrived"] - calls, 20, "the living are refreshed, and only they")


def test_poison(t):
    """A row whose secret cannot be opened stops nobody."""
    sim, d, c = start(t)
    good = [put(c, g, lives_s=3600) for g in sim.issue_many(20, account="good", ttl=3600)]
    bad = [put(c, g, lives_s=3600) for g in sim.issue_many(5, account="bad", ttl=3600)]
    d.stop()
    at = now() - 100
    edit(d, "UPDATE connection SET expires_at = ?1, due_at = ?1, next_refresh_at = ?1", at)
    for i, column in enumerate(("secret", '"grant"', "secret", "secret", '"grant"')):
        damage = (f"substr({column}, 1, length({column}) - 1)", "x'00'", "zeroblob(2000)",
                  f"CAST({column} || x'00' AS BLOB)", "x''")[i]
        edit(d, f"UPDATE connection SET {column} = {damage}, next_refresh_at = ?1, due_at = ?1"
             " WHERE id = ?2", at - 1000, bad[i])  # the oldest due of all
    d.start()
    for connection in good:
        wait_generation(c, connection, 2)
    t.eq(len(sim.journal()), 20, "the good ones are refreshed")
    for connection in bad:
        reply = c.call("vend", owner="o", connection=connection)
        t.ok(not reply["ok"] and "does not open" in reply["error"]["provider_error"],
             "a bad one is refused, with the reason")
        t.eq(record(c, connection)["state"], "ACTIVE", "and keeps its state")
    t.ok("does not open" in d.log(), "the log says so")
    t.eq(c.ask("connection.delete", owner="o", connection=bad[0])["deleted"], True,
         "it can be deleted")
    put(c, sim.issue("bad-1", ttl=3600), lives_s=3600, account="bad-1")
    t.eq(c.code("vend", owner="o", connection=bad[1]), "ok", "or put anew")


@limit(60)
def test_backoff_over_restart(t):
    """What the provider asked for is remembered."""
    sim, d, c = start(t)
    for wait_s in (5, 20, 80):  # a busy machine may not have restarted before it is over
        calls = len(sim.journal())
        sim.script({"status": 429, "headers": {"Retry-After": str(wait_s)}})
        connection = put(c, sim.issue(f"alice {wait_s}", ttl=3600))
        t.ok(sim.wait_done(calls + 1), f"refused for {wait_s} s")
        first = sim.journal()[calls]["at"]
        until(lambda: record(c, connection).get("next_refresh_at", 0) >= int(first) + wait_s, "it is planned")
        d.kill()
        d.start()
        code = c.code("vend", owner="o", connection=connection, deadline_ms=200)
        was_in_time = len(sim.journal()) == calls + 1
        t.ok(sim.wait_requests(calls + 2), "it is tried again")
        wait_generation(c, connection, 2)
        waited = sim.journal()[calls + 1]["at"] - first
        t.ok(waited >= wait_s - 0.5, "after the time that was asked for", f"{waited:.1f} s")
        if was_in_time:
            break
    t.ok(was_in_time and code in ("rate_limited", "deadline_exceeded"), "who asks meanwhile is told", code)


def test_never_planned(t):
    """Without an end or a refresh token there is nothing to refresh."""
    sim, d, c = start(t)
    grant = sim.issue("alice")
    unending = c.ask("credential.put", owner="o", provider="acme", account="unending", secret={
        "kind": "oauth2", "access_token": grant["access_token"],
        "refresh_token": grant["refresh_token"]})["connection"]
    tokenless = c.ask("credential.put", owner="o", provider="acme", account="tokenless",
                      secret={"kind": "oauth2", "access_token": grant["access_token"]},
                      expires_at=now() - 5)["connection"]
    t.ok("next_refresh_at" not in record(c, unending), "no end: not planned")
    found = wait_state(c, tokenless, "NEEDS_REAUTH")
    t.eq(found.get("reason"), "expired", "no refresh token: its owner is told when it has ended")
    t.ok("next_refresh_at" not in found, "and nothing is planned")
    t.eq(types_of(c, tokenless), ["connected", "reauth"], "once")
    t.eq(c.code("vend", owner="o", connection=tokenless), "needs_reauth", "and expired: connect")
    t.eq(c.code("vend", owner="o", connection=unending), "ok", "good until it is invalidated")
    d.round_trip()
    t.eq(len(sim.journal()), 0, "no call")
    c.ask("invalidate", owner="o", connection=unending, generation=1, vend=True)
    t.eq(record(c, unending)["generation"], 2, "invalidated: refreshed")


def test_invalidation_survives(t):
    """An invalidation is on the disk: a restart does not make the old secret good again."""
    sim = t.use(Endpoint(rotation="none", prefix="KEPT"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    sim.script({"status": 503, "times": -1})
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    c.ask("invalidate", owner="o", connection=connection, generation=1)
    d.kill()
    d.start()
    t.ok(c.code("vend", owner="o", connection=connection, deadline_ms=200) in (
        "provider_unavailable", "deadline_exceeded"), "the invalidated secret is not served")
    sim.clear_script()
    wait_generation(c, connection, 2)
    t.eq(types_of(c, connection), ["connected", "refreshed"], "until the refresh comes")
    t.eq(rows(d, "SELECT count(*) FROM intent"), [(0,)], "no intent is left")


run([test_ahead, test_lead, test_after_a_pause, test_oldest_first, test_hundred_thousand_overdue,
     test_issuer_says_when, test_availability, test_clock_set_back,
     test_dead_rows, test_poison, test_backoff_over_restart, test_never_planned,
     test_invalidation_survives])
