#!/usr/bin/python3
"""The kill switch: connections frozen, thawed and revoked, one by one and by selections."""

import http.server
import json
import os
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, cli, limit, run
from machine import LONG_MS, PATIENCE_S
from scene import (check_store, edit, events_of, make_secret, now, put, record, rows, scaled,
                   types_of, until, wait_generation, wait_state)

PLAIN = {"kind": "static"}
FAR = 3600
SECRET = make_secret("KILL")


def bearers(client, count, provider="plain", owner="o", tags=(), first=0):
    """So many connections of accounts a0…, put without waiting for each."""
    jobs = [client.send("credential.put", owner=owner, provider=provider, account=f"a{i}",
                        secret={"kind": "bearer", "token": SECRET}, tags=list(tags))
            for i in range(first, first + count)]
    return [client.recv_id(job)["connection"] for job in jobs]


def ended(client, sweep):
    """The sweep, once it goes on no more."""
    def probe():
        found = client.ask("sweep.get", sweep=sweep)["sweep"]
        return found if found["state"] != "running" else None
    return until(probe, f"{sweep} ended")


def receipts(client, sweep, limit_each=1000):
    found, cursor = [], None
    while True:
        reply = client.ask("sweep.receipts", sweep=sweep, limit=limit_each, cursor=cursor)
        found += reply["receipts"]
        cursor = reply.get("cursor")
        if not cursor:
            return found


class Desk(http.server.ThreadingHTTPServer):
    """A revocation endpoint whose answers the test chooses by token."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), DeskHandler)
        self.answer, self.seen, self.lock = answer, [], threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/revoke"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class DeskHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        form = dict(urllib.parse.parse_qsl(self.rfile.read(size).decode()))
        with self.server.lock:
            self.server.seen.append(form.get("token"))
            status, headers = self.server.answer(form.get("token"), len(self.server.seen))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


# -- one connection -------------------------------------------------------------------------------

def test_one(t):
    sim = t.use(Endpoint(prefix="FREEZE"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    connection = put(c, sim.issue("alice", ttl=FAR), lives_s=FAR)
    named = {"owner": "o", "connection": connection}
    t.eq(c.code("vend", **named), "ok", "before")
    t.eq(c.ask("connection.freeze", **named)["state"], "FROZEN", "frozen")
    t.eq(c.ask("connection.freeze", **named)["state"], "FROZEN", "again: nothing")
    for op, keys in (("vend", {}), ("refresh", {"force": True}), ("invalidate", {}),
                     ("credential.put", {"secret": {"kind": "bearer", "token": "x"}})):
        t.eq(c.code(op, **named, **keys), "frozen", f"{op} is refused")
    d.restart()
    t.eq(c.code("vend", **named), "frozen", "after a restart")
    t.eq(c.code("connection.thaw", owner="other", connection=connection), "not_found", "foreign")
    t.eq(c.ask("connection.thaw", **named)["state"], "ACTIVE", "thawed")
    t.eq(c.code("connection.thaw", **named), "conflict", "there is nothing to thaw")
    t.eq(c.code("vend", **named), "ok", "and it is served")
    t.eq(types_of(c, connection), ["connected", "frozen", "thawed"], "one event each")
    t.eq(sim.journal(), [], "the provider saw nothing of it")
    c.ask("connection.revoke", **named)
    t.eq(c.code("connection.freeze", **named), "revoked", "a revoked one")


def test_flight_under_way(t):
    """What a provider gives for a token that was spent before the freeze is kept, and stays frozen."""
    sim = t.use(Endpoint(prefix="FLYING"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c, waiter = d.client(), d.client()
    for by_sweep in (False, True):
        grant = sim.issue(f"alice{by_sweep}", ttl=FAR)
        sim.script({"hold": f"h{by_sweep}", "hold_at": "after"})
        connection = put(c, grant)
        named = {"owner": "o", "connection": connection}
        waiter.send("vend", **named)
        t.ok(sim.wait_requests(1 + by_sweep), "the token is with the provider")
        if by_sweep:
            ended(c, c.ask("connection.freeze", select={"provider": "acme"})["sweep"])
        else:
            c.ask("connection.freeze", **named)
        reply = waiter.recv()
        t.eq(reply["error"]["code"], "frozen", "who waited hears of it at once")
        sim.release(f"h{by_sweep}")
        found = wait_generation(c, connection, 2)
        t.eq(found["state"], "FROZEN", "the new secret is kept, the row stays frozen")
        t.eq(c.code("vend", **named), "frozen", "and is not served")
        c.ask("connection.thaw", **named)
        t.eq(c.ask("vend", **named)["generation"], 2, "until it is thawed")
        sim.clear_script()
        c.ask("connection.freeze", **named)
    t.eq(sim.stats()["reuse"], 0, "no token was used twice")


# -- selections -----------------------------------------------------------------------------------

def test_selections(t):
    clients = {"client_id": "one", "client_secret": make_secret("cs")}
    oauth = {"kind": "oauth2_refresh", "token_url": "http://127.0.0.1:1/t", **clients}
    d = t.use(Daemon({"providers": {"plain": PLAIN, "other": PLAIN, "a": oauth,
                                    "b": {**oauth, "client_id": "two"}, "c": oauth}}))
    c = d.client()
    for owner in ("o", "p"):
        for provider in ("plain", "other"):
            bearers(c, 2, provider, owner, ["team=red"])
            bearers(c, 1, provider, owner, ["team=blue", "team"], first=2)
            bearers(c, 1, provider, owner, ["teamster"], first=3)
        for provider in ("a", "b", "c"):
            c.ask("credential.put", owner=owner, provider=provider, expires_at=now() + FAR,
                  secret={"kind": "oauth2", "access_token": "x", "refresh_token": "y"})

    def dry(**select):
        return c.ask("connection.freeze", select=select, dry_run=True)
    last = events_of(c)[-1]["seq"]
    before = c.ask("connection.list", limit=1000)["connections"]
    for select, count in (({"provider": "plain"}, 8), ({"owner": "p"}, 11),
                          ({"owner": "p", "provider": "other"}, 4), ({"tag": "team"}, 12),
                          ({"tag": "team=red"}, 8), ({"tag": "team=re"}, 0),
                          ({"tag": "team=red", "owner": "o", "provider": "plain"}, 2),
                          ({"client": "one"}, 4), ({"client": "two", "owner": "o"}, 1),
                          ({"client": "one", "provider": "b"}, 0), ({"owner": "nobody"}, 0)):
        reply = dry(**select)
        t.eq((reply["count"], sum(reply["providers"].values()), sum(reply["states"].values())),
             (count, count, count), f"{select}")
        t.ok("sweep" not in reply and reply["dry_run"], "a dry run")
    t.eq(dry(client="one")["providers"], {"a": 2, "c": 2}, "by provider")
    t.eq((events_of(c)[-1]["seq"], c.ask("connection.list", limit=1000)["connections"]),
         (last, before), "a dry run changes nothing")
    t.eq(c.ask("sweep.list")["sweeps"], [], "and leaves nothing")
    reply = c.ask("connection.freeze", select={"tag": "team=red", "owner": "o"})
    found = ended(c, reply["sweep"])
    t.eq((found["state"], found["count"], found["done"], found["changed"], found["select"]),
         ("done", 4, 4, 4, {"tag": "team=red", "owner": "o"}), "a sweep")
    frozen = [r for r in c.ask("connection.list", limit=1000)["connections"]
              if r["state"] == "FROZEN"]
    t.eq({(r["owner"], tuple(r["tags"])) for r in frozen}, {("o", ("team=red",))}, "these alone")
    t.eq(len(frozen), 4, "all of these")
    t.eq(sorted(r["connection"] for r in receipts(c, reply["sweep"], 3)),
         sorted(r["id"] for r in frozen), "a receipt for each, in pages")
    ended(c, c.ask("connection.thaw", select={"owner": "o"})["sweep"])
    t.eq(c.ask("status")["connections"]["FROZEN"], 0, "thawed")
    empty = c.ask("connection.revoke", select={"owner": "nobody"})
    t.eq((empty["count"], c.ask("sweep.get", sweep=empty["sweep"])["sweep"]["state"]), (0, "done"),
         "one that selects nothing is done")
    ids = [s["id"] for s in c.ask("sweep.list")["sweeps"]]
    t.eq((len(ids), ids), (3, sorted(ids, reverse=True)), "listed, the newest first")
    page = c.ask("sweep.list", limit=2)
    rest = c.ask("sweep.list", limit=2, cursor=page["cursor"])
    t.eq([s["id"] for s in page["sweeps"] + rest["sweeps"]], ids, "in pages")


def test_bad_selections(t):
    d = t.use(Daemon({"providers": {"plain": PLAIN}}))
    c = d.client()
    connection = bearers(c, 1)[0]

    def refusal(op="connection.freeze", **keys):
        reply = c.call(op, **keys)
        return (reply["error"]["code"], reply["error"]["message"]) if not reply["ok"] else None
    bad = "bad_request"
    some = {"owner": "o"}
    map_text = "select must be a map with provider, owner, tag or client"
    for keys, code, words in (
            ({"select": {}}, bad, map_text), ({"select": "plain"}, bad, map_text),
            ({"select": []}, bad, map_text),
            ({"select": {"owners": "o"}}, bad,
             "select has provider, owner, tag, client, principal and vended_since, and no other key"),
            ({"select": {"owner": None}}, bad, "select.owner must be a text"),
            ({"select": {"owner": ""}}, bad, "select.owner must have 1 to 128 bytes"),
            ({"select": {"tag": 5}}, bad, "select.tag must be a text"),
            ({"select": {"principal": "ci"}}, bad,
             "select.principal and select.vended_since go together"),
            ({"select": {"provider": "plane"}}, "unknown_provider",
             "no provider plane is configured; did you mean plain?"),
            ({"select": {"client": "no"}}, bad,
             "no provider is configured with this client_id"),
            ({"select": some, "owner": "o"}, bad,
             "select stands instead of owner, connection and provider"),
            ({"select": some, "connection": connection}, bad,
             "select stands instead of owner, connection and provider"),
            ({"select": some, "at_provider": True}, bad, "at_provider is for connection.revoke"),
            ({"select": some, "rate_per_s": -1}, bad,
             "rate_per_s must be a whole number from 0 to 100000"),
            ({"provider": "plain"}, bad, "owner is required"),
            ({"owner": "o"}, bad, "connection or provider is required"),
            ({"owner": "o", "connection": connection, "dry_run": True}, bad,
             "dry_run goes with select"),
            ({"owner": "o", "connection": connection, "rate_per_s": 1}, bad,
             "rate_per_s goes with select")):
        t.eq(refusal(**keys), (code, words), f"{keys}")
    for op in ("sweep.get", "sweep.receipts", "sweep.cancel"):
        t.eq(refusal(op), (bad, "sweep is required"), op)
        t.eq(refusal(op, sweep="sweep.0"), ("not_found", "no sweep has this id"), op)
    t.eq(record(c, connection)["state"], "ACTIVE", "and nothing has changed")


def test_shared(t):
    """A shared credential is frozen as others are, and the daemon starts with it."""
    d = t.use(Daemon({"providers": {"plain": PLAIN}, "auth": {
        "house": {"kind": "static", "token": make_secret("HOUSE")}}}))
    c = d.client()
    t.eq(c.code("vend", ref="house"), "ok", "before")
    ended(c, c.ask("connection.freeze", select={"provider": "@house"})["sweep"])
    t.eq(c.code("vend", ref="house"), "frozen", "frozen")
    d.restart()
    c = d.client()
    t.eq(c.code("vend", ref="house"), "frozen", "after a restart")
    ended(c, c.ask("connection.thaw", select={"provider": "@house"})["sweep"])
    t.eq(c.code("vend", ref="house"), "ok", "thawed")


# -- at once, and for long ------------------------------------------------------------------------

def test_at_once(t):
    """Of a slow freeze the first answer counts: what it selects is refused behind it."""
    sim = t.use(Endpoint(prefix="ATONCE"))
    d = t.use(Daemon({"providers": {"plain": PLAIN, "acme": sim.provider(expiry_ratio=0.01)}}))
    c = d.client()
    ours = bearers(c, 200)
    theirs = bearers(c, 5, owner="p")
    flying = put(c, sim.issue("z", ttl=FAR), lives_s=FAR, owner="o")
    for connection in ours + [flying]:
        c.ask("vend", owner="o", connection=connection)  # from memory, from now on
    for connection in theirs:
        c.ask("vend", owner="p", connection=connection)
    sweep = c.ask("connection.freeze", select={"owner": "o"}, rate_per_s=1)["sweep"]
    codes = {c.code("vend", owner="o", connection=connection) for connection in ours + [flying]}
    t.eq(codes, {"frozen"}, "each is refused")
    t.eq(c.ask("sweep.get", sweep=sweep)["sweep"]["state"], "running", "long before it is its turn")
    t.eq(c.code("vend", owner="o", provider="plain", account="a7"), "frozen", "by account too")
    last = ours[-1]
    t.eq(record(c, last)["state"], "FROZEN", "and its record says so")
    t.eq(c.code("credential.put", owner="o", provider="plain", account="a199",
                secret={"kind": "bearer", "token": "new"}), "frozen", "a put is refused")
    t.eq({c.code("vend", owner="p", connection=connection) for connection in theirs}, {"ok"},
         "another owner's are served")
    d.kill()
    d.start()
    c = d.client()
    t.eq({c.code("vend", owner="o", connection=connection) for connection in ours}, {"frozen"},
         "after a SIGKILL too")
    until(lambda: ours[0] in {r["connection"] for r in receipts(c, sweep)}, "the first has had its turn")
    reply = c.ask("sweep.cancel", sweep=sweep)
    t.eq((reply["sweep"]["state"], c.code("sweep.cancel", sweep=sweep)), ("cancelled", "conflict"),
         "cancelled")
    until(lambda: c.code("vend", owner="o", connection=last) == "ok", "what it did not reach")
    t.eq(c.code("vend", owner="o", connection=ours[0]), "frozen", "what it did stays done")
    done = receipts(c, sweep)
    t.ok(0 < len(done) < 200, "some have receipts", str(len(done)))
    t.eq({r["connection"] for r in done},
         {r[0] for r in rows(d, "SELECT id FROM connection WHERE state = 6")}, "those that moved")
    t.eq(c.code("connection.thaw", select={"owner": "o"}), "ok", "and back")
    until(lambda: c.ask("status")["connections"]["FROZEN"] == 0, "all thawed")
    t.eq({c.code("vend", owner="o", connection=connection) for connection in ours}, {"ok"},
         "all are served again")


def test_no_flight_for_the_selected(t):
    """The planner and callers begin no refresh of what a freeze has selected."""
    sim = t.use(Endpoint(prefix="NOFLY"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    connections = [put(c, g, lives_s=FAR) for g in sim.issue_many(30, ttl=FAR)]
    other = put(c, sim.issue("p", ttl=FAR), lives_s=FAR, owner="p")
    sweep = c.ask("connection.freeze", select={"owner": "o"}, rate_per_s=1)["sweep"]
    d.stop()
    edit(d, "UPDATE connection SET expires_at = ?1, due_at = ?1, next_refresh_at = ?1"
         " WHERE state = 2", now() - 60)
    d.start()
    c = d.client()
    wait_generation(c, other, 2, owner="p")
    for connection in connections:
        t.eq(c.code("refresh", owner="o", connection=connection, force=True), "frozen", "no refresh")
    t.eq({entry["account"] for entry in sim.journal()}, {"p"}, "the provider saw the other owner's")
    c.call("sweep.cancel", sweep=sweep)


def test_in_turn(t):
    """Of two sweeps of the same rows the one that was begun later has the last word."""
    d = t.use(Daemon({"providers": {"plain": PLAIN}}))
    c = d.client()
    connections = bearers(c, 100)
    first = c.ask("connection.freeze", select={"owner": "o"}, rate_per_s=200)["sweep"]
    second = c.ask("connection.thaw", select={"provider": "plain"})["sweep"]
    ended(c, second)
    t.eq(c.ask("sweep.get", sweep=first)["sweep"]["state"], "done", "then the other")
    t.eq({c.code("vend", owner="o", connection=connection) for connection in connections}, {"ok"},
         "it has thawed all")
    t.eq(types_of(c, connections[50]), ["connected", "frozen", "thawed"], "one event each")


@limit(300)
def test_thousands_and_kills(t):
    """10 000 connections, SIGKILL again and again: one receipt and one event for each."""
    count = scaled(10000, 400)
    d = t.use(Daemon({"providers": {"plain": PLAIN, "more": PLAIN}, "log": {"level": "info"}}))
    c, half = d.client(), count // 2
    ours = []
    for provider in ("plain", "more"):
        for first in range(0, half, 500):
            ours += bearers(c, min(500, half - first), provider, first=first)
    theirs = bearers(c, 50, owner="p")
    c.ask("connection.revoke", owner="o", connection=ours[0])
    c.ask("connection.create", owner="o", provider="plain", account="pending")
    states = rows(d, "SELECT id, state FROM connection ORDER BY id")
    sweep = c.ask("connection.freeze", select={"owner": "o"}, rate_per_s=max(1, half // 8))["sweep"]
    kills = 0
    for part in (1, 2, 3, 4):
        def probe(part=part):
            found = c.ask("sweep.get", sweep=sweep)["sweep"]
            return found if found["done"] * 5 >= part * count or found["state"] == "done" else None
        found = until(probe, f"{part}/5")
        kills += found["state"] == "running"
        d.kill()
        d.start()
        c = d.client()
    t.ok(kills >= 1, "killed on its way", str(kills))
    found = ended(c, sweep)
    t.eq((found["count"], found["done"], found["changed"]), (2 * half + 1, 2 * half + 1, 2 * half),
         "all of them are done")
    done = receipts(c, sweep)
    t.eq(len(done), 2 * half + 1, "as many receipts")
    t.eq({r["connection"] for r in done},
         {i for i, _ in states} - set(theirs), "one for each, of the right ones")
    by = {r["connection"]: r for r in done}
    t.eq((by[ours[0]]["changed"], by[ours[0]]["state"]), (False, "REVOKED"), "what was revoked stays")
    moved = [e["connection"] for e in events_of(c, type="frozen")]
    t.eq((len(moved), len(set(moved))), (2 * half, 2 * half), "one event each")
    t.eq({r[0] for r in rows(d, "SELECT state FROM connection WHERE owner = 'p'")}, {2},
         "another owner's are as they were")
    thaw = c.ask("connection.thaw", select={"owner": "o"})["sweep"]
    ended(c, thaw)
    t.eq(rows(d, "SELECT id, state FROM connection ORDER BY id"), states,
         "thawed, each is what it was")
    check_store(t, d, "after it all")


# -- at the provider ------------------------------------------------------------------------------

def test_at_provider(t):
    """What the provider says of each revocation is in its receipt; a throttle is waited for."""
    sim = t.use(Endpoint(prefix="ATPROV"))
    verdicts, throttled = {}, []

    def answer(token, _):
        if token not in throttled and len(throttled) < 3:
            throttled.append(token)
            return 429, {"Retry-After": "1"}
        return verdicts.get(token, 200), {}
    desk = t.use(Desk(answer))
    d = t.use(Daemon({"providers": {"acme": sim.provider(revoke_url=desk.url), "plain": PLAIN}}))
    c = d.client()
    grants = sim.issue_many(12, ttl=FAR)
    connections = [put(c, g, lives_s=FAR) for g in grants]
    verdicts[grants[3]["refresh_token"]] = 400
    bare = bearers(c, 3)
    sweep = c.ask("connection.revoke", select={"owner": "o"}, at_provider=True,
                  rate_per_s=1000)["sweep"]
    until(lambda: c.ask("status")["connections"]["REVOKED"] == 15, "revoked here at first")
    found = ended(c, sweep)
    t.eq((found["done"], found["changed"], found["asking"], found["at_provider"]),
         (15, 15, 0, True), "all are answered")
    says = {r["connection"]: r["at_provider"] for r in receipts(c, sweep)}
    t.eq([says[i] for i in connections],
         ["refused: HTTP 400" if i == 3 else "revoked" for i in range(12)], "what it said")
    t.eq({says[i] for i in bare}, {"unsupported: no revocation endpoint, or no token"},
         "or that there was nobody to ask")
    t.eq(set(desk.seen), {g["refresh_token"] for g in grants}, "the refresh tokens were sent")
    t.eq(c.code("vend", owner="o", connection=connections[0]), "revoked", "and all are refused")


def test_at_provider_restored(t):
    """What was restored before its turn to be asked about came keeps its grant at the provider."""
    sim = t.use(Endpoint(prefix="BACK"))
    first, gate = threading.Event(), threading.Event()

    def answer(*_):
        first.set()
        gate.wait(PATIENCE_S)
        return 200, {}
    desk = t.use(Desk(answer))
    d = t.use(Daemon({"providers": {"acme": sim.provider(revoke_url=desk.url)}}))
    c = d.client()
    grants = sim.issue_many(30, ttl=FAR)
    connections = [put(c, g, lives_s=FAR) for g in grants]
    sweep = c.ask("connection.revoke", select={"owner": "o"}, at_provider=True)["sweep"]
    try:
        t.ok(first.wait(PATIENCE_S), "the first is asked about")
        until(lambda: c.ask("status")["connections"]["REVOKED"] == 30, "all are revoked here")
        back = connections[-1]  # asked about in the order of their ids, eight at a time
        t.eq(c.ask("connection.restore", owner="o", connection=back)["state"], "ACTIVE", "restored")
    finally:
        gate.set()
    t.eq(ended(c, sweep)["asking"], 0, "all are answered")
    says = {r["connection"]: r["at_provider"] for r in receipts(c, sweep)}
    t.eq([says.pop(back), set(says.values())],
         ["unknown: not asked, for the connection was restored", {"revoked"}], "the receipts")
    t.eq(set(desk.seen), {g["refresh_token"] for g in grants[:-1]}, "its token was not sent")


@limit(120)
def test_at_provider_resumed(t):
    """Killed while it asks: each is asked until there is an answer, and every receipt has one."""
    count = scaled(120, 40)
    sim = t.use(Endpoint(prefix="RESUME"))
    desk = t.use(Desk(lambda token, n: (200, {})))
    d = t.use(Daemon({"providers": {"acme": sim.provider(revoke_url=desk.url)}}))
    c = d.client()
    grants = sim.issue_many(count, ttl=FAR)
    for grant in grants:
        put(c, grant, lives_s=FAR)
    sweep = c.ask("connection.revoke", select={"provider": "acme"}, at_provider=True,
                  rate_per_s=count // 4)["sweep"]
    for part in (1, 2):
        until(lambda part=part: len(desk.seen) * 3 >= part * count, f"{part}/3 are asked")
        d.kill()
        d.start()
        c = d.client()
    found = ended(c, sweep)
    t.eq((found["done"], found["changed"], found["asking"]), (count, count, 0), "all are answered")
    t.eq({r["at_provider"] for r in receipts(c, sweep)}, {"revoked"}, "each receipt has its answer")
    t.eq(set(desk.seen), {g["refresh_token"] for g in grants}, "each token was sent")
    t.eq(len(events_of(c, type="revoked")), count, "one event each")


# -- the command ----------------------------------------------------------------------------------

def test_wait(t):
    """Who waits for a sweep's end is answered by it: not before, and at once where it is over."""
    d = t.use(Daemon({"providers": {"plain": PLAIN}}))
    c = d.client()
    bearers(c, 400)
    sweep = c.ask("connection.freeze", select={"owner": "o"}, rate_per_s=200)["sweep"]
    found = c.ask("sweep.get", sweep=sweep, wait=True, deadline_ms=LONG_MS)["sweep"]
    t.eq((found["state"], found["done"]), ("done", 400), "at its end")
    t.eq(c.ask("sweep.get", sweep=sweep, wait=True)["sweep"]["state"], "done", "and behind it")
    slow = c.ask("connection.thaw", select={"owner": "o"}, rate_per_s=1)["sweep"]  # 400 s
    error = c.call("sweep.get", sweep=slow, wait=True, deadline_ms=50)["error"]
    t.eq((error["code"], error["retryable"]), ("deadline_exceeded", True), "not yet")
    w = d.client()
    waiting = [w.send("sweep.get", sweep=slow, wait=True, deadline_ms=LONG_MS) for _ in range(3)]
    w.ask("status")  # they have come to where they wait
    c.ask("sweep.cancel", sweep=slow)
    replies = [w.recv() for _ in waiting]
    t.eq([r["sweep"]["state"] for r in replies], ["cancelled"] * 3, "a cancel is an end")
    t.eq(c.code("sweep.get", sweep="sweep.none", wait=True), "not_found", "of none there is none")
    last = c.ask("connection.thaw", select={"owner": "o"}, rate_per_s=1)["sweep"]
    job = w.send("sweep.get", sweep=last, wait=True, deadline_ms=LONG_MS)
    w.ask("status")
    began = time.monotonic()
    d.stop()
    t.le(time.monotonic() - began, PATIENCE_S, "the daemon's end waits for nobody's sweep of 400 s")
    reply = w.recv()
    t.eq((reply["id"], reply["error"]["code"]), (job, "shutting_down"), "who is told so")


def test_command(t):
    sim = t.use(Endpoint(prefix="CLI"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(), "plain": PLAIN}}))
    c = d.client()
    one = put(c, sim.issue("alice", ttl=FAR), lives_s=FAR)
    bearers(c, 5, tags=["env=test"])
    for command, state in (("freeze", "FROZEN"), ("thaw", "ACTIVE")):
        t.eq(cli(d, command, "o", one), (0, state + "\n", ""), command)
    t.eq(cli(d, "freeze", "--tag", "env", "--dry-run"),
         (0, "5 connections\n  by provider: 5 plain\n  by state: 5 ACTIVE\n", ""), "a dry run")
    status, _, err = cli(d, "freeze", "--tag", "env")
    t.ok(status == 2 and "--yes is required where nobody can be asked" in err, "nobody to ask", err)
    t.eq(c.ask("status")["connections"]["FROZEN"], 0, "and nothing was done")
    status, out, err = cli(d, "freeze", "--tag", "env", "--provider", "plain", "--yes")
    sweep = out.split("\n", 1)[0]
    t.eq((status, out, err), (0, f"{sweep}\ndone: 5 of 5 done, 5 changed\n", ""), "a sweep")
    status, out, _ = cli(d, "sweep", sweep, "--receipts")
    t.eq((status, len(out.splitlines())), (0, 5), "receipts")
    t.ok(all("  o  plain/a" in line and line.endswith("ACTIVE -> FROZEN")
             for line in out.splitlines()), "one a line", out)
    status, out, err = cli(d, "revoke", "--owner", "o", "--at-provider", "--yes", "--json")
    t.ok(out, "printed", err)
    found = json.loads(out)["sweep"]
    t.eq((status, found["state"], found["done"]), (0, "done", 6), "revoked, as JSON")
    status, out, _ = cli(d, "sweep", found["id"], "--receipts")
    t.ok(f"{one}  o  acme/alice  ACTIVE -> REVOKED  at the provider: revoked\n" in out,
         "with what the provider said", out)
    status, out, _ = cli(d, "sweep")
    t.eq((status, [line.split()[:3] for line in out.splitlines()]),
         (0, [[found["id"], "revoke", "done"], [sweep, "freeze", "done"]]), "all sweeps")
    status, _, err = cli(d, "sweep", sweep, "--cancel")
    t.ok(status == 1 and "the sweep has ended already" in err, "too late to cancel", err)
    status, out, _ = cli(d, "sweep", sweep)
    t.ok(status == 0 and "tag" in out and "env" in out, "one sweep", out)
    for args, words in (((), "OWNER and CONNECTION, or a selection"),
                        (("o",), "OWNER and CONNECTION, or a selection"),
                        (("o", one, "--dry-run"), "--dry-run goes with a selection"),
                        (("o", one, "--owner", "o"), "stands instead of OWNER CONNECTION"),
                        (("--owner", "o", "--rate", "x"), "--rate must be a whole number")):
        status, out, err = cli(d, "thaw", *args)
        t.ok(status == 2 and words in err and out == "", f"thaw {' '.join(args)}", err)
    status, out, _ = cli(d, "provider", "pause", "acme")
    t.ok(status == 0 and out.startswith("acme: refreshing is paused since 2"), "paused", out)
    t.ok("paused_since" in cli(d, "status")[1], "and status has it")
    t.eq(cli(d, "provider", "resume", "acme")[:2], (0, "acme: refreshing goes on\n"), "resumed")
    t.eq(cli(d, "provider", "stop", "acme")[0], 2, "no such thing")


# -- a provider's pause ---------------------------------------------------------------------------

def test_pause(t):
    sim = t.use(Endpoint(prefix="PAUSE"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    good = put(c, sim.issue("good", ttl=FAR), lives_s=FAR)
    reply = c.ask("provider.pause", provider="acme")
    t.ok(reply["paused"] and abs(reply["since"] - now()) < 60, "paused", repr(reply))
    t.eq(c.ask("provider.pause", provider="acme")["since"], reply["since"], "again: nothing")
    expired = put(c, sim.issue("expired"))
    t.eq(c.code("vend", owner="o", connection=good), "ok", "what is good is served")
    refused = c.call("vend", owner="o", connection=expired)["error"]
    t.eq((refused["code"], refused["message"], refused["retryable"]),
         ("provider_unavailable", "refreshing this provider's secrets is paused by an operator",
          True), "what is not waits for somebody")
    t.eq(c.code("refresh", owner="o", connection=good, force=True), "provider_unavailable", "refresh")
    d.kill()
    d.start()
    c = d.client()
    t.eq(c.ask("status")["providers"]["acme"]["paused_since"], reply["since"], "after a SIGKILL too")
    t.eq(c.code("vend", owner="o", connection=expired), "provider_unavailable", "still")
    t.eq(sim.journal(), [], "the provider saw nothing")
    t.eq(c.ask("provider.resume", provider="acme")["paused"], False, "resumed")
    wait_generation(c, expired, 2)
    t.eq(c.code("vend", owner="o", connection=expired), "ok", "the planner has gone on by itself")
    t.ok("paused_since" not in c.ask("status")["providers"]["acme"], "gone from status")
    t.eq(c.code("provider.pause", provider="nobody"), "unknown_provider", "unknown")
    t.eq(c.code("provider.pause"), "bad_request", "which?")


run([test_one, test_flight_under_way, test_selections, test_bad_selections, test_shared,
     test_at_once, test_no_flight_for_the_selected, test_in_turn, test_thousands_and_kills, test_at_provider,
     test_at_provider_restored, test_at_provider_resumed, test_wait, test_command, test_pause])
