#!/usr/bin/python3
"""Events: one for each move, numbered without gaps, and to be had again; the intake."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, encode, limit, put_secret, run
from scene import (check_store, events_of, put, record, types_of, until, wait_generation,
                   wait_state)


def start(t, **provider):
    sim = t.use(Endpoint(prefix="EVENT"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(**provider),
                                    "plain": {"kind": "static"}}}))
    return sim, d, d.client()


def same(seen, log):
    return [e for e in seen if e["type"] != "alive"] == log


def test_each_move(t):
    sim, d, c = start(t)
    events, tags = d.events(), ["tag one", "zwei"]
    who = {"owner": "o", "provider": "acme", "account": "alice"}
    connection = c.ask("connection.create", tags=tags, metadata={"plan": "b"}, **who)["connection"]
    grant = sim.issue("alice", ttl=3600)
    c.ask("credential.put", secret=put_secret(grant), expires_at=int(time.time()) + 3600, **who)
    c.ask("refresh", force=True, **who)
    for _ in range(3):
        c.ask("vend", **who)
        c.ask("refresh", **who)  # not due: nothing happens
    sim.revoke(grant_id=grant["grant_id"])
    for _ in range(3):
        c.code("refresh", force=True, **who)
        c.code("vend", **who)
    c.ask("credential.put", secret=put_secret(sim.issue("alice", ttl=3600)), **who)
    sim.script({"drop": "before"})
    c.code("refresh", force=True, **who)
    wait_state(c, connection, "ACTIVE")
    for _ in range(2):
        c.ask("connection.revoke", **who)
    c.ask("connection.restore", **who)
    c.code("connection.restore", **who)
    c.ask("connection.update", metadata={"plan": "c"}, **who)
    c.ask("connection.delete", **who)
    c.code("connection.delete", **who)
    moves = [("created", "PENDING", 0), ("connected", "ACTIVE", 1), ("refreshed", "ACTIVE", 2),
             ("reauth", "NEEDS_REAUTH", 2), ("recovered", "ACTIVE", 3), ("in_doubt", "IN_DOUBT", 3),
             ("recovered", "ACTIVE", 4), ("revoked", "REVOKED", 4), ("restored", "ACTIVE", 4),
             ("deleted", None, 4)]
    log = events_of(c)
    t.eq([(e["type"], e["generation"]) for e in log], [(m[0], m[2]) for m in moves],
         "exactly one event for each move")
    t.eq([e.get("state") for e in log][:-1], [m[1] for m in moves][:-1], "with the state")
    t.eq([e["seq"] for e in log], list(range(1, len(moves) + 1)), "numbered from 1 without a gap")
    t.eq({(e["owner"], e["provider"], e["account"], e["connection"]) for e in log},
         {("o", "acme", "alice", connection)}, "each names the connection")
    t.eq([e.get("tags") for e in log], [tags] * len(log), "and has its tags")
    events.expect("deleted")
    t.ok(same(events.seen, log), "subscribers got the same, byte for byte of the body")
    t.eq((events.gaps(), events.wrong_topics), ([], []), "in order, under their topics")
    t.eq(c.ask("events.since", seq=3, limit=2)["next_seq"], 5, "a page of them")
    t.eq(c.ask("events.since", seq=0, owner="other")["events"], [], "none of another owner")
    t.eq(c.ask("events.since", seq=0, owner="other")["next_seq"], len(moves), "but all looked at")


def test_topics(t):
    """Each part is percent-encoded, so that an owner's name cannot reach into another's."""
    _, d, c = start(t)
    names = ["acme", "acme2", "a/b", "a b", "ümlaut", "a%2Fb", "per.cent~_-", "*", "reauth/acme"]
    everything = d.events()
    one = d.events(topics=["connected/acme/"])
    odd = d.events(topics=["connected/a%2Fb/plain/"])
    none = d.events(topics=["connected/a/"])
    for name in names:
        c.ask("credential.put", owner=name, provider="plain", account="x/y z",
              secret={"kind": "bearer", "token": "not-a-secret"})
    for name in names:
        t.eq(everything.expect("connected", owner=name)["account"], "x/y z", f"{name!r} arrives")
    t.eq(everything.wrong_topics, [], "every topic is percent-encoded")
    t.eq(one.expect("connected")["owner"], "acme", "a prefix takes one owner")
    t.eq(odd.expect("connected")["owner"], "a/b", "an odd one too")
    t.eq(([e["owner"] for e in one.drain()], [e["owner"] for e in odd.drain()], none.drain()),
         (["acme"], ["a/b"], []), "and nobody else")


@limit(60)
def test_alive(t):
    _, d, c = start(t)
    c.ask("credential.put", owner="o", provider="plain",
          secret={"kind": "bearer", "token": "not-a-secret"})
    events = d.events(topics=["alive/"])
    first = events.expect("alive")
    t.eq(first["seq"], 1, "a new subscriber learns at once where the log stands")
    took = []
    while len(took) < 5 and (not took or min(took) > 12):  # one may be late where the machine is busy
        again = events.expect("alive")
        t.eq(again["seq"], 1, "and again")
        took.append((again["at_ms"] - first["at_ms"]) / 1000)
        first = again
    t.ok(all(s >= 8 for s in took) and min(took) <= 12, "after 10 s", took)
    t.eq(c.ask("events.since", seq=0)["next_seq"], 1, "it is not in the log")


def test_replay(t):
    """A subscriber that was away asks for what it missed: after its own absence, and a restart."""
    sim, d, c = start(t)
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    first = d.events()
    c.ask("refresh", owner="o", connection=connection, force=True)
    last = first.expect("refreshed")["seq"]
    first.close()
    for _ in range(3):
        c.ask("refresh", owner="o", connection=connection, force=True)
    second = d.events()
    alive = second.expect("alive", where=lambda e: e["seq"] == last + 3)
    missed = c.ask("events.since", seq=last)["events"]
    t.eq([e["generation"] for e in missed], [3, 4, 5], "what was missed")
    t.eq(missed[-1]["seq"], alive["seq"], "as far as `alive` says")
    d.restart()
    second.wait_connected()
    t.eq(second.expect("alive", where=lambda e: e["at_ms"] > alive["at_ms"])["seq"], last + 3,
         "after a restart the numbers go on")
    c.ask("refresh", owner="o", connection=connection, force=True)
    t.eq(second.expect("refreshed", generation=6)["seq"], last + 4, "without a gap")
    t.eq([e["seq"] for e in events_of(c)], list(range(1, last + 5)), "and the log is whole")
    d.kill()
    d.start()
    second.wait_connected()
    c.ask("refresh", owner="o", connection=connection, force=True)
    t.eq(second.expect("refreshed", generation=7)["seq"], last + 5, "after a SIGKILL too")
    d.stop()
    check_store(t, d, "afterwards")


def test_paging(t):
    sim, d, c = start(t)
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    for i in range(30):
        c.ask("credential.put", owner=f"owner{i % 3}", provider="plain", account=f"a{i}",
              secret={"kind": "bearer", "token": "not-a-secret"})
    found, seq = [], 0
    while True:
        reply = c.ask("events.since", seq=seq, limit=7)
        t.le(len(reply["events"]), 7, "a page")
        if reply["next_seq"] == seq:
            break
        found += [e["seq"] for e in reply["events"]]
        seq = reply["next_seq"]
    t.eq(found, list(range(1, 32)), "all of them, once")
    reply = c.ask("events.since", seq=1000)
    t.eq((reply["events"], reply["next_seq"]), ([], 1000), "none after the end")
    t.eq(c.code("events.since", seq=0, limit=10001), "bad_request", "10 000 at most")
    t.eq(c.code("events.since", seq=-1), "bad_request", "not a number of an event")
    t.eq(len(events_of(c, owner="owner1")), 10, "of one owner")
    t.eq(record(c, connection)["state"], "ACTIVE", "all well")
    d.round_trip()


def test_intake(t):
    sim, d, c = start(t)
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    push, events = d.push(), d.events()
    push.send("refresh", owner="o", provider="acme", account="alice", force=True)
    wait_generation(c, connection, 2)
    push.send("refresh", owner="o", connection=connection)  # not due
    push.send("invalidate", owner="o", connection=connection, generation=1)  # older
    push.send("invalidate", owner="o", connection=connection, generation=2)
    wait_generation(c, connection, 3)
    t.eq(len(sim.journal()), 2, "refresh and invalidate from the intake")
    for wrong in (b"", b"\xc1", encode({"op": "vend", "owner": "o", "connection": connection}),
                  encode({"op": "connection.delete", "owner": "o", "connection": connection}),
                  encode({"op": "refresh", "owner": "other", "connection": connection,
                          "force": True}), encode({"op": "refresh"}), b"x" * 100000):
        push.raw(wrong)
    push.sock.send_multipart([b"", encode({"op": "invalidate", "owner": "o",
                                           "connection": connection})])
    push.send("invalidate", owner="o", connection=connection, generation=3)
    wait_generation(c, connection, 4)
    t.eq((len(sim.journal()), types_of(c, connection)), (3, ["connected"] + ["refreshed"] * 3),
         "what is no job of the intake changes nothing")
    events.expect("refreshed", generation=4)
    t.eq(events.gaps(), [], "no gap")


def test_async(t):
    """`accepted` is a promise: it holds though the process is killed at once."""
    sim, d, c = start(t)
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    t.eq(c.ask("refresh", owner="o", connection=connection, **{"async": True})["accepted"], True,
         "not due: accepted, and nothing to do")
    for turn in range(5):
        before = record(c, connection)["generation"]  # asked first: it may be kept before the kill
        reply = c.ask("refresh", owner="o", connection=connection, force=True, **{"async": True})
        d.kill()
        t.eq(reply.get("accepted"), True, f"accepted {turn + 1}")
        t.ok("secret" not in reply, "without a secret")
        d.start()
        until(lambda: record(c, connection)["generation"] > before
              or record(c, connection)["state"] == "NEEDS_REAUTH", "the promise")
        if record(c, connection)["state"] != "ACTIVE":
            # Killed with the request under way: the probe found the grant dead. A new one, then.
            t.eq(record(c, connection)["reason"], "lost_in_flight", "it was kept, and lost")
            put(c, sim.issue("alice", ttl=3600), lives_s=3600, account="alice")
    sim.script({"hold": "gate"})
    calls = len(sim.journal())
    t.eq(c.ask("refresh", owner="o", connection=connection, force=True,
               **{"async": True})["accepted"], True, "answered before the provider answers")
    t.ok(sim.wait_requests(calls + 1), "which is asked behind it")
    sim.release("gate")


run([test_each_move, test_topics, test_alive, test_replay, test_paging, test_intake, test_async])
