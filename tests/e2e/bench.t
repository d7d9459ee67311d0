#!/usr/bin/python3
"""bursar bench: its jobs are done, each once, and what it says of them is so."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, cli, curve_pair, run
from scene import rows


def bench(t, d, *words, expect=0):
    status, out, err = cli(d, "bench", "--json", *map(str, words))
    t.eq((status, err), (expect, ""), f"bench {' '.join(map(str, words))}")
    return json.loads(out)


def test_put_vend_refresh(t):
    sim = t.use(Endpoint(prefix="BENCH", check_client=True))
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}, "acme": sim.provider()}}))
    before = time.time()
    found = bench(t, d, "--op", "put", "--connections", 50, "--jobs", 50, "--outstanding", 20, "--bytes", 300, "o",
                  "plain", "a")
    t.eq((found["answered"], found["refused"]), (50, 0), "all are answered, none is refused")
    t.eq(rows(d, "SELECT count(*), min(account), max(account), max(generation) FROM connection"),
         [(50, "a-00000000", "a-00000049", 1)], "each account has been put once")
    found = bench(t, d, "--connections", 50, "--jobs", 100, "--clients", 4, "--outstanding", 8, "--in-turn", "o",
                  "plain", "a")
    t.eq((found["answered"], found["refused"]), (100, 0), "vends through four sockets")
    t.ok(found["reply_bytes"] > 300, "a reply has the secret")
    t.ok(0 < found["p50_us"] <= found["p99_us"] <= found["p999_us"] <= found["max_us"] <= found["seconds"] * 1e6,
         "times are in order", json.dumps(found))
    found = bench(t, d, "--connections", 50, "--jobs", 100, "--rate", 200, "--outstanding", 100, "o", "plain", "a")
    t.ok(found["answered"] == 100 and 99 / 200 <= found["seconds"], "paced jobs take their time", json.dumps(found))
    for _ in range(8):  # on a busy machine it may be some while after the last answer that it looks at the clock
        found = bench(t, d, "--connections", 50, "--jobs", 2000, "--rate", 1000000, "o", "plain", "a")
        if found["max_us"] > (found["seconds"] - 0.1) * 1e6:
            break
    t.ok(found["answered"] == 2000 and found["max_us"] > (found["seconds"] - 0.1) * 1e6,
         "what is sent late has waited since its turn", json.dumps(found))
    t.ok(before <= found["ended_at"] <= time.time(), "when it ended is told", json.dumps(found))
    found = bench(t, d, "--op", "put", "--jobs", 1, "--refresh-token", "o", "acme", expect=0)
    sim.script({"status": 503, "body": "sorry", "times": -1})
    found = bench(t, d, "--op", "refresh", "--jobs", 3, "--deadline", 300, "o", "acme", expect=1)
    t.eq((found["answered"], found["refused"]), (3, 3), "refusals are counted")
    t.ok(found["first_refusal"] not in ("", "(no code)"), "and the first one's error is said", found["first_refusal"])


def test_unknown_and_curve(t):
    pair = curve_pair()
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}},
                      "principals": {"far": {"curve_keys": [pair[0]], "roles": ["vend"], "owners": ["*"]}}}, tcp=True))
    key = d.path("etc/far.key")
    with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
        file.write(pair[1])
    status, out, _ = cli(None, "bench", "--json", "--endpoint", d.tcp[0], "--key", key, "--server-key", d.server_key,
                         "--jobs", "10", "o", "plain", "nobody", endpoint=False)
    t.eq(status, 1, "what is not there is refused")
    found = json.loads(out)
    t.eq((found["answered"], found["refused"], found["first_refusal"]), (10, 10, "not_connected"),
         "by CURVE too: ten answers that say so")


def test_usage(t):
    for words in (("--op", "sing"), ("--jobs", "0"), ("--clients", "4", "--outstanding", "2"), ("--jobs", "x")):
        status, out, err = cli(None, "bench", *words, "o", "plain")
        t.eq((status, out), (2, ""), f"{words} is told to be wrong")
        t.ok(err.startswith("bursar bench: "), "by name", err)


run([test_put_vend_refresh, test_unknown_and_curve, test_usage])
