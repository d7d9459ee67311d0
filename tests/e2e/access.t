#!/usr/bin/python3
"""Who may speak: the daemon's own user and root, nobody else. Root only."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, SkipTest, run
from scene import events_of, make_secret, put, record, types_of
from strangers import NOBODY, SURE_MS, as_user, needs_root


def open_up(d):
    """Lets everybody as far as the sockets, so that the daemon itself has to say no."""
    os.chmod(d.dir, 0o755)
    for name in ("jobs", "intake", "events"):
        os.chmod(d.path(name), 0o777)


def test_sockets_are_private(t):
    needs_root()
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}}}))
    for name in ("jobs", "intake", "events", "bursar.db"):
        t.eq(os.stat(d.path(name)).st_mode & 0o077, 0, f"{name}: for its owner alone")
    os.chmod(d.dir, 0o755)
    found = as_user(NOBODY, d, send=[{"op": "whoami"}])
    t.eq((found["replies"], found["event"]), (0, False), "others do not reach it")
    t.eq(as_user(0, d, send=[{"op": "whoami"}], reply_ms=SURE_MS)["principals"], ["uid:0"], "root does")


def test_stranger(t):
    needs_root()
    sim = t.use(Endpoint(prefix="WHO"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    c.ask("vend", owner="o", connection=connection)
    open_up(d)
    offset = len(d.log())
    name = {"owner": "o", "connection": connection}
    found = as_user(NOBODY, d, send=[{"op": "whoami"}, {"op": "status"}, {"op": "vend", **name},
                                     {"op": "connection.delete", **name}],
                    push=[{"op": "invalidate", **name}, {"op": "refresh", "force": True, **name}])
    t.eq(found["replies"], 0, "jobs: no reply")
    t.eq(found["event"], False, "events: nothing, not even `alive`")
    d.wait_log(r"connection refused.*localhost:65534:", since=offset)
    t.ok(True, "the log says who was refused")
    t.eq((record(c, connection)["generation"], len(sim.journal()), types_of(c, connection)),
         (1, 0, ["connected"]), "intake: nothing happened")
    found = as_user(0, d, send=[{"op": "vend", **name}], push=[{"op": "invalidate", **name}], reply_ms=SURE_MS,
                    event_ms=SURE_MS)
    t.eq((found["ok"], found["event"]), ([True], True), "root is served on all of them")


def test_own_user(t):
    """Run by somebody else, it serves that user and root."""
    needs_root()
    d = Daemon({"providers": {"plain": {"kind": "static"}}}, start=False)
    t.use(d)
    for folder, _, files in os.walk(d.dir):
        for one in [folder, *(os.path.join(folder, f) for f in files)]:
            os.chown(one, NOBODY, NOBODY)
    for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"):  # that user cannot write reports there
        if name in os.environ:
            d.env[name] = re.sub(r":?log_path=[^:]*", "", os.environ[name])
    d.wrapper = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    try:
        d.start()
    except RuntimeError as error:
        if "Permission denied" in str(error) or "failed to execute" in str(error):
            raise SkipTest("another user cannot read the build here") from None
        raise
    t.eq(d.proc("Uid"), NOBODY, "it runs as that user")
    t.eq(os.stat(f"/proc/{d.pid}/mem").st_uid, 0, "not dumpable: its memory is not even its user's")
    c = d.client()
    c.ask("credential.put", owner="o", provider="plain",
          secret={"kind": "bearer", "token": make_secret("own")})
    t.eq(c.ask("whoami")["principal"], "uid:0", "root is served")
    found = as_user(NOBODY, d, send=[{"op": "whoami"}, {"op": "vend", "owner": "o",
                                                       "provider": "plain"}],
                    reply_ms=SURE_MS, event_ms=SURE_MS)
    t.eq((found["principals"][0], found["ok"], found["event"]),
         (f"uid:{NOBODY}", [True, True], True), "its own user is served")
    open_up(d)
    found = as_user(NOBODY - 1, d, send=[{"op": "whoami"}])
    t.eq((found["replies"], found["event"]), (0, False), "a third one is not")
    t.eq(len(events_of(c)), 1, "and all is as it was")


run([test_sockets_are_private, test_stranger, test_own_user])
