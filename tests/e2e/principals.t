#!/usr/bin/python3
"""Principals: who is let in by uid, gid and CURVE key, and what each may ask for, live."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, NoReply, cli, curve_pair, encode, run, secrets
from scene import edit, events_of, make_secret, now, put, until
from strangers import NOBODY, SURE_MS, as_user, needs_root

ALL_ROLES = ("vend", "refresh", "connect", "manage", "events", "export", "admin")
PLAIN = {"plain": {"kind": "static"}}
NO_ID = "plain.00000000000000000000000000"


def pair():
    keys = curve_pair()
    secrets.add(keys[1])
    return keys


def principal(roles=(), owners=("*",), key=None, **more):
    """An entry of the configuration."""
    entry = {"roles": list(roles), "owners": list(owners), **more}
    if key:
        entry["curve_keys"] = [key[0].replace("${", "$${")]
    return entry


def root(**more):
    """Whoever runs the test, with all rights: what it asks is not what is tested."""
    return principal(ALL_ROLES, uids=[str(os.getuid())], **more)


def start(t, principals, providers=None, tcp=True, **config):
    """A daemon of root and these principals."""
    return t.use(Daemon({"providers": providers or PLAIN, **config,
                         "principals": {"root": root(), **principals}}, tcp=tcp))


def put_plain(c, owner, account="default", provider="plain"):
    return c.ask("credential.put", owner=owner, provider=provider, account=account,
                 secret={"kind": "bearer", "token": make_secret(f"{owner}-{account}")})["connection"]


def refused(t, make, name):
    """Whoever it is gets no connection, or no answer on it."""
    try:
        client = make()
        client.send("whoami")
        t.ok(not client.wait(0.3), name)
    except NoReply:
        t.ok(True, name)


# --- who


def test_keys(t):
    app, stranger = pair(), pair()
    d = start(t, {"app": principal(["vend", "events"], ["acme"], app, email="app@example.com",
                                   operator_scopes=["billing"])})
    c = d.client(app)
    who = c.ask("whoami")
    t.eq((who["principal"], who["peer"], who["roles"], who["owners"], who["providers"], who["refs"],
          who["operator_scopes"], who["email"], who["max_in_flight"]),
         ("app", f"curve:{app[0]}", ["vend", "events"], ["acme"], ["*"], [], ["billing"],
          "app@example.com", 32768), "whoami")
    t.eq(d.client().ask("status")["curve_public_key"], d.server_key, "status names the daemon's key")
    refused(t, lambda: d.client(stranger), "a key that nobody has")
    t.ok(d.wait_log("connection refused.*curve:"), "is in the log")
    root_c = d.client()
    put_plain(root_c, "acme")
    t.eq(root_c.ask("whoami")["principal"], "root", "a uid on ipc beside it")
    t.eq(c.ask("vend", owner="acme", provider="plain")["secret"]["kind"], "bearer", "a vend on tcp")
    for email, scope, expected in (("app@example.com", "billing", True),
                                   ("app@example.com", "other", False),
                                   ("x@example.com", "billing", False)):
        t.eq(c.ask("principal.is_operator", email=email, scope=scope)["is_operator"], expected,
             f"{email} of {scope}")


def test_uids_and_gids(t):
    needs_root()
    d = start(t, {"user": principal(["vend"], ["acme"], uids=["nobody"]),
                  "group": principal(["manage"], ["acme"], gids=[str(NOBODY - 2)])}, tcp=False)
    os.chmod(d.dir, 0o755)
    for name in ("jobs", "intake", "events"):
        t.eq(os.stat(d.path(name)).st_mode & 0o777, 0o666, f"{name}: ZAP asks, not the file's mode")
    jobs = [{"op": "whoami", "id": 1}, {"op": "vend", "id": 2, "owner": "acme", "provider": "plain"},
            {"op": "connection.list", "id": 3, "owner": "acme"}]
    put_plain(d.client(), "acme")
    found = as_user(NOBODY, d, send=jobs, reply_ms=SURE_MS)
    t.eq((found["principals"][0], found["ok"]), ("user", [True, True, False]), "by uid")
    found = as_user(NOBODY - 1, d, gid=NOBODY - 2, send=jobs, reply_ms=SURE_MS)
    t.eq((found["principals"][0], found["ok"]), ("group", [True, False, True]), "by gid")
    found = as_user(NOBODY, d, gid=NOBODY - 2, send=jobs, reply_ms=SURE_MS)
    t.eq(found["principals"][0], "user", "a uid comes before a gid")
    found = as_user(NOBODY - 1, d, send=jobs)
    t.eq((found["replies"], found["event"]), (0, False), "neither")
    d.configure({"providers": PLAIN, "principals": {"root": root()}})
    d.reload()
    until(lambda: os.stat(d.path("jobs")).st_mode & 0o777 == 0o600, "the sockets are private again")


# --- what: every role and every op

ONE = {"owner": "acme", "provider": "plain", "account": "none"}
GRANT = {"kind": "bearer", "token": "not-a-secret"}
NEW = {"uids": [4242]}
OPS = (
    ("vend", "vend", ONE), ("refresh", "refresh", ONE), ("invalidate", "refresh", ONE),
    ("credential.put", "connect", {**ONE, "account": "put", "secret": GRANT}),
    ("connection.create", "connect manage", {**ONE, "account": "made"}),
    ("connection.get", "vend manage", ONE), ("connection.list", "manage", {}),
    ("connection.update", "manage", {**ONE, "tags": []}), ("connection.revoke", "manage", ONE),
    ("connection.restore", "manage", ONE), ("connection.freeze", "manage", ONE),
    ("connection.freeze", "manage", {"select": {"owner": "nobody"}, "dry_run": True}),
    ("connection.thaw", "manage", ONE), ("connection.export", "export", ONE),
    ("connection.delete", "manage", ONE),
    ("connect.begin", "connect", {"owner": "acme", "provider": "plain", "redirect_uri": "http://x"}),
    ("connect.complete", "connect", {"state": "plain.x", "code": "x"}),
    ("connect.device", "connect", {"owner": "acme", "provider": "plain"}),
    ("connector.list", "connect", {}), ("connector.get", "connect", {"provider": "plain"}),
    ("connector.validate", "connect", {"provider": "plain", "fields": {}}),
    ("principal.is_operator", "", {"email": "x", "scope": "y"}), ("principal.list", "admin", {}),
    ("principal.get", "admin", {"principal": "root"}),
    ("principal.add", "admin", {"principal": "made", "definition": NEW}),
    ("principal.update", "admin", {"principal": "made", "definition": NEW}),
    ("principal.remove", "admin", {"principal": "made"}), ("events.since", "events", {}),
    ("sweep.get", "manage", {"sweep": "x"}), ("sweep.list", "manage", {}),
    ("sweep.receipts", "manage", {"sweep": "x"}), ("sweep.cancel", "manage", {"sweep": "x"}),
    ("provider.pause", "admin", {"provider": "plain"}),
    ("provider.resume", "admin", {"provider": "plain"}), ("status", "", {}), ("whoami", "", {}),
    ("vend", "vend+export", {**ONE, "include": ["refresh_token"]}),
)


def may(roles, needed):
    if "+" in needed:
        return set(needed.split("+")) <= set(roles)
    return not needed or bool(set(needed.split()) & set(roles))


def test_roles(t):
    cases = [(), *[(role,) for role in ALL_ROLES], ("vend", "export"), ALL_ROLES]
    keys = [pair() for _ in cases]
    d = start(t, {f"p{i}": principal(roles, key=keys[i]) for i, roles in enumerate(cases)})
    for roles, key in zip(cases, keys):
        c, wrong = d.client(key), []
        for op, needed, job in OPS:
            code = c.code(op, **job)
            if (code == "forbidden") == may(roles, needed) or code == "bad_request" \
                    and not op.startswith("sweep."):
                wrong.append((op, code))
        t.eq(wrong, [], f"{len(OPS)} ops of {','.join(roles) or 'no role'}")
    known = d.client().call("no.such.op")["error"]["code"]
    t.eq(known, "unsupported_op", "no such op")


# --- for whom


def test_owners(t):
    """A foreign owner's connection is answered byte for byte as one that does not exist."""
    app = pair()
    d = start(t, {"app": principal(ALL_ROLES, ["acme", "-"], app)})
    c, boss = d.client(app), d.client()
    ours, theirs = put_plain(boss, "acme"), put_plain(boss, "other")
    t.eq(c.code("vend", owner="acme", connection=ours), "ok", "its own")
    ops = [(op, job) for op, _, job in OPS if job is ONE] + [
        ("vend", {**ONE, "include": ["refresh_token"]}),
        ("invalidate", {**ONE, "vend": True}), ("connection.update", {**ONE, "tags": ["x"]})]
    for op, job in ops:
        more = {k: v for k, v in job.items() if k not in ONE}
        bodies = []
        for name in ({"owner": "other", "connection": theirs}, {"owner": "other", "connection": NO_ID},
                     {"owner": "nobody", "connection": theirs}, {"owner": "acme", "connection": theirs},
                     {"owner": "acme", "connection": NO_ID}):
            c.call(op, id=7, **name, **more)
            bodies.append(c.last_body)
        same = set(bodies)
        t.ok(len(same) == 1, f"{op}: by id", same)
        bodies = []
        for name in ({"owner": "other"}, {"owner": "other2"}, {"owner": "acme", "account": "nothing"}):
            c.call(op, id=7, provider="plain", **name, **more)
            bodies.append(c.last_body)
        t.ok(len(set(bodies)) == 1, f"{op}: by account", set(bodies))
    t.eq(boss.ask("vend", owner="other", connection=theirs)["generation"], 1, "and nothing happened")
    t.eq(len(events_of(boss, owner="other")), 1, "nothing at all")
    for op, job in (("credential.put", {"secret": GRANT}), ("connection.create", {})):
        t.eq(c.code(op, owner="other", provider="plain", account="new", **job), "forbidden",
             f"{op} for another owner")
    for op, job, expected in (
            ("connection.list", {}, "forbidden"), ("connection.list", {"owner": "other"}, "forbidden"),
            ("connection.list", {"owner": "acme"}, "ok"), ("connection.list", {"owner": "acme2"}, "forbidden"),
            ("events.since", {}, "forbidden"), ("events.since", {"owner": "acme"}, "ok"),
            ("events.since", {"owner": "other"}, "forbidden"),
            ("connection.freeze", {"select": {"provider": "plain"}, "dry_run": True}, "forbidden"),
            ("connection.freeze", {"select": {"owner": "other"}, "dry_run": True}, "forbidden"),
            ("connection.freeze", {"select": {"owner": "acme"}, "dry_run": True}, "ok"),
            ("sweep.list", {}, "forbidden")):
        t.eq(c.code(op, **job), expected, f"{op} {json.dumps(job)}")
    t.eq({e["owner"] for e in c.ask("events.since", owner="acme")["events"]}, {"acme"}, "its own log")
    t.ok("acme" in c.call("connection.list")["error"]["message"] or
         "name one" in c.call("connection.list")["error"]["message"], "which says what to do")


def test_providers_and_guards(t):
    app = pair()
    d = start(t, {"app": principal(ALL_ROLES, ["acme"], app, providers=["plain", "guarded"]),
                  "boss": principal(["vend"], ["acme"], uids=["4243"], operator_scopes=["billing"])},
              {"plain": {"kind": "static"}, "other": {"kind": "static"},
               "guarded": {"kind": "static", "guard": "billing"}})
    c, boss = d.client(app), d.client()
    for provider in ("plain", "other", "guarded"):
        put_plain(boss, "acme", provider=provider)
    for provider, expected in (("plain", "ok"), ("other", "forbidden"), ("guarded", "forbidden")):
        t.eq(c.code("vend", owner="acme", provider=provider), expected, f"vend at {provider}")
    t.eq(c.code("connection.get", owner="acme", provider="guarded"), "ok", "a guard is for secrets")
    t.eq(c.code("connection.export", owner="acme", provider="guarded"), "forbidden", "all of them")
    t.eq(c.code("invalidate", owner="acme", provider="guarded", vend=True), "forbidden", "in all ways")
    t.eq(c.code("credential.put", owner="acme", provider="other", secret=GRANT), "forbidden", "put")
    t.eq(c.code("connection.list", owner="acme"), "forbidden", "a list names a provider then")
    t.eq(c.code("connection.list", owner="acme", provider="plain"), "ok", "as here")
    t.eq(c.code("events.since", owner="acme"), "forbidden", "the log is of all providers")
    boss.ask("principal.add", principal="op", definition={
        "uids": [4244], "roles": ["vend"], "owners": ["*"], "operator_scopes": ["billing"],
        "email": "op@example.com"})
    t.eq(c.ask("principal.is_operator", email="op@example.com", scope="billing")["is_operator"], True,
         "an operator of the store")
    config = d.config
    config["principals"]["app"]["operator_scopes"] = ["billing"]
    d.configure(config)
    d.reload()
    until(lambda: c.code("vend", owner="acme", provider="guarded") == "ok", "an operator may")
    t.ok(True, "an operator of its scope may vend what is guarded")


def test_refs(t):
    app, free = pair(), pair()
    auth = {name: {"kind": "static", "token": make_secret(name)} for name in ("mine", "theirs")}
    d = start(t, {"app": principal(["vend"], ["acme"], app, refs=["mine"]),
                  "free": principal(["vend"], ["*"], free)}, auth=auth)
    c = d.client(app)
    t.eq(c.code("vend", ref="mine"), "ok", "its own")
    bodies = set()
    for ref in ("theirs", "nothing"):
        c.call("vend", id=7, ref=ref)
        bodies.add(c.last_body)
    t.eq(len(bodies), 1, "another's is answered as one that there is not")
    message = c.call("vend", ref="theirs")["error"]["message"]
    t.ok("mine" in message and "theirs" not in message, "which names its own alone", message)
    t.eq(d.client(free).code("vend", ref="theirs"), "ok", "whoever may act for all may use all")


# --- subscriptions


def test_topics(t):
    app, at_one = pair(), pair()
    d = start(t, {"app": principal(["events"], ["acme", "-", "a/b"], app),
                  "at": principal(["events"], ["acme"], at_one, providers=["other"])})
    boss = d.client()
    subscribers = {topic: d.events([topic], key) for topic, key in (
        ("connected/acme/", app), ("connected/acme", app), ("connected/", app), ("", app),
        ("connected/%61cme/", app), ("connected/-/", app), ("connected/acme2/", app),
        ("connected/a%2Fb/", app), ("connected/acme/plain/", at_one), ("connected/acme/other/", at_one))}
    deaf = d.events(["connected/acme/"], at_one)
    for owner in ("acme2", "other", "acme", "a/b"):
        put_plain(boss, owner)
    alive = d.events(["alive/"], at_one)
    t.ok(alive.expect("alive"), "alive is for everybody")
    t.eq(subscribers["connected/acme/"].expect("connected")["owner"], "acme", "its owner's events")
    t.eq(subscribers["connected/a%2Fb/"].expect("connected")["owner"], "a/b", "encoded as topics are")
    for topic, events in subscribers.items():
        got = [e["owner"] for e in events.drain(0.02)]
        t.eq(got, {"connected/acme/": ["acme"], "connected/a%2Fb/": ["a/b"]}.get(topic, []),
             f"{topic!r}: nothing else")
    t.eq(deaf.drain(), [], "nor of all providers to whom may have one's")


# --- changes while it runs


def test_live(t):
    """A change holds for who is connected, as soon as it is answered."""
    app, stays = pair(), pair()
    d = start(t, {"stays": principal(["events"], ["*"], stays)})
    boss = d.client()
    connection = put_plain(boss, "acme")
    ask = {"owner": "acme", "connection": connection}
    refused(t, lambda: d.client(app), "nobody yet")
    one = {"curve_keys": [app[0]], "roles": ["vend", "refresh", "events"], "owners": ["acme"]}
    t.eq(boss.ask("principal.add", principal="app", definition=one)["principal"], "app", "added")
    c, push = d.client(app), d.push(app)
    t.eq(c.code("vend", **ask), "ok", "and let in")
    mine, other = d.events(["revoked/acme/", "restored/acme/"], app), d.events([""], stays)
    boss.ask("connection.revoke", **ask)
    boss.ask("connection.restore", **ask)
    mine.expect("restored")
    other.expect("restored")
    boss.ask("principal.update", principal="app", definition={**one, "roles": ["refresh", "events"]})
    t.eq(c.code("vend", **ask), "forbidden", "a role is taken: the next job feels it")
    boss.ask("principal.update", principal="app", definition={**one, "owners": ["acme", "b"]})
    t.eq(c.code("vend", **ask), "ok", "and given back")
    t.eq(other.drain() and other.gaps(), [], "nobody was cut off who may hear what he hears")

    boss.ask("principal.remove", principal="app")
    seq = max(e["seq"] for e in other.seen)
    t.eq(c.code("vend", **ask), "forbidden", "removed: jobs")
    push.send("invalidate", **ask)
    other.wait_connected()
    boss.ask("connection.revoke", **ask)
    event = other.expect("revoked", where=lambda e: e["seq"] > seq)
    missed = [e["seq"] for e in d.client(stays).ask("events.since", seq=seq)["events"]]
    t.eq(missed, list(range(seq + 1, event["seq"] + 1)), "by number nothing is missed by another")
    t.ok(all(e["type"] == "alive" or e["seq"] <= seq for e in mine.drain(0.3)), "removed: events")
    record = boss.ask("connection.get", owner="acme", connection=connection)["record"]
    t.eq((record["generation"], [e["type"] for e in events_of(boss, connection=connection)]),
         (1, ["connected", "revoked", "restored", "revoked"]), "removed: the intake")
    refused(t, lambda: d.client(app), "and not let in any more")


def test_clashes(t):
    key, other = pair(), pair()
    d = start(t, {"app": principal(["vend"], key=key, uids=["4242"])})
    c = d.client()

    def code(op, name, **definition):
        return c.code(op, principal=name, definition=definition)
    t.eq(code("principal.add", "app", uids=[1]), "conflict", "a name of the configuration")
    t.eq(code("principal.update", "app", uids=[1]), "conflict", "is changed there")
    t.eq(c.code("principal.remove", principal="app"), "conflict", "and taken out there")
    t.eq(code("principal.add", "b", uids=[4242]), "conflict", "a uid that another one has")
    t.eq(code("principal.add", "b", curve_keys=[key[0]]), "conflict", "a key that another one has")
    t.eq(code("principal.add", "b", gids=[4242]), "ok", "a gid is no uid")
    t.eq(code("principal.add", "b", uids=[1]), "conflict", "a name of the store")
    t.eq(code("principal.add", "c", gids=[4242]), "conflict", "a gid that another one has")
    t.eq(code("principal.update", "b", gids=[4242], curve_keys=[other[0]]), "ok", "its own are fine")
    t.eq(code("principal.update", "c", gids=[1]), "not_found", "nobody to change")
    t.eq(c.code("principal.remove", principal="c"), "not_found", "or to remove")
    t.eq(c.code("principal.get", principal="c"), "not_found", "or to show")
    for name, definition in (("b c", NEW), ("", NEW), ("uid:0", NEW), ("d", {}), ("d", {"uids": [-1]}),
                             ("d", {**NEW, "role": ["vend"]}), ("d", {**NEW, "roles": ["all"]}),
                             ("d", {**NEW, "max_in_flight": 0}), ("d", {"curve_keys": ["short"]}),
                             ("d", {"uids": ["4243"]}), ("d", {**NEW, "owners": "acme"})):
        t.eq(code("principal.add", name, **definition), "bad_request", f"{name!r} {definition}")
    t.eq([(p["principal"], p["from"]) for p in c.ask("principal.list")["principals"]],
         [("root", "configuration"), ("app", "configuration"), ("b", "store")], "those there are")


def test_at_once(t):
    """Changes that are asked for at once are made one after the other."""
    d = start(t, {}, tcp=False)
    c = d.client()
    jobs = [c.send("principal.add", principal=f"p{i}", definition={"uids": [4242]}) for i in range(8)]
    jobs += [c.send("principal.remove", principal="p0"),
             c.send("principal.add", principal="q", definition={"uids": [4242]})]
    replies = [c.recv_id(job) for job in jobs]
    t.eq(["ok" if r["ok"] else r["error"]["code"] for r in replies], ["ok", *["conflict"] * 7, "ok", "ok"],
         "nobody is recognised as two")
    t.eq([p["principal"] for p in c.ask("principal.list")["principals"]], ["root", "q"],
         "and what is answered ok holds")


def test_unreadable(t):
    """What was committed holds as soon as the store can be read, and is answered then."""
    app, stays = pair(), pair()
    d = start(t, {})
    boss = d.client()
    connection = put_plain(boss, "acme")
    for name, key in (("app", app), ("stays", stays)):
        boss.ask("principal.add", principal=name, definition={
            "curve_keys": [key[0]], "roles": ["vend"], "owners": ["acme"]})
    c = d.client(app)
    ask = {"owner": "acme", "connection": connection}
    t.eq(c.code("vend", **ask), "ok", "let in")
    edit(d, "ALTER TABLE principal RENAME TO kept")
    edit(d, "CREATE TABLE principal AS SELECT name, definition AS bytes, updated_at, name = 'stays' AS is_bad"
            " FROM kept")
    edit(d, "ALTER TABLE principal ADD COLUMN definition"
            " AS (CASE WHEN is_bad THEN abs(-9223372036854775808) ELSE bytes END)")
    job = boss.send("principal.remove", principal="app")
    more = boss.send("principal.remove", principal="app")
    d.wait_log("principals could not be read again")
    t.ok(not boss.wait(0), "nobody is told that it holds")
    edit(d, "UPDATE principal SET is_bad = 0")
    t.ok(boss.recv_id(job)["ok"], "it does when the store can be read")
    t.eq(boss.recv_id(more)["error"]["code"], "not_found", "and who has waited behind it has his answer")
    t.eq(c.code("vend", **ask), "forbidden", "the one who was removed is out")
    t.eq(d.client(stays).code("vend", **ask), "ok", "the other one is not")


def test_reload_and_restart(t):
    """The configuration is read again on SIGHUP, and beats the store; the store's outlive a restart."""
    app, kept = pair(), pair()
    d = start(t, {"app": principal(["vend"], ["acme"], app)})
    boss, c = d.client(), d.client(app)
    put_plain(boss, "acme")
    boss.ask("principal.add", principal="kept", definition={
        "curve_keys": [kept[0]], "roles": ["vend"], "owners": ["acme"], "max_in_flight": 7})
    t.eq(c.code("vend", owner="acme", provider="plain"), "ok", "as configured")
    config = d.config
    config["principals"]["app"]["owners"] = ["other"]
    d.configure(config)
    d.reload()
    until(lambda: c.ask("whoami")["owners"] == ["other"], "the file is read again")
    t.eq(c.code("vend", owner="acme", provider="plain"), "not_connected", "and holds for who is there")
    config["principals"]["app"]["roles"] = ["no such role"]
    d.configure(config)
    offset = len(d.log())
    d.reload()
    d.wait_log("no such role|must be one of vend", since=offset)
    t.eq(c.ask("whoami")["roles"], ["vend"], "a file with errors changes nothing")
    config["principals"]["app"] = principal(["vend"], ["acme"], app)
    d.configure(config)
    d.restart()
    who = d.client(kept).ask("whoami")
    t.eq((who["principal"], who["owners"], who["max_in_flight"]), ("kept", ["acme"], 7), "restarted")
    config["principals"]["kept"] = principal(["manage"], ["acme"], kept)
    d.configure(config)
    d.reload()
    c = d.client(kept)
    until(lambda: c.ask("whoami")["roles"] == ["manage"], "the configuration beats the store")
    del config["principals"]["kept"], config["principals"]["app"]
    d.configure(config)
    d.reload()
    until(lambda: c.ask("whoami")["roles"] == ["vend"], "where it is taken out, the store's is there again")
    refused(t, lambda: d.client(app), "who was taken out is not let in")


# --- bounds


def test_limits(t):
    sim = t.use(Endpoint(prefix="LIM"))
    names = ("waits", "hurries", "hears", "says")
    keys = dict(zip(names, (pair() for _ in names)))
    limits = {"waits": {"max_in_flight": 2}, "hurries": {"max_per_second": 2},
              "hears": {"max_subscriptions": 2}, "says": {"max_job_bytes": 200}}
    d = start(t, {name: principal(ALL_ROLES, key=keys[name], **limits[name]) for name in names},
              {"acme": sim.provider(), **PLAIN})
    boss = d.client()
    connection = put(boss, sim.issue("alice", ttl=3600))
    sim.script({"hold": "gate"})
    c, beside = d.client(keys["waits"]), d.client(keys["waits"])
    jobs = [c.send("vend", owner="o", connection=connection) for _ in range(2)]
    reply = c.call("vend", owner="o", connection=connection)  # jobs of one socket keep their order
    t.eq((reply["error"]["code"], reply["error"]["retryable"]), ("overloaded", True), "a third one waits")
    t.ok("2 jobs" in reply["error"]["message"], "which says the bound", reply)
    t.eq(boss.code("whoami"), "ok", "others are served")
    sim.release("gate")
    t.eq([c.recv_id(job)["ok"] for job in jobs], [True, True], "the two are")
    t.eq(beside.code("whoami"), "ok", "and there is room again")

    c = d.client(keys["hurries"])
    for _ in range(50):  # at once: one after the other they might be slow enough
        c.send("whoami")
    replies = [c.recv() for _ in range(50)]
    late = [r for r in replies if not r["ok"]]
    t.ok(late and all(r["error"]["code"] == "overloaded" for r in late), "more than 2 a second", replies)
    t.ok(all(0 < r["error"]["retry_after_ms"] <= 1000 for r in late), "and when to come again", late)

    first = d.events(["connected/a/", "connected/b/"], keys["hears"])
    more = d.events(["connected/a/", "connected/b/"], keys["hears"])
    put_plain(boss, "a")
    t.ok(first.expect("connected"), "two subscriptions")
    t.eq(more.drain(0.2), [], "and no third one")

    c = d.client(keys["says"])
    t.eq(c.code("whoami"), "ok", "a small job")
    error = c.call("whoami", x="y" * 200)["error"]
    t.ok(error["code"] == "bad_request" and "200 bytes" in error["message"], "a large one", error)


# --- the command line


def test_commands(t):
    d = start(t, {})
    key, tcp = d.path("app.key"), ["--endpoint", d.tcp[0], "--events-endpoint", d.tcp[2]]
    keys = ["--server-key", d.server_key, "--key", key]
    add = ["principal", "add", "app", "--role", "vend", "--role", "events", "--owner", "acme"]
    put_plain(d.client(), "acme")
    status, out, err = cli(d, *add, "--new-key", key, "--max-in-flight", "9")
    t.ok(status == 0, "add", err)
    secrets.add(open(key, encoding="ascii").read().strip())
    d.may_hold_secrets.append("app.key")
    public = open(f"{key}.pub", encoding="ascii").read().strip()
    t.eq(os.stat(key).st_mode & 0o777, 0o600, "the secret key is private")
    t.ok(d.server_key in out and f"--key {key}" in out, "says how it asks", out)
    done = subprocess.run([sys.executable, "-c", "import sys, yaml; print(yaml.safe_load(sys.stdin))"],
                          input=out[out.index("principals:"):out.index("\nIts key")].encode(),
                          capture_output=True, check=False)
    if done.returncode == 0:
        t.ok("'max_in_flight': 9" in done.stdout.decode(), "the entry is YAML", done.stdout)
    status, out, err = cli(d, *tcp, *keys, "vend", "acme", "plain", endpoint=False)
    t.ok(status == 0 and len(out) > 10, "and it asks so", err)
    env = {"BURSAR_ENDPOINT": d.tcp[0], "BURSAR_KEY": key, "BURSAR_SERVER_KEY": d.path("etc/curve.pub")}
    status, out, err = cli(d, "whoami", "--json", env=env, endpoint=False)
    t.ok(json.loads(out)["principal"] == "app", "or by its environment", err)
    follow = subprocess.Popen(
        [*os.environ.get("BURSAR", "bursar").split(), *tcp, *keys, "events", "--follow", "--json",
         "--since", "0", "connected/acme/"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        t.eq(json.loads(follow.stdout.readline())["owner"], "acme", "what it missed of its owner")
        boss, gone = d.client(), pair()
        boss.ask("principal.add", principal="gone", definition={
            "curve_keys": [gone[0]], "roles": ["events"], "owners": ["acme"]})
        heard = d.events(["connected/acme/"], gone)
        put_plain(boss, "acme", "second")
        heard.expect("connected")
        boss.ask("principal.remove", principal="gone")  # all subscribers are cut off
        put_plain(boss, "acme", "third")
        t.eq([json.loads(follow.stdout.readline())["account"] for _ in range(2)], ["second", "third"],
             "nor does it miss anything where another one is removed")
    finally:
        follow.kill()
        follow.wait()
        follow.stdout.close()
    t.eq(cli(d, *tcp, "--server-key", public, "--key", key, "whoami", endpoint=False)[0], 1,
         "a wrong server key is an answer")
    os.chmod(key, 0o640)
    status, _, err = cli(d, *tcp, *keys, "whoami", endpoint=False)
    t.ok(status == 2 and "mode 640" in err, "a key that others can read is not used", err)
    os.chmod(key, 0o600)
    status, _, err = cli(d, *add, "--new-key", d.path("two.key"))
    t.ok(status == 1 and "conflict" in err, "the same once more", err)
    t.ok(not os.path.exists(d.path("two.key")) and not os.path.exists(d.path("two.key.pub")),
         "makes no key")
    status, _, err = cli(d, "principal", "add", "two", "--new-key", key)
    t.ok(status == 1 and "File exists" in err, "a key is never written over", err)
    status, out, _ = cli(d, "principal", "update", "app", "--owner", "b", "--json")
    made = json.loads(out)["definition"]
    t.eq((status, made["owners"], made["roles"], made["max_in_flight"], made["curve_keys"]),
         (0, ["b"], ["vend", "events"], 9, [public]), "an update keeps what it does not name")
    t.eq(json.loads(cli(d, "principal", "show", "app", "--json")[1])["owners"], ["b"], "and is there")
    out = cli(d, "principal", "list")[1]
    t.ok("app" in out and "root" in out and "configuration" in out, "list", out)
    t.eq(cli(d, "principal", "remove", "app")[0], 0, "remove")
    t.eq(cli(d, *tcp, *keys, "whoami", endpoint=False)[0], 1, "and it is refused")
    status, out, _ = cli(None, "principal", "add", "app", "--print", "--uid", "root", "--role", "vend",
                         "--owner", "*", "--json", endpoint=False)
    t.eq((status, json.loads(out)["definition"]),
         (0, {"uids": [0], "roles": ["vend"], "owners": ["*"]}), "--print asks nobody")


def test_doctor(t):
    d = start(t, {"ghost": principal(["vend"], uids=["4000000"]),
                  "far": principal(ALL_ROLES, key=pair()), "idle": principal(uids=["4000001"])})
    out = cli(d, "doctor", "--config", d.config_file)[1]
    for words in ("ghost: no user of this machine", "far: whoever gets hold of its key",
                  "idle: it may do nothing"):
        t.ok(words in out, words, out)
    config = d.config
    del config["principals"]["ghost"]
    d.configure(config)
    with open(d.path("curve.key"), "w", encoding="ascii") as file:
        os.chmod(file.fileno(), 0o644)
    out = cli(d, "doctor", "--config", d.config_file)[1]
    t.ok("ghost: the daemon has the principal" in out, "what a reload will change", out)
    t.ok("CURVE key: " in out and "chmod 600" in out, "a key that others can read", out)


run([test_keys, test_uids_and_gids, test_roles, test_owners, test_providers_and_guards, test_refs,
     test_topics, test_live, test_clashes, test_at_once, test_unreadable, test_reload_and_restart,
     test_limits, test_commands, test_doctor])
