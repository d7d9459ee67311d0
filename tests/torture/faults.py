"""The faults, each a function of the world: it begins, is there for a while, and is over.

Where one leaves the daemon down it starts it again. What must hold is the book's matter (book.py).
"""

import dataclasses
import time

from scene import SLOW
from world import EAGER_S, REST_S, TIMEOUT_S

POINTS = {"store-before-commit": 12, "store-after-commit": 12, "intent-committed": 6,
          "reply-received": 6, "reply-committed": 6, "conclusion-made": 6,
          "conclusion-committed": 6, "answered": 6}
HTML = "<html><body>We will be right back.</body></html>"
IDP_KINDS = {"5xx": [{"kind": "status", "status": 503}],
             "429": [{"kind": "status", "status": 429, "headers": {"Retry-After": "1"}}],
             "lost": [{"kind": "drop_after"}, {"kind": "drop_after", "reset": True}],
             "unsent": [{"kind": "drop_before"}], "slow": [{"kind": "delay", "ms": 400}]}


@dataclasses.dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    key: str
    title: str
    run: object
    needs: str = ""  # points or slow: what it cannot do without


def _span(w, low=0.3, high=0.9):
    return w.rng.uniform(low, high)


# --- the process

def kill_anywhere(w):
    w.load(_span(w, 0.05, 0.8))
    w.kill()
    w.boot()


def kill_early(w):
    """Again before it is ready, or just behind that."""
    w.kill()
    w.boot(wait=False)
    w.load(w.rng.uniform(0.0, 0.12))
    w.kill()
    w.boot()


def kill_at(point):
    def run(w):
        w.terminate()
        w.rest_s = EAGER_S
        w.boot(f"{point}:{w.rng.randrange(1, POINTS[point])}")
        w.load(20 * SLOW)
        w.rest_s = REST_S
        if w.d.running():
            w.wrong(f"{point} was never reached")
            w.kill()
        else:
            status = w.d.wait_exit(5)
            if status != -9:
                w.wrong(f"{point}: ended with {status}")
            w.gone()
        w.boot()
    return run


def stopped(w):
    w.load(0.1)
    w.pause(w.d.child, _span(w, 0.2, 1.0))


def terminated(w):
    w.rest_s = EAGER_S
    w.load(_span(w, 0.05, 0.4))
    w.rest_s = REST_S
    w.terminate()
    w.boot()


def reloaded(w):
    w.rest_s = EAGER_S
    for level in ("info", "debug"):
        w.d.configure({**w.d.config, "log": {"level": level}})
        w.d.reload()
        w.load(_span(w, 0.1, 0.3))
    w.rest_s = REST_S


# --- the disk

def full(w):
    w.load(0.1)
    w.file_limit(4096)
    w.load(_span(w))
    w.file_limit(None)


def slow(w):
    """Callers ask again at once: what was acknowledged must be there although a commit takes long."""
    w.load(0.1)
    w.slow_disk(w.rng.randrange(40, 300))
    w.rest_s = EAGER_S
    w.load(_span(w))
    w.rest_s = REST_S
    w.slow_disk(0)


def slow_and_killed(w):
    w.slow_disk(w.rng.randrange(40, 150))
    w.load(_span(w))
    w.kill()
    w.slow_disk(0)
    w.boot()


def full_and_killed(w):
    w.load(0.1)
    w.file_limit(4096)
    w.load(_span(w))
    w.kill()
    w.boot()


# --- the providers

def scripted(spec, real=None, share=1.0, behind=None):
    """Every answer (or a share of them) is like this for a while. `real`: the same at oidc-provider."""
    def run(w):
        for sim in w.sims.values():
            if share >= 1.0:
                sim.script({**spec, "times": -1})
            else:  # one of each few: those before it are as they should be
                for _ in range(3):
                    sim.script({"times": w.rng.randrange(1, 3)}, dict(spec))
        if w.idp and real:
            w.idp.faults(*[w.rng.choice(IDP_KINDS[real]) for _ in range(4)])
        w.load(_span(w, 0.5, 1.0))
        if behind:
            behind(w)
        for sim in w.sims.values():
            sim.clear_script()
        if w.idp:
            w.idp.clear_faults()
    return run


def lost_and_killed(w):
    scripted({"drop": "after"}, "lost", share=0.5, behind=lambda w: w.kill())(w)
    w.boot()


def too_slow(w):
    """One reply of each provider comes after the daemon has given up."""
    for sim in w.sims.values():
        sim.script({"delay_after_s": TIMEOUT_S + 0.5})
    w.load(0.5)
    until_there = time.monotonic() + TIMEOUT_S + 1
    w.load(until_there - time.monotonic())
    for sim in w.sims.values():
        sim.clear_script()


def rejected(w):
    """Our client is refused; then the operator has mended that and starts the daemon again."""
    scripted({"status": 401, "body": {"error": "invalid_client"}})(w)
    w.terminate()
    w.boot()


def refused(w):
    sim = _one(w)
    w.load(0.1)
    w.interrupted()
    w.halts.append(time.time())
    sim.halt()
    w.halts.append(time.time())
    w.load(_span(w))
    sim.resume()
    w.interrupted()


def provider_stopped(w):
    w.load(0.1)
    w.pause_provider(_one(w), _span(w, 0.2, 1.0))


def revoked_by_users(w):
    """Two users end their grants at the provider; their connections must be found dead, no others."""
    chosen = w.rng.sample([a for a in w.accounts.values() if a.provider != "idp"], 2)
    for account in chosen:
        sim = w.sims[account.provider]
        recent = sim.journal(max(0, sim.stats()["arrived"] - 500))
        grants = [e["grant"] for e in recent if e["account"] == account.name][-1:]
        for grant in grants:
            if sim.grant(grant)["alive"]:
                account.revocations += 1
                sim.revoke(grant_id=grant)
    w.load(_span(w))


def _one(w):
    return w.sims[w.rng.choice(sorted(w.sims))]


FAULTS = [
    Fault("kill", "SIGKILL at a random moment", kill_anywhere),
    Fault("kill-early", "SIGKILL during the start", kill_early),
    *[Fault(f"kill-{point}", f"SIGKILL at `{point}`", kill_at(point), "points")
      for point in POINTS],
    Fault("stop", "SIGSTOP, a while, SIGCONT", stopped),
    Fault("term", "SIGTERM while refreshes are under way", terminated),
    Fault("hup", "SIGHUP under load", reloaded),
    Fault("full", "disk: every write fails", full),
    Fault("full-kill", "disk: every write fails, then SIGKILL", full_and_killed),
    Fault("slow", "disk: each sync takes 40 to 300 ms longer", slow, "slow"),
    Fault("slow-kill", "disk: slow syncs, then SIGKILL", slow_and_killed, "slow"),
    Fault("5xx", "provider: 503", scripted({"status": 503, "body": "sorry"}, "5xx")),
    Fault("429", "provider: 429 with `Retry-After`",
          scripted({"status": 429, "headers": {"Retry-After": "1"}, "body": "{}"}, "429")),
    Fault("lost", "provider: reply lost, token spent",
          scripted({"drop": "after"}, "lost", share=0.5)),
    Fault("lost-reset", "provider: connection reset, token spent",
          scripted({"drop": "after", "reset": True}, "lost", share=0.5)),
    Fault("lost-kill", "provider: replies lost, then SIGKILL", lost_and_killed),
    Fault("unsent", "provider: connection ends before it read the request",
          scripted({"drop": "before"}, "unsent", share=0.5)),
    Fault("cut", "provider: reply cut off", scripted({"truncate": 20}, share=0.5)),
    Fault("html", "provider: 200 with HTML",
          scripted({"status": 200, "body": HTML, "headers": {"Content-Type": "text/html"}},
                   share=0.5)),
    Fault("hang", "provider: hangs, then closes",
          scripted({"delay_s": 0.4, "drop": "before"}, "slow", share=0.5)),
    Fault("late", "provider: reply later than the timeout", too_slow),
    Fault("client", "provider: `invalid_client` for all", rejected),
    Fault("refused", "provider: ended (connection refused), started again", refused),
    Fault("stop-provider", "provider: SIGSTOP, a while, SIGCONT", provider_stopped),
    Fault("users", "users end their grants at the provider", revoked_by_users),
]
BY_KEY = {fault.key: fault for fault in FAULTS}
SHORT = ("kill", "kill-intent-committed", "kill-reply-received", "kill-store-after-commit", "stop",
         "full", "5xx", "429", "lost", "cut", "html", "client", "refused", "stop-provider", "users",
         "term", "hup")
