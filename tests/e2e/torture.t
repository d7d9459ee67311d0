#!/usr/bin/python3
"""Torture in short: one round of most kinds of fault, one seed (scripts/torture has the long form)."""

import base64
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "torture")]
# pylint: disable=wrong-import-position
from harness import limit, run
from scene import scaled
from faults import SHORT
from torture import Run

SEED = 17


@limit(600)
def test_each_fault(t):
    torture = Run(SEED, SHORT, with_idp=False, say=t.diag)
    rounds = max(scaled(len(torture.keys)), 6)
    torture.go(rounds, shuffle=False)
    t.eq(torture.broken, {}, f"{rounds} rounds: no promise is broken")
    t.eq(torture.rounds, rounds, "none was left out")
    t.ok(torture.book.counts["token requests"] > 3 * rounds, "and work was done",
         repr(torture.book.counts))


def test_the_book_sees(t):
    """What the checks are good for: a book that is told a lie says so."""
    torture = Run(SEED, ["hup"], with_idp=False, say=t.diag)
    world, book = torture.world, torture.book
    t.cleanup(world.close)
    world.load(0.3)
    world.drain()
    book.check()
    t.eq(world.wrongs, [], "the truth is not complained of")
    account = next(iter(world.accounts.values()))
    account.floor += 1
    book.check()
    t.ok(any("was acknowledged" in wrong for wrong in world.wrongs), "a generation that is gone")
    account.floor -= 1
    world.wrongs.clear()
    book.stories[account.name].generation += 1
    book.check()
    t.ok(any("its events say" in wrong for wrong in world.wrongs), "an event too few")
    book.stories[account.name].generation -= 1
    world.wrongs.clear()
    strict = world.sims["strict"]
    grant, before = strict.issue(account.name), len(strict.journal())
    for _ in range(2):
        present(strict, grant["refresh_token"])
    strict.wait_done(before + 2)  # and it knows that they were delivered
    book.check()
    t.ok(any("had been delivered" in wrong for wrong in world.wrongs), "a token sent again")
    t.ok(any("were in doubt" in wrong for wrong in world.wrongs), "without a doubt")
    world.wrongs.clear()
    with open(world.d.log_file, "a", encoding="utf-8") as log:
        log.write(base64.b64encode(f"a reply: {grant['access_token']}".encode()).decode() + "\n")
    world.log_is_clean()
    os.truncate(world.d.log_file, 0)
    t.ok(any("in the log" in wrong for wrong in world.wrongs), "a token in the log")


def present(sim, token):
    """A token request of somebody else."""
    login = base64.b64encode(f"{sim.info['client_id']}:{sim.client_secret}".encode()).decode()
    form = urllib.parse.urlencode({"grant_type": "refresh_token", "refresh_token": token}).encode()
    request = urllib.request.Request(sim.token_url, form, {"Authorization": f"Basic {login}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            reply.read()
    except urllib.error.HTTPError as error:
        error.close()


run([test_each_fault, test_the_book_sees])
