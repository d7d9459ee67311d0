#!/usr/bin/python3
"""libbursar as a program of somebody else's sees it: the manual's examples, compiled and run."""

import http.server
import os
import pathlib
import re
import shutil
import select
import signal
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from building import build_folder, build_setting
from harness import ROOT, Child, Daemon, Endpoint, bound_to_us, limit, run
from machine import PATIENCE_S
from scene import make_secret, put, record, scaled, types_of, until

EXAMPLES = ROOT / "doc" / "examples"
MANUAL = ROOT / "man" / "libbursar.3"
MANY = scaled(1000, 200)
PROBES = 6


# --- building


class Built:
    """The programs, made in a folder of its own with nothing of the tree but the public headers."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="blib"))
        shutil.copytree(ROOT / "include" / "bursar", self.dir / "include" / "bursar")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def make(self, source):
        """(what the compiler said where it failed, or None; the program)."""
        target = self.dir / pathlib.Path(source).stem
        library = build_folder() / "lib" / ".libs"
        command = [*build_setting("CC"), "-std=c11", "-pedantic", "-D_POSIX_C_SOURCE=200809L", "-g",
                   "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror",
                   *build_setting("SANITIZE_CFLAGS"), *build_setting("CURL_CFLAGS"),
                   f"-I{self.dir / 'include'}", "-o", str(target), str(source),
                   f"-L{library}", f"-Wl,-rpath,{library}", "-lbursar", *build_setting("CURL_LIBS"),
                   "-pthread"]
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)
        return (done.stderr.decode(errors="replace") if done.returncode else None), target

    def get(self, source):
        trouble, target = self.make(source)
        if trouble:
            raise RuntimeError(trouble)
        return target


def example(t, name):
    return t.use(Built()).get(EXAMPLES / f"{name}.c")


def driver(t):
    return t.use(Built()).get(ROOT / "tests" / "e2e" / "library" / "driver.c")


# --- running


def environment(d):
    return {**os.environ, "BURSAR_ENDPOINT": d.jobs, "BURSAR_EVENTS_ENDPOINT": d.events_endpoint}


def call(d, command, *args, timeout=PATIENCE_S):
    """Runs a program to its end: (status, what it printed), which must hold no secret."""
    done = subprocess.run(bound_to_us([str(command), *map(str, args)]), timeout=timeout,
                          stdin=subprocess.DEVNULL, capture_output=True, env=environment(d),
                          check=False)
    text = done.stdout.decode(errors="replace")
    with open(d.path("library.captured"), "ab") as file:
        file.write(done.stdout + done.stderr)
    if done.stderr:
        text += "stderr: " + done.stderr.decode(errors="replace")
    return done.returncode, text


class Running:
    """A program that is told and heard while it runs."""

    def __init__(self, d, command, *args):
        self.captured = open(d.path("library.captured"), "ab")
        self.child = Child([str(command), *map(str, args)], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=self.captured, env=environment(d),
                           bufsize=0)  # select() sees what no reader has taken

    def line(self):
        text = self.child.proc.stdout.readline()
        self.captured.write(text)
        return text.decode().rstrip("\n")

    def has_line(self, timeout):
        return bool(select.select([self.child.proc.stdout], [], [], timeout)[0])

    def tell(self, text="\n"):
        self.child.proc.stdin.write(text.encode())
        self.child.proc.stdin.flush()

    def status(self, timeout=PATIENCE_S):
        return self.child.wait(timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.end(10, signal.SIGKILL)
        self.captured.close()


def report(line):
    """`ok 3 tokens 1` as a mapping."""
    words = line.split()
    return dict(zip(words[::2], words[1::2]))


class Api:
    """A provider's API on loopback: 200 for tokens that are taken, else the refusal's status."""

    def __init__(self, takes, refusal=401):
        self.seen, self.statuses, lock = [], [], threading.Lock()
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                with lock:
                    api.seen.append(token)
                    status = api.statuses.pop(0) if api.statuses else None
                self.send_response(status or (200 if takes(token) else refusal))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 256

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def start(t, **provider):
    sim = t.use(Endpoint(prefix="LIBR"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(**provider),
                                    "plain": {"kind": "static"}}}))
    return sim, d, d.client()


# --- the manual


def blocks(page):
    """The literal blocks of a page, as a reader sees them."""
    found = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", page, re.MULTILINE | re.DOTALL)
    return [re.sub(r"^\\&", "", block, flags=re.MULTILINE).replace("\\e", "\\") for block in found]


def test_manual(t):
    page = MANUAL.read_text()
    sources = sorted((p for p in EXAMPLES.glob("*.c") if p.stem != "broker"))
    t.ok(len(sources) >= 6, "there are examples")
    t.eq(sorted(blocks(page)), sorted(s.read_text() for s in sources),
         "the examples of the manual are those files, word for word")
    header = (ROOT / "include" / "bursar" / "client.h").read_text()
    names = set(re.findall(r"\b(bursar_\w+)\(", re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)))
    t.ok(len(names) > 40, "the header has functions", sorted(names))
    t.eq(sorted(n for n in names if not re.search(rf"^\.F[on] {n}\b", page, re.MULTILINE)), [],
         "every function of client.h is in the manual")
    built = t.use(Built())
    for source in sources:
        trouble, _ = built.make(source)
        t.ok(trouble is None, f"{source.name} compiles with the public headers", trouble)


# --- one call after the other


def test_vend(t):
    sim, d, c = start(t)
    put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    vend = example(t, "vend")
    t.eq(call(d, vend, "o", "acme", "alice"), (0, "oauth2, generation 1\n"), "a token")
    c.ask("invalidate", owner="o", provider="acme", account="alice", generation=1)
    t.eq(call(d, vend, "o", "acme", "alice"), (0, "oauth2, generation 2\n"), "a newer one")
    status, text = call(d, vend, "o", "acme", "bob")
    t.ok(status == 1 and text.startswith("not_connected: "), "none", text)
    t.eq(call(d, vend, "o")[0], 2, "wrong usage")


@limit(120)
def test_lookup(t):
    """Five answers where there is no credential, and the scopes of one that there is."""
    sim, d, c = start(t)
    lookup = example(t, "lookup")
    put(c, sim.issue("alice", ttl=3600), lives_s=3600, scopes=["read", "write"])
    c.ask("credential.put", owner="o", provider="plain", account="key",
          secret={"kind": "bearer", "token": make_secret("tok")})
    dead = sim.issue("dead")
    sim.revoke(grant_id=dead["grant_id"])
    put(c, dead)  # expired, and refused when it is refreshed
    t.eq(call(d, lookup, "o", "acme", "alice"), (0, "found: a Bearer token\n"), "found")
    answers = [
        (("o", "nobody", "alice"), "no such provider here: "),
        (("o", "plain", "key"), "not an OAuth credential: "),
        (("o", "acme", "nobody"), "please connect: "),
        (("other", "acme", "alice"), "please connect: "),
        (("o", "acme", "dead"), "please connect again: "),
        (("o", "acme", "down"), "not now: "),
    ]
    for args, answer in answers:
        if args[2] == "down":
            sim.script(*[{"status": 503}] * 20)
            put(c, sim.issue("down"))
        status, text = call(d, lookup, *args)
        t.ok(status == 1 and text.startswith(answer), f"{' '.join(args)}: {answer}", text)
    t.eq(call(d, lookup, "o", "acme", "alice", "admin", "write")[0], 0, "one scope of two")
    t.eq(call(d, lookup, "o", "acme", "alice", "admin", "delete"),
         (1, "failed: needs at least one of admin, delete; granted: read, write\n"), "none of two")


def test_guard(t):
    """Whom the daemon knows is what the library says, whatever the daemon has to say."""
    _, d, c = start(t)
    guard = example(t, "guard")
    who, may = c.ask("whoami"), c.call("principal.is_operator", email="a@example.com", scope="x")
    status, text = call(d, guard, "a@example.com", "x")
    first, second = text.splitlines()
    t.eq(first, f"we are {who['principal']}", "the principal")
    if not may["ok"]:
        expected = f"{may['error']['code']}: {may['error']['message']}"
    elif may["is_operator"]:
        expected = "a@example.com may"
    else:
        expected = 'forbidden: a@example.com is no operator for "x"'
    t.eq((status, second), (0 if may.get("is_operator") else 1, expected), "an operator or not")


def test_events(t):
    sim, d, c = start(t)
    with Running(d, example(t, "events"), PROBES + 2, "connected/", "reauth/") as events:
        def probe(turn):
            put(c, sim.issue(f"probe {turn}", ttl=3600), lives_s=3600)
        t.eq(events.line(), "listening", "it subscribes")
        # PUB drops what comes before it has heard of the subscription, and tells nobody of that; all that is
        # behind the first that comes must come.
        for turn in range(PROBES):
            probe(turn)
            if events.has_line(5):
                break
        first = int(re.fullmatch(r"connected probe (\d+)", events.line())[1])
        for more in range(turn + 1, first + PROBES):
            probe(more)
        t.eq([events.line() for _ in range(PROBES - 1)],
             [f"connected probe {first + i}" for i in range(1, PROBES)], "the subscription works")
        grant = sim.issue("alice", ttl=3600)
        put(c, grant, lives_s=3600)
        sim.revoke(grant_id=grant["grant_id"])
        c.code("refresh", owner="o", provider="acme", account="alice", force=True)
        t.eq((events.line(), events.line()), ("connected alice", "reauth alice"), "they come")
        t.eq(events.status(), 0, "and it ends")


# --- a refused credential


def current_of(sim):
    def takes(token):
        known = sim.lookup(token)
        return bool(known and known["kind"] == "at" and known["current"])
    return takes


def test_refused(t):
    sim, d, c = start(t)
    send, api = example(t, "send"), t.use(Api(current_of(sim)))
    args = (api.url, "o", "acme", "alice")
    grant = sim.issue("alice", ttl=3600)
    connection = put(c, grant, lives_s=3600)
    t.eq(call(d, send, *args), (0, "status 200\n"), "a token that is taken")
    t.eq((len(api.seen), len(sim.journal())), (1, 0), "one request")
    api.statuses = [401]
    t.eq(call(d, send, *args), (0, "status 200, sent twice\n"), "one that was refused")
    t.eq((len(api.seen), len(sim.journal())), (3, 1), "two requests and one refresh")
    t.eq(api.seen[1], grant["access_token"], "the old one was sent")
    t.ok(api.seen[2] != api.seen[1] and sim.lookup(api.seen[2])["current"], "then the new one")
    t.eq(record(c, connection)["generation"], 2, "of the second generation")
    api.statuses = [401, 401]
    t.eq(call(d, send, *args), (1, "status 401, sent twice\n"), "refused a second time")
    t.eq((len(api.seen), len(sim.journal())), (5, 2), "is not sent a third time")
    api.statuses = [403]
    t.eq(call(d, send, *args), (1, "status 403\n"), "a status that is no refusal")
    sim.revoke(grant_id=grant["grant_id"])
    api.statuses = [401]
    status, text = call(d, send, *args)
    t.ok(status == 1 and text.startswith("needs_reauth: ") and text.endswith("status 401\n"),
         "no other is to be had: the refusal stays", text)
    t.eq(len(api.seen), 7, "one request")
    t.eq(types_of(c, connection)[-1], "reauth", "and the owner is told")


def test_refused_static(t):
    """A secret that nobody can refresh is refused: its owner must put another one."""
    _, d, c = start(t)
    token = make_secret("tok")
    c.ask("credential.put", owner="o", provider="plain", secret={"kind": "bearer", "token": token})
    api = t.use(Api(lambda given: False))
    status, text = call(d, example(t, "send"), api.url, "o", "plain")
    t.ok(status == 1 and text.startswith("needs_reauth: ") and text.endswith("status 401\n"),
         "dead", text)
    t.eq(api.seen, [token], "one request")


def test_refused_threads(t):
    """However many are refused at once: each is sent twice at most, and one refresh is made."""
    sim, d, c = start(t)
    program_ = driver(t)
    for round_, (refusal, named) in enumerate([(401, ()), (419, (498, 419))]):
        grant = sim.issue(f"a{round_}", ttl=3600)
        put(c, grant, lives_s=3600)
        old = grant["access_token"]
        api = t.use(Api(lambda token, old=old: token != old, refusal))
        before = len(sim.journal())
        status, text = call(d, program_, "threads", api.url, "o", "acme", f"a{round_}", 32, *named)
        found = report(text)
        t.eq((status, found.get("good")), (0, "32"), f"{refusal}: all 32 threads are served")
        t.eq(found["most"], "2", "by two requests at most")
        t.eq(int(found["sent"]), len(api.seen), "which the API has seen")
        t.eq(len(sim.journal()) - before, 1, "with one refresh")
        t.eq(len(set(api.seen)), 2, "two tokens in all")
    api = t.use(Api(lambda token: False, 419))
    status, text = call(d, program_, "threads", api.url, "o", "acme", "a0", 1)
    t.eq(report(text)["sent"], "1", "a status that is not named is no refusal")


def test_refused_budget(t):
    sim, d, c = start(t)
    program_, api = driver(t), t.use(Api(current_of(sim)))
    put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    args = (program_, "budget", api.url, "o", "acme", "alice", 3)
    api.statuses = [401, 503, 503]
    t.eq(call(d, *args)[1], "attempts 3 sent 4 status 200 error ok\n",
         "three attempts beside the one for the refusal")
    api.statuses = [401, 503, 401]
    t.eq(call(d, *args)[1], "attempts 2 sent 3 status 401 error ok\n",
         "a second refusal of the same request is the answer")
    t.eq(len(sim.journal()), 2, "one refresh for each request")


def test_given_up(t):
    sim, d, c = start(t)
    program_, api = driver(t), t.use(Api(current_of(sim)))
    put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    args = (program_, "give-up", api.url, "o", "acme", "alice")
    api.statuses = [401]
    t.eq(call(d, *args)[1], "attempts 1 sent 1 status 401 error ok\n", "not sent again")
    t.eq((len(api.seen), len(sim.journal())), (1, 0), "nor is anything refreshed for it")


def test_own_source(t):
    """No daemon at all."""
    _, d, _ = start(t)
    source, file = example(t, "source"), pathlib.Path(d.path("etc/token"))
    d.stop()
    t.eq(call(d, source, file)[1], "not_connected: there is no token file\n", "its own error")
    file.write_text("12345678\n")
    t.eq(call(d, source, file), (0, "status 200\n"), "its own token")
    file.write_text("123\n")
    t.eq(call(d, source, file), (1, "status 401, sent twice\n"), "asked again for another")


# --- jobs without waiting


def test_async_example(t):
    sim, d, c = start(t)
    for name in ("a", "b"):
        put(c, sim.issue(name, ttl=3600), lives_s=3600)
    program_ = example(t, "async")
    t.eq(call(d, program_, "o", "acme", "a", "b"), (0, "2 of 2\n"), "two")
    status, text = call(d, program_, "o", "acme", "a", "x", "b")
    t.ok(status == 1 and text.startswith("not_connected: ") and text.endswith("2 of 3\n"),
         "and one that is not there", text)


@limit(180)
def test_async_many(t):
    sim, d, c = start(t)
    for i in range(MANY):
        put(c, sim.issue(f"many-{i}", ttl=3600), lives_s=3600)
    status, text = call(d, driver(t), "many", "o", "acme", MANY)
    n = str(MANY)
    t.eq((status, report(text.splitlines()[-1])),
         (0, {"done": n, "once": n, "ok": n, "named": n, "tokens": n, "generation": "1-1",
              "error": "ok"}), f"{MANY} jobs, each with its own answer")


@limit(180)
def test_async_herd(t):
    sim, d, c = start(t)
    sim.script({"hold": "gate"})
    put(c, sim.issue("alice", ttl=3600))
    with Running(d, driver(t), "herd", "o", "acme", "alice", MANY) as herd:
        t.eq(herd.line(), "submitted", f"{MANY} vends of one expired secret")
        t.ok(sim.wait_requests(1), "the call is made")
        until(lambda: c.ask("status")["providers"]["acme"]["queue"] >= MANY, "all wait")
        sim.release("gate")
        n = str(MANY)
        t.eq(report(herd.line()), {"done": n, "once": n, "ok": n, "named": n, "tokens": "1",
                                   "generation": "2-2", "error": "ok"}, "all get the same new one")
        t.eq(herd.status(), 0, "and it ends")
    t.eq(len(sim.journal()), 1, "one token request")


@limit(120)
def test_async_cancel(t):
    sim, d, c = start(t)
    sim.script({"hold": "gate"})
    put(c, sim.issue("alice", ttl=3600))
    with Running(d, driver(t), "cancel", "o", "acme", "alice", 100) as herd:
        t.eq(herd.line(), "submitted", "100 vends")
        t.ok(sim.wait_requests(1), "the call is made")
        herd.tell()
        t.eq(herd.line(), "cancelled 50", "half of them are cancelled")
        sim.release("gate")
        t.eq(report(herd.line()), {"done": "50", "once": "50", "ok": "50", "named": "50",
                                   "tokens": "1", "generation": "2-2", "error": "ok"},
             "the others are answered, and no function of a cancelled one is called")
        t.eq(herd.status(), 0, "and it ends")


@limit(180)
def test_async_restart(t):
    """The daemon is killed under a herd: the vends are asked again of the next one."""
    sim, d, c = start(t, rotation="reuse_grace", reuse_grace_s=60)
    sim.options(rotation="grace:60")
    sim.script({"hold": "gate", "hold_at": "before"})
    put(c, sim.issue("alice", ttl=3600))
    with Running(d, driver(t), "herd", "o", "acme", "alice", 200) as herd:
        t.eq(herd.line(), "submitted", "200 vends")
        t.ok(sim.wait_requests(1), "the call is made")
        until(lambda: c.ask("status")["providers"]["acme"]["queue"] >= 200, "all wait")
        d.kill()
        sim.release("gate")
        t.ok(sim.wait_done(1), "its reply is lost")  # before the next one is sent, whose token is the provider's
        d.start()
        found = report(herd.line())
        t.eq((found["done"], found["once"], found["ok"], found["tokens"], found["error"]),
             ("200", "200", "200", "1", "ok"), "all are answered, once")
        t.eq(herd.status(), 0, "and it ends")
    t.ok(sim.lookup(c.ask("vend", owner="o", provider="acme", account="alice")
                    ["secret"]["access_token"])["current"], "with the provider's token")


run([test_manual, test_vend, test_lookup, test_guard, test_events, test_refused,
     test_refused_static, test_refused_threads, test_refused_budget, test_given_up,
     test_own_source, test_async_example, test_async_many, test_async_herd, test_async_cancel,
     test_async_restart])
