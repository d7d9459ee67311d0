"""Other users of this machine, for tests that root runs."""

import json
import os
import subprocess
import sys

from machine import PATIENCE_S
from tap import SkipTest

NOBODY = 65534
SURE_MS = PATIENCE_S * 500

# What a stranger tries, in a process of its own: it says what came of it.
TRY = """
import json, msgpack, sys, zmq
encode, decode = msgpack.packb, msgpack.unpackb
spec = json.load(sys.stdin)
context = zmq.Context()
context.linger = 0
jobs, push, sub = context.socket(zmq.DEALER), context.socket(zmq.PUSH), context.socket(zmq.SUB)
monitors = [sock.get_monitor_socket(zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_CLOSED | zmq.EVENT_DISCONNECTED
                                    | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED)
            for sock in (jobs, push, sub)]
sub.subscribe(b"")
for sock, endpoint in ((jobs, spec["jobs"]), (push, spec["intake"]), (sub, spec["events"])):
    sock.connect(endpoint)
for job in spec["send"]:
    jobs.send_multipart([b"", encode(job)])
for job in spec["push"]:
    push.send(encode(job), zmq.DONTWAIT) if push.poll(spec["reply_ms"], zmq.POLLOUT) else None
heard = [bool(monitor.poll(spec["sure_ms"])) for monitor in monitors]
replies = []
while len(replies) < len(spec["send"]) and jobs.poll(spec["reply_ms"]):
    replies.append(decode(jobs.recv_multipart()[-1]))
replies.sort(key=lambda r: r.get("id") or 0)
print(json.dumps({"replies": len(replies), "ok": [r["ok"] for r in replies],
                  "principals": [r.get("principal") for r in replies],
                  "event": bool(sub.poll(spec["event_ms"])), "heard": heard}))
"""


def as_user(uid, d, send=(), push=(), reply_ms=500, event_ms=500, gid=None):
    """What a process of this user (and group; else one of the same number) gets from a daemon: how long it waits
    for each reply, and for an event, once each of its sockets has been let in or turned away. What must come is
    waited for SURE_MS, and what must not for a moment."""
    spec = {"jobs": d.jobs, "intake": d.intake, "events": d.events_endpoint, "send": list(send),
            "push": list(push), "reply_ms": reply_ms, "event_ms": event_ms, "sure_ms": SURE_MS}
    command = [sys.executable, "-c", TRY]
    if uid != os.getuid() or gid is not None:
        command = ["setpriv", f"--reuid={uid}", f"--regid={uid if gid is None else gid}", "--clear-groups", *command]
    done = subprocess.run(command, input=json.dumps(spec).encode(), capture_output=True,
                          timeout=PATIENCE_S, check=False, cwd="/")
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    found = json.loads(done.stdout)
    if not all(found["heard"]):
        raise RuntimeError(f"neither let in nor turned away: {found['heard']} of jobs, intake, events")
    return found


def needs_root():
    if os.getuid() != 0:
        raise SkipTest("needs root")
    done = subprocess.run(["setpriv", f"--reuid={NOBODY}", "--clear-groups", sys.executable, "-c",
                           "import zmq, msgpack"], capture_output=True, check=False, cwd="/")
    if done.returncode:
        raise SkipTest("another user has no zmq and msgpack here")
