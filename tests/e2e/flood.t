#!/usr/bin/python3
"""A client that floods, never reads or sends halves harms only itself: a thousand connections of one
principal, on ipc and on tcp with CURVE, while another one goes on being served."""

import json
import os
import resource
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
import zmq
from bound import Bound
from harness import Child, Endpoint, SkipTest, first_line, limit, run
from machine import LONG_MS, PATIENCE_S
from scene import SANITIZED, SLOW, make_secret, put, scaled, until

NOBODY = 65534
CONNECTIONS = scaled(1000, 100)
SECONDS = 2.5
LIMITS = {"max_in_flight": 200, "max_per_second": 2000, "max_unread_bytes": 4 << 20}
SERVED_MS = 4000 * SLOW  # each job of the other one, at worst; usually less than one

# One attack in a process of its own, as it would be; it says when all its connections are there, and ends
# when its input does.
ATTACK = r"""
import json, resource, select, socket, sys, time
import msgpack, zmq
spec = json.loads(sys.stdin.readline())
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
context = zmq.Context(); context.set(zmq.MAX_SOCKETS, 4096)
job = {"op": "vend", "id": 1, "owner": "evil", "provider": "plain"}
body = msgpack.packb(job)
ends = time.monotonic() + spec["seconds"]
held = []

def opened(hwm=1000):
    sock = context.socket(zmq.DEALER)
    sock.linger, sock.sndhwm, sock.rcvhwm = 0, 1000, hwm
    if "server" in spec:
        sock.curve_serverkey, sock.curve_publickey, sock.curve_secretkey = (
            spec[k].encode() for k in ("server", "public", "secret"))
    sock.connect(spec["endpoint"])
    return sock

def raw():
    kind, _, where = spec["endpoint"].partition("://")
    if kind == "ipc":
        sock = socket.socket(socket.AF_UNIX); sock.connect(where)
    else:
        host, _, port = where.rpartition(":"); sock = socket.create_connection((host, int(port)))
    return sock

sent = got = 0
def ready():
    print(json.dumps({"ready": True}), flush=True)

if spec["attack"] == "flood":
    socks = [opened() for _ in range(spec["connections"])]
    ready()
    while time.monotonic() < ends:
        for sock in socks:
            for _ in range(4):
                try:
                    sock.send_multipart([b"", body], zmq.DONTWAIT); sent += 1
                except zmq.Again:
                    break
            while True:
                try:
                    sock.recv_multipart(zmq.DONTWAIT); got += 1
                except zmq.Again:
                    break
elif spec["attack"] == "deaf":
    socks = [opened(hwm=1) for _ in range(spec["connections"])]
    ready()
    while time.monotonic() < ends:
        for sock in socks:
            try:
                sock.send_multipart([b"", body], zmq.DONTWAIT); sent += 1
            except zmq.Again:
                pass
else:
    greeting = b"\xff" + b"\0" * 8 + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + b"\0" * 31
    command = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x06DEALER"
    for i in range(spec["connections"]):
        sock = raw(); held.append(sock)
        if i % 3 == 0:
            sock.sendall(greeting[:20])
        elif i % 3 == 1:
            sock.sendall(greeting)
        else:  # on ipc: a frame of 1 MiB, and half of it
            sock.sendall(greeting + command)
            sock.setblocking(False)
            try:
                sock.send(b"\x03" + (1 << 20).to_bytes(8, "big") + b"x" * 100000); sent += 1
            except OSError:
                pass
    ready()
    time.sleep(max(0, ends - time.monotonic()))
print(json.dumps({"sent": sent, "got": got}), flush=True)
sys.stdin.read()
"""


def attack(t, b, kind, transport):
    """Starts one; gives the child once its connections are made."""
    spec = {"attack": kind, "connections": CONNECTIONS, "seconds": SECONDS}
    command = [sys.executable, "-c", ATTACK]
    if transport == "ipc":
        spec["endpoint"] = b.d.jobs
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
    else:
        public, secret = (k.decode() for k in b.keys["evil"])
        spec.update(endpoint=b.tcp, server=b.server, public=public, secret=secret)
    child = Child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
    t.cleanup(child.end, 5, 9)
    child.proc.stdin.write(json.dumps(spec).encode() + b"\n")
    child.proc.stdin.flush()
    return child


def served(client, seconds):
    """How long each job of a well-behaved client took, in ms, for so many seconds."""
    took, ends = [], time.monotonic() + seconds
    while time.monotonic() < ends:
        begin = time.monotonic()
        client.ask("vend", owner="good", provider="plain")
        took.append((time.monotonic() - begin) * 1000)
    return sorted(took)


def start(t):
    if os.getuid() != 0:
        raise SkipTest("needs root: one of the two is another user")
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 3 * CONNECTIONS:
        raise SkipTest("too few files may be open here")
    evil = {"uids": [NOBODY], **LIMITS}
    sim = t.use(Endpoint(prefix="FLOOD"))
    b = Bound(t, ["good", "evil"], {"providers": {"plain": {"kind": "static"}, "slow": sim.provider()},
                                    "log": {"level": "info"}}, more={"evil": evil})
    os.chmod(b.d.dir, 0o755)
    good, evil = b.client("good"), b.client("evil")
    for client, owner in ((good, "good"), (evil, "evil")):
        client.ask("credential.put", owner=owner, provider="plain",
                   secret={"kind": "bearer", "token": make_secret("x" * 1000)})
        client.ask("vend", owner=owner, provider="plain")
    return sim, b, good


@limit(120)
def test_floods(t):
    sim, b, good = start(t)
    before = b.d.rss_kib()
    for transport in ("ipc", "tcp"):
        for kind in ("flood", "deaf", "half"):
            what = f"{kind}, {CONNECTIONS} connections on {transport}"
            for _ in range(3):  # where the machine does much else, one of them may be late for that
                child = attack(t, b, kind, transport)
                first_line(child, PATIENCE_S, "the attack")
                took = served(good, SECONDS / 2)
                if took[-1] <= SERVED_MS:
                    break
                first_line(child, PATIENCE_S, "its end")
                child.end(PATIENCE_S)
            t.le(took[-1], SERVED_MS, f"{what}: the other one is served, every time")
            t.diag(f"{what}: {len(took)} jobs of the other one, median {took[len(took) // 2]:.2f} ms,"
                   f" p99 {took[len(took) * 99 // 100]:.2f} ms, worst {took[-1]:.1f} ms;"
                   f" {b.d.rss_kib() // 1024} MiB")
            if not SANITIZED:  # which keeps what was freed
                # A third of the connections have begun frames of a MiB; the rest is a thousand buffers.
                t.le(b.d.rss_kib(), before + 450 * 1024, "and memory is bounded")
            t.diag(f"it says: {first_line(child, PATIENCE_S, 'its end')}")
            child.proc.stdin.close()
            child.wait(PATIENCE_S)
    t.eq(good.code("vend", owner="good", provider="plain"), "ok", "and all goes on")
    again = b.client("evil")
    t.ok(until(lambda: again.code("whoami") == "ok", "it is served", every=0.5),
         "the one who did it is served again, too, once its jobs are through")
    # A busy machine may not have so many jobs a second in it: jobs that wait are at their bound on any.
    sim.script({"hold": "gate"})
    connection = put(b.d.client(), sim.issue("evil", ttl=3600), owner="evil", provider="slow")
    while not again.wait(0):
        again.send("vend", owner="evil", connection=connection, deadline_ms=LONG_MS)
    t.eq(again.recv()["error"]["code"], "overloaded", "who has too many that wait is refused")
    sim.release("gate")
    t.ok("a principal is at its bound" in b.d.log(), "the log says whose bound it was")


run([test_floods])
