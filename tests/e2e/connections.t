#!/usr/bin/python3
"""connection.*, credential.put, status and whoami, and what a caller's time limit does."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, Idp, cli, encode, put_secret, run
from machine import LONG_MS
from scene import (events_of, make_secret, now, put, quickest, record, rows, types_of, until,
                   wait_generation)


def start(t, **provider):
    sim = t.use(Endpoint(prefix="CONN"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(**provider),
                                    "plain": {"kind": "static"}}}))
    return sim, d, d.client()


def bearer(c, owner, account, **keys):
    return c.ask("credential.put", owner=owner, provider="plain", account=account,
                 secret={"kind": "bearer", "token": make_secret("bearer")}, **keys)["connection"]


def test_create_get_update(t):
    sim, d, c = start(t)
    data = {"metadata": {"plan": "b", "seats": 7, "ratio": 0.5, "paid": True}, "tags": ["x", "y z"]}
    reply = c.ask("connection.create", owner="o", provider="acme", account="alice", **data)
    connection = reply["connection"]
    t.ok(connection.startswith("acme.") and len(connection) == 5 + 26, "an id", connection)
    found = record(c, connection)
    t.eq(found, reply["record"], "the record is answered")
    t.eq((found["state"], found["generation"], found["metadata"], found["tags"], found["owner"],
          found["provider"], found["account"]),
         ("PENDING", 0, data["metadata"], data["tags"], "o", "acme", "alice"), "as it was made")
    t.eq(c.code("connection.create", owner="o", provider="acme", account="alice"), "conflict",
         "once only")
    t.eq(c.ask("connection.get", owner="o", provider="acme", account="alice")["record"], found,
         "by account")
    grant = sim.issue("alice", ttl=3600)
    c.ask("credential.put", owner="o", provider="acme", account="alice", expires_at=now() + 3600,
          secret=put_secret(grant), scopes=["read", "write"])
    found = record(c, connection)
    t.eq((found["state"], found["generation"], found["scopes"], found["kind"], found["metadata"]),
         ("ACTIVE", 1, ["read", "write"], "oauth2", data["metadata"]), "connected")
    t.ok(found["next_refresh_at"] < found["expires_at"], "and planned")
    reply = c.ask("connection.update", owner="o", connection=connection, metadata={"plan": "c"},
                  expect_generation=1)
    t.eq((reply["record"]["metadata"], reply["record"]["tags"]), ({"plan": "c"}, ["x", "y z"]),
         "updated, the other part stays")
    t.eq(c.code("connection.update", owner="o", connection=connection, tags=[],
                expect_generation=2), "conflict", "not of this generation")
    c.ask("connection.update", owner="o", connection=connection, tags=[])
    d.restart()
    t.eq((record(c, connection)["metadata"], record(c, connection)["tags"]), ({"plan": "c"}, []),
         "after a restart")
    t.eq(c.code("connection.update", owner="o", connection=connection), "bad_request", "nothing")
    t.eq(c.code("connection.update", owner="o", connection=connection, metadata={"a": []}),
         "bad_request", "no structures")
    t.eq(c.code("connection.get", owner="o", provider="acme", account="bob"), "not_connected",
         "no such account")


def pages(c, limit, **keys):
    found, cursor, count = [], None, 0
    while True:
        reply = c.ask("connection.list", limit=limit, cursor=cursor, **keys)
        if len(reply["connections"]) > limit:
            raise AssertionError("a page is longer than asked for")
        found += reply["connections"]
        cursor, count = reply.get("cursor"), count + 1
        if not cursor:
            return found, count


def test_list(t):
    sim, _, c = start(t)
    names = ["a", "a/b", "a%2Fb", "ä", "o", "o " * 20]
    made = [bearer(c, owner, f"n°{i}/{i % 7}") for owner in names for i in range(9)]
    acme = put(c, sim.issue("alice"), lives_s=600)
    c.ask("connection.revoke", owner="a", connection=made[0])
    c.ask("connection.create", owner="a", provider="acme")
    for limit in (1, 7, 100):
        found, count = pages(c, limit)
        t.eq(sorted(f["id"] for f in found if f["state"] != "PENDING"), sorted(made + [acme]),
             f"all, {limit} to a page")
        t.eq(count, -(-56 // limit), f"in {count} pages")
    for owner in names:
        t.eq({f["owner"] for f in pages(c, 4, owner=owner)[0]}, {owner}, f"those of {owner!r}")
    t.eq(len(pages(c, 2, owner="a")[0]), 10, "all of them")
    t.eq(len(pages(c, 2, owner="a", provider="plain")[0]), 9, "of a provider")
    t.eq([f["id"] for f in pages(c, 2, state="REVOKED")[0]], [made[0]], "of a state")
    t.eq(pages(c, 2, owner="nobody")[0], [], "of nobody")
    for key, value in (("state", "WRONG"), ("cursor", "wrong"), ("cursor", "a/b"), ("limit", 10001),
                       ("limit", "x"), ("owner", "")):
        t.eq(c.code("connection.list", **{key: value}), "bad_request", f"{key} {value!r}")
    found = {f["owner"] for _ in range(100) for f in c.ask(
        "connection.list", owner="o", provider="plain", ref="unknown here")["connections"]}
    t.eq(found, {"o"}, "a key that means nothing here changes nothing")
    t.eq({f["owner"] for f in c.ask("connection.list", owner="o", cursor="a/plain/x/")[
        "connections"]}, {"o"}, "a cursor of another owner shows nothing of his")


def test_list_command(t):
    """The command asks for page after page."""
    _, d, c = start(t)
    made = {bearer(c, "o", f"a{i:03}") for i in range(205)}
    bearer(c, "p", "other")
    status, out, err = cli(d, "list", "o")
    head, *lines = out.splitlines()
    t.eq((status, err, head.split()), (0, "", ["OWNER", "CONNECTION", "STATE", "EXPIRES", "ID"]), "its columns, once")
    t.eq(sorted(line.split()[-1] for line in lines), sorted(made), "a line for each, of all pages")
    status, out, _ = cli(d, "list", "o", "--provider", "plain", "--json")
    listed = [json.loads(line)["connections"] for line in out.splitlines()]
    t.eq((status, [len(page) for page in listed]), (0, [100, 100, 5]), "each page as it came")
    t.eq({f["id"] for page in listed for f in page}, made, "with all of them")
    t.eq(cli(d, "list", "nobody"), (0, "", ""), "of nobody: nothing")
    status, out, err = cli(d, "list", "--state", "WRONG")
    t.ok(status == 1 and out == "" and err.startswith("bursar: bad_request: "), "refused", err)
    cli(d, "freeze", "--owner", "o", "--yes")
    sweep = c.ask("sweep.list")["sweeps"][0]["id"]
    status, out, _ = cli(d, "sweep", sweep, "--receipts")
    t.eq((status, sorted(line.split()[0] for line in out.splitlines())), (0, sorted(made)), "receipts, of all pages")


def test_put(t):
    sim, _, c = start(t)
    first = sim.issue("alice", ttl=3600)
    connection = put(c, first, lives_s=3600)
    second = sim.issue("alice", ttl=3600)
    t.eq(c.code("credential.put", owner="o", connection=connection, secret=put_secret(second),
                expect_generation=7), "conflict", "not of this generation")
    reply = c.ask("credential.put", owner="o", connection=connection, secret=put_secret(second),
                  expect_generation=1, expires_at=now() + 3600)
    t.eq((reply["connection"], reply["generation"]), (connection, 2), "by id")
    t.ok(c.ask("vend", owner="o", connection=connection)["secret"]["access_token"]
         == second["access_token"], "the newer one is vended")
    t.eq(c.code("credential.put", owner="o", provider="acme", account="new",
                secret=put_secret(second), expect_generation=1), "conflict", "there is none yet")
    t.eq(c.code("credential.put", owner="o", provider="acme", account="new",
                secret=put_secret(second), expect_generation=0, expires_at=now() + 3600), "ok",
         "0: only where there is none")
    t.eq(c.code("credential.put", owner="o", provider="nobody", secret=put_secret(second)),
         "unknown_provider", "no such provider")
    t.eq(c.code("credential.put", owner="o", provider="acme"), "bad_request", "no secret")
    c.ask("connection.revoke", owner="o", connection=connection)
    t.eq(c.code("credential.put", owner="o", connection=connection, secret=put_secret(second)),
         "revoked", "not into a revoked one")


def test_put_during_flight(t):
    """An older secret never wins over a newer one, however late its flight comes home."""
    sim, _, c = start(t)
    sim.script({"hold": "gate", "hold_at": "after"})
    connection = put(c, sim.issue("alice", ttl=3600))
    waiter = c.send("vend", owner="o", connection=connection)
    t.ok(sim.wait_requests(1), "a flight is under way")
    newer = sim.issue("alice", ttl=3600)
    put(c, newer, lives_s=3600)
    reply = c.recv_id(waiter)
    t.ok(reply["ok"] and reply["secret"]["access_token"] == newer["access_token"],
         "who waited gets the newer one at once", repr(reply.get("error")))
    sim.release("gate")
    t.ok(sim.wait_done(1), "the reply comes home")
    until(lambda: c.ask("status")["providers"]["acme"]["in_flight"] == 0, "the flight ends")
    for _ in range(3):
        reply = c.ask("vend", owner="o", connection=connection)
        t.ok(reply["generation"] == 2 and reply["secret"]["access_token"] == newer["access_token"],
             "and changes nothing")
    t.eq(types_of(c, connection), ["connected", "refreshed"], "one event for the put")
    c.ask("refresh", owner="o", connection=connection, force=True)
    t.eq(sim.grant(newer["grant_id"])["ok"], 1, "the next refresh is of the newer grant")


def test_late_refusal(t):
    """A refusal is a verdict on what was sent; it says nothing about what was put since."""
    sim, _, c = start(t)
    old = sim.issue("alice", ttl=3600)
    sim.revoke(grant_id=old["grant_id"])
    sim.script({"hold": "gate"})
    connection = put(c, old)
    t.ok(sim.wait_requests(1), "the flight of a dead grant")
    put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    sim.release("gate")
    t.ok(sim.wait_done(1), "is refused")
    c.ask("refresh", owner="o", connection=connection, force=True)
    t.eq((record(c, connection)["state"], types_of(c, connection)),
         ("ACTIVE", ["connected", "refreshed", "refreshed"]), "nobody is told to connect again")


def test_delete_during_flight(t):
    sim, d, c = start(t)
    sim.script({"hold": "gate", "hold_at": "after"})
    connection = put(c, sim.issue("alice", ttl=3600))
    waiter = c.send("vend", owner="o", connection=connection)
    t.ok(sim.wait_requests(1), "a flight is under way")
    t.eq(c.ask("connection.delete", owner="o", connection=connection)["deleted"], True, "deleted")
    t.eq(c.recv_id(waiter)["error"]["code"], "not_found", "who waited is told")
    sim.release("gate")
    t.ok(sim.wait_done(1), "the reply comes home")
    until(lambda: c.ask("status")["providers"]["acme"]["in_flight"] == 0, "the flight ends")
    t.eq(types_of(c, connection), ["connected", "deleted"], "nothing is said afterwards")
    t.eq((rows(d, "SELECT count(*) FROM connection"), rows(d, "SELECT count(*) FROM intent")),
         ([(0,)], [(0,)]), "and nothing is written")
    again = put(c, sim.issue("alice", ttl=3600), lives_s=60)
    t.ok(again != connection, "connected again, it is another connection")


def test_revoke_during_flight(t):
    """The decision stands, and the rotated token is kept for a restore."""
    sim, d, c = start(t)
    sim.script({"hold": "gate", "hold_at": "after"})
    connection = put(c, sim.issue("alice", ttl=3600))
    waiter = c.send("vend", owner="o", connection=connection)
    t.ok(sim.wait_requests(1), "a flight is under way")
    t.eq(c.ask("connection.revoke", owner="o", connection=connection)["state"], "REVOKED", "taken")
    t.eq(c.recv_id(waiter)["error"]["code"], "revoked", "who waited is refused")
    sim.release("gate")
    wait_generation(c, connection, 2)
    t.eq((record(c, connection)["state"], c.code("vend", owner="o", connection=connection)),
         ("REVOKED", "revoked"), "it stays revoked")
    c.ask("connection.restore", owner="o", connection=connection)
    reply = c.ask("vend", owner="o", connection=connection)
    t.ok(sim.lookup(reply["secret"]["access_token"])["current"], "restored with the newest secret")
    t.eq(rows(d, "SELECT count(*) FROM intent"), [(0,)], "no intent is left")


def test_at_provider(t):
    idp = t.use(Idp(access_ttl=600))
    sim = t.use(Endpoint(prefix="PLACE"))
    silent = sim.provider()
    del silent["revoke_url"]
    d = t.use(Daemon({"providers": {"idp": idp.provider(), "silent": silent,
                                    "sim": sim.provider()}}))
    c, grants = d.client(), idp.grants(3, account="bulk")
    kept, gone, deleted = [put(c, g, provider="idp", lives_s=600) for g in grants]
    c.ask("connection.revoke", owner="o", connection=kept)
    t.ok(idp.lookup(grants[0]["refresh_token"])["current"], "only here: the provider's grant lives")
    reply = c.ask("connection.revoke", owner="o", connection=gone, at_provider=True)
    t.eq((reply["state"], reply["at_provider"]), ("REVOKED", "revoked"), "revoked there, too")
    t.ok(not idp.lookup(grants[1]["refresh_token"])["current"], "so says the provider")
    reply = c.ask("connection.delete", owner="o", connection=deleted, at_provider=True)
    t.eq((reply["deleted"], reply["at_provider"]), (True, "revoked"), "deleted and revoked there")
    t.ok(not idp.lookup(grants[2]["refresh_token"])["current"], "so says the provider")
    quiet = put(c, sim.issue("quiet"), provider="silent", lives_s=600)
    reply = c.ask("connection.revoke", owner="o", connection=quiet, at_provider=True)
    t.eq((reply["state"], reply["at_provider"].split(":")[0]), ("REVOKED", "unsupported"),
         "a provider without the endpoint")
    grant = sim.issue("away")
    away = put(c, grant, provider="sim", lives_s=600)
    sim.stop()
    reply = c.ask("connection.revoke", owner="o", connection=away, at_provider=True)
    t.eq((reply["state"], reply["at_provider"].split(":")[0]), ("REVOKED", "unknown"),
         "a provider that is away: revoked here all the same")


def test_status(t):
    sim, _, c = start(t)
    put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    sim.script({"hold": "gate"})
    put(c, sim.issue("bob", ttl=3600))
    sim.wait_requests(1)
    c.send("vend", owner="o", provider="acme", account="bob")
    status = until(lambda: (s := c.ask("status"))["providers"]["acme"]["queue"] == 1 and s, "queue")
    t.eq((status["connections"]["ACTIVE"], status["providers"]["acme"]["in_flight"],
          status["store"], status["seq"]), (2, 1, "sqlite", 2), "counts")
    t.ok(status["uptime_s"] >= 0 and status["version"] and len(status["key_ids"]) == 1,
         "version, uptime and key ids")
    t.eq(status["secret_memory"]["overflows"], 0, "the arena is large enough")
    sim.release("gate")
    until(lambda: (s := c.ask("status")["providers"]["acme"])["in_flight"] == 0
          and s["refreshed"] == 1 and s["queue"] == 0, "it ends")
    me = c.ask("whoami")
    t.eq((me["principal"], me["owners"]), (f"uid:{os.getuid()}", ["*"]), "whoami")
    t.ok("export" in me["roles"] and "vend" in me["roles"], "with all roles")


def test_deadline(t):
    """The caller's time is up; the work goes on."""
    sim, d, c = start(t)
    sim.script({"hold": "gate"})
    connection = put(c, sim.issue("alice", ttl=3600))
    patient = d.client()
    job = patient.send("vend", owner="o", connection=connection, deadline_ms=LONG_MS)

    def hurried():
        start_at = time.monotonic()
        error = c.call("vend", owner="o", connection=connection, deadline_ms=300)["error"]
        t.eq((error["code"], error["retryable"]), ("deadline_exceeded", True), "deadline_exceeded")
        t.ok(time.monotonic() - start_at >= 0.25, "not before")
    quickest(t, 2, "in time", hurried)
    sim.release("gate")
    t.eq(patient.recv_id(job)["generation"], 2, "who waits longer gets it")
    t.ok(not c.wait(0.2), "the first one gets no second reply")
    t.eq(len(sim.journal()), 1, "one call")
    t.eq(c.code("vend", owner="o", connection=connection, deadline_ms=3600001), "bad_request",
         "an hour at most")


def test_names(t):
    """Names at and over their lengths, and in what they may hold."""
    _, _, c = start(t)
    for owner, account, code in (("x" * 128, "y" * 256, "ok"), ("x" * 129, "y", "bad_request"),
                                 ("x", "y" * 257, "bad_request"), ("ü" * 64, "ü" * 128, "ok"),
                                 ("ü" * 65, "y", "bad_request"), ("x\0y", "y", "bad_request"),
                                 ("x\ny", "y", "bad_request"), ("x", "\x7f", "bad_request"),
                                 ("../../etc", "'; DROP TABLE connection; --", "ok"),
                                 ("", "y", "bad_request"), ("x", "", "bad_request")):
        name = f"{owner[:12]!r} ({len(owner.encode())}) {account[:12]!r} ({len(account.encode())})"
        t.eq(c.code("credential.put", owner=owner, provider="plain", account=account,
                    secret={"kind": "bearer", "token": "not-a-secret"}), code, f"{name}: {code}")
        if code == "ok":
            reply = c.ask("vend", owner=owner, provider="plain", account=account)
            t.eq((reply["account"], record(c, reply["connection"], owner)["owner"]),
                 (account, owner), f"{name}: kept as it was")
    for provider in ("Plain", "plain ", "p" * 65, "-x", ""):
        t.ok(c.code("vend", owner="o", provider=provider) in ("bad_request", "unknown_provider"),
             f"provider {provider[:12]!r}")
    t.eq(c.code("connection.create", owner="o", provider="acme", tags=["x"] * 65), "bad_request",
         "too many tags")
    t.eq(c.code("connection.create", owner="o", provider="acme",
                metadata={str(i): i for i in range(65)}), "bad_request", "too much metadata")


def test_ids(t):
    """The id is echoed as it came, whichever scalar it is; the envelope comes back whole."""
    _, _, c = start(t)
    for one in (0, -1, 2 ** 63, "text", "", 1.5, True, b"bytes"):
        t.eq(c.call("whoami", id=None if one is None else one)["id"] if one else c.raw(
            encode({"op": "whoami", "id": one}))["id"], one, f"id {one!r}")
    t.ok("id" not in c.raw(encode({"op": "whoami"})), "none, none")
    frames = [b"proxy", b"\x00\x01", b"", encode({"op": "whoami", "id": 1})]
    t.eq(c.frames(frames)[:3], frames[:3], "envelope frames come back")
    t.eq(c.frames([encode({"op": "whoami", "id": 1})])[0][:1] != b"", True, "none, none")
    t.eq(events_of(c), [], "and nothing happened")


run([test_create_get_update, test_list, test_list_command, test_put, test_put_during_flight, test_late_refusal,
     test_delete_during_flight, test_revoke_during_flight, test_at_provider, test_status,
     test_deadline, test_names, test_ids])
