#!/usr/bin/python3
"""vend: what is answered, from where, and what is refused."""

import os
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, encode, run
from scene import (holds, make_secret, now, put, record, until, wait_generation, wait_state)

# What lives an hour is due five minutes before its end, and what lives for less than those in some seconds.
EARLY = {"expiry_ratio": 0.01}


def start(t, listen=None, **provider):
    sim = t.use(Endpoint(prefix="VEND"))
    d = t.use(Daemon({"listen": listen or {}, "providers": {"acme": sim.provider(**provider),
                                                            "plain": {"kind": "static"}}}))
    return sim, d, d.client()


def test_cold_and_warm(t):
    sim, _, c = start(t)
    grant = sim.issue("alice", ttl=3600)
    before = now()
    connection = put(c, grant)
    t.ok(sim.wait_done(1), "one call for the expired secret")
    wait_generation(c, connection, 2)
    cold = c.ask("vend", owner="o", connection=connection)
    t.eq((cold["generation"], cold["stale"], cold["refresh"]), (2, False, {"state": "idle"}),
         "the new secret is answered")
    t.eq((cold["connection"], cold["provider"], cold["account"]), (connection, "acme", "alice"),
         "with its names")
    t.ok(before + 3600 <= cold["expires_at"] <= now() + 3600, "and its end")
    t.eq(sorted(cold["secret"]), ["access_token", "kind", "token_type"], "and nothing more")
    t.ok(sim.lookup(cold["secret"]["access_token"])["current"], "the provider's newest one")
    for i in range(3):
        warm = c.ask("vend", owner="o", provider="acme", account="alice")
        t.eq({**warm, "id": 0}, {**cold, "id": 0}, f"warm answer {i + 1} is the same")
    t.eq(len(sim.journal()), 1, "and no further call was made")


def test_advisory(t):
    sim, _, c = start(t, **EARLY)
    sim.script({"hold": "gate"})
    far = put(c, sim.issue("far", ttl=3600), lives_s=3600)
    t.eq(c.ask("vend", owner="o", connection=far)["refresh"]["state"], "idle", "not due")
    grant = sim.issue("alice", ttl=3600)
    connection = put(c, grant, lives_s=290)
    t.ok(sim.wait_requests(1), "due: the refresh begins")
    for _ in range(3):
        reply = c.ask("vend", owner="o", connection=connection)
        t.eq((reply["secret"]["access_token"] == grant["access_token"], reply["generation"],
              reply["stale"], reply["refresh"]["state"]), (True, 1, False, "in_flight"),
             "while it goes on the current secret is answered at once")
    sim.release("gate")
    wait_generation(c, connection, 2)
    t.eq(c.ask("vend", owner="o", connection=connection)["generation"], 2, "then the new one")
    t.eq(len(sim.journal()), 1, "by one call")


def test_stale_while_failing(t):
    """A passing failure never turns a good secret into an error."""
    sim, _, c = start(t, **EARLY)
    sim.script({"status": 503, "times": -1})
    grant = sim.issue("alice", ttl=3600)
    connection = put(c, grant, lives_s=290)
    t.ok(sim.wait_done(1), "the refresh fails")
    # Between two tries: a try itself is `in_flight`.
    reply = until(lambda: (r := c.ask("vend", owner="o", connection=connection))["stale"] and
                  r["refresh"]["state"] == "backing_off" and r, "stale", every=0.005)
    t.eq((reply["secret"]["access_token"] == grant["access_token"], reply["refresh"]["state"]),
         (True, "backing_off"), "the good secret is served as stale")
    t.eq(reply["refresh"]["last_error"], "HTTP 503", "with the reason")
    t.eq(record(c, connection)["state"], "ACTIVE", "the state stays")
    ending = put(c, sim.issue("bob", ttl=3600), lives_s=3)
    until(lambda: now() >= record(c, ending)["expires_at"], "the end of a secret")
    job = c.call("vend", owner="o", connection=ending, deadline_ms=300)
    t.ok(job["error"]["code"] in ("provider_unavailable", "deadline_exceeded")
         and job["error"]["retryable"], "after its end it is an error", repr(job))
    t.ok("retry_after_ms" in job["error"] or job["error"]["code"] == "deadline_exceeded",
         "that says when to come back", repr(job))
    sim.clear_script()
    reply = until(lambda: (r := c.call("vend", owner="o", connection=ending))["ok"] and r,
                  "the provider is back")
    t.eq(reply["generation"], 2, "who comes back gets the new secret")


def test_waiting_through_failures(t):
    """Fewer failures than attempts: the caller who waits hears nothing of them."""
    sim, _, c = start(t)
    sim.script({"status": 503, "times": 2})
    connection = put(c, sim.issue("alice", ttl=3600))
    t.eq(c.ask("vend", timeout=60, owner="o", connection=connection)["generation"], 2,
         "a waiting caller gets the secret when the provider is back")
    t.eq(len(sim.journal()), 3, "by the third call")


def test_mandatory(t):
    sim, _, c = start(t)
    sim.script({"hold": "gate"})
    connection = put(c, sim.issue("alice", ttl=3600))
    job = c.send("vend", owner="o", connection=connection)
    t.ok(sim.wait_requests(1), "the request is under way")
    t.ok(not c.wait(0.3), "the caller waits")
    sim.release("gate")
    t.eq(c.recv_id(job)["generation"], 2, "and gets the new secret")
    t.eq(len(sim.journal()), 1, "by one call")


def test_min_ttl(t):
    sim, _, c = start(t)
    connection = put(c, sim.issue("alice", ttl=120), lives_s=60)
    t.eq(c.ask("vend", owner="o", connection=connection, min_ttl_s=30)["generation"], 1,
         "long enough")
    for _ in range(2):
        reply = c.ask("vend", owner="o", connection=connection, min_ttl_s=90)
        t.eq(reply["generation"], 2, "met by one refresh")
    reply = c.call("vend", owner="o", connection=connection, min_ttl_s=1000)
    t.eq((reply["ok"], reply.get("error", {}).get("code")), (False, "bad_request"),
         "more than a token lives")
    t.ok("min_ttl_s" in reply["error"]["message"], "and the message names the key")
    t.le(len(sim.journal()), 2, "without asking the provider again and again")
    t.eq(c.ask("vend", owner="o", connection=connection)["ok"], True, "others are served")


def test_kind(t):
    sim, _, c = start(t)
    connection = put(c, sim.issue("alice"), lives_s=60)
    for temperature in ("cold", "warm"):
        t.eq(c.code("vend", owner="o", connection=connection, kind="oauth2"), "ok",
             f"{temperature}: the kind it is")
        t.eq(c.code("vend", owner="o", connection=connection, kind="basic"), "kind_mismatch",
             f"{temperature}: another kind")


def test_needs_reauth(t):
    sim, d, c = start(t)
    events = d.events()
    def dead(account, lives_s):
        grant = sim.issue(account, ttl=3600)
        connection = put(c, grant, lives_s=lives_s)
        sim.revoke(grant_id=grant["grant_id"])
        reply = c.call("refresh", owner="o", connection=connection, force=True)
        t.eq((reply["error"]["code"], reply["error"]["retryable"]), ("needs_reauth", False), "the grant is dead")
        return connection, reply["error"].get("provider_error")

    left, said = dead("left", 600)
    t.eq(said, "invalid_grant", "as the provider said")
    for _ in range(5):
        reply = c.ask("vend", owner="o", connection=left)
        t.eq((reply["stale"], reply["refresh"]["state"], reply["generation"]),
             (True, "needs_reauth", 1), "what is left is served as stale")
    connection, _ = dead("alice", 3)
    calls = len(sim.journal())
    until(lambda: now() >= record(c, connection)["expires_at"], "its end")
    for _ in range(5):
        t.eq(c.code("vend", owner="o", connection=connection), "needs_reauth", "then refused")
    t.eq(c.code("refresh", owner="o", connection=connection, force=True), "needs_reauth",
         "no refresh either")
    t.eq(c.code("invalidate", owner="o", connection=connection), "needs_reauth",
         "nor after an invalidation")
    t.eq(len(sim.journal()), calls, "nothing is sent for a dead generation")
    fresh = sim.issue("alice", ttl=3600)
    t.eq(put(c, fresh, lives_s=3600), connection, "a new grant, the same id")
    reply = c.ask("vend", owner="o", connection=connection)
    t.eq((reply["generation"], reply["stale"]), (2, False), "serves again")
    t.eq(events.expect("recovered")["connection"], connection, "recovered")
    t.eq((events.count("reauth", connection=connection), events.count("reauth", connection=left),
          events.count("recovered")), (1, 1, 1), "one event each")


def test_needs_reauth_invalidated(t):
    """What somebody has seen refused is not served as stale."""
    sim, _, c = start(t)
    grant = sim.issue("alice")
    connection = put(c, grant, lives_s=600)
    sim.revoke(grant_id=grant["grant_id"])
    c.code("refresh", owner="o", connection=connection, force=True)
    t.eq(c.ask("vend", owner="o", connection=connection)["stale"], True, "served")
    t.eq(c.code("invalidate", owner="o", connection=connection, generation=1), "needs_reauth",
         "invalidated")
    t.eq(c.code("vend", owner="o", connection=connection), "needs_reauth", "refused")


def test_decisions(t):
    sim, d, c = start(t)
    connection = put(c, sim.issue("alice"), lives_s=600)
    token = c.ask("vend", owner="o", connection=connection)["secret"]["access_token"]
    t.eq(c.ask("connection.revoke", owner="o", connection=connection)["state"], "REVOKED",
         "revoked")
    t.eq(c.code("vend", owner="o", connection=connection), "revoked", "refuses")
    t.eq(c.code("refresh", owner="o", connection=connection, force=True), "revoked",
         "refuses a refresh")
    d.restart()
    t.eq(c.code("vend", owner="o", connection=connection), "revoked", "after a restart, too")
    t.eq(c.ask("connection.restore", owner="o", connection=connection)["state"], "ACTIVE",
         "restored")
    t.eq(c.ask("vend", owner="o", connection=connection)["secret"]["access_token"] == token, True,
         "the same secret")
    t.eq(c.ask("connection.delete", owner="o", connection=connection)["deleted"], True, "deleted")
    t.eq(c.code("vend", owner="o", connection=connection), "not_found", "gone by id")
    t.eq(c.code("vend", owner="o", provider="acme", account="alice"), "not_connected",
         "and by account")
    t.eq(len(sim.journal()), 0, "the provider was never asked")


NAMING = ("vend", "refresh", "invalidate", "connection.get", "connection.update",
          "connection.revoke", "connection.restore", "connection.delete", "credential.put")


def test_foreign_owner(t):
    """A foreign connection and one that does not exist cannot be told apart."""
    sim, _, c = start(t)
    ours = put(c, sim.issue("alice"), lives_s=600)
    c.ask("vend", owner="o", connection=ours)  # warm
    c.ask("vend", owner="o", connection=ours)
    plain = c.ask("credential.put", owner="o", provider="plain",
                  secret={"kind": "bearer", "token": make_secret("foreign")})["connection"]
    unknown = [ours[:-1] + ("0" if ours[-1] != "0" else "1"), ours.lower() + "x", "acme.x",
               "nobody." + ours.split(".")[1], plain[:-1] + ("0" if plain[-1] != "0" else "1")]
    more = {"connection.update": {"tags": ["x"]},
            "credential.put": {"secret": {"kind": "bearer", "token": make_secret("try")}}}
    for op in NAMING:
        bodies = set()
        for owner, connection in [("other", ours), ("other", plain),
                                  *(("other", u) for u in unknown), *(("o", u) for u in unknown)]:
            c.call(op, id=7, owner=owner, connection=connection, **more.get(op, {}))
            bodies.add(c.last_body)
        t.eq(len(bodies), 1, f"{op}: one answer, byte by byte")
        t.eq(c.code(op, owner="other", connection=ours, **more.get(op, {})), "not_found",
             f"{op}: not_found")
    frames = [c.frames([b"", encode({"op": "vend", "id": "x", "owner": owner, "connection": one})])
              for owner, one in (("other", ours), ("o", unknown[0]))]
    t.eq(frames[0], frames[1], "the same frames")
    t.eq(c.ask("vend", owner="o", connection=ours)["generation"], 1, "ours is as it was")
    t.eq(record(c, plain)["state"], "ACTIVE", "both are")
    t.eq(len(sim.journal()), 0, "and no provider was asked")


def test_names(t):
    _, _, c = start(t)
    t.eq(c.code("vend", owner="o", provider="acme"), "not_connected", "no such account")
    c.ask("connection.create", owner="o", provider="acme", account="new")
    t.eq(c.code("vend", owner="o", provider="acme", account="new"), "not_connected", "pending")
    reply = c.call("vend", owner="o", provider="acmee")
    t.eq(reply["error"]["code"], "unknown_provider", "no such provider")
    t.ok("acme?" in reply["error"]["message"], "and the near name", reply["error"]["message"])
    t.eq(c.code("vend", owner="o", provider="zzzzzzzz"), "unknown_provider", "nothing near")
    t.eq(c.code("vend", ref="warehouse"), "not_found", "no such shared credential")
    t.eq(c.code("vend", ref="warehouse", owner="o"), "bad_request", "ref stands alone")
    t.eq(c.code("vend", owner="o"), "bad_request", "whose?")
    t.eq(c.code("vend", provider="acme"), "bad_request", "owner is required")
    t.eq(c.code("vend", owner="o", provider="acme", connection="acme.x"), "bad_request",
         "one way to name it")


def test_refresh_token_stays(t):
    sim, _, c = start(t)
    grant = sim.issue("alice", ttl=3600)
    connection = put(c, grant, lives_s=600)
    for turn in ("cold", "warm"):
        reply = c.call("vend", owner="o", connection=connection)
        t.ok(not holds(reply, grant["refresh_token"]) and "refresh_token" not in reply["secret"],
             f"{turn}: no refresh token")
        reply = c.ask("vend", owner="o", connection=connection, include=["refresh_token"])
        t.ok(reply["secret"]["refresh_token"] == grant["refresh_token"], f"{turn}: root asks")
    for op, keys in (("refresh", {"force": True}), ("connection.get", {}),
                     ("invalidate", {"generation": 1, "vend": True}), ("connection.list", {}),
                     ("status", {}), ("events.since", {"seq": 0})):
        keys = {**keys, "connection": connection} if op not in (
            "connection.list", "status", "events.since") else keys
        reply = c.ask(op, owner="o", **keys)
        t.ok(not any(holds(reply, token) for token in sim.all_secrets() if "-rt-" in token),
             f"{op}: no refresh token")
    reply = c.ask("vend", owner="o", connection=connection, include=["refresh_token"])
    t.ok(sim.lookup(reply["secret"]["refresh_token"])["current"], "the rotated one is exported")
    t.eq(c.code("vend", owner="o", connection=connection, include=["everything"]), "bad_request",
         "nothing else can be included")


def test_static(t):
    _, d, c = start(t)
    kinds = {"bearer": {"token": make_secret("bearer")},
             "api_key": {"api_key": make_secret("key"), "api_secret": make_secret("secret")},
             "basic": {"username": "ann", "password": make_secret("password")},
             "header": {"name": "X-Key", "value": make_secret("header")}}
    extras = {"fields": {"region": "eu", "café": "ü"},
              "apply": [{"in": "header", "name": "X-A", "value": make_secret("apply")}]}
    for kind, parts in kinds.items():
        secret = {"kind": kind, **parts, **extras}
        stored = c.ask("credential.put", owner="o", provider="plain", account=kind, secret=secret)
        t.eq(stored["generation"], 1, f"{kind}: put")
        for turn in ("cold", "warm"):
            reply = c.ask("vend", owner="o", provider="plain", account=kind)
            t.ok(reply["secret"] == secret, f"{kind}: vended as it was put, {turn}")
            t.ok("expires_at" not in reply and not reply["stale"], f"{kind}: without an end")
        t.eq(c.code("refresh", owner="o", provider="plain", account=kind, force=True),
             "unsupported_op", f"{kind}: nothing to refresh")
    d.restart()
    for kind, parts in kinds.items():
        reply = c.ask("vend", owner="o", provider="plain", account=kind)
        t.ok(reply["secret"] == {"kind": kind, **parts, **extras}, f"{kind}: after a restart")
    for wrong, why in (({"kind": "bearer"}, "token"), ({"kind": "nonsense", "token": "x"}, "kind"),
                       ({"token": "x"}, "kind"), ({"kind": "basic", "username": "x"}, "password"),
                       ({"kind": "header", "name": "x", "value": 7}, "value")):
        reply = c.call("credential.put", owner="o", provider="plain", secret=wrong)
        t.eq((reply["error"]["code"], why in reply["error"]["message"]), ("bad_request", True),
             f"refused, and {why} is named")
    t.eq(c.code("credential.put", owner="o", provider="acme", secret=kinds["bearer"] |
                {"kind": "bearer"}), "kind_mismatch", "a kind that the provider does not take")
    for account, lives_s in (("ends later", 3600), ("ends", 2)):
        ending = c.ask("credential.put", owner="o", provider="plain", account=account,
                       secret={"kind": "bearer", "token": make_secret("ends")}, expires_at=now() + lives_s)
        if lives_s == 3600:
            reply = c.ask("vend", owner="o", connection=ending["connection"])
            t.eq((reply["stale"], reply["expires_at"] > now()), (False, True), "it has an end")
    until(lambda: c.code("vend", owner="o", connection=ending["connection"]) == "needs_reauth",
          "the end of what cannot be refreshed")
    t.ok(True, "after which it has to be put anew")


def test_only_refresh_token(t):
    """A put without an access token is due at once."""
    sim, _, c = start(t)
    grant = sim.issue("alice", ttl=600)
    put_reply = c.ask("credential.put", owner="o", provider="acme", account="alice",
                      secret={"kind": "oauth2", "refresh_token": grant["refresh_token"]})
    reply = c.ask("vend", owner="o", connection=put_reply["connection"])
    t.ok(reply["generation"] == 2 and sim.lookup(reply["secret"]["access_token"])["current"],
         "its first access token is fetched")


def test_threads(t):
    """Many clients, divided among two of ZeroMQ's threads, each its own account: each gets its own secret, warm and
    cold."""
    sim, d, c = start(t, {"io_threads": 2})
    names = []
    for task in os.listdir(f"/proc/{d.pid}/task"):
        with open(f"/proc/{d.pid}/task/{task}/comm", encoding="utf-8") as file:
            names.append(file.read().strip())
    t.eq([name for name in sorted(names) if "/IO/" in name], ["ZMQbg/IO/0", "ZMQbg/IO/1"], "there are two")
    grants = sim.issue_many(40, ttl=3600)
    owners = {f"owner {i}": put(c, g, owner=f"owner {i}") for i, g in enumerate(grants)}
    wrong, answers = [], []

    def ask(owner, connection, client):
        for _ in range(50):
            reply = client.ask("vend", owner=owner, connection=connection)
            answers.append(owner)
            if reply["connection"] != connection or sim.lookup(
                    reply["secret"]["access_token"])["account"] != reply["account"]:
                wrong.append(owner)

    threads = [threading.Thread(target=ask, args=(o, k, d.client())) for o, k in owners.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.eq((len(answers), wrong), (2000, []), "2 000 vends of 40 owners")
    t.eq(len(sim.journal()), 40, "one call each")
    t.eq(wait_state(c, owners["owner 0"], "ACTIVE", owner="owner 0")["generation"], 2, "as it was")


run([test_cold_and_warm, test_advisory, test_stale_while_failing,
     test_waiting_through_failures, test_mandatory, test_min_ttl,
     test_kind, test_needs_reauth, test_needs_reauth_invalidated, test_decisions,
     test_foreign_owner, test_names, test_refresh_token_stays, test_static, test_only_refresh_token,
     test_threads])
