"""What disturbs whom: vends beside refreshes, providers beside sick ones, and many that wait for one flight."""

import contextlib
import itertools
import sqlite3
import subprocess
import threading
import time

from machine import Daemon, in_turns, spread

OWNER = "bench"
VENDS_PER_S, REFRESHES_PER_S, MIXED_S = 16667, 167, 6  # a million and ten thousand a minute
CONNECTIONS = 10000
PROVIDERS, SICK = 16, 2
NEIGHBOUR_CONNECTIONS, NEIGHBOUR_JOBS, NEIGHBOUR_OUTSTANDING = 200, 400, 8
TWO_PER_S = 100  # of each of the two, well or sick: a client that is refused at once is not to be a flood


def put(daemon, provider, connections):
    daemon.programs.load(daemon.jobs, "--op", "put", "--outstanding", 512, "--connections", connections, "--jobs",
                         connections, "--bytes", 1200, "--refresh-token", OWNER, provider, "a")


def at_once(loads):
    """What came of all loads, each in a thread of its own."""
    results = [None] * len(loads)

    def one(i):
        results[i] = loads[i]()
    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(loads))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if None in results:
        raise RuntimeError("a load has failed")
    return results


def mixed(bench):
    """Paced vends from memory, alone and while the same connections are refreshed."""
    programs = bench.programs
    with programs.endpoint(1200) as endpoint, Daemon(programs, endpoint.said[0], name="mixed") as daemon:
        put(daemon, "acme", CONNECTIONS)
        shape = ("--outstanding", CONNECTIONS, "--connections", CONNECTIONS)
        programs.load(daemon.jobs, "--in-turn", "--jobs", CONNECTIONS, "--connections", CONNECTIONS, "--outstanding", 64,
                      OWNER, "acme", "a")

        def vends():
            return programs.load(daemon.jobs, *shape, "--rate", VENDS_PER_S, "--jobs", VENDS_PER_S * MIXED_S, OWNER,
                                 "acme", "a")

        def refreshes():
            return programs.load(daemon.jobs, *shape, "--op", "refresh", "--rate", REFRESHES_PER_S, "--jobs",
                                 REFRESHES_PER_S * MIXED_S, OWNER, "acme", "a")

        alone, beside = in_turns(bench.pairs, vends, lambda: at_once([vends, refreshes])[0])
        for key, goal in (("p50_us", None), ("p99_us", 3), ("p999_us", None)):
            ratio = bench.ratio([r[key] for r in alone], [r[key] for r in beside])
            bench.add("mixed", what=f"{key[:-3]} of a vend", ratio=ratio, goal=goal, better="less",
                      met=None if goal is None else ratio[0] <= goal, limit=spread([r[key] for r in alone])[0],
                      bursar=spread([r[key] for r in beside])[0])


class Paced:
    """Refreshes at one of the two providers that are sick or well, so many a second, until it is ended."""

    def __init__(self, daemon, provider):
        words = ("--op", "refresh", "--connections", NEIGHBOUR_CONNECTIONS, "--jobs", 1000000, "--outstanding",
                 NEIGHBOUR_OUTSTANDING, "--deadline", 2000, "--rate", TWO_PER_S, OWNER, provider, "a")
        self.child = subprocess.Popen([daemon.programs.path("bursar"), "bench", "--endpoint", daemon.jobs,
                                       *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        self.child.kill()
        self.child.wait()


def neighbours(bench):
    """Fourteen providers that are refreshed, beside two that are well and beside two that hang and answer 429."""
    programs = bench.programs
    well, sick = ["well1", "well2"], ["hanging", "busy"]
    names = [f"p{i:02}" for i in range(PROVIDERS - SICK)]
    with contextlib.ExitStack() as stack:
        healthy = stack.enter_context(programs.endpoint(1200))
        hanging = stack.enter_context(programs.endpoint(1200, 0, "hang"))
        busy = stack.enter_context(programs.endpoint(1200, 0, "busy"))
        ports = {**dict.fromkeys(names + well, healthy.said[0]), "hanging": hanging.said[0], "busy": busy.said[0]}
        daemon = stack.enter_context(Daemon(programs, healthy.said[0], name="neighbours", others=ports))
        for name in ports:
            put(daemon, name, NEIGHBOUR_CONNECTIONS)

        def one(name):
            return programs.load(daemon.jobs, "--op", "refresh", "--connections", NEIGHBOUR_CONNECTIONS, "--jobs",
                                 NEIGHBOUR_JOBS, "--outstanding", NEIGHBOUR_OUTSTANDING, OWNER, name, "a")

        def fourteen():
            results = at_once([lambda name=name: one(name) for name in names])
            return {"per_s": sum(r["per_s"] for r in results), "p50_us": spread([r["p50_us"] for r in results])[0],
                    "p99_us": spread([r["p99_us"] for r in results])[0]}

        def beside(two):
            with contextlib.closing(Paced(daemon, two[0])), contextlib.closing(Paced(daemon, two[1])):
                return fourteen()

        fourteen()
        alone, others = in_turns(bench.pairs, lambda: beside(well), lambda: beside(sick))
        for key, better, goal in (("per_s", "more", 0.95), ("p50_us", "less", 1.05), ("p99_us", "less", None)):
            ratio = bench.ratio([r[key] for r in alone], [r[key] for r in others])
            met = None if goal is None else ratio[0] >= goal if better == "more" else ratio[0] <= goal
            bench.add("neighbours", what="refreshes a second, of fourteen" if key == "per_s" else f"µs, {key[:-3]}",
                      ratio=ratio, goal=goal, better=better, met=met, limit=spread([r[key] for r in alone])[0],
                      bursar=spread([r[key] for r in others])[0])


HERD = ("--clients", 4, "--outstanding", 10000, "--jobs", 10000)


def herd(bench):
    """Ten thousand vends that wait for one flight, beside as many answers that ZeroMQ alone has to give."""
    programs, turns = bench.programs, itertools.count()
    with programs.endpoint(1200, 3500) as endpoint, Daemon(programs, endpoint.said[0], name="herd") as daemon:
        def vends():
            # It has so little left that it is refreshed at once; when it has expired nobody is given what there is.
            account = f"herd{next(turns)}"
            programs.load(daemon.jobs, "--op", "put", "--jobs", 1, "--bytes", 1200, "--refresh-token", "--lives", 1, OWNER,
                          "acme", account)
            time.sleep(1.5)
            result = programs.load(daemon.jobs, *HERD, OWNER, "acme", account)
            with contextlib.closing(sqlite3.connect(f"file:{daemon.db}?mode=ro", uri=True)) as store:
                # The event's time is from before the commit.
                result["begun_at_ms"] = store.execute("SELECT at_ms FROM event ORDER BY seq DESC LIMIT 1").fetchone()[0]
            return result

        reply_bytes = vends()["reply_bytes"]
        with programs.echo(f"ipc://{programs.folder}/held", reply_bytes, hold=10000) as echo:
            def answers():
                result = programs.load(f"ipc://{programs.folder}/held", *HERD, OWNER, "acme", "herd0")
                result["begun_at_ms"] = float(echo.next_line()[1])
                return result

            alone, waited = in_turns(bench.pairs, answers, vends)
        since = [[r["ended_at"] * 1000 - r["begun_at_ms"] for r in results] for results in (alone, waited)]
        bench.add("herd", vends=10000, since_ms=spread(since[1]), alone_ms=spread(since[0]), ratio=bench.ratio(*since),
                  answers_ms=spread([r["answers_s"] * 1000 for r in waited]), goal_ms=50)
