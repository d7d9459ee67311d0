#!/usr/bin/python3
"""Torture: the real daemon, its store, real sockets and providers, one fault after the other.

    torture.py [ROUNDS] [--seed N] [--only KEY,…] [--without-idp] [--logs FOLDER] [--report PAGE]

Each round draws one fault; all kinds come equally often. When it is over and everybody has been
answered, the book is checked (book.py). Ends with 1 where a promise was broken.
"""

import argparse
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
# pylint: disable=wrong-import-position
import report
from book import Book
from faults import BY_KEY, FAULTS
from world import SLOW, World
from scene import FAULT_POINTS, until

REST_S = 2.5 * min(SLOW, 2)  # what is in doubt has been probed by then, mostly
MAX_WRONGS = 20


class Line:
    """What came of one kind of fault."""

    def __init__(self, fault):
        self.fault, self.rounds, self.wrongs = fault, 0, 0
        self.answers = self.requests = self.in_doubt = self.lost = 0


class Run:
    """Some rounds in one world."""

    def __init__(self, seed, keys=None, with_idp=True, logs=None, say=print):
        self.seed, self.say, self.logs = seed, say, logs
        self.rng = random.Random(seed)
        self.world = World(random.Random(seed), with_idp)
        self.book = Book(self.world)
        self.lines = {fault.key: Line(fault) for fault in FAULTS}
        self.skipped = {key: why for key, why in map(self.lacks, keys or BY_KEY) if why}
        self.keys = [key for key in keys or BY_KEY if key not in self.skipped]
        self.broken, self.leaks, self.rounds, self.began = {}, [], 0, time.monotonic()
        self.seconds = 0.0

    def lacks(self, key):
        needs = BY_KEY[key].needs
        if needs == "points" and not FAULT_POINTS:
            return key, "configure --enable-fault-points"
        if needs == "slow" and not self.world.slow_library():
            return key, "no compiler, or a sanitizer's build"
        return key, None

    def go(self, rounds, shuffle=True):
        deck = []
        try:
            for number in range(1, rounds + 1):
                if not deck:
                    deck = list(self.keys)
                    if shuffle:
                        self.rng.shuffle(deck)
                    deck.reverse()
                self.round(number, self.lines[deck.pop()])
                if len(self.broken) >= MAX_WRONGS:
                    self.say(f"{MAX_WRONGS} broken promises are enough")
                    break
            self.settle()
        finally:
            self.leaks = self.world.close()
            self.seconds = time.monotonic() - self.began
        for name in self.leaks:
            self.note_wrong(self.rounds, "the end", f"a secret stands in {name}")

    def round(self, number, line):
        world, book = self.world, self.book
        before = (world.answers, dict(book.counts))
        began = time.monotonic()
        world.wrongs.clear()
        try:
            line.fault.run(world)
            world.drain()
            self.wait_rest(REST_S)
            world.works_again(self.rng.choice(list(world.accounts.values())))
            book.check()
            world.log_is_clean()
        except Exception as error:  # pylint: disable=broad-except
            world.wrong(f"{type(error).__name__}: {error}")
            if not world.d.running():
                world.boot()
        self.rounds, line.rounds = number, line.rounds + 1
        line.answers += world.answers - before[0]
        line.requests += book.counts["token requests"] - before[1]["token requests"]
        line.in_doubt += book.counts["in_doubt"] - before[1]["in_doubt"]
        line.lost += book.counts["lost_in_flight"] - before[1]["lost_in_flight"]
        fresh = [what for what in world.wrongs if self.note_wrong(number, line.fault.key, what)]
        line.wrongs += bool(fresh)
        if fresh:
            self.keep_log(number, line.fault.key)
        self.say(f"{number:5} {line.fault.key:26} {time.monotonic() - began:5.2f} s  "
                 f"{world.answers - before[0]:4} answers"
                 f"{'  BROKEN' if fresh else ''}")

    def wait_rest(self, seconds):
        """True once nothing is under way; what waits longer is looked at in later rounds."""
        ends = time.monotonic() + seconds
        while not self.book.at_rest() and time.monotonic() < ends:
            self.world.take(0.02)
        return self.book.at_rest()

    def settle(self):
        """The end of all faults: everything comes to rest, and every account can be refreshed."""
        world = self.world
        world.wrongs.clear()
        world.drain()
        try:
            until(self.book.at_rest, "rest", every=0.1)  # a backoff is 90 s at most
            for account in world.accounts.values():
                world.works_again(account)
            self.book.check()
            world.terminate()
        except Exception as error:  # pylint: disable=broad-except
            world.wrong(f"{type(error).__name__}: {error}")
        for what in world.wrongs:
            self.note_wrong(self.rounds, "the end", what)

    def note_wrong(self, number, key, what):
        """True where this was not known yet."""
        if what in self.broken:
            return False
        self.broken[what] = (number, key)
        self.say(f"      BROKEN in round {number} ({key}): {what}")
        return True

    def keep_log(self, number, key):
        if self.logs:
            os.makedirs(self.logs, exist_ok=True)
            with open(os.path.join(self.logs, f"round-{number}-{key}.log"), "w",
                      encoding="utf-8") as file:
                file.write(self.world.d.log_tail(3000))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("rounds", nargs="?", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="these kinds of fault alone, by their keys")
    parser.add_argument("--without-idp", action="store_true")
    parser.add_argument("--logs", help="where the daemon's log goes when a promise is broken")
    parser.add_argument("--report", help="the page whose table is written anew")
    args = parser.parse_args()
    keys = args.only.split(",") if args.only else None
    unknown = sorted(set(keys or ()) - set(BY_KEY))
    if unknown:
        parser.error(f"no such fault: {', '.join(unknown)}; there are {', '.join(BY_KEY)}")
    run = Run(args.seed, keys, not args.without_idp, args.logs,
              lambda line: print(line, flush=True))
    run.go(args.rounds)
    text = report.table(run)
    print(text)
    if args.report:
        report.write(args.report, text)
    sys.exit(1 if run.broken else 0)


if __name__ == "__main__":
    main()
