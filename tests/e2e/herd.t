#!/usr/bin/python3
"""Many at once: one call to the provider, and nobody waits for somebody else's provider."""

import hashlib
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, Sim, fan, gather, limit, run
from machine import LONG_MS
from scene import SLOW, put, scaled, until, wait_generation

HERD = 200


def start(t, prefix="HERD"):
    sim = t.use(Endpoint(prefix=prefix))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    return sim, d, d.client()


def secrets_of(replies):
    return {(r["ok"], r.get("generation"), r.get("secret", {}).get("access_token"))
            for r in replies}


def one_call(t, sim, d, c, clients, each):
    """All of them want the same expired secret while its one flight is held up."""
    sim.script({"hold": "gate"})
    connection = put(c, sim.issue("alice", ttl=3600))
    for client in clients:
        for _ in range(each):
            client.send("vend", owner="o", connection=connection)
    t.ok(sim.wait_requests(1), "the call is made")
    d.round_trip()
    t.ok(not any(client.wait(0) for client in clients), "nobody has an answer yet")
    sim.release("gate")
    replies = gather(clients, each)
    t.eq(len(replies), HERD, f"{HERD} answers through {len(clients)} connections")
    found = secrets_of(replies)
    t.eq({(ok, generation) for ok, generation, _ in found}, {(True, 2)}, "all of generation 2")
    t.eq(len(found), 1, "all the same")
    t.ok(sim.lookup(next(iter(found))[2])["current"], "and the provider's")
    t.eq(len(sim.journal()), 1, "one token request")


def test_200_clients(t):
    sim, d, c = start(t)
    one_call(t, sim, d, c, d.clients(HERD), 1)


def test_4_connections(t):
    sim, d, c = start(t)
    one_call(t, sim, d, c, d.clients(4), HERD // 4)


def test_each_its_own(t):
    """Those who wait for one flight get what they asked for, and not what the one before them did."""
    sim, d, c = start(t)
    sim.script({"hold": "gate"})
    connection = put(c, sim.issue("alice", ttl=3600))
    kinds = [("vend", {}), ("vend", {"include": ["refresh_token"]}), ("refresh", {}), ("vend", {"purpose": "night run"}),
             ("vend", {"id": "an id that is a text, and longer than the others"})]
    asked = [kinds[i % len(kinds)] for i in range(40)]
    ids = [c.send(op, owner="o", connection=connection, **keys) for op, keys in asked]
    t.ok(sim.wait_requests(1), "the call is made")
    d.round_trip()
    sim.release("gate")
    replies = [c.recv() for _ in ids]
    t.eq(sorted(str(r["id"]) for r in replies), sorted(map(str, ids)), "each has an answer with its id")
    by_id = {}
    for reply in replies:
        by_id.setdefault(reply["id"], []).append(reply)
    token = next(r["secret"]["access_token"] for r in replies if "secret" in r)
    for (op, keys), job_id in zip(asked, ids):
        reply = by_id[job_id].pop()
        secret = reply.get("secret", {})
        t.eq((reply["ok"], reply["generation"], secret.get("access_token"), "refresh_token" in secret),
             (True, 2, token if op == "vend" else None, "include" in keys), f"{op} {keys}")


def test_no_hold(t):
    """The same without anything that helps them to come together: no planner, no held reply."""
    sim, d, c = start(t)
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    clients = d.clients(HERD)
    for generation in range(1, 6):
        replies = fan(clients, "vend", owner="o", connection=connection, min_ttl_s=0)
        t.eq({(r["ok"], r["generation"]) for r in replies}, {(True, generation)},
             f"generation {generation} is answered")
        c.ask("invalidate", owner="o", connection=connection, generation=generation)
        replies = fan(clients, "vend", owner="o", connection=connection)
        t.eq(len(secrets_of(replies)), 1, "after an invalidation all get the same new one")
        t.eq(len(sim.journal()), generation, "by one call")


def test_invalidate(t):
    sim, d, c = start(t)
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    clients = d.clients(50)
    for generation in (1, 2, 3):
        before = len(sim.journal())
        replies = fan(clients, "invalidate", owner="o", connection=connection,
                      generation=generation, vend=True)
        t.eq({(r["ok"], r["generation"]) for r in replies}, {(True, generation + 1)},
             f"50 invalidate generation {generation}: all get the next one")
        t.eq(len(secrets_of(replies)), 1, "the same secret")
        t.eq(len(sim.journal()) - before, 1, "one call")
        replies = fan(clients, "invalidate", owner="o", connection=connection,
                      generation=generation, vend=True)
        t.eq({(r["ok"], r["generation"]) for r in replies}, {(True, generation + 1)},
             "with the older one they get the current one")
        t.eq(len(sim.journal()) - before, 1, "without a call")
    before = len(sim.journal())
    replies = fan(clients, "invalidate", owner="o", connection=connection, generation=4)
    t.eq({r["ok"] for r in replies}, {True}, "without `vend` all are answered")
    t.ok(all("secret" not in r for r in replies), "without a secret")
    wait_generation(c, connection, 5)
    t.eq(len(sim.journal()) - before, 1, "and one call is made behind them")
    t.eq(c.code("invalidate", owner="o", connection=connection, generation=99), "conflict",
         "a generation to come")
    t.eq(len(sim.journal()) - before, 1, "is no reason to call")


def test_invalidate_by_hash(t):
    sim, _, c = start(t)
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    old = c.ask("vend", owner="o", connection=connection)["secret"]["access_token"]
    digest = hashlib.sha256(old.encode()).hexdigest()
    reply = c.ask("invalidate", owner="o", connection=connection, access_token_sha256=digest,
                  vend=True)
    t.eq((reply["generation"], len(sim.journal())), (2, 1), "the current token's hash: one call")
    t.ok(reply["secret"]["access_token"] != old, "a new secret")
    reply = c.ask("invalidate", owner="o", connection=connection, access_token_sha256=digest,
                  vend=True)
    t.eq((reply["generation"], len(sim.journal())), (2, 1), "the older one's hash: none")
    for wrong in (digest.upper(), digest[:-1], digest[:-1] + "g"):
        t.eq(c.code("invalidate", owner="o", connection=connection, access_token_sha256=wrong),
             "bad_request", "not a hash in lower-case hex")
    t.eq(c.code("invalidate", owner="o", connection=connection, access_token_sha256=digest,
                generation=2), "bad_request", "both ways at once")


def test_forced(t):
    """Refreshes that come while one is under way join it."""
    sim, d, c = start(t)
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    sim.script({"hold": "gate"})
    clients = d.clients(50)
    for client in clients:
        client.send("refresh", owner="o", connection=connection, force=True)
    t.ok(sim.wait_requests(1), "the call")
    until(lambda: c.ask("status")["providers"]["acme"]["queue"] == 50, "all of them wait")
    sim.release("gate")
    t.eq({(r["ok"], r["generation"]) for r in gather(clients)}, {(True, 2)}, "50 forced refreshes")
    t.eq(len(sim.journal()), 1, "one call")


def times_ms(client, count, job):
    """How long each of some jobs takes."""
    took = []
    for i in range(count):
        start_at = time.perf_counter()
        reply = client.call(*job(i)[:1], **job(i)[1])
        took.append((time.perf_counter() - start_at) * 1000)
        if not reply["ok"]:
            raise AssertionError(reply["error"]["message"])
    return took


@limit(120)
def test_hung_provider(t):
    """A provider that hangs costs the others nothing."""
    slow, quick = t.use(Sim(prefix="SLOW")), t.use(Sim(prefix="QUICK"))
    d = t.use(Daemon({"providers": {"slow": slow.provider(timeout_s=600), "quick": quick.provider()}}))
    c, count = d.client(), scaled(100, 20)
    hot = put(c, quick.issue("hot", ttl=3600), provider="quick", lives_s=3600)

    def measure(turn):
        many = [put(c, g, provider="quick", lives_s=3600)
                for g in quick.issue_many(count, f"turn-{turn}", ttl=3600)]
        warm = times_ms(c, 3 * count, lambda i: ("vend", {"owner": "o", "connection": hot}))
        first = times_ms(c, count, lambda i: ("vend", {
            "owner": "o", "connection": many[i]}))
        new = times_ms(c, count, lambda i: ("invalidate", {
            "owner": "o", "connection": hot, "vend": True}))
        return {"warm": warm, "cold, from the store": first, "cold, by a refresh": new}

    before = [measure(turn) for turn in range(2)]
    slow.script({"hold": "gate", "times": -1})
    waiting = d.clients(64)
    for client, grant in zip(waiting, slow.issue_many(len(waiting))):
        connection = put(c, grant, provider="slow")
        client.send("vend", owner="o", connection=connection, deadline_ms=LONG_MS)
    t.ok(slow.wait_requests(len(waiting)), "64 calls hang")

    # Other work on the machine disturbs now this job and now that one; a provider would disturb the same in each run.
    def quiet(runs, name):
        return max(map(min, zip(*(run[name] for run in runs))))

    during = [measure(turn) for turn in (2, 3)]
    while len(during) < 12 and any(quiet(during, name) - quiet(before, name) > 50 * SLOW for name in before[0]):
        during.append(measure(2 + len(during)))
    t.ok(not any(client.wait(0) for client in waiting), "they still do")
    for name in before[0]:
        usual, worst = quiet(before, name), quiet(during, name)
        t.diag(f"{name}: worst {usual:.1f} ms before, {worst:.1f} ms while the other hangs")
        t.le(worst - usual, 50 * SLOW, f"{name}: no more than 50 ms are lost")
    slow.clear_script()
    slow.release("gate")
    t.eq({r["ok"] for r in gather(waiting)}, {True}, "and those get their answers")


run([test_200_clients, test_4_connections, test_each_its_own, test_no_hold, test_invalidate, test_invalidate_by_hash,
     test_forced, test_hung_provider])
