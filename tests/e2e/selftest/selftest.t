#!/usr/bin/python3
"""The helpers' own checks: TAP, client, events, daemon, providers, the search for secrets."""

import base64
import http.client
import io
import json
import os
import pathlib
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
FAKE = f"/usr/bin/python3 {shlex.quote(str(HERE / 'fake.py'))}"
os.environ.update(BURSARD=f"{FAKE} bursard", BURSAR=f"{FAKE} bursar")

# pylint: disable=wrong-import-position
import harness
import leaks
import tap
from harness import (Daemon, Endpoint, Idp, NoReply, Refused, Sim, SkipTest, cli, fan,
                     fingerprint, leak_check, limit, put_secret, run, secrets)
from machine import PATIENCE_S

FORM = "application/x-www-form-urlencoded"


class Browser:
    """A plain HTTP/1.1 client of a token endpoint that keeps its connection."""

    def __init__(self, sim):
        info = sim.info if isinstance(sim, (Sim, Idp)) else vars(sim)
        self.info = {k: info[k] for k in ("token_url", "client_id", "client_secret")}
        self.http = http.client.HTTPConnection(urllib.parse.urlsplit(info["token_url"]).netloc,
                                               timeout=PATIENCE_S)

    def send(self, token, secret=None):
        pair = f"{self.info['client_id']}:{secret or self.info['client_secret']}"
        headers = {"Content-Type": FORM,
                   "Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        body = urllib.parse.urlencode({"grant_type": "refresh_token", "refresh_token": token})
        self.http.request("POST", "/token", body, headers)

    def receive(self):
        reply = self.http.getresponse()
        body = reply.read()
        return reply.status, body

    def refresh(self, token, **kwargs):
        self.send(token, **kwargs)
        status, body = self.receive()
        return status, json.loads(body)

    def breaks(self, token):
        """True where the connection ends without a reply."""
        try:
            self.send(token)
            self.receive()
            return False
        except (ConnectionError, http.client.BadStatusLine):
            self.http.close()
            return True


class CountedSim(Sim):
    def cpu_s(self):
        """The processor time that it has had."""
        with open(f"/proc/{self._child.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lines_of(tests, **kwargs):
    """What a TAP run of its own prints, and its exit status."""
    out = io.StringIO()
    try:
        tap.run(tests, tap=tap.Tap(out=out, mask=secrets.mask), argv=[], **kwargs)
    except SystemExit as end:
        return out.getvalue(), end.code
    return out.getvalue(), None


def test_tap(t):
    cleaned = []

    def good(tt):
        tt.cleanup(cleaned.append, "good")
        tt.ok(True, "fine")
        tt.eq(1, 1, "equal # too")

    def bad(tt):
        secrets.add("hunter2-hunter2")
        tt.eq("hunter2-hunter2", "x", "unequal")

    def empty(_):
        pass

    def broken(tt):
        tt.cleanup(cleaned.append, "broken")
        raise ValueError("oh")

    @limit(0.5)
    def slow(tt):
        tt.ok(True, "begun")
        threading.Event().wait(30)

    def skipped(_):
        raise SkipTest("not here")

    text, code = lines_of([good], timeout=60)
    t.eq((text.splitlines()[:2], code), (["ok 1 - fine", "ok 2 - equal \\# too"], 0), "a good run")
    t.ok("\n1..2\n" in text, "has a plan")
    for test, sign in ((bad, "not ok 1 - unequal"), (empty, "empty: checked nothing"),
                       (broken, "not ok 1 - broken: ValueError: oh")):
        text, code = lines_of([test], timeout=60)
        t.ok(sign in text and code == 1, f"a run fails: {test.__name__}", text)
        t.ok("hunter2" not in text, "without a secret")
    start = time.monotonic()
    text, code = lines_of([slow, good], timeout=60)
    t.ok("not ok 2 - slow: not done in 0.5 s" in text and "ok 3 - fine" in text and code == 1,
         "a slow test is ended and the next one runs", text)
    t.le(time.monotonic() - start, 29, "in time")
    text, code = lines_of([skipped], timeout=60)
    t.ok("ok 1 - skipped # SKIP not here" in text and code == 0, "a skipped test", text)
    t.eq(cleaned, ["good", "broken", "good"], "cleaned up after each")


def test_client(t):
    d = t.use(Daemon())
    c = d.client()
    reply = c.call("hello", owner="o", left_out=None)
    t.eq(reply["echo"], {"op": "hello", "id": 1, "owner": "o"}, "a job goes there and back")
    t.eq(c.raw(b"\xc1")["error"]["code"], "bad_request", "raw bytes")
    t.eq(len(c.frames([b"proxy", b"", b"\xc1"])), 3, "any frames")
    ids = [c.send("n", n=n) for n in range(500)]
    t.eq([c.recv_id(i)["echo"]["n"] for i in reversed(ids)], list(reversed(range(500))),
         "500 jobs under way, replies taken in another order")
    t.eq(c.code("refuse"), "not_found", "an error's code")
    try:
        c.ask("refuse")
        t.fail("ask raises")
    except Refused as refused:
        t.eq(refused.code, "not_found", "ask raises")
    replies = fan(d.clients(50), "x", each=4)
    t.eq((len(replies), {r["echo"]["id"] for r in replies}), (200, {1, 2, 3, 4}),
         "50 clients, 4 jobs each")
    try:
        c.recv(0.05)
        t.fail("nothing more comes")
    except NoReply:
        t.ok(True, "nothing more comes")


def test_events(t):
    d = t.use(Daemon())
    c, events = d.client(), d.events()
    some = d.events(topics=["reauth/"])
    for kind in ("connected", "refreshed", "reauth"):
        c.ask("event", type=kind)
    t.eq(events.expect("reauth")["seq"], 3, "the third is waited for")
    t.eq(events.expect("connected", seq=1)["owner"], "a b", "the first is still there")
    t.eq(some.expect("reauth", where=lambda e: e["seq"] == 3)["type"], "reauth", "by prefix")
    t.ok(events.expect_none("revoked", 0.1), "none of another kind")
    t.eq((events.gaps(), events.wrong_topics, events.count("refreshed")), ([], [], 1), "no gap")
    with d.push() as intake:
        intake.send("invalidate", owner="o")
    t.eq(events.expect("invalidate")["seq"], 4, "the intake takes jobs")
    c.ask("event", type="x", jump=2, topic="wrong/topic")
    events.expect("x")
    t.eq((events.gaps(), events.wrong_topics), ([(4, 6)], [("wrong/topic", "x/a%20b/p/p.1")]),
         "a gap and a wrong topic are seen")
    try:
        events.expect("never", timeout=0.1)
        t.fail("waiting in vain ends")
    except NoReply as no:
        t.ok("refreshed" in str(no), "waiting in vain ends and says what came")
    d.kill()
    d.start()
    events.wait_connected()
    c.ask("event", type="again")
    t.eq(events.expect("again")["seq"], 1, "a subscriber lives through a restart")


def test_daemon(t):
    d = t.use(Daemon({"providers": {"p": {"kind": "static"}}}))
    t.ok(d.running() and d.rss_kib() > 1000 and d.open_files() > 3, "it runs")
    t.eq(d.notified, ["READY=1", "STATUS=fine"], "it said so")
    t.ok(len(d.path("events")) < 60, "short socket paths")
    config = json.loads(pathlib.Path(d.config_file).read_text())
    t.eq((config["providers"], config["connectors"]),
         ({"p": {"kind": "static"}}, {"allow_http_loopback": True}), "the configuration, merged")
    offset = len(d.log())
    threading.Timer(0.2, lambda: d.client().call("log", text="hello log")).start()
    t.eq(d.wait_log("hello (.*)", since=offset)[1], "log", "a line of the log is waited for")
    first = d.pid
    d.restart()
    t.ok(d.pid != first and d.client().ask("ping"), "restarted")
    t.eq(d.kill(), -signal.SIGKILL, "killed")
    t.ok(not d.running(), "and gone")
    d.start()
    d.client().send("exit", status=7)
    t.eq(d.wait_exit(), 7, "it ends by itself")
    d.configure({"exit_status": 3})
    d.start()
    try:
        d.stop()
        t.fail("a wrong exit status is a failure")
    except AssertionError as error:
        t.ok("ended with 3" in str(error), "a wrong exit status is a failure")
    d.configure({"wrong": 1})
    try:
        d.start()
        t.fail("a failed start is a failure")
    except RuntimeError as error:
        t.ok("exit status: 2" in str(error) and "no such key" in str(error),
             "a failed start shows the log")
    status, out, err = cli(d, "vend", "owner", "conn", stdin="typed")
    told = {"arguments": ["vend", "--endpoint", d.jobs, "owner", "conn"], "stdin": "typed"}
    t.eq((status, json.loads(out), err), (4, told, "said on stderr\n"), "the command")
    folder = d.dir
    d.close()
    t.ok(not os.path.exists(folder), "nothing stays")


def test_daemon_ends_with_us(t):
    """A test that is killed leaves no daemon behind."""
    script = ("import sys; sys.path.insert(0, sys.argv[1])\n"
              "from harness import Daemon\nd = Daemon()\nprint(d.pid, d.dir, flush=True)\n"
              "sys.stdin.read()")
    child = harness.Child([sys.executable, "-c", script, str(HERE.parent)],
                          stdin=harness.subprocess.PIPE, stdout=harness.subprocess.PIPE)
    pid, folder = child.proc.stdout.readline().decode().split()
    fd = os.pidfd_open(int(pid))
    child.end(PATIENCE_S, signal.SIGKILL)
    ended = harness.select.select([fd], [], [], PATIENCE_S)[0]
    os.close(fd)
    shutil.rmtree(folder)
    t.ok(ended, "the daemon ended with the test")


def test_leaks(t):
    folder = tempfile.mkdtemp(prefix="leaktest")
    t.cleanup(shutil.rmtree, folder)
    value = "s3cret+/=%value~" + os.urandom(6).hex()
    secrets.add(value)
    raw = value.encode()
    forms = {"plain": raw, "url": urllib.parse.quote(value, safe="").encode(),
             "url-lower": urllib.parse.quote(value, safe="").lower().encode(),
             "base64-0": base64.b64encode(raw), "base64-1": base64.b64encode(b"a" + raw + b"z"),
             "base64-2": base64.b64encode(b"id" + raw + b"zz"),
             "base64url": base64.urlsafe_b64encode(b"id:" + raw), "hex": raw.hex().encode(),
             "HEX": raw.hex().upper().encode(), "json": json.dumps(value).encode(),
             "innocent": b"s3cret but not the value", "allowed/input": raw}
    os.mkdir(os.path.join(folder, "allowed"))
    for name, data in forms.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"\0\xff before " + data + b" after\n")
    found = leak_check(folder, ["allowed"])
    names = sorted({name.split(" ")[0] for name in found})
    t.eq(names, sorted(set(forms) - {"innocent", "allowed/input"}), "each form is found")
    t.ok(value not in " ".join(found), "and not repeated")
    t.ok("allowed/input (plain)" in leak_check(folder), "what is not excluded counts")
    t.ok(value not in secrets.mask(f"x {value} y"), "masked")

    d = t.use(Daemon())
    sim = t.use(Endpoint(prefix="LEAK"))
    token = sim.issue()["access_token"]
    d.client().call("log", text=f"token={token}")
    d.client().call("x", secret={"access_token": token}, fields=None)
    d.close()
    problems = list(harness._problems)
    harness._problems.clear()
    t.eq(problems, [f"a secret stands in {name} (plain)" for name in ("log", "replies.captured")],
         "closing a daemon tells (the echo repeats the job; the secret itself is not captured)")
    d = t.use(Daemon())
    d.client().call("log", text="ERROR: AddressSanitizer: heap-use-after-free")
    d.close()
    t.eq(harness._problems, ["sanitizer: ERROR: AddressSanitizer: heap-use-after-free"],
         "a sanitizer's report is a failure")
    harness._problems.clear()


def test_rotation(t):
    with Endpoint(prefix="ROT") as sim:
        b, g = Browser(sim), sim.issue("alice", ttl=30, scope="read")
        t.ok(g["refresh_token"].startswith("ROT-rt-"), "tokens have their prefix")
        status, one = b.refresh(g["refresh_token"])
        t.eq((status, one["expires_in"], one["scope"]), (200, 30, "read"), "strict: rotated")
        t.eq(b.refresh(g["refresh_token"])[1]["error"], "invalid_grant", "strict: reuse")
        t.eq(b.refresh(one["refresh_token"])[1]["error"], "invalid_grant", "strict: family dead")
        counts = sim.grant(g["grant_id"])
        t.eq((counts["requests"], counts["ok"], counts["reuse"], counts["alive"]), (3, 1, 1, False),
             "strict: counts")
        t.eq([e["outcome"] for e in sim.journal()], ["rotated", "reuse", "dead"], "strict: journal")
        t.eq(sim.journal()[0]["fp"], fingerprint(g["refresh_token"]), "the journal: fingerprints")
        t.ok(g["refresh_token"] not in json.dumps(sim.journal()), "and no token")
        found = sim.lookup(one["access_token"])
        t.eq((found["kind"], found["generation"], found["current"]), ("at", 2, True), "lookup")
        t.eq(b.refresh("unknown", secret="wrong")[0], 401, "a wrong client secret")
        t.ok(set((one["access_token"], g["refresh_token"])) <= set(secrets.all()), "all are known")
        h = sim.issue(rotation="grace:3600")
        first = b.refresh(h["refresh_token"])[1]["refresh_token"]
        again = b.refresh(h["refresh_token"])[1]["refresh_token"]
        t.ok(first != again and b.refresh(first)[0] == 200, "grace: a second use is fine")
        with sim._changed:
            sim._ledger.tokens[h["refresh_token"]]["used_at"] -= 3601
        t.eq(b.refresh(h["refresh_token"])[0], 400, "grace: too late")
        t.ok(not sim.grant(h["grant_id"])["alive"], "grace: then dead")
        n = sim.issue(rotation="none")
        t.ok("refresh_token" not in b.refresh(n["refresh_token"])[1]
             and b.refresh(n["refresh_token"])[0] == 200, "none: the token stays")
        sim.revoke(token=n["refresh_token"])
        t.eq(b.refresh(n["refresh_token"])[0], 400, "revoked by the user")
        t.eq(sim.provider(rotation="unknown")["rotation"], "unknown", "configuration for bursar")
    t.ok(g["access_token"] in secrets.all(), "known when the endpoint has gone")


def test_scripts(t):
    with Endpoint(prefix="SCR") as sim:
        b, g = Browser(sim), sim.issue(rotation="none")
        token = g["refresh_token"]
        sim.script({"status": 503, "headers": {"Retry-After": "9"}, "body": "<html>no</html>"},
                   {"set": {"expires_in": "3600", "extra": 1}, "remove": ["token_type"]},
                   {"body": "", "status": 200}, {"pad": 2 << 20}, {"chunked": 7}, {"delay_s": 0.2})
        b.send(token)
        t.eq(b.receive(), (503, b"<html>no</html>"), "status and body")
        answer = b.refresh(token)[1]
        t.eq((answer["expires_in"], "token_type" in answer), ("3600", False), "members changed")
        b.send(token)
        t.eq(b.receive(), (200, b""), "an empty body")
        b.send(token)
        t.eq(len(b.receive()[1]), 2 << 20, "2 MiB")
        t.ok("access_token" in b.refresh(token)[1], "chunked")
        start = time.monotonic()
        t.ok(b.refresh(token)[0] == 200 and time.monotonic() - start >= 0.2, "delayed")
        sim.script({"truncate": 10}, {"raw": b"nonsense\r\n\r\n"})
        b.send(token)
        try:
            b.receive()
            t.fail("truncated")
        except http.client.IncompleteRead:
            t.ok(True, "truncated")
        b = Browser(sim)
        t.ok(b.breaks(token), "not HTTP at all")
        for reset in (False, True):
            s = sim.issue(rotation="strict")
            sim.script({"drop": "before", "reset": reset}, {"drop": "after", "reset": reset})
            t.ok(b.breaks(s["refresh_token"]), "dropped before")
            t.ok(not sim.lookup(s["refresh_token"])["used"], "nothing spent")
            t.ok(b.breaks(s["refresh_token"]), "dropped after")
            t.ok(sim.lookup(s["refresh_token"])["used"], "spent")
        wires = [entry["wire"] for entry in sim.journal()[-2:]]
        t.eq(wires, ["dropped before", "dropped after"], "journal")
        s = sim.issue("second")
        sim.script({"drop": "after", "match": {"min_on_connection": 2}})
        first = b.refresh(s["refresh_token"])[1]["refresh_token"]
        t.ok(b.breaks(first), "closed when the second request on a connection comes")
        t.eq(b.refresh(first)[1]["error"], "invalid_grant", "sending it again is a reuse")
        sim.script({"status": 500, "match": {"account": "nobody"}, "times": -1})
        t.eq(b.refresh(token)[0], 200, "only what matches")
        t.eq(sim.clear_script(), 1, "cleared")
        sim.on_request = lambda request: {"status": 418} if request.account == "second" else None
        b.send(s["refresh_token"])
        t.eq((b.receive()[0], b.refresh(token)[0]), (418, 200), "a hook decides")
        try:
            sim.script({"match": {"nonsense": 1}})
            t.fail("a wrong script is refused")
        except ValueError:
            t.ok(True, "a wrong script is refused")


def test_hold(t):
    with Endpoint(prefix="HOLD") as sim:
        grants = sim.issue_many(300)
        sim.script({"hold": "gate", "times": -1})
        browsers = [Browser(sim) for _ in grants]
        for b, g in zip(browsers, grants):
            b.send(g["refresh_token"])
        t.ok(sim.wait_requests(300), "300 connections wait")
        t.eq((sim.stats()["done"], sim.stats()["connections"]), (0, 300), "none is answered")
        browsers[0].http.close()
        sim.release("gate")
        t.eq([b.receive()[0] for b in browsers[1:]], [200] * 299, "released")
        t.ok(sim.wait_done(300), "all are done")
        t.eq([e["delivered"] for e in sim.journal() if e["grant"] == "g0"], [False],
             "what nobody was there for is not delivered")


@limit(120)
def test_speed(t):
    with CountedSim(prefix="FAST") as sim:
        tokens = [g["refresh_token"] for g in sim.issue_many(100)]
        browsers = [Browser(sim) for _ in tokens]
        start_s = time.process_time() + sim.cpu_s()
        for _ in range(20):
            for b, token in zip(browsers, tokens):
                b.send(token)
            tokens = [json.loads(b.receive()[1])["refresh_token"] for b in browsers]
        rate = 2000 / (time.process_time() + sim.cpu_s() - start_s)
        t.diag(f"{rate:.0f} requests a second of a processor's time, with who asks")
        t.ok(rate > 300, "fast enough")
        t.eq(sim.stats()["reuse"], 0, "no reuse")


def test_sim_process(t):
    sim = t.use(Sim(prefix="PROC", rotation="grace:30", token_tail="+/=&%"))
    g = sim.issue("alice", ttl=5)
    t.ok(g["refresh_token"].endswith("+/=&%"), "odd tokens")
    sim.script({"raw": b"\xff\xfe"})
    t.ok(Browser(sim).breaks(g["refresh_token"]), "scripts with bytes go over the wire")
    t.eq(Browser(sim).refresh(g["refresh_token"])[0], 200, "a refresh")
    t.ok(sim.wait_requests(2), "waited for")
    port = sim.info["port"]
    sim.restart()
    t.eq((sim.info["port"], len(sim.journal())), (port, 2), "restarted with its journal")
    t.eq(Browser(sim).refresh(g["refresh_token"])[0], 200, "and its grants")
    t.eq(sim.grant(g["grant_id"])["grace"], 1, "and its counts")
    t.eq(sim.provider()["rotation"], "reuse_grace", "configuration for bursar")
    t.ok(g["access_token"] in secrets.all(), "its tokens are known")
    try:
        sim.grant("nonsense")
        t.fail("a wrong call raises")
    except RuntimeError:
        t.ok(True, "a wrong call raises")
    sim.close()
    t.ok(g["access_token"] in secrets.all(), "known when it has gone")


@limit(120)
def test_idp(t):
    idp = t.use(Idp(access_ttl=7))
    g = idp.grant("alice")
    t.eq((g["expires_in"], g["token_type"]), (7, "Bearer"), "a real grant")
    t.eq(put_secret(g)["refresh_token"], g["refresh_token"], "as bursar takes it")
    b = Browser(idp)
    status, one = b.refresh(g["refresh_token"])
    t.eq(status, 200, "a refresh")
    t.eq(idp.grant_stats("alice")["ok"], 1, "counted")
    idp.faults({"kind": "status", "status": 500, "body": "{}"}, {"kind": "drop_after"})
    t.eq(b.refresh(one["refresh_token"])[0], 500, "a fault")
    t.ok(b.breaks(one["refresh_token"]), "another one")
    t.ok(one["refresh_token"] in secrets.all(), "rotated tokens are known")
    t.eq(len(idp.grants(50)), 50, "grants in bulk")
    h = idp.grants(1, account="bob")[0]
    t.ok(idp.revoke(h["refresh_token"])["revoked"], "a user revokes")
    t.eq(b.refresh(h["refresh_token"])[1]["error"], "invalid_grant", "dead")
    t.eq(idp.provider("odd")["client_id"], "bursar odd:client", "configuration for bursar")
    idp.close()
    t.ok(one["refresh_token"] in secrets.all(), "known when it has gone")


def test_forms(t):
    """No form of a secret is so short that it would be found everywhere."""
    forms = leaks.forms_of("12345678")
    t.ok(all(len(p) >= 8 for p in forms["plain"] | forms["hex"]), "lengths")
    try:
        secrets.add("short")
        t.fail("a short secret is refused")
    except ValueError:
        t.ok(True, "a short secret is refused")


run([test_tap, test_client, test_events, test_daemon, test_daemon_ends_with_us, test_leaks,
     test_forms, test_rotation, test_scripts, test_hold, test_speed, test_sim_process, test_idp])
