#!/usr/bin/python3
"""Shared credentials: used by name, one token and one flight for all, begun from the configuration."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, cli, fan, limit, run
from scene import events_of, make_secret, now, rows, until


def shared(sim, grant, **over):
    """An entry under `auth` for a grant of the simulator."""
    return {**sim.provider(), "refresh_token": grant["refresh_token"], **over}


def ready(c, ref="wh"):
    """The first secret is fetched without anybody asking; the vend waits for it."""
    return c.ask("vend", ref=ref)


@limit(60)
def test_one_for_all(t):
    sim = t.use(Endpoint(prefix="SHAR", rotation="strict"))
    grant = sim.issue("wh", ttl=3600)
    d = t.use(Daemon({"auth": {"wh": shared(sim, grant)}}))
    c = d.client()
    first = ready(c)
    t.ok(sim.lookup(first["secret"]["access_token"])["current"], "a token of the provider")
    t.ok("refresh_token" not in first["secret"], "and no refresh token")
    t.eq(len(sim.journal()), 1, "one call")
    sim.script({"hold": "gate"})
    clients = d.clients(30)
    for client in clients:
        client.send("invalidate", ref="wh", generation=first["generation"], vend=True)
    t.ok(sim.wait_requests(2), "the token that was refused is fetched anew")
    until(lambda: c.ask("status")["providers"]["@wh"]["queue"] >= 30, "all of them wait")
    sim.release("gate")
    replies = [client.recv() for client in clients]
    t.eq({r.get("generation") for r in replies}, {first["generation"] + 1}, "30 callers, one answer")
    t.eq(len(sim.journal()), 2, "one call for all of them")
    t.eq(fan(clients, "vend", ref="wh")[0]["generation"], first["generation"] + 1, "then warm")
    t.ok(not any(grant["reuse"] for grant in [sim.grant(grant["grant_id"])]), "no second use")


@limit(60)
def test_seed(t):
    """What was rotated since is kept over a restart; a changed seed wins."""
    sim = t.use(Endpoint(prefix="SEED", rotation="strict"))
    grant = sim.issue("wh", ttl=3600)
    d = t.use(Daemon({"auth": {"wh": shared(sim, grant)}}))
    c = d.client()
    first = ready(c)
    d.restart()
    c = d.client()
    again = c.ask("refresh", ref="wh", force=True)
    t.eq(again["generation"], first["generation"] + 1, "refreshed with the rotated token")
    t.eq(sim.grant(grant["grant_id"])["reuse"], 0, "the spent seed is not used again")
    other = sim.issue("wh2", ttl=3600)
    d.configure({"auth": {"wh": shared(sim, other)}})
    d.restart()
    c = d.client()
    reply = until(lambda: (lambda r: r if r["ok"] and r["generation"] > again["generation"] else None)(
        c.call("vend", ref="wh")), "the new grant")
    t.eq(sim.lookup(reply["secret"]["access_token"])["account"], "wh2", "a changed seed wins")
    t.eq(rows(d, "SELECT count(*) FROM connection"), [(1,)], "in the same row")
    text = open(d.db, "rb").read()
    t.ok(other["refresh_token"].encode() not in text, "and is not in the file")


@limit(60)
def test_static(t):
    token, password, key = make_secret("tok"), make_secret("pass"), make_secret("key")
    d = t.use(Daemon({"auth": {
        "a": {"kind": "static", "token": token},
        "b": {"kind": "static", "username": "user", "password": password},
        "c": {"kind": "static", "header": {"name": "X-Key", "value": key}}}}))
    c = d.client()
    t.eq(c.ask("vend", ref="a")["secret"], {"kind": "bearer", "token": token}, "a bearer token")
    t.eq(c.ask("vend", ref="b")["secret"],
         {"kind": "basic", "username": "user", "password": password}, "a name and a password")
    t.eq(c.ask("vend", ref="c")["secret"], {"kind": "header", "name": "X-Key", "value": key},
         "a header")
    t.eq(c.code("vend", ref="a", kind="oauth2"), "kind_mismatch", "of another kind than asked for")


@limit(60)
def test_names(t):
    sim = t.use(Endpoint(prefix="NAME", rotation="strict"))
    grant = sim.issue("wh", ttl=3600)
    d = t.use(Daemon({"auth": {"wh": shared(sim, grant)}, "providers": {"acme": sim.provider()}}))
    c = d.client()
    connection = ready(c)["connection"]
    reply = c.call("vend", ref="hw")
    t.eq(reply["error"]["code"], "not_found", "an unknown ref is not found")
    t.ok("wh" in reply["error"]["message"], "and the message names those that are there")
    t.eq(c.code("vend", ref="wh", owner="o"), "bad_request", "ref beside owner")
    t.eq(c.code("vend", ref="wh", provider="acme"), "bad_request", "ref beside provider")
    t.eq(c.code("connection.delete", ref="wh"), "bad_request", "it is the configuration's")
    t.eq(c.code("vend", owner="o", provider="@wh"), "unknown_provider", "no provider of that name")
    t.eq(c.code("credential.put", owner="o", provider="@wh",
                secret={"kind": "oauth2", "access_token": "x"}), "unknown_provider", "nor by put")
    t.eq(c.code("vend", owner="o", connection=connection), "not_found", "nor by its id")
    t.eq(c.code("vend", owner="", connection=connection), "bad_request", "nor without an owner")


@limit(60)
def test_dead(t):
    """It dies like any other, and its event has no owner."""
    sim = t.use(Endpoint(prefix="DEAD", rotation="strict"))
    grant = sim.issue("wh", ttl=3600)
    d = t.use(Daemon({"auth": {"wh": shared(sim, grant)}}))
    c = d.client()
    ready(c)
    events = d.events(["reauth/-/"])
    sim.revoke(grant_id=grant["grant_id"])
    t.eq(c.code("refresh", ref="wh", force=True), "needs_reauth", "the grant is dead")
    event = events.expect("reauth")
    t.ok("owner" not in event, "nobody's", event)
    t.eq(len(events_of(c, type="reauth")), 1, "said once")


@limit(60)
def test_who_is_asked_for(t):
    """What nobody names, and what is named and not there: in the status, and said by the doctor."""
    d = t.use(Daemon({"auth": {name: {"kind": "static", "token": make_secret(name)}
                               for name in ("used", "unused")}}))
    c = d.client()
    before = now()
    for _ in range(3):
        c.ask("vend", ref="used")
    for ref in ("uesd", "uesd", "other", "No Name!"):
        t.eq(c.code("vend", ref=ref), "not_found", f"{ref} is not there")
    status = c.ask("status")
    figures = status["providers"]
    t.eq((figures["@used"]["asked"], figures["@unused"]["asked"]), (3, 0), "how often each is named")
    t.ok(before <= figures["@used"]["asked_at"] <= now(), "and when last")
    t.ok("asked_at" not in figures["@unused"], "never, if never")
    t.eq(status["unknown_refs"], {"uesd": 2, "other": 1, "": 1}, "and the names that there are not")
    findings = json.loads(cli(d, "doctor", "--json", "--config", d.config_file)[1])["findings"]
    told = {f["about"]: f["what"] for f in findings if f["level"] == "warn"}
    t.ok(told.get("@unused", "").startswith("unused: no job has named it"), "the doctor tells", told)
    t.ok("@used" not in told, "of the one alone")
    t.ok("2 times" in told.get("uesd", "") and "1 times" in told.get("other", ""),
         "and of the names", told)
    for index in range(40):
        c.code("vend", ref=f"no{index}")
    unknown = c.ask("status")["unknown_refs"]
    t.eq((len(unknown), sum(unknown.values())), (33, 44), "so many names are kept, the rest counted")
    d.restart()
    c = d.client()
    t.ok("unknown_refs" not in c.ask("status"), "counted since the daemon began")


run([test_one_for_all, test_seed, test_static, test_names, test_dead,
     test_who_is_asked_for], timeout=60)
