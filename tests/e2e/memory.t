#!/usr/bin/python3
"""What a look into the daemon's memory, or a core of it, would find of the secrets that went through it."""

import os
import re
import resource
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from building import module
from costing import curl_keeps
from harness import Daemon, Endpoint, SkipTest, run
from scene import SANITIZED, make_secret, put, until, wait_generation

CHUNK = 1 << 20
OVERLAP = 4096


def needs_root():
    if os.getuid() != 0:
        raise SkipTest("needs root: the daemon's memory is nobody else's")
    if SANITIZED:
        raise SkipTest("a sanitizer keeps what was freed")


def mappings(pid):
    """(start, end, name, flags) of what can be read; flags as in VmFlags (`dd`: left out of core files)."""
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as file:
        text = file.read()
    for block in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", text):
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", block)
        if not head or not head[3].startswith("r") or head[4] in ("[vvar]", "[vsyscall]"):
            continue
        flags = re.search(r"^VmFlags: (.*)$", block, re.MULTILINE)
        yield int(head[1], 16), int(head[2], 16), head[4], flags[1].split() if flags else []


def found_in(pid, values, in_core=True):
    """{value: [mapping names]} for each value that stands somewhere in the memory of a process."""
    found = {}
    pattern = re.compile(b"|".join(re.escape(v.encode()) for v in sorted(values)))
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, name, flags in list(mappings(pid)):
            if in_core and "dd" in flags:
                continue
            tail, at = b"", start
            while at < end:
                try:
                    memory.seek(at)
                    data = memory.read(min(CHUNK, end - at))
                except OSError:
                    break  # a guard page
                if not data:
                    break
                at += len(data)
                for match in pattern.finditer(tail + data):
                    found.setdefault(match[0].decode(), set()).add(name or "(anonymous)")
                tail = data[-OVERLAP:]
    return found


def use_all(t, sim, d):
    """Each way that a secret can go: put, vended, refreshed, refused, exported, invalidated."""
    c = d.client()
    grant = sim.issue("alice", ttl=3600)
    connection = put(c, grant, lives_s=3600)
    for _ in range(3):
        c.ask("vend", owner="o", connection=connection)
    for generation in (2, 3):
        c.ask("refresh", owner="o", connection=connection, force=True)
        wait_generation(c, connection, generation)
    last = c.ask("vend", owner="o", connection=connection, include=["refresh_token"])
    c.ask("connection.export", owner="o", connection=connection)
    sim.script({"status": 400, "body": {"error": "invalid_grant"}})
    c.code("refresh", owner="o", connection=connection, force=True)
    token = make_secret("plain")
    c.ask("credential.put", owner="o", provider="plain", secret={"kind": "bearer", "token": token})
    c.ask("vend", owner="o", provider="plain")
    big = make_secret("x" * 9000)
    c.ask("credential.put", owner="o", provider="plain", account="big",
          secret={"kind": "bearer", "token": big})
    c.ask("vend", owner="o", provider="plain", account="big")
    bad = make_secret("bad")
    t.eq(c.code("credential.put", owner="o", provider="plain", account="bad",
                secret={"kind": "no-such", "token": bad}), "bad_request", "a bad put")
    c.close()
    return {token, big[-20:], bad, grant["access_token"], grant["refresh_token"],
            last["secret"]["access_token"], last["secret"]["refresh_token"]}


def start(t):
    sim = t.use(Endpoint(prefix="MEM"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(), "plain": {"kind": "static"}}}))
    return sim, d


def test_memory_after_use(t):
    needs_root()
    sim, d = start(t)
    known = use_all(t, sim, d) | set(sim.all_secrets())
    t.ok(found_in(d.pid, {"acme"}), "the search finds what is there")
    t.ok(found_in(d.pid, {sim.client_secret}, in_core=False),
         "and the client's secret, which is in use, in the locked arena")
    # ZeroMQ's own thread sees the end of a connection a moment later; its last frames go with it.
    t.ok(until(lambda: not found_in(d.pid, known), "none of it in memory"),
         "no secret that went through it is left in what a core would hold")
    rest = found_in(d.pid, known - {sim.client_secret}, in_core=False)
    t.eq(rest, {}, "nor anywhere else, the client's own one aside")


def test_headers_of_replies(t):
    """libcurl keeps header lines for as long as a handle is kept for the next request: not these."""
    needs_root()
    sim, d = start(t)
    c = d.client()
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    told, secret = make_secret("told"), [make_secret("cookie"), make_secret("header") + "x" * 300]
    sim.script({"headers": {"Via": told}})
    sim.script({"headers": {"Set-Cookie": f"sid={secret[0]}"}})
    sim.script({"headers": {"X-Session": secret[1]}})
    for generation in (2, 3, 4):
        c.ask("refresh", owner="o", connection=connection, force=True)
        wait_generation(c, connection, generation)
        # The worker wipes what it has read behind the answer.
        t.ok(until(lambda: not found_in(d.pid, set(secret), in_core=False), "wiped"),
             f"no secret of a header after generation {generation}")
        if generation == 2 and curl_keeps():
            t.ok(found_in(d.pid, {told}, in_core=False), "while what anybody is told is with the handle that is kept")
    c.close()


def test_no_core(t):
    """A forced end leaves no core, and what is locked would not be in one."""
    needs_root()
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        _, d = start(t)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    with open(f"/proc/{d.pid}/limits", encoding="utf-8") as file:
        t.ok(re.search(r"Max core file size +0 +0 ", file.read()), "cores are switched off")
    t.ok(any({"dd", "lo"} <= set(flags) and end - begin >= 4 << 20
             for begin, end, _, flags in mappings(d.pid)), "the arena is locked and left out of cores")
    d.child.send(signal.SIGABRT)
    t.eq(d.wait_exit(), -signal.SIGABRT, "it was aborted")
    t.eq([name for name in os.listdir(d.dir) if "core" in name], [], "and left no core")


def test_no_ambient_files(t):
    """What whoever starts it has open is not there for the daemon."""
    if SANITIZED:
        raise SkipTest("a sanitizer opens files of its own")
    reader, writer = os.pipe()
    t.cleanup(os.close, reader)
    os.set_inheritable(writer, True)
    d = Daemon({"providers": {"plain": {"kind": "static"}}}, start=False)
    t.use(d)
    d.popen["pass_fds"] = (writer,)
    d.start()
    os.close(writer)
    t.eq(os.read(reader, 1), b"", "the other end of a pipe is closed")


def sandboxed(t, mode=None):
    """A daemon with a module that starts a program as soon as it is asked for a token."""
    folder = module(t, build="execl(\"/bin/true\", \"true\", (char *)NULL);", head="#include <unistd.h>")
    config = {"connectors": {"modules": [folder]},
              "providers": {"m": {"kind": "mine", "token_url": "https://a.example/"}}}
    d = Daemon({**config, **({"sandbox": mode} if mode else {})})
    t.cleanup(d.close, None)
    return d


def test_sandbox(t):
    if SANITIZED:
        raise SkipTest("no sandbox under a sanitizer")
    with open("/proc/self/status", encoding="utf-8") as file:
        if "Seccomp:\t" not in file.read():
            raise SkipTest("this kernel filters no system calls")
    d = sandboxed(t)
    t.eq((d.proc("Seccomp"), d.proc("NoNewPrivs")), (2, 1), "a filter holds, and no new privileges")
    for task in os.listdir(f"/proc/{d.pid}/task"):
        with open(f"/proc/{d.pid}/task/{task}/status", encoding="utf-8") as file:
            t.ok("Seccomp:\t2" in file.read(), f"in thread {task} too")
    c = d.client()
    c.send("credential.put", owner="o", provider="m", secret={"kind": "oauth2", "access_token": make_secret("m")},
           expires_at=1)
    c.send("vend", owner="o", provider="m")
    t.eq(d.wait_exit(), -signal.SIGSYS, "a program that is started ends the daemon")
    number = {"x86_64": 59, "aarch64": 221}.get(os.uname().machine, "[0-9]+")
    d.wait_log(rf"a system call that it never needs was refused, and it ends; number {number}$")
    t.ok(True, "and the log says which call it was")


def test_sandbox_off(t):
    if SANITIZED:
        raise SkipTest("no sandbox under a sanitizer")
    d = t.use(Daemon({"sandbox": "off", "providers": {"plain": {"kind": "static"}}}))
    t.eq(d.proc("Seccomp"), 0, "no filter where the configuration says so")


run([test_memory_after_use, test_headers_of_replies, test_no_core, test_no_ambient_files, test_sandbox, test_sandbox_off])
