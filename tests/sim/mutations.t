#!/usr/bin/python3
"""Rules that are broken on purpose (src/base/mutation.h): the simulation finds each of them."""

import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("abs_top_builddir", HERE.parent.parent))
SEEDS = [str(seed) for seed in range(1, 11)]
# Number, what is broken, and the rules of the simulation of which one has to see it.
MUTATIONS = (
    (1, "a reply is read before it is kept", ("reply",)),
    (2, "a token is sent before its intent is committed", ("intent",)),
    (3, "a verdict is applied to whatever generation is there", ("in doubt", "reauth", "reply", "seal")),
    (4, "nobody looks whether a flight is under way", ("flight",)),
    (5, "recovering tells nobody", ("event",)),
    (6, "the planner passes over what failed once", ("forgotten",)),
    (7, "a lost probe is sent again", ("replay",)),
    (8, "a commit that failed is taken for one that did not", ("intent", "lost", "reply")),
    (9, "who waits is answered before the commit", ("answer",)),
    (10, "a refused client kills the connections", ("reauth",)),
    (11, "a bucket gives one more than it has", ("budget",)),
    (12, "a token goes out again when its grace is over", ("replay",)),
    (13, "a breaker's probe whose row has changed says nothing, and the next one goes at once", ("breaker",)),
    (14, "a freeze that is cancelled before it was heard of holds on", ("hold",)),
    (15, "refusals are believed while the fleet guard is shut", ("guard",)),
    (16, "the fleet guard never shuts", ("guard",)),
    (17, "the breaker never opens", ("breaker",)),
    (18, "a freeze holds only when its walk comes to a row", ("frozen",)),
    (19, "a sweep passes over rows", ("sweep",)),
    (20, "whoever has most that waits is served most", ("share",)),
    (21, "what waits for the disk has no place in the bucket", ("budget",)),
    (22, "a pause ends with the process", ("pause",)),
)
# Those that show in another world than the usual one.
WORLDS = {20: ["--tight"]}
# Where some show soonest; the others follow.
FIRST = {11: "10", 13: "3", 14: "3", 16: "2", 18: "3", 21: "10"}


def build(number):
    """Compiles the one or two files in which the rule is broken, and links."""
    free = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return subprocess.run(["make", "-C", BUILD, f"tests/sim/mutant{number}"], env=free, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(number, seed, rules):
    """Whether one of the rules is what one world was stopped for, and what was printed."""
    done = subprocess.run([BUILD / f"tests/sim/mutant{number}", *WORLDS.get(number, []), "--stop", seed], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = re.findall(r"^seed \d+, day [0-9.]+: ([a-z ]+): ", done.stdout, re.M)
    return done.returncode == 1 and any(rule in found for rule in rules), done.stdout


def main():
    failed = 0
    print(f"1..{len(MUTATIONS)}", flush=True)
    for number, what, rules in MUTATIONS:
        done = build(number)
        good, output = False, done.stdout
        seeds = sorted(SEEDS, key=lambda seed: seed != FIRST.get(number)) if done.returncode == 0 else []
        while seeds and not good:  # where it shows by another rule first, the next one
            good, output = run(number, seeds.pop(0), rules)
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - found: {what}", flush=True)
        for line in ([] if good else output[-3000:].splitlines()):
            print(f"# {line}")
    return failed > 0


sys.exit(main())
