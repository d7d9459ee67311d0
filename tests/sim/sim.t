#!/usr/bin/python3
"""A few worlds of the simulation: no rule is broken, and a seed gives the same run each time."""

import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("abs_top_builddir", HERE.parent.parent))
SANITIZED = os.environ.get("BURSAR_SANITIZE", "no") not in ("", "no")
SEEDS = (1, 2) if SANITIZED else (1, 2, 3, 4, 5)
SMALL = ["--connections", "80", "--days", "1"]
HARMED = ("crashes", "lost", "bad disks", "jumps", "bad days", "in doubt", "grants refused")

count = failed = 0


def ok(condition, name, why=""):
    global count, failed
    count += 1
    failed += not condition
    print(f"{'ok' if condition else 'not ok'} {count} - {name}", flush=True)
    if not condition:
        for line in why[-6000:].splitlines():
            print(f"# {line}")


def sim(*arguments):
    done = subprocess.run([BUILD / "tests/sim/sim", *map(str, arguments)], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def digests(output):
    return re.findall(r"digest ([0-9a-f]{16})", output)


def happened(output, what):
    """How often, in all the worlds of this output."""
    return sum(map(int, re.findall(rf"(\d+) {what}", output)))


code, output = sim(*SMALL, *SEEDS)
ok(code == 0, f"{len(SEEDS)} worlds of a day, and no rule is broken", output)
ok(len(set(digests(output))) == len(SEEDS), "each seed has a world of its own", output)
ok(happened(output, "refreshes") > 500 * len(SEEDS), "they did refresh", output)
for word in HARMED:
    ok(happened(output, word) > 0, f"there were {word}", output)
code, again = sim(*SMALL, *SEEDS)
ok(digests(again) == digests(output), "the same seeds again are the same runs, bit for bit", again)
ok(happened(output, "sweeps over") > 20 and happened(output, "cancelled") > 0,
   "operators froze, thawed and revoked many", output)
code, output = sim("--tight", 1)
share = re.search(r"a fair share had ([0-9.]+) of it", output)
ok(code == 0 and share and float(share[1]) >= 0.8,
   "where a ceiling is too low for all, each owner gets four fifths of a fair share at least", output)
code, output = sim(*SMALL, "--faults", 0, 7)
ok(code == 0 and happened(output, "failed attempts") == 0,
   "where nothing goes wrong, no refresh fails", output)
print(f"1..{count}")
sys.exit(failed > 0)
