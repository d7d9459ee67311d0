#!/usr/bin/python3
"""Connections that move between systems: export, import, hand-over, and a second spender noticed."""

import base64
import hashlib
import http.client
import json
import os
import stat
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, cli, limit, put_secret, run
from machine import PATIENCE_S
from scene import (edit, events_of, make_secret, now, put, record, rows, types_of, until,
                   wait_generation, wait_state)

FAR = 3600
PLAIN = {"kind": "static"}


def spend(sim, token):
    """What the other system does: it refreshes by itself. (status, reply)"""
    where = urllib.parse.urlsplit(sim.token_url)
    basic = base64.b64encode(f"{sim.client_id}:{sim.client_secret}".encode()).decode()
    connection = http.client.HTTPConnection(where.netloc, timeout=PATIENCE_S)
    try:
        body = urllib.parse.urlencode({"grant_type": "refresh_token", "refresh_token": token})
        connection.request("POST", where.path, body, {
            "Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {basic}"})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def write(d, name, lines):
    """A file of lines; secrets may stand in this folder."""
    path = d.path("etc/" + name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
              encoding="utf-8") as file:
        file.write("".join(line if isinstance(line, str) else json.dumps(line) + "\n"
                           for line in lines))
    return path


def line_of(grant, account=None, **more):
    return {"owner": "o", "provider": "acme", "account": account or grant["account"],
            "secret": put_secret(grant), "expires_at": now() + FAR, **more}


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def bare(found):
    """What of a record is the same wherever it is."""
    keys = ("owner", "provider", "account", "state", "scopes", "kind", "expires_at", "metadata",
            "tags", "refresh_token_expires_at")
    return {k: found[k] for k in keys if k in found}


# -- export and import ----------------------------------------------------------------------------

def test_round_trip(t):
    """What one daemon writes another reads: every kind, with all that belongs to it."""
    sim = t.use(Endpoint(prefix="TRIP"))
    providers = {"acme": sim.provider(), "plain": PLAIN}
    old, new = (t.use(Daemon({"providers": providers})) for _ in range(2))
    c = old.client()
    grant = sim.issue("alice", ttl=FAR)
    put(c, grant, lives_s=FAR, metadata={"plan": "b", "seats": 7}, tags=["x", "y=z"],
        scopes=["read", "write"], more={"refresh_token_expires_at": now() + 86400,
                                        "fields": {"site": "eu"}})
    for account, secret in (("b", {"kind": "bearer", "token": make_secret("T")}),
                            ("u", {"kind": "basic", "username": "u", "password": make_secret("P")}),
                            ("h", {"kind": "header", "name": "X-K", "value": make_secret("V")}),
                            ("k", {"kind": "api_key", "api_key": make_secret("K"),
                                   "apply": [{"in": "query", "name": "k", "value": "v"}]})):
        c.ask("credential.put", owner="p/ä", provider="plain", account=account, secret=secret)
    c.ask("connection.create", owner="o", provider="plain", account="pending")
    gone = put(c, sim.issue("gone", ttl=FAR), lives_s=FAR)
    c.ask("connection.revoke", owner="o", connection=gone)
    before = events_of(c)
    path = old.path("etc/all.ndjson")
    status, out, err = cli(old, "export", path)
    t.eq((status, out, err), (0, "", "5 written, 2 without a secret or revoked, 0 failed\n"),
         "written")
    t.eq(stat.S_IMODE(os.stat(path).st_mode), 0o600, "for its owner alone")
    t.eq(events_of(c), before, "nothing has changed")
    t.eq(cli(old, "export", path)[0], 1, "a file that is there is not written over")
    mine = [line for line in read(path) if line["account"] == "alice"][0]
    t.eq(mine["secret"]["refresh_token"], grant["refresh_token"], "with the refresh token")
    n = new.client()
    status, _, err = cli(new, "import", path)
    t.eq((status, err), (0, "5 imported\n"), "read")

    def all_of(client):
        found = client.ask("connection.list", limit=100)["connections"]
        return [bare(r) for r in found if r["state"] == "ACTIVE"]
    t.eq(all_of(n), all_of(c), "the records are the same")
    for found in n.ask("connection.list", limit=100)["connections"]:
        name = {k: found[k] for k in ("owner", "provider", "account")}
        t.eq(n.ask("vend", **name)["secret"], c.ask("vend", **name)["secret"],
             f"and the secret of {found['account']}")
    status, _, err = cli(new, "import", path)
    t.eq((status, err), (0, "5 left as it is\n"), "again: no double")
    t.eq({r[0] for r in rows(new, "SELECT generation FROM connection")}, {1}, "one generation each")
    t.eq(cli(new, "import", path, "--existing", "refuse")[0], 1, "or it is a failure")
    status, out, _ = cli(old, "export", "-", "--owner", "p/ä")
    t.eq((status, len(out.splitlines())), (0, 4), "of one owner, to a pipe")
    status, _, err = cli(new, "import", "-", stdin=out)
    t.eq((status, err), (0, "4 left as it is\n"), "from a pipe")
    t.eq(sim.journal(), [], "the provider saw nothing of it")


def test_sealed(t):
    """Lines sealed to a public key: nothing but its secret key reads them."""
    d = t.use(Daemon({"providers": {"plain": PLAIN}}))
    other = t.use(Daemon({"providers": {"plain": PLAIN}}))
    c = d.client()
    token = make_secret("SEAL")
    for i in range(3):
        c.ask("credential.put", owner="o", provider="plain", account=f"a{i}",
              secret={"kind": "bearer", "token": token})
    path, key = d.path("sealed.ndjson"), other.path("etc/curve.key")  # searched for secrets
    t.eq(cli(d, "export", path, "--seal-to", other.path("etc/curve.pub"))[0], 0, "written")
    t.ok(all(list(line) == ["sealed"] for line in read(path)), "nothing of it can be read")
    status, _, err = cli(other, "import", path)
    t.ok(status == 1 and "line 1: failed: it is sealed: --open-with" in err, "without a key", err)
    status, _, err = cli(other, "import", path, "--open-with", d.path("etc/curve.key"))
    t.ok(status == 1 and "line 3: failed: it is sealed, and not to this key" in err, "another's", err)
    t.eq(cli(other, "import", path, "--open-with", key)[::2], (0, "3 imported\n"), "with it")
    t.eq(other.client().ask("vend", owner="o", provider="plain", account="a2")["secret"]["token"],
         token, "and it is what it was")
    status, _, err = cli(d, "export", d.path("x"), "--seal-to", d.config_file)
    t.ok(status == 2 and "is no key" in err and not os.path.exists(d.path("x")), "no key", err)


def test_bad_lines(t):
    """Bad lines are named by their numbers, the others are taken; the mended file does the rest."""
    sim = t.use(Endpoint(prefix="LINES"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(), "plain": PLAIN}}))
    c = d.client()
    grants = sim.issue_many(4, ttl=FAR)
    secret = make_secret("LEAK")
    right = [line_of(g) for g in grants]
    bad = ["{\"owner\": \"o\", \"secret\": \"" + secret + "\n",
           {**right[0], "account": "x", "ownr": secret},
           {k: v for k, v in right[0].items() if k != "owner"},
           {**right[0], "account": "y", "secret": secret},
           {**right[0], "account": "z", "provider": "acne"},
           {**right[0], "account": "w", "secret": {"kind": "bearer", "token": secret}},
           "[1]\n", "x" * 300000 + "\n", "{\"a\": 1, \"a\": 2}\n"]
    lines = [right[0], bad[0], right[1], *bad[1:5], right[2], *bad[5:], "\n", right[3]]
    status, out, err = cli(d, "import", write(d, "bad", lines))
    t.eq((status, out), (1, ""), "something was wrong")
    t.eq([line.split(":")[0] for line in err.splitlines()],
         [f"line {n}" for n in (2, 4, 5, 6, 7, 9, 10, 11, 12)]
         + ["4 imported, 9 failed"], "by number")
    for words in ("line 2: failed: not JSON, at its column", "line 4: failed: a key that is not known",
                  "line 5: failed: owner is required", "line 6: failed: secret must be an object",
                  "line 7: o acne/z: failed: unknown_provider: no provider acne is configured",
                  "line 9: o acme/w: failed: kind_mismatch", "line 10: failed: not a JSON object",
                  "line 11: failed: it has more than 262144 bytes", "line 12: failed: not JSON"):
        t.ok(words in err, words, err)
    t.ok(secret not in err, "nothing of a secret is told")
    t.eq(c.ask("status")["connections"]["ACTIVE"], 4, "the others are here")
    mended = [right[0], right[1], right[2], {**right[3], "account": "new"}, right[3]]
    t.eq(cli(d, "import", write(d, "mended", mended))[::2], (0, "1 imported, 4 left as it is\n"),
         "mended, and run again")
    status, out, _ = cli(d, "import", write(d, "json", [bad[0], right[0]]), "--json")
    t.eq((status, [json.loads(line)["result"] for line in out.splitlines()]),
         (1, ["failed", "left as it is"]), "as JSON")
    t.eq(cli(d, "import", d.path("etc/none"))[0], 1, "no such file")
    t.eq(cli(d, "import", d.path("etc/mended"), "--existing", "what")[0], 2, "no such rule")
    t.eq(cli(d, "import", "-", "--hand-over")[0], 2, "a hand-over needs a file")
    d.stop()
    status, _, err = cli(d, "import", write(d, "down", mended))
    t.ok(status == 3 and "the same again goes on" in err, "no daemon", err)
    d.start()


def test_replace(t):
    """What is replaced is never newer than what is put."""
    sim = t.use(Endpoint(prefix="REPL"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    first, second = sim.issue("a", ttl=FAR), sim.issue("a", ttl=FAR)
    connection = put(c, first, lives_s=FAR)
    path = write(d, "second", [line_of(second)])
    t.eq(cli(d, "import", path, "--existing", "replace")[::2], (0, "1 imported\n"), "replaced")
    t.eq(c.ask("vend", owner="o", connection=connection)["secret"]["access_token"],
         second["access_token"], "the new one")
    c.ask("refresh", owner="o", connection=connection, force=True)
    status, _, err = cli(d, "import", path, "--existing", "replace")
    t.ok(status == 1 and "it was refreshed here since" in err, "an old file", err)
    t.eq(record(c, connection)["generation"], 3, "changes nothing")
    path = write(d, "third", [line_of(sim.issue("a", ttl=FAR), expect_generation=3)])
    t.eq(cli(d, "import", path, "--existing", "replace")[0], 0, "which generation is meant is said")
    t.eq(record(c, connection)["generation"], 4, "replaced")
    status, _, err = cli(d, "import", path, "--existing", "replace")
    t.ok(status == 1 and "conflict: the current generation is 4" in err, "once", err)


# -- hand-over ------------------------------------------------------------------------------------

@limit(120)
def test_hand_over(t):
    """Held, each refreshed once, let go: and what each line came to."""
    sim = t.use(Endpoint(prefix="OVER", ttl=FAR))
    d = t.use(Daemon({"providers": {"acme": sim.provider(), "plain": PLAIN}}))
    c = d.client()
    good, spent, lost, down = (sim.issue(name) for name in ("good", "spent", "lost", "down"))
    lines = [line_of(g, expires_at=now() - 10) for g in (good, spent, lost, down)]
    lines.append({"owner": "o", "provider": "plain", "account": "key",
                  "secret": {"kind": "bearer", "token": make_secret("KEY")}})
    here = put(c, sim.issue("here"), lives_s=FAR)
    lines.append(line_of(sim.issue("other"), account="here"))
    frozen = put(c, sim.issue("frozen"), lives_s=FAR)
    c.ask("connection.freeze", owner="o", connection=frozen)
    lines.append(line_of(sim.issue("other"), account="frozen"))
    path = write(d, "old", lines)
    status, out, err = cli(d, "import", path, "--hand-over")
    t.eq((status, out), (1, ""), "the first half")
    t.ok(err.startswith("2 left as it is, 5 held\n") and "with --yes once the old system has" in err,
         "and what is next", err)
    held = [r for r in c.ask("connection.list", limit=100)["connections"]
            if r.get("reason") == "hand_over"]
    t.eq({(r["account"], r["state"]) for r in held},
         {(a, "FROZEN") for a in ("good", "spent", "lost", "down", "key")}, "held")
    d.restart()
    c = d.client()
    t.eq(c.code("vend", owner="o", provider="acme", account="good"), "frozen", "not served")
    t.eq(sim.journal(), [], "nobody refreshes, though it is overdue")
    by = {r["account"]: r["id"] for r in held}
    t.eq(types_of(c, by["good"]), ["connected", "frozen"], "one event each")

    t.eq(spend(sim, spent["refresh_token"])[0], 200, "the old system is quicker with one")
    sim.script({"match": {"account": "lost"}, "drop": "after"},
               {"match": {"account": "down"}, "status": 503, "times": 50})
    status, out, err = cli(d, "import", path, "--hand-over", "--yes")
    t.eq(status, 1, "not all is well")
    told = {line.split(":")[1].split("/")[1]: line.split(": ", 2)[2] for line in out.splitlines()}
    for account, words in (("good", "ok: refreshed here"), ("spent", "refused: needs_reauth"),
                           ("lost", "in doubt: in_doubt"), ("down", "later: "),
                           ("key", "ok: there is nothing to refresh"),
                           ("here", "left as it is: it is ACTIVE"),
                           ("frozen", "left as it is: it is FROZEN")):
        t.ok(told[account].startswith(words), f"{account}: {words}", out)
    t.ok("2 left as it is, 2 ok, 1 refused, 1 in doubt, 1 later" in err, "summed up", err)
    t.ok(sim.lookup(good["refresh_token"])["used"], "the old system's copy is spent")
    t.eq(c.ask("vend", owner="o", provider="acme", account="good")["generation"], 2, "served")
    t.eq(record(c, by["spent"])["suspect"], "second_spender", "and who it was is suspected")
    t.eq((record(c, by["down"])["state"], record(c, by["down"])["reason"]),
         ("FROZEN", "hand_over"), "what could not be done is held still")
    t.eq(record(c, frozen)["state"], "FROZEN", "what an operator has frozen stays so")
    t.eq(record(c, here)["generation"], 1, "and what was here is as it was")

    c.ask("connection.freeze", owner="o", connection=by["good"])
    sweep = c.ask("connection.thaw", select={"provider": "acme"})["sweep"]
    c.ask("sweep.get", sweep=sweep, wait=True)
    t.eq((record(c, by["down"])["state"], record(c, by["down"])["reason"]), ("FROZEN", "hand_over"),
         "a thaw of all is not about what is held")
    t.eq(record(c, by["good"])["state"], "ACTIVE", "but about what was frozen")
    c.ask("connection.freeze", owner="o", connection=frozen)

    sim.clear_script()
    before = len(sim.journal())
    status, out, err = cli(d, "import", path, "--hand-over", "--yes")
    t.ok(": o acme/down: ok: refreshed here\n" in out, "again: the rest", out)
    t.eq([e["account"] for e in sim.journal()[before:] if e["account"] != "lost"], ["down"],
         "and nothing twice")
    t.eq([sim.grant(g["grant_id"])["reuse"] for g in (good, down)], [0, 0],
         "no token that was good was used twice")


@limit(120)
def test_hand_over_to_another(t):
    """From one daemon to the next: there it lives, here it is never refreshed again."""
    sim = t.use(Endpoint(prefix="NEXT", ttl=FAR))
    old, new = (t.use(Daemon({"providers": {"acme": sim.provider()}})) for _ in range(2))
    c, n = old.client(), new.client()
    grants = sim.issue_many(250)
    for grant in grants:
        c.send("credential.put", owner="o", provider="acme", account=grant["account"],
               secret=put_secret(grant), expires_at=now() + FAR)
    ids = [c.recv()["connection"] for _ in grants]
    theirs = put(c, sim.issue("p"), lives_s=FAR, owner="p")
    path = old.path("etc/over.ndjson")
    status, _, err = cli(old, "export", path, "--owner", "o", "--hand-over")
    t.ok(status == 2 and not os.path.exists(path), "it is to be agreed to", err)
    t.eq(cli(old, "export", path, "--owner", "o", "--hand-over", "--yes")[::2],
         (0, "250 written, 0 without a secret or revoked, 0 failed\n"), "handed over")
    t.eq({(r["state"], r["reason"]) for r in
          (record(c, connection) for connection in ids[::25])}, {("REVOKED", "transferred")},
         "marked")
    t.eq(types_of(c, ids[0]), ["connected", "frozen", "revoked"], "with an event each")
    t.eq(c.code("vend", owner="p", connection=theirs), "ok", "another owner's is untouched")
    t.eq(cli(old, "export", old.path("etc/more"), "--owner", "o", "--hand-over", "--yes")[2],
         "0 written, 250 without a secret or revoked, 0 failed\n", "again: nothing is left")
    old.stop()
    edit(old, "UPDATE connection SET due_at = ?1, expires_at = ?1 WHERE owner = 'o'", now() - 60)
    old.start()
    c = old.client()
    t.eq(c.code("refresh", owner="o", connection=ids[0], force=True), "revoked", "not refreshed")
    t.eq(sim.journal(), [], "nor anything else")
    status, out, err = cli(new, "import", path, "--hand-over", "--yes")
    t.ok(status == 0 and err.endswith("250 ok\n"), "taken over", err)
    t.eq((sim.stats()["ok"], sim.stats()["reuse"]), (250, 0), "one refresh each")
    t.eq(n.ask("status")["connections"]["ACTIVE"], 250, "and they live there")


def test_export_during_flight(t):
    """Frozen while its refresh is with the provider: what is exported is what the refresh brought."""
    sim = t.use(Endpoint(prefix="MID", ttl=FAR))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    sim.script({"hold": "gate", "hold_at": "after"})
    grant = sim.issue("a")
    connection = put(c, grant)
    named = {"owner": "o", "connection": connection}
    t.ok(sim.wait_requests(1), "the refresh is under way")
    t.eq(c.ask("connection.freeze", **named)["state"], "FROZEN", "frozen")
    job = c.send("connection.export", **named)
    t.eq(record(c, connection)["generation"], 1, "nothing has come home when it is asked for")
    sim.release("gate")
    reply = c.recv_id(job)
    t.eq((reply["record"]["state"], reply["record"]["generation"]), ("FROZEN", 2), "the next one")
    t.ok(reply["secret"]["refresh_token"] != grant["refresh_token"], "not the token that is spent")
    t.eq(spend(sim, reply["secret"]["refresh_token"])[0], 200, "and whoever has it can go on")


def test_export_op(t):
    sim = t.use(Endpoint(prefix="OP"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    grant = sim.issue("a", ttl=FAR)
    connection = put(c, grant, hold=True)
    named = {"owner": "o", "connection": connection}
    reply = c.ask("connection.export", **named)
    t.eq((reply["record"]["state"], reply["secret"]["access_token"],
          reply["secret"]["refresh_token"]),
         ("FROZEN", grant["access_token"], grant["refresh_token"]), "whatever its state")
    t.eq(sim.journal(), [], "and without a refresh, though it is due")
    t.eq(c.code("connection.export", owner="p", connection=connection), "not_found", "foreign")
    c.ask("connection.create", owner="o", provider="acme", account="pending")
    t.eq(c.code("connection.export", owner="o", provider="acme", account="pending"),
         "not_connected", "no secret yet")
    t.ok("a connection was exported" in d.log(), "the log says so")
    t.eq(c.code("connection.revoke", **named, reason="because"), "bad_request", "no such reason")
    t.eq(c.code("credential.put", owner="o", provider="acme", account="a", hold=True,
                secret=put_secret(grant)), "frozen", "hold on what is frozen")
    c.ask("connection.thaw", **named)
    t.eq(c.code("credential.put", owner="o", provider="acme", account="a", hold=True,
                secret=put_secret(grant)), "conflict", "hold on what is there")


def test_refresh_of_a_generation(t):
    """Who wants this generation refreshed does not refresh the next one."""
    sim = t.use(Endpoint(prefix="GEN", ttl=FAR))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    named = {"owner": "o", "connection": put(c, sim.issue("a"), lives_s=FAR), "force": True}
    t.eq(c.ask("refresh", **named, generation=1)["generation"], 2, "the one that is meant")
    t.eq(c.ask("refresh", **named, generation=1)["generation"], 2, "is refreshed once")
    t.eq(len(sim.journal()), 1, "the provider was asked once")
    t.eq(c.ask("refresh", **named)["generation"], 3, "without it, whichever")


# -- a second spender -----------------------------------------------------------------------------

def test_spent_elsewhere(t):
    """Somebody else refreshes the same token: the refusal that comes of it says so."""
    sim = t.use(Endpoint(prefix="ELSE", ttl=FAR))
    d = t.use(Daemon({"providers": {"acme": sim.provider(), "kept": sim.provider(rotation="none")}}))
    c, events = d.client(), d.events(("reauth/",))
    grant = sim.issue("alice")
    connection = put(c, grant)
    named = {"owner": "o", "connection": connection}
    wait_generation(c, connection, 2)
    token = c.ask("vend", **named, include=["refresh_token"])["secret"]["refresh_token"]
    t.eq(spend(sim, token)[0], 200, "another system is quicker")
    t.ok("suspect" not in record(c, connection), "nobody knows yet")
    t.eq(c.code("refresh", **named, force=True), "needs_reauth", "the next refresh is refused")
    found = record(c, connection)
    t.eq((found["state"], found["reason"], found["suspect"], found["suspect_sign"]),
         ("NEEDS_REAUTH", "invalid_grant", "second_spender", "refused"), "and why is suspected")
    t.eq(events.expect("reauth", connection=connection)["reason"]["suspect"], "second_spender",
         "the owner is told")
    put(c, sim.issue("alice"), lives_s=FAR)
    t.ok("suspect" not in record(c, connection), "a new secret is a new beginning")
    other = put(c, sim.issue("bob", rotation="none"), provider="kept", lives_s=FAR)
    sim.revoke(token=c.ask("vend", owner="o", connection=other,
                           include=["refresh_token"])["secret"]["refresh_token"])
    t.eq(c.code("refresh", owner="o", connection=other, force=True), "needs_reauth", "revoked")
    t.ok("suspect" not in record(c, other), "a token that is not spent by use is not suspected")


def test_foreign_token(t):
    """A caller complains of a token that was never given out here."""
    sim = t.use(Endpoint(prefix="FOREIGN", ttl=FAR))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    grant = sim.issue("alice")
    connection = put(c, grant, lives_s=FAR)
    named = {"owner": "o", "connection": connection}

    def complain(token):
        digest = hashlib.sha256(token.encode()).hexdigest()
        return c.ask("invalidate", **named, access_token_sha256=digest)["generation"]
    c.ask("refresh", **named, force=True)
    t.eq(complain(grant["access_token"]), 2, "the one before")
    t.ok("suspect" not in record(c, connection), "is known here")
    t.eq(complain(make_secret("never")), 2, "one that nobody knows")
    found = until(lambda: record(c, connection) if "suspect" in record(c, connection) else None,
                  "suspected")
    t.eq((found["state"], found["suspect_sign"], found["generation"]),
         ("ACTIVE", "foreign_token", 2), "is a sign, and no more")
    t.eq(len(sim.journal()), 1, "no refresh comes of it")


def test_cut_short(t):
    """One fresh secret after the other is refused at once."""
    sim = t.use(Endpoint(prefix="CUT", ttl=FAR))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    connection = put(c, sim.issue("alice"), lives_s=FAR)
    named = {"owner": "o", "connection": connection}
    for generation in (1, 2, 3):
        t.ok("suspect" not in record(c, connection), f"not yet at {generation}")
        c.ask("invalidate", **named, generation=generation, vend=True)
    t.eq(record(c, connection)["suspect_sign"], "cut_short", "three in a row")
    t.eq(wait_state(c, connection, "ACTIVE")["generation"], 4, "it goes on all the same")


run([test_round_trip, test_sealed, test_bad_lines, test_replace, test_hand_over, test_hand_over_to_another,
     test_export_during_flight, test_export_op, test_refresh_of_a_generation, test_spent_elsewhere, test_foreign_token, test_cut_short])
