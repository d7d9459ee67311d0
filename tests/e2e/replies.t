#!/usr/bin/python3
"""What a provider can answer, and what becomes of it: one row for each reply."""

import email.utils
import itertools
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, limit, run
from machine import LONG_MS, hold_port, port_of
from scene import now, put, quickest, record, rows, types_of, until, wait_generation, wait_state

YEARS_10 = 10 * 365 * 86400


def start(t, rotation="strict", **provider):
    """What each reply means by itself: what many of them mean together is for budgets.t."""
    sim = t.use(Endpoint(rotation=rotation, prefix="REPLY"))
    alone = {"breaker": {"failures": 1000000}, "fleet_guard": {"refusals": 1000000},
             "token_rate": {"limit": 1000000, "window_s": 1, "per": "grant"}}
    d = t.use(Daemon({"providers": {"acme": sim.provider(**{**alone, **provider})}}))
    return sim, d, d.client()


def refresh(c, connection, **keys):
    """The error of a refresh that somebody waits for, {"code": "ok"} where there is none."""
    reply = c.call("refresh", owner="o", connection=connection, force=True, **keys)
    return reply.get("error") or {"code": "ok"}


# --- when a new secret ends

LIVES = [("number", 1800, 1800), ("text", "1800", 1800), ("text with a fraction", "90.7", 90),
         ("fraction", 90.7, 90), ("float", 3600.0, 3600), ("exponent", 1.8e3, 1800),
         ("ten years", YEARS_10, YEARS_10), ("one", 1, 1),
         ("0", 0, None), ("negative", -5, None), ("negative text", "-5", None),
         ("null", None, None),
         ("empty text", "", None), ("no number", "soon", None), ("hexadecimal", "0x10", None),
         ("infinite", "inf", None), ("not a number", "nan", None),
         ("more than ten years", YEARS_10 + 1, None),
         ("1e30", 1e30, None), ("10^40", 10 ** 40, None), ("400 digits", "9" * 400, None),
         ("list", [1800], None), ("map", {"s": 1800}, None), ("boolean", True, None)]


def check_lives(t, default, **provider):
    sim, d, c = start(t, **provider)
    for name, value, _ in LIVES:
        sim.script({"set": {"expires_in": value}, "match": {"account": name}})
    sim.script({"remove": ["expires_in"], "match": {"account": "absent"}})
    sim.script({"status": 503, "times": -1})  # what was first replied stays, however soon it ends
    cases = LIVES + [("absent", None, None)]
    found = {name: put(c, sim.issue(name)) for name, *_ in cases}
    for name, _, expected in cases:
        wait_generation(c, found[name], 2)
        expires_at = record(c, found[name]).get("expires_at")
        issued_at = rows(d, "SELECT issued_at FROM connection WHERE id = ?", found[name])[0][0]
        expected = default if expected is None else expected
        if expected is None:
            t.eq(expires_at, None, f"{name}: counts as absent, no end")
        else:
            t.eq(expires_at and expires_at - issued_at, expected, f"{name}: {expected} s")
        t.eq(record(c, found[name])["state"], "ACTIVE", f"{name}: active")
    reply = c.ask("vend", owner="o", connection=found["absent"])
    t.eq("expires_at" in reply, default is not None, "absent: so says the vend")


def test_expires_in(t):
    check_lives(t, None)


def test_expires_in_with_default(t):
    check_lives(t, 600, default_ttl_s=600)


# --- replies that nobody can read

UNREADABLE = {
    "empty": {"body": b""}, "no JSON": {"body": b"access granted"}, "a list": {"body": b"[]"},
    "HTML": {"body": b"<html>Sign in</html>", "headers": {"Content-Type": "text/html"}},
    "JSON cut off": {"body": b'{"access_token": "x'}, "an empty map": {"body": b"{}"},
    "no access token": {"body": {"token_type": "Bearer", "expires_in": 60}},
    "token of a wrong type": {"body": {"access_token": 7}},
    "an empty token": {"body": {"access_token": ""}},
    "not UTF-8": {"body": b'{"access_token": "\xff\xfe"}'},
    "cut off": {"truncate": 20, "body": b'{"access_token": "x", "expires_in": 1}'},
    "2 MiB": {"pad": 2 << 20, "body": b"{}"},
    "2 MiB in chunks": {"pad": 2 << 20, "chunked": 65536, "body": b"{}"},
    "not HTTP": {"raw": b"\x16\x03\x01\x02\x00"},
}


@limit(120)
def test_unreadable(t):
    """200 without a token that can be read: a strict rotator may have spent the old one."""
    sim, d, c = start(t)
    events = d.events()
    connections = {}
    for spent in (False, True):
        for name, damage in UNREADABLE.items():
            account = f"{name}, {'spent' if spent else 'not spent'}"
            sim.script({"status": 200, **damage, "process": spent, "match": {"account": account}})
            connections[account] = put(c, sim.issue(account, ttl=3600))
    for account, connection in connections.items():
        spent = not account.endswith("not spent")
        until(lambda: len(types_of(c, connection)) == 3, account)
        found = record(c, connection)
        if spent:
            t.eq((found["state"], found["reason"], types_of(c, connection)),
                 ("NEEDS_REAUTH", "lost_in_flight", ["connected", "in_doubt", "reauth"]),
                 f"{account}: in doubt, and the probe says that it is dead")
        else:
            t.eq((found["state"], found["generation"], types_of(c, connection)),
                 ("ACTIVE", 2, ["connected", "in_doubt", "recovered"]),
                 f"{account}: in doubt, and the probe brings it back")
        sent = [e for e in sim.journal() if e["account"] == account]
        t.eq(len(sent), 2, f"{account}: one probe")
    doubt = events.expect("in_doubt")
    t.eq((doubt["reason"]["code"], doubt["reason"]["class"]), ("reply_lost", "provider"), "reason")


@limit(120)
def test_unreadable_without_rotation(t):
    """Where nothing is spent it is sent again, and nobody hears of it."""
    sim, _, c = start(t, rotation="none")
    connections = {}
    for name, damage in UNREADABLE.items():
        sim.script({"status": 200, **damage, "match": {"account": name}})
        connections[name] = put(c, sim.issue(name, ttl=3600))
    for name, connection in connections.items():
        wait_generation(c, connection, 2)
        t.eq(types_of(c, connection), ["connected", "refreshed"], f"{name}: tried again")


# --- refusals

@limit(120)
def test_dead_grant(t):
    sim, d, c = start(t)
    events = d.events()
    for status in (200, 400, 401, 403):
        account = f"status {status}"
        connection = put(c, sim.issue(account), lives_s=3600)
        sim.script({"status": status, "body": {"error": "invalid_grant"},
                    "match": {"account": account}})
        error = refresh(c, connection)
        t.eq((error["code"], error.get("provider_error")), ("needs_reauth", "invalid_grant"),
             f"invalid_grant at {status}: needs_reauth")
        found = record(c, connection)
        t.eq((found["state"], found["reason"], "next_refresh_at" in found),
             ("NEEDS_REAUTH", "invalid_grant", False), f"{status}: the state, and no further plan")
        event = events.expect("reauth", connection=connection)
        t.eq(event["reason"].pop("suspect"), "second_spender", "a rotating token is refused")
        t.eq(event["reason"], {"code": "invalid_grant", "class": "grant", "http_status": status,
                               "provider_error": "invalid_grant"}, f"{status}: the event")
        for _ in range(5):
            t.eq(c.ask("vend", owner="o", connection=connection)["stale"], True,
                 f"{status}: what is left is served")
        t.eq(types_of(c, connection), ["connected", "reauth"], f"{status}: one event")
        t.eq(len([e for e in sim.journal() if e["account"] == account]), 1, f"{status}: one call")


@limit(120)
def test_rejected_client(t):
    """Our client is refused: one incident, no connection is to blame, the work is held."""
    sim, d, c = start(t)
    events = d.events()
    many = [put(c, sim.issue(f"a{i}"), lives_s=3600) for i in range(10)]
    sim.script({"status": 401, "body": {"error": "invalid_client"}, "times": -1})
    codes = [refresh(c, connection)["code"] for connection in many]
    t.eq(set(codes), {"client_rejected"}, "all are told")
    incident = events.expect("incident")
    t.eq((incident["phase"], incident["provider"], incident["reason"]["code"],
          incident["reason"]["class"], incident["reason"]["http_status"]),
         ("begin", "acme", "invalid_client", "client", 401), "one incident")
    t.eq({record(c, k)["state"] for k in many}, {"ACTIVE"}, "no state changes")
    t.eq({c.ask("vend", owner="o", connection=k)["generation"] for k in many}, {1},
         "what is good is served")
    calls = len(sim.journal())
    t.le(calls, 2, "the work is held: not every refresh is sent")
    t.eq(c.ask("status")["providers"]["acme"]["held"], True, "so says status")
    t.eq((events.expect_none("incident", 0.3), len(sim.journal())), (True, calls), "it stays so")
    d.stop()
    sim.clear_script()
    d.start()
    events.wait_connected()
    # The daemon that starts again has the operator's new secret, perhaps: it tries once.
    t.eq(refresh(c, many[1])["code"], "ok", "after a restart it is tried again")
    t.eq({record(c, k)["state"] for k in many}, {"ACTIVE"}, "all as they were")


@limit(60)
def test_rejected_client_ends(t):
    """Another answer than a refusal of our client ends the incident."""
    sim, d, c = start(t)
    events = d.events()
    held, lucky = put(c, sim.issue("held"), lives_s=600), put(c, sim.issue("lucky"), lives_s=600)
    sim.script({"hold": "gate", "match": {"account": "lucky"}},
               {"status": 401, "body": {"error": "invalid_client"}, "match": {"account": "held"}})
    job = c.send("refresh", owner="o", connection=lucky, force=True, deadline_ms=LONG_MS)
    t.ok(sim.wait_requests(1), "one is under way")
    t.eq(refresh(c, held)["code"], "client_rejected", "another is rejected")
    t.eq(events.expect("incident")["phase"], "begin", "the incident begins")
    sim.release("gate")
    t.eq(c.recv_id(job)["generation"], 2, "the first one is answered well")
    t.eq(events.expect("incident")["phase"], "end", "the incident ends")
    t.eq(refresh(c, held)["code"], "ok", "and the work goes on")


CLIENT_FAULTS = [(400, "unauthorized_client"), (400, "invalid_request"), (400, "invalid_scope"),
                 (400, "unsupported_grant_type"), (302, None), (404, None), (405, None),
                 (410, None), (415, None), (402, None)]


@limit(120)
def test_client_faults(t):
    sim, _, c = start(t)
    for status, error in CLIENT_FAULTS:
        name = f"{status} {error or ''}"
        connection = put(c, sim.issue(name), lives_s=3600)
        sim.script({"status": status, "body": {"error": error} if error else b"no",
                    "headers": {"Location": sim.url + "/elsewhere/token"},
                    "match": {"account": name}})
        found = refresh(c, connection)
        t.eq((found["code"], found["retryable"]), ("client_rejected", False), f"{name}: client")
        t.eq(record(c, connection)["state"], "ACTIVE", f"{name}: the state stays")
    t.eq({e["path"] for e in sim.journal()}, {"/token"}, "a redirect is not followed")


# --- a provider in trouble

@limit(120)
def test_rate_limited(t):
    sim, d, c = start(t)
    for name, header, low, high in (("seconds", "300", 300, 334), ("date", None, 399, 445),
                                    ("a day", "86400", 3600, 3965),
                                    ("past", "Thu, 01 Jan 1970 00:00:00 GMT", 0, 1),
                                    ("nonsense", "soon", 0, 1)):
        connection = put(c, sim.issue(name), lives_s=3600)
        before = now()
        sim.script({"status": 429, "body": b"slow down", "match": {"account": name}, "times": -1,
                    "headers": {"Retry-After": header or email.utils.formatdate(before + 400, usegmt=True)}})
        # Where it is soon tried again, the job waits for that.
        error = refresh(c, connection, deadline_ms=100000 if low else 300)
        after = now()
        t.eq((error["code"] in ("rate_limited", "deadline_exceeded"), error["retryable"]),
             (True, True), f"{name}: rate_limited", )
        if low:
            slow_ms = (after - before + 1) * 1000  # so much may be over by then
            t.ok(low * 1000 - slow_ms <= error.get("retry_after_ms", 0) <= high * 1000,
                 f"{name}: says for how long", repr(error))
            next_at = record(c, connection)["next_refresh_at"]
            t.ok(before + low - 1 <= next_at <= after + high + 1, f"{name}: and it is planned then",
                 repr(next_at - before))
        t.eq(record(c, connection)["state"], "ACTIVE", f"{name}: the state stays")
    d.round_trip()


@limit(120)
def test_provider_trouble(t):
    cases = {"500 with invalid_grant": {"status": 500, "body": {"error": "invalid_grant"}},
             "502 HTML": {"status": 502, "body": b"<html>"}, "503": {"status": 503},
             "temporarily_unavailable": {
                 "status": 400, "body": {"error": "temporarily_unavailable"}},
             "server_error": {"status": 400, "body": {"error": "server_error"}},
             "400 without a code": {"status": 400, "body": b"no"},
             "418 HTML": {"status": 418, "body": b"<html>"},
             "503 with seconds": {"status": 503, "headers": {"Retry-After": "2"}}}
    sim, _, c = start(t)
    clients = {}
    for name, damage in cases.items():
        sim.script({**damage, "match": {"account": name}})
        connection = put(c, sim.issue(name, ttl=3600))
        clients[name] = (connection, c.send("vend", owner="o", connection=connection))
    for name, (connection, job) in clients.items():
        reply = c.recv_id(job)
        t.eq((reply["ok"], reply.get("generation")), (True, 2), f"{name}: waited for, tried again")
        t.eq(types_of(c, connection), ["connected", "refreshed"], f"{name}: nobody hears of it")
        t.eq(len([e for e in sim.journal() if e["account"] == name]), 2, f"{name}: two calls")


@limit(60)
def test_outage(t):
    """An outage that does not end: who waits is told, and it is tried ever more slowly."""
    sim, d, c = start(t)
    sim.script({"status": 503, "times": -1})
    connection = put(c, sim.issue("alice"))
    reply = c.call("vend", owner="o", connection=connection)
    t.eq((reply["error"]["code"], reply["error"]["retryable"]), ("provider_unavailable", True),
         "told after a few attempts")
    t.ok(reply["error"].get("retry_after_ms", 0) > 0, "and when to come again")
    times = [e["at"] for e in sim.journal()]
    gaps = [1000 * (b - a) for a, b in zip(times, times[1:])]
    waits = [int(wait) for wait in re.findall(r"refresh failed .*retry_ms=(\d+)$", d.log(), re.MULTILINE)]
    t.ok(len(gaps) >= 2 and waits[2] > waits[0], "the waits grow", repr(waits))
    t.ok(all(gap >= wait - 10 for gap, wait in zip(gaps, waits)), "and are waited", repr((gaps, waits)))
    quickest(t, 1, "is told at once", lambda: t.eq(
        c.code("vend", owner="o", connection=connection), "provider_unavailable", "the next one"))


def test_unreachable(t):
    """Nothing was sent: no rotator is in doubt."""
    port = port_of(t.use(hold_port()))
    sim = t.use(Endpoint(prefix="GONE"))
    d = t.use(Daemon({"providers": {
        "refused": sim.provider(token_url=f"http://127.0.0.1:{port}/token"),
        "nameless": sim.provider(token_url="https://token.nowhere.invalid/token"),
        "plain": sim.provider(token_url=sim.token_url.replace("http:", "https:"))}}))
    c = d.client()
    for provider in ("refused", "nameless", "plain"):
        connection = put(c, sim.issue(provider), provider=provider, lives_s=600)
        reply = c.call("refresh", owner="o", connection=connection, force=True,
                       deadline_ms=2000)
        t.ok(reply["error"]["code"] in ("provider_unavailable", "deadline_exceeded"),
             f"{provider}: unavailable", repr(reply))
        found = until(lambda: (r := record(c, connection)).get("last_refresh", {}).get(
            "outcome") == "provider" and r, provider)
        t.eq((found["state"], found["last_refresh"]["outcome"]), ("ACTIVE", "provider"),
             f"{provider}: the provider's fault, the state stays")
        t.eq(c.ask("vend", owner="o", connection=connection)["generation"], 1,
             f"{provider}: what is good is served")
    t.eq(len(sim.journal()), 0, "nothing was sent")


# --- a lost reply, by the provider's rule of rotation

@limit(120)
def test_lost(t):
    for rule, sim_rule in (("none", "none"), ("reuse_grace", "grace:60")):
        sim, _, c = start(t, rotation=sim_rule)
        for drop in ("before", "after"):
            sim.script({"drop": drop, "match": {"account": drop}})
            connection = put(c, sim.issue(drop, ttl=3600))
            reply = c.ask("vend", owner="o", connection=connection)
            t.eq((reply["generation"], types_of(c, connection)), (2, ["connected", "refreshed"]),
                 f"{rule}, lost {drop}: sent again")
            t.eq([e["account"] for e in sim.journal()].count(drop), 2, f"{rule}, {drop}: two calls")
    for rule in ("strict", "unknown"):
        sim = t.use(Endpoint(prefix="LOST"))
        d = t.use(Daemon({"providers": {"acme": sim.provider(rotation=rule)}}))
        c = d.client()
        for drop in ("before", "after"):
            sim.script({"drop": drop, "match": {"account": drop}})
            connection = put(c, sim.issue(drop, ttl=3600))
            error = c.call("vend", owner="o", connection=connection)["error"]
            t.eq((error["code"], error["retryable"]), ("in_doubt", True), f"{rule}, {drop}: doubt")
            alive = drop == "before"
            found = wait_state(c, connection, "ACTIVE" if alive else "NEEDS_REAUTH")
            t.eq(found.get("reason"), None if alive else "lost_in_flight", f"{rule}, {drop}: end")
            t.eq(types_of(c, connection),
                 ["connected", "in_doubt", "recovered" if alive else "reauth"],
                 f"{rule}, {drop}: its events")
            t.eq([e["account"] for e in sim.journal()].count(drop), 2, f"{rule}, {drop}: one probe")


@limit(60)
def test_probe_lost(t):
    """A probe that is lost too is the last one."""
    sim, _, c = start(t)
    sim.script({"drop": "before", "times": -1})
    connection = put(c, sim.issue("alice", ttl=3600))
    t.ok(sim.wait_done(2), "the request and its probe")
    until(lambda: "next_refresh_at" not in record(c, connection), "nothing is planned any more")
    t.eq(c.code("vend", owner="o", connection=connection), "in_doubt", "it stays in doubt")
    t.eq(c.code("refresh", owner="o", connection=connection, force=True), "in_doubt", "and held")
    t.ok(not sim.wait_requests(3, 2), "no further probe")
    sim.clear_script()
    put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    t.eq(types_of(c, connection), ["connected", "in_doubt", "recovered"], "until a new put")


@limit(60)
def test_timeout(t):
    """No reply in time, after the request was sent: in doubt, and answered in time."""
    sim, _, c = start(t, timeout_s=10)  # so much is also for the probe, which must not be late
    accounts = itertools.count()

    def one():
        account = f"alice {next(accounts)}"
        sim.script({"hold": "never", "hold_at": "after", "match": {"account": account}})
        connection = put(c, sim.issue(account, ttl=3600))
        t.eq(c.code("vend", owner="o", connection=connection), "in_doubt", "in doubt")
        connections.append(connection)

    connections = []
    quickest(t, 13, "after timeout_s", one)
    for connection in connections:
        t.eq(wait_state(c, connection, "NEEDS_REAUTH")["reason"], "lost_in_flight", "it was spent")


run([test_expires_in, test_expires_in_with_default, test_unreadable,
     test_unreadable_without_rotation, test_dead_grant, test_rejected_client,
     test_rejected_client_ends, test_client_faults, test_rate_limited, test_provider_trouble,
     test_outage, test_unreachable, test_lost, test_probe_lost, test_timeout])
