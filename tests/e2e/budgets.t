#!/usr/bin/python3
"""What is held back, and that it goes on by itself: ceilings, breaker, fleet guard, fairness."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, limit, run
from scene import Sent, edit, events_of, now, put, record, rows, until, wait_generation


def start(t, rotation="strict", **provider):
    sim = t.use(Endpoint(rotation=rotation, prefix="BUDGET"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(**provider)}}))
    return sim, d, d.client()


def figures(c, provider="acme"):
    return c.ask("status")["providers"][provider]


def incidents(c):
    return [(e["incident"], e["phase"]) for e in events_of(c) if e["type"] == "incident"]


# --- ceilings

@limit(120)
def test_ceiling(t):
    """However much is due at once, the provider's ceiling holds in every window."""
    sim, d, c = start(t, token_rate={"limit": 20, "window_s": 2})
    sent, began = Sent(sim, d), time.time()
    connections = [put(c, g) for g in sim.issue_many(60, ttl=3600)]
    for connection in connections:
        wait_generation(c, connection, 2)
    journal = sim.journal()
    t.eq(len(journal), 60, "each once")
    t.le(sent.most_in(2), 20, "never more than the ceiling in a window")
    t.ok(max(e["at"] for e in journal) - began >= 4, "so it took time")
    t.eq(figures(c)["budget"]["token_limit"], 20, "status names the ceiling")
    t.eq({record(c, k)["state"] for k in connections}, {"ACTIVE"}, "nobody's state changes")


@limit(60)
def test_api_ceiling(t):
    """The API's ceiling bounds token requests too."""
    sim, d, c = start(t, rate={"limit": 10, "window_s": 1})
    sent = Sent(sim, d)
    connections = [put(c, g) for g in sim.issue_many(20, ttl=3600)]
    for connection in connections:
        wait_generation(c, connection, 2)
    t.le(sent.most_in(1), 10, "never more than the ceiling in a window")


@limit(60)
def test_rate_limited(t):
    """What the budget cannot serve before the deadline is told so at once, and for how long."""
    sim, _, c = start(t, token_rate={"limit": 1, "window_s": 3600})
    first = put(c, sim.issue("first", ttl=86400))
    wait_generation(c, first, 2)
    second = put(c, sim.issue("second", ttl=86400))
    error = c.call("vend", owner="o", connection=second)["error"]
    t.eq((error["code"], error["retryable"]), ("rate_limited", True), "told at once")
    t.ok(3000 * 1000 <= error["retry_after_ms"] <= 3600 * 1000, "and for how long", repr(error))
    found = figures(c)
    t.eq((found["budget"]["left"], found["due_1h"], found["held"]), (0, 1, False),
         "status shows what is left")
    t.ok(found["held_by"] == "budget" and found["held_ms"] > 3000 * 1000, "and what it waits for",
         repr(found))
    t.eq(len(sim.journal()), 1, "nothing was sent")
    t.eq(record(c, second)["state"], "ACTIVE", "the state stays")


@limit(60)
def test_per_grant(t):
    """A ceiling that each grant has for itself keeps the others out of it."""
    sim, d, c = start(t, token_rate={"limit": 1, "window_s": 3600, "per": "grant"})
    connections = [put(c, sim.issue(f"a{i}", ttl=3600)) for i in range(10)]
    for connection in connections:
        wait_generation(c, connection, 2)
    again = c.call("refresh", owner="o", connection=connections[0], force=True)
    t.eq(again["error"]["code"], "rate_limited", "the same one once more has to wait")
    d.restart()
    again = c.call("refresh", owner="o", connection=connections[1], force=True)
    t.eq(again["error"]["code"], "rate_limited", "also after a restart")
    t.eq(len(sim.journal()), 10, "each once")


@limit(60)
def test_per_grant_fair(t):
    """Very many that have to wait for their own ceilings do not stand before one that need not."""
    sim, d, c = start(t, token_rate={"limit": 1, "window_s": 3600, "per": "grant"})
    grants = sim.issue_many(70, ttl=3600)
    connections = [put(c, grant, lives_s=3600) for grant in grants]
    d.stop()
    edit(d, "UPDATE connection SET last_refresh_at = ?1, next_refresh_at = ?1, due_at = ?1",
         now() - 60)
    d.start()
    c = d.client()
    new = put(c, sim.issue("new", ttl=3600))
    wait_generation(c, new, 2)
    t.eq([e["account"] for e in sim.journal()], ["new"], "none of the others was refreshed")
    t.eq(record(c, connections[0])["generation"], 1, "they wait")


@limit(60)
def test_fair(t):
    """An owner with very many that are due does not keep one with a single one waiting, and
    whoever waits for an answer goes before all that is only planned."""
    sim, d, c = start(t, token_rate={"limit": 20, "window_s": 1})
    other = d.client()
    c.ask("provider.pause", provider="acme")  # until all are due
    for grant in sim.issue_many(200, account="many", ttl=3600):
        put(c, grant, owner="many")
    single = put(c, sim.issue("single", ttl=3600), owner="one")
    waited = put(c, sim.issue("waited", ttl=3600), owner="many")
    t.eq(sim.journal(), [], "nothing is sent yet")
    c.ask("provider.resume", provider="acme")
    job = c.send("vend", owner="many", connection=waited)
    seen = until(lambda: c.wait(0) or (f := figures(other))["queue"] == 1 and f, "a caller waits, or is served")
    # What had been sent when it was seen: what has come, and what may have been on its way.
    sent = len(sim.journal()) + (0 if seen is True else seen["in_flight"] - seen["waiting"])
    t.ok("secret" in c.recv_id(job), "a caller is served")
    wait_generation(c, single, 2, owner="one")
    order = [e["account"] for e in sim.journal()]
    t.le(order.index("waited"), sent + 20, "the caller went before the plan")
    t.le(order.index("single"), 150, "the single one before the many")


@limit(60)
def test_throttled_together(t):
    """Where the ceiling is known to be everybody's, Retry-After holds everybody, for that long."""
    sim, _, c = start(t, token_rate={"limit": 1000, "window_s": 1})
    for wait_s in (2, 8, 32):  # a busy machine may need more than two seconds to see what is held so long
        before = len(sim.journal())
        sim.script({"status": 429, "headers": {"Retry-After": str(wait_s)}, "body": b"slow down"})
        first = put(c, sim.issue(f"first {wait_s}", ttl=3600))
        t.ok(sim.wait_done(before + 1), "one was asked to wait")
        seen = until(lambda: figures(c).get("held_by") == "budget" and "held"
                     or record(c, first)["generation"] == 2 and "over", "it is noted")
        second = put(c, sim.issue(f"second {wait_s}", ttl=3600))
        wait_generation(c, first, 2)
        wait_generation(c, second, 2)
        if seen == "held":
            break
    times = [e["at"] for e in sim.journal()[before:]]
    t.ok(seen == "held" and min(times[1:]) - times[0] >= wait_s - 0.1, "nobody was sent before", repr(times))
    t.eq(incidents(c), [], "and it is no incident")


# --- the breaker

@limit(60)
def test_breaker(t):
    """A provider that does not answer is left alone, told about once, and tried by one."""
    sim, _, c = start(t, rotation="none", breaker={"failures": 5, "open_s": 1.5})
    sim.script({"status": 503, "body": b"down", "times": -1})
    connections = [put(c, g) for g in sim.issue_many(30, ttl=3600)]
    until(lambda: figures(c)["breaker"] != "closed", "the breaker opens")
    until(lambda: (f := figures(c))["in_flight"] == f["waiting"], "what was under way ends")
    # Who comes while it is tried waits for that.
    error = until(lambda: (e := c.call("vend", owner="o", connection=connections[0], deadline_ms=300)["error"])
                  and e["code"] != "deadline_exceeded" and e, "an answer")
    t.eq((error["code"], error["retryable"]), ("provider_unavailable", True), "callers are told")
    before = len(sim.journal())
    until(lambda: len(sim.journal()) >= before + 2, "again and again")
    t.eq(incidents(c), [("outage", "begin")], "one incident, however often it was tried")
    t.eq({record(c, k)["state"] for k in connections}, {"ACTIVE"}, "no connection is to blame")
    sim.clear_script()
    for connection in connections:
        wait_generation(c, connection, 2)
    until(lambda: incidents(c) == [("outage", "begin"), ("outage", "end")], "it has ended")
    t.eq(figures(c)["breaker"], "closed", "and the breaker is closed")


@limit(60)
def test_told_while_it_backs_off(t):
    """Who waits behind a failed attempt hears of the breaker, and not of the own deadline."""
    sim, _, c = start(t, rotation="none", breaker={"failures": 5, "open_s": 300})
    connections = [put(c, g, lives_s=3600) for g in sim.issue_many(6, ttl=3600)]
    sim.script({"match": {"account": "account-0"}, "status": 503, "headers": {"Retry-After": "60"}},
               {"status": 503, "times": -1})
    first = c.send("refresh", owner="o", connection=connections[0], force=True, deadline_ms=150000)
    sim.wait_done(1)
    for connection in connections[1:]:
        c.send("refresh", owner="o", connection=connection, force=True, deadline_ms=150000)
    error = c.recv_id(first)["error"]
    t.eq(error["code"], "provider_unavailable", "it cannot be served before its deadline")
    t.ok(150000 < error["retry_after_ms"] <= 300000, "and hears when it may come again", repr(error))
    t.eq([e["account"] for e in sim.journal()].count("account-0"), 1, "long before its deadline, or another attempt")


@limit(60)
def test_breaker_after_restart(t):
    """An incident that was open is not told twice, and ends with the first answer."""
    sim, d, c = start(t, rotation="none", breaker={"failures": 3, "open_s": 1})
    sim.script({"status": 503, "body": b"down", "times": -1})
    connections = [put(c, g) for g in sim.issue_many(5, ttl=3600)]
    until(lambda: incidents(c) == [("outage", "begin")], "it begins")
    d.kill()
    d.start()
    before = len(sim.journal())
    until(lambda: len(sim.journal()) > before, "tried after the restart")
    until(lambda: figures(c)["breaker"] == "open", "it does not answer yet")
    t.eq(incidents(c), [("outage", "begin")], "told once")
    sim.clear_script()
    for connection in connections:
        wait_generation(c, connection, 2)
    until(lambda: incidents(c) == [("outage", "begin"), ("outage", "end")], "it ends")
    t.eq(rows(d, "SELECT count(*) FROM incident")[0][0], 0, "nothing is left open")


# --- the fleet guard

@limit(120)
def test_fleet_guard(t):
    """A provider that refuses everybody is not believed; canaries find out when it is over."""
    guard = {"refusals": 10, "share": 0.3, "window_s": 300, "round_s": 0.5}
    sim, _, c = start(t, rotation="none", fleet_guard=guard)
    sim.script({"status": 400, "body": {"error": "invalid_grant"}, "times": -1})
    connections = [put(c, g) for g in sim.issue_many(60, ttl=3600)]
    until(lambda: ("mass_refusal", "begin") in incidents(c), "it is noticed")
    dead = [k for k in connections if record(c, k)["state"] == "NEEDS_REAUTH"]
    t.le(len(dead), 9, "the one that was too many is not believed any more")
    before = len(sim.journal())
    until(lambda: len(sim.journal()) >= before + 6, "canaries are sent")
    t.eq([k for k in connections if record(c, k)["state"] == "NEEDS_REAUTH"], dead,
         "what canaries hear kills nobody")
    alive = [k for k in connections if k not in dead]
    error = c.call("vend", owner="o", connection=alive[-1])["error"]
    t.eq(error["code"], "provider_unavailable", "callers are told that it is not their grant")
    found = figures(c)
    t.ok(found["held"] and found["held_by"] == "guard", "status says what holds it", repr(found))
    sim.clear_script()
    until(lambda: incidents(c) == [("mass_refusal", "begin"), ("mass_refusal", "end")],
          "it is over")
    for connection in alive:
        reply = c.call("refresh", owner="o", connection=connection, force=True)
        t.eq(reply["ok"], True, "every one of them is alive") if not reply["ok"] else None
    t.eq({record(c, k)["state"] for k in alive}, {"ACTIVE"}, "all that were left are alive")
    t.eq(len([e for e in events_of(c) if e["type"] == "reauth"]), len(dead),
         "only so many were told to connect again")


@limit(60)
def test_usual_refusals(t):
    """Owners who leave one after the other are believed."""
    sim, _, c = start(t, fleet_guard={"refusals": 10, "share": 0.3})
    good = [put(c, g) for g in sim.issue_many(40, ttl=3600)]
    for connection in good:
        wait_generation(c, connection, 2)
    for i in range(12):
        grant = sim.issue(f"left {i}", ttl=3600)
        sim.revoke(token=grant["refresh_token"])
        connection = put(c, grant)
        until(lambda: record(c, connection)["state"] == "NEEDS_REAUTH", "believed")
    t.eq(incidents(c), [], "and it is no incident")


# --- the forecast

@limit(60)
def test_forecast(t):
    """How much of the next hour does not fit, and whose refresh token ends soon."""
    sim, _, c = start(t, token_rate={"limit": 1, "window_s": 3600})
    first = put(c, sim.issue("first", ttl=3600))
    wait_generation(c, first, 2)
    soon, later = 3 * 86400, 30 * 86400
    for i, ends_s in enumerate((soon, soon, later)):
        put(c, sim.issue(f"a{i}", ttl=3600), lives_s=600 + i,
            more={"refresh_token_expires_at": now() + ends_s})
    status = c.ask("status")
    found = status["providers"]["acme"]
    t.eq((status["reauth_forecast"], found["reauth_forecast"]), (2, 2), "two end soon")
    t.ok(found["due_1h"] >= 3, "three and the first are due within the hour", repr(found))
    t.eq(status["refresh_debt"], found["due_1h"] - found["budget"]["room_1h"], "what does not fit is the debt")
    t.ok(status["refresh_debt"] >= 2, "and there is one", repr(status["refresh_debt"]))


run([test_ceiling, test_api_ceiling, test_rate_limited, test_per_grant, test_per_grant_fair, test_fair,
     test_throttled_together, test_breaker, test_told_while_it_backs_off, test_breaker_after_restart, test_fleet_guard,
     test_usual_refusals, test_forecast])
