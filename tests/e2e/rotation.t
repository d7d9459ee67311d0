#!/usr/bin/python3
"""Rotation: no refresh token is ever used twice, and nothing of a secret gets lost."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, Idp, fan, limit, put_secret, run
from scene import (edit, make_secret, now, put, record, rows, scaled, types_of, until,
                   wait_generation, wait_state)


@limit(180)
def test_real_provider(t):
    """oidc-provider revokes the whole family when a token is used twice."""
    turns = scaled(300, 20)
    idp = t.use(Idp(access_ttl=600))
    d = t.use(Daemon({"providers": {"idp": idp.provider()}}))
    c, grant = d.client(), idp.grant("alice")
    connection = put(c, grant, provider="idp", lives_s=600)
    tokens = set()
    for turn in range(turns):
        reply = c.ask("refresh", owner="o", connection=connection, force=True)
        if reply["generation"] != turn + 2:
            t.fail(f"generation {turn + 2}", repr(reply))
            break
        if turn % 10 == 0:
            tokens.add(c.ask("vend", owner="o", connection=connection)["secret"]["access_token"])
    stats = idp.grant_stats("alice")
    t.eq((stats["refresh_requests"], stats["ok"], stats["refused"], stats["reused"]),
         (turns, turns, 0, 0), f"{turns} refreshes in a row, never a second use")
    t.eq(len(tokens), (turns + 9) // 10, "each a new access token")
    reply = c.ask("vend", owner="o", connection=connection, include=["refresh_token"])
    t.ok(idp.lookup(reply["secret"]["refresh_token"])["current"], "the newest one is kept")
    t.eq(types_of(c, connection), ["connected"] + ["refreshed"] * turns, "one event each")


@limit(120)
def test_real_provider_under_load(t):
    """Many who force refreshes of the same grants at once, over a restart."""
    idp = t.use(Idp(access_ttl=600))
    d = t.use(Daemon({"providers": {"idp": idp.provider()}}))
    c = d.client()
    grants = idp.grants(10, account="load")
    connections = [put(c, g, provider="idp", lives_s=600) for g in grants]
    for _ in range(2):
        clients = d.clients(20)
        for connection in connections * 2:
            replies = fan(clients, "refresh", owner="o", connection=connection, force=True)
            if {r["ok"] for r in replies} != {True}:
                t.fail("a forced refresh", repr([r for r in replies if not r["ok"]][0]))
        d.restart()
    stats = idp.stats()
    t.eq(stats["reuse_detected"], 0, "never a second use")
    t.eq(sum(g["ok"] for g in stats["by_grant"].values()), stats["refresh_requests"],
         f"each of {stats['refresh_requests']} requests was good")
    found = [record(c, connection) for connection in connections]
    t.eq(sum(f["generation"] - 1 for f in found), stats["refresh_requests"],
         "and each is a generation")


def test_old_token_stays(t):
    """A reply without a refresh token: the old one goes on."""
    sim = t.use(Endpoint(rotation="none", prefix="STAY"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c, grant = d.client(), sim.issue("alice", ttl=3600)
    connection = put(c, grant, lives_s=60)
    for generation in range(2, 6):
        c.ask("refresh", owner="o", connection=connection, force=True)
        reply = c.ask("vend", owner="o", connection=connection, include=["refresh_token"])
        t.ok(reply["generation"] == generation
             and reply["secret"]["refresh_token"] == grant["refresh_token"]
             and sim.lookup(reply["secret"]["access_token"])["current"],
             f"generation {generation}: a new access token, the same refresh token")


def test_rest_stays(t):
    """What a refresh does not bring is kept: fields, what to apply, scopes, its end."""
    sim = t.use(Endpoint(prefix="REST"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(captures={"instance_url": "$.instance_url"})}}))
    c, grant = d.client(), sim.issue("alice", ttl=3600)
    ends_at, note = now() + 86400, make_secret("note")
    more = {"fields": {"instance_url": "https://one.example", "note": note},
            "apply": [{"in": "query", "name": "tenant", "value": "seven"}],
            "scopes": ["read", "write"], "refresh_token_expires_at": ends_at}
    connection = put(c, grant, lives_s=60, more=more)
    sim.script({}, {"set": {"instance_url": "https://two.example", "scope": "read"}}, {})
    expected = {"fields": dict(more["fields"]), "apply": more["apply"], "scopes": ["read", "write"]}
    for turn in range(3):
        c.ask("refresh", owner="o", connection=connection, force=True)
        secret = c.ask("vend", owner="o", connection=connection)["secret"]
        if turn == 1:
            expected["fields"]["instance_url"] = "https://two.example"
            expected["scopes"] = ["read"]
        found = {key: secret.get(key) for key in expected}
        t.ok(found == expected, f"refresh {turn + 1}: the rest is kept")
    t.eq(record(c, connection)["scopes"], ["read"], "the record has the scopes of the last reply")
    t.eq(record(c, connection)["refresh_token_expires_at"], ends_at, "the grant's own end is kept")


def presentations(sim, grant):
    """The fingerprints of the refresh tokens of a grant, in the order they were presented."""
    return [e["fp"] for e in sim.journal() if e["grant"] == grant["grant_id"]]


def test_dying_connection(t):
    """libcurl sends a request again by itself when a connection it uses again dies: not these."""
    cases = {"spent, then closed": {"drop": "after"},
             "spent, then reset": {"drop": "after", "reset": True},
             "closed": {"drop": "before"},
             "reset": {"drop": "before", "reset": True},
             "half a head": {"raw": b"HTTP/1.1 200 OK\r\nContent-Le", "process": True}}
    sim = t.use(Endpoint(prefix="DIES"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c, events = d.client(), d.events()
    for name, damage in cases.items():
        grant = sim.issue(name, ttl=3600)
        connection = put(c, grant, lives_s=600)
        c.ask("refresh", owner="o", connection=connection, force=True)
        sim.script({**damage, "match": {"min_on_connection": 2, "account": name}})
        reply = c.call("refresh", owner="o", connection=connection, force=True)
        t.eq(reply.get("error", {}).get("code"), "in_doubt", f"{name}: a lost reply is in doubt")
        lost = [e for e in sim.journal() if e["grant"] == grant["grant_id"]][1]  # the probe may have come by now
        t.ok(lost["nth"] >= 2, f"{name}: it was on a connection used before")
        until(lambda: record(c, connection)["state"] in ("ACTIVE", "NEEDS_REAUTH"), name)
        spent = damage.get("process") or damage["drop"] == "after"
        found = record(c, connection)
        t.eq((found["state"], found.get("reason")),
             ("NEEDS_REAUTH", "lost_in_flight") if spent else ("ACTIVE", None),
             f"{name}: one probe tells")
        t.eq(presentations(sim, grant)[1:], [lost["fp"]] * 2, f"{name}: and no more than one, so it was sent once")
        t.eq(events.expect("in_doubt", connection=connection)["reason"]["code"], "reply_lost",
             f"{name}: the event says why")


def test_past_grace(t):
    """A token that may have been spent is not sent again as if it were not, once its grace is over:
    the connection is in doubt, and the one probe settles it."""
    sim = t.use(Endpoint(rotation="grace:60", prefix="GRACE"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    sim.script({"drop": "before"}, {"status": 503, "times": -1})
    connection = put(c, sim.issue("alice", ttl=3600))
    until(lambda: rows(d, "SELECT lost_at FROM connection")[0][0], "the loss is kept")
    t.ok(sim.wait_done(2), "within its grace it is sent again")
    t.eq(types_of(c, connection), ["connected"], "and nobody hears of it")
    d.stop()
    edit(d, "UPDATE connection SET lost_at = lost_at - 60, next_refresh_at = 1")
    sim.clear_script()
    before = len(sim.journal())
    d.start()
    wait_generation(c, connection, 2)
    t.eq(types_of(c, connection), ["connected", "in_doubt", "recovered"], "in doubt, and settled")
    t.eq((len(sim.journal()) - before, rows(d, "SELECT lost_at FROM connection")[0][0]), (1, None),
         "by one request, and the loss is forgotten")


def test_closing_connection(t):
    """A connection closed by the provider after its reply: the next request goes out once."""
    sim = t.use(Endpoint(prefix="SHUT"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    for how in ("header", "silent"):
        grant = sim.issue(how, ttl=3600)
        connection = put(c, grant, lives_s=600)
        sim.script({"close": how, "times": 20, "match": {"account": how}})
        for turn in range(20):
            reply = c.ask("refresh", owner="o", connection=connection, force=True)
            if reply["generation"] != turn + 2:
                t.fail(f"{how}: generation {turn + 2}", repr(reply))
            until(lambda: sim.stats()["connections"] == 0, "the connection is closed")
        seen = presentations(sim, grant)
        t.eq((len(seen), len(set(seen))), (20, 20), f"{how}: 20 tokens, each sent once")
        t.eq(record(c, connection)["state"], "ACTIVE", f"{how}: and the grant lives")


def test_restart_between(t):
    """A daemon that ends and starts again goes on with the newest token."""
    sim = t.use(Endpoint(prefix="AGAIN"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c, grant = d.client(), sim.issue("alice", ttl=3600)
    connection = put(c, grant)
    wait_generation(c, connection, 2)
    for turn in range(3):
        d.restart()
        c.ask("refresh", owner="o", connection=connection, force=True)
        t.eq(record(c, connection)["generation"], turn + 3, f"restart {turn + 1}")
    t.eq(sim.grant(grant["grant_id"])["reuse"], 0, "no reuse")
    t.eq(wait_state(c, connection, "ACTIVE")["generation"], 5, "and it lives")
    t.ok(put_secret(grant)["refresh_token"] != c.ask(
        "vend", owner="o", connection=connection, include=["refresh_token"]
        )["secret"]["refresh_token"], "with another token than the first")


run([test_real_provider, test_real_provider_under_load, test_old_token_stays, test_rest_stays,
     test_dying_connection, test_past_grace, test_closing_connection, test_restart_between])
