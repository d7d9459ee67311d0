#!/usr/bin/python3
"""What people do: look for a provider, fill in its form, have a key checked, ask what is wrong."""

import http.server
import json
import os
import pty
import select
import sys
import termios
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import ROOT, Child, Daemon, Endpoint, cli, limit, program, run, secrets
from machine import PATIENCE_S
from scene import edit, events_of, make_secret, record, rows, until, wait_state

CATALOG = str(ROOT / "workers" / "catalog")


class KeyDesk(http.server.ThreadingHTTPServer):
    """A provider that says of a key whether it is good: /me with `X-Key`."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), KeyHandler)
        self.answers, self.script, self.seen = {}, {}, []  # script: what comes before the answer
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class KeyHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        key = self.headers.get("X-Key")
        self.server.seen.append((self.path, key))
        script = self.server.script.get(key)
        status, body = script.pop(0) if script else self.server.answers.get(
            key, (401, {"error": "bad_key", "message": "no"}))
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


FORM = [{"name": "api_key", "label": "API key", "type": "password", "placeholder": "sk-…"},
        {"name": "site", "label": "Site", "type": "text", "required": False, "default": "me"}]


def key_provider(desk, **over):
    return {"kind": "api_key", "display_name": "Key Desk", "form": FORM,
            "apply": [{"in": "header", "name": "X-Key", "value": "{api_key}"}],
            "validate": {"url": desk.url + "/{site}", "username_path": "$.login",
                         "metadata": {"org": "$.org.name"}}, **over}


def good(desk, name="KEY", body=None, status=200):
    key = make_secret(name)
    desk.answers[key] = (status, body or {"login": "alice", "org": {"name": "Acme"}})
    return key


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, daemon, *args):
        self.master, slave = pty.openpty()
        command = [*program("bursar", "BURSAR"), *args[:1], "--endpoint", daemon.jobs, *args[1:]]
        self.child = Child(command, stdin=slave, stdout=slave, stderr=slave,
                           env={**os.environ, "LC_ALL": "C.UTF-8"})
        os.close(slave)
        self.text = ""

    def expect(self, needle, timeout=PATIENCE_S):
        """Waits for a text behind what was expected before; gives what came until then."""
        ends = time.monotonic() + timeout
        while needle not in self.text:
            left = max(0, ends - time.monotonic())
            if not select.select([self.master], [], [], left)[0]:
                raise AssertionError(f"no {needle!r}, but {secrets.mask(self.text)!r}")
            try:
                self.text += os.read(self.master, 4096).decode(errors="replace")
            except OSError as error:  # EIO: the other side is closed
                raise AssertionError(f"ended at {secrets.mask(self.text)!r}") from error
        before, _, self.text = self.text.partition(needle)
        return before

    def echoes(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def answer(self, prompt, line, is_hidden=False):
        """Types a line at a prompt; gives whether the terminal showed it."""
        self.expect(prompt)
        ends = time.monotonic() + PATIENCE_S  # the prompt is there just before the echo goes
        while is_hidden and self.echoes() and time.monotonic() < ends:
            select.select([], [], [], 0.005)
        shown = self.echoes()
        os.write(self.master, line.encode() + b"\n")
        return shown

    def end(self):
        """The exit status, and all that is still to be read."""
        while True:
            try:
                data = os.read(self.master, 4096)
            except OSError:
                break
            if not data:
                break
            self.text += data.decode(errors="replace")
        return self.child.wait(PATIENCE_S), self.text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.end(1)
        os.close(self.master)


def validate(daemon, fields, *args, provider="desk"):
    status, out, err = cli(daemon, "validate", provider, *args, stdin=json.dumps(fields))
    return status, out, err


# ---- connectors ------------------------------------------------------------------------------------

@limit(60)
def test_connectors(t):
    desk = t.use(KeyDesk())
    d = t.use(Daemon({"connectors": {"catalog": [CATALOG]},
                      "providers": {"desk": key_provider(desk)}}))
    status, out, err = cli(d, "connectors")
    lines = out.splitlines()
    t.eq((status, err), (0, ""), "the list")
    t.ok(lines and lines[0].split() == ["ID", "NAME", "CATEGORY", "KIND"], "has a head")
    t.ok(len(lines) > 500, "and every provider of the catalogue", f"{len(lines)}")
    t.eq([line.split()[0] for line in lines[1:]], sorted(line.split()[0] for line in lines[1:]),
         "in order")
    status, out, _ = cli(d, "connectors", "--configured")
    t.eq((status, len(out.splitlines())), (0, 2), "the configured ones alone")
    t.ok(out.splitlines()[1].startswith("desk ") and out.rstrip().endswith("configured"),
         "are marked", out)
    status, out, _ = cli(d, "connectors", "--search", "gitHUB")
    t.ok(status == 0 and "github" in out and "stripe" not in out, "a search")
    status, out, _ = cli(d, "connectors", "desk")
    t.ok(status == 0 and "Key Desk" in out and "API key" in out, "all of one", out)
    status, out, _ = cli(d, "connectors", "--json", "desk")
    shown = json.loads(out)["connector"]
    t.eq([f["name"] for f in shown["form_schema"]], ["api_key", "site"], "with its form as JSON")
    status, _, err = cli(d, "connectors", "githb")
    t.ok(status == 1 and "unknown_provider" in err and "github" in err, "a near name", err)


# ---- validate --------------------------------------------------------------------------------------

@limit(60)
def test_validate(t):
    desk = t.use(KeyDesk())
    d = t.use(Daemon({"providers": {"desk": key_provider(desk)}}))
    key = good(desk)
    status, out, err = validate(d, {"api_key": key})
    t.eq((status, out.splitlines(), err),
         (0, ["valid", "provider_username: alice", "org  Acme"], ""), "a good key")
    t.eq(desk.seen, [("/me", key)], "one request, with the default of the form in its URL")
    status, out, _ = validate(d, {"fields": {"api_key": key, "site": "other"}})
    t.eq((status, desk.seen[-1][0]), (0, "/other"), "a field in the URL")
    t.eq(rows(d, "SELECT count(*) FROM connection"), [(0,)], "nothing is stored")
    bad = make_secret("BAD")
    status, out, _ = validate(d, {"api_key": bad})
    t.eq((status, out.splitlines()[0]), (1, "not valid"), "a bad key")
    status, out, _ = validate(d, {"api_key": good(desk, "LIM", {"error": "slow"}, 429)})
    t.eq((status, out.splitlines()), (0, ["valid", "message: valid, but limited now"]), "a limited one")
    status, _, err = validate(d, {"api_key": good(desk, "ODD", b"<html>", 503)})
    t.ok(status == 1 and "provider_unavailable" in err and "could not be checked" in err,
         "one that cannot be checked", err)
    for fields, words in (({}, "API key is required"), ({"api_key": " "}, "API key is required"),
                          ({"site": "x"}, "API key is required")):
        status, _, err = validate(d, fields)
        t.ok(status == 1 and "invalid_credential" in err and words in err, f"{fields}: {words}", err)
    before = len(desk.seen)
    status, _, err = validate(d, {"api_key": key, "host": "h"})
    t.ok(status == 1 and "bad_request" in err and "no field host" in err, "an unknown field", err)
    t.eq(len(desk.seen), before, "is not asked about")
    for text, words in (("[1]", "not an object"), ("{", "not JSON")):
        status, _, err = cli(d, "validate", "desk", stdin=text)
        t.ok(status == 2 and words in err, f"input {text}", err)
    status, _, err = validate(d, {"api_key": key}, provider="nobody")
    t.ok(status == 1 and "unknown_provider" in err, "an unknown provider", err)


@limit(60)
def test_validate_without_a_way(t):
    desk = t.use(KeyDesk())
    plain = {k: v for k, v in key_provider(desk).items() if k != "validate"}
    sim = t.use(Endpoint(prefix="PEOP"))
    d = t.use(Daemon({"providers": {"plain": plain, "acme": sim.provider()}}))
    c = d.client()
    t.eq(c.code("connector.validate", provider="plain", fields={"api_key": make_secret("K")}),
         "unsupported_op", "a provider without `validate`")
    t.eq(c.code("connector.validate", provider="acme", fields={"access_token": "x"}),
         "unsupported_op", "one that people consent to")


@limit(60)
def test_validate_groups(t):
    desk = t.use(KeyDesk())
    form = [{"name": "api_key", "label": "Key", "group": "API key"},
            {"name": "username", "label": "User", "type": "text", "group": "User"},
            {"name": "password", "label": "Password", "group": "User"}]
    d = t.use(Daemon({"providers": {"desk": key_provider(desk, form=form,
                                                         validate={"url": desk.url + "/me"})}}))
    c = d.client()

    def said(**fields):
        reply = c.call("connector.validate", provider="desk", fields=fields)
        return reply.get("valid") if reply["ok"] else reply["error"]["message"]

    t.eq(said(api_key=good(desk)), True, "one way is enough")
    t.eq(said(), "Key (API key) is required", "none is not")
    t.eq(said(username="u"), "Password (User) is required", "a touched one must be whole")
    t.eq(said(api_key=good(desk), password="p"), "User (User) is required", "beside another too")


# ---- put -------------------------------------------------------------------------------------------

@limit(60)
def test_put_on_a_terminal(t):
    desk = t.use(KeyDesk())
    d = t.use(Daemon({"providers": {"desk": key_provider(desk)}}))
    c, key = d.client(), good(desk)
    terminal = t.use(Terminal(d, "put", "o", "desk/main"))
    shown = terminal.answer("API key, such as sk-…: ", key, is_hidden=True)
    t.ok(not shown, "a password has no echo")
    t.ok(terminal.answer("Site [me]: ", "there"), "another field has")
    status, text = terminal.end()
    t.ok(status == 0 and " generation 1" in text, "it is stored", text)
    t.ok(key not in text, "and nowhere to be seen")
    reply = c.ask("vend", owner="o", provider="desk", account="main")
    t.eq((reply["secret"]["kind"], reply["secret"]["api_key"], reply["secret"]["fields"]),
         ("api_key", key, {"site": "there"}), "as the form has it")
    terminal = t.use(Terminal(d, "put", "o", "desk/other"))
    terminal.answer("sk-…: ", "", is_hidden=True)
    terminal.answer("[me]: ", "")
    status, text = terminal.end()
    t.ok(status == 1 and "API key is required" in text, "a rule", text)
    t.eq(c.code("vend", owner="o", provider="desk", account="other"), "not_connected",
         "nothing is stored then")


@limit(60)
def test_put_as_before(t):
    sim = t.use(Endpoint(prefix="PEOQ"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    grant = sim.issue("a", ttl=3600)
    terminal = t.use(Terminal(d, "put", "o", "acme"))
    terminal.answer("[oauth2]: ", "")
    t.ok(not terminal.answer("access_token: ", grant["access_token"], is_hidden=True),
         "a provider without a form is asked for a kind's parts")
    terminal.answer("refresh_token (or nothing): ", grant["refresh_token"], is_hidden=True)
    terminal.answer("expires_in (or nothing): ", "3600")
    status, text = terminal.end()
    t.ok(status == 0 and "generation 1" in text, "and stored", text)


@limit(60)
def test_put_fields_from_a_pipe(t):
    desk = t.use(KeyDesk())
    d = t.use(Daemon({"providers": {"desk": key_provider(desk)}}))
    c, key = d.client(), good(desk)
    status, _, err = cli(d, "put", "o", "desk", stdin=json.dumps({"api_key": key, "site": "s"}))
    t.eq((status, err), (0, ""), "the fields of the form as an object")
    t.eq(c.ask("vend", owner="o", provider="desk")["secret"]["fields"], {"site": "s"}, "are stored")
    status, _, err = cli(d, "put", "o", "desk", stdin=json.dumps({"site": "s"}))
    t.ok(status == 1 and "API key is required" in err, "by its rules", err)
    status, _, err = cli(d, "put", "o", "desk", stdin=json.dumps({"nonsense": "s"}))
    t.ok(status == 2 and "fields of this provider's form" in err, "an unknown shape", err)
    status, out, _ = cli(d, "put", "o", "desk/b",
                         stdin=json.dumps({"kind": "api_key", "api_key": good(desk)}))
    t.ok(status == 0 and "generation 1" in out, "a secret as it is stays one")


# ---- stored keys, again ----------------------------------------------------------------------------

@limit(60)
def test_freeze_on_a_terminal(t):
    """How many that would be is shown, and asked whether to go on."""
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}}}))
    c = d.client()
    for i in range(3):
        c.ask("credential.put", owner="o", provider="plain", account=f"a{i}",
              secret={"kind": "bearer", "token": make_secret("T")})
    terminal = t.use(Terminal(d, "freeze", "--owner", "o"))
    t.ok("3 connections" in terminal.expect("freeze them all? [y/N]"), "how many")
    terminal.answer(": ", "n")
    status, text = terminal.end()
    t.ok(status == 1 and "nothing was changed" in text, "no", text)
    t.eq(c.ask("status")["connections"]["FROZEN"], 0, "and nothing was")
    terminal = t.use(Terminal(d, "freeze", "--owner", "o"))
    terminal.answer("[y/N]: ", "y")
    status, text = terminal.end()
    t.ok(status == 0 and "3 of 3" in text and "done: 3 of 3 done, 3 changed" in text, "yes", text)
    t.eq(c.ask("status")["connections"]["FROZEN"], 3, "frozen")


def test_recheck(t):
    desk = t.use(KeyDesk())
    d = t.use(Daemon({"providers": {"desk": key_provider(desk, recheck_s=3600, confirm_after_s=1)}}))
    c = d.client()
    keys = {name: good(desk, name.upper()) for name in ("fine", "gone", "busy", "away", "young")}
    ids = {name: c.ask("credential.put", owner=name, provider="desk",
                       secret={"kind": "api_key", "api_key": key, "fields": {"site": "me"}})
           ["connection"] for name, key in keys.items()}
    t.eq(desk.seen, [], "what was just put is not checked again")
    del desk.answers[keys["gone"]]
    desk.answers[keys["busy"]] = (429, {})
    desk.answers[keys["away"]] = (503, b"away")
    d.stop()
    edit(d, "UPDATE connection SET issued_at = issued_at - 7200 WHERE owner <> 'young'")
    d.start()
    c = d.client()
    found = wait_state(c, ids["gone"], "NEEDS_REAUTH", owner="gone")
    t.eq(found["reason"], "invalidated", "a refused key is as one that was invalidated")
    t.eq(c.code("vend", owner="gone", provider="desk"), "needs_reauth", "and not vended")
    event = events_of(c, type="reauth")[0]
    t.eq((event["owner"], event["reason"]["http_status"]), ("gone", 401), "its owner is told")
    until(lambda: len(desk.seen) >= 5, "all are asked")
    t.eq(sorted(key for _, key in desk.seen),
         sorted([key for name, key in keys.items() if name != "young"] + [keys["gone"]]),
         "each old one is asked once, the one that is refused twice")
    for name in ("fine", "busy", "away", "young"):
        t.eq(record(c, ids[name], name)["state"], "ACTIVE", f"{name} stays")
        t.eq(c.ask("vend", owner=name, provider="desk")["secret"]["api_key"], keys[name],
             f"{name} is vended")
    t.eq(len(events_of(c, type="reauth")), 1, "one event in all")


@limit(60)
def test_recheck_confirms(t):
    """One refusal ends nothing: neither one that is taken back, nor one that cannot be confirmed."""
    desk = t.use(KeyDesk())
    d = t.use(Daemon({"providers": {"desk": key_provider(desk, recheck_s=3600, confirm_after_s=1)}}))
    c = d.client()
    names = ("mistake", "silence", "replaced")
    keys = {name: good(desk, name.upper()) for name in names}
    ids = {name: c.ask("credential.put", owner=name, provider="desk",
                       secret={"kind": "api_key", "api_key": key, "fields": {"site": "me"}})
           ["connection"] for name, key in keys.items()}
    fine = desk.answers[keys["mistake"]]
    desk.script = {keys["mistake"]: [(401, {})], keys["silence"]: [(401, {}), (503, {}), (401, {})],
                   keys["replaced"]: [(401, {})]}
    d.stop()
    edit(d, "UPDATE connection SET issued_at = issued_at - 7200")
    d.start()
    c = d.client()
    until(lambda: any(key == keys["replaced"] for _, key in desk.seen), "the first look")
    new = good(desk, "NEW")
    c.ask("credential.put", owner="replaced", provider="desk",
          secret={"kind": "api_key", "api_key": new, "fields": {"site": "me"}})
    wait_state(c, ids["silence"], "NEEDS_REAUTH", owner="silence")
    asked = [key for _, key in desk.seen]
    t.eq(asked.count(keys["silence"]), 3, "a look that says nothing is made again")
    until(lambda: [key for _, key in desk.seen].count(keys["mistake"]) >= 2, "the second look")
    t.eq(desk.answers[keys["mistake"]], fine, "which finds the key good")
    d.round_trip()
    for name in ("mistake", "replaced"):
        t.eq(record(c, ids[name], name)["state"], "ACTIVE", f"{name} stays")
    t.eq(asked.count(new), 0, "of a key that was replaced there is no second look")
    t.eq(len(events_of(c, type="reauth")), 1, "one owner is told")


# ---- doctor ----------------------------------------------------------------------------------------

def doctor(daemon, *args, config=True):
    """Exit status and the findings of `bursar doctor`, as [(level, about, what)]."""
    where = ["--config", daemon.config_file] if config else []
    status, out, err = cli(daemon, "doctor", "--json", *where, *args)
    if err:
        raise AssertionError(err)
    report = json.loads(out)
    if report["ok"] != (status == 0):
        raise AssertionError("ok and the exit status differ")
    return status, [(f["level"], f["about"], f["what"]) for f in report["findings"]]


def found(findings, level, about, words):
    return any(f[0] == level and f[1] == about and words in f[2] for f in findings)


@limit(90)
def test_doctor_when_all_is_well(t):
    desk = t.use(KeyDesk())
    d = t.use(Daemon({"connectors": {"catalog": [CATALOG]},
                      "providers": {"desk": key_provider(desk)}}))
    c = d.client()
    c.ask("credential.put", owner="o", provider="desk",
          secret={"kind": "api_key", "api_key": good(desk)})
    status, findings = doctor(d)
    t.eq(status, 0, "nothing is wrong")
    t.eq([f for f in findings if f[0] == "fail"], [], "no line says so")
    t.ok(found(findings, "ok", "configuration", "no errors"), "the configuration")
    t.ok(found(findings, "ok", "keyring", "mode 600"), "the keyring")
    t.ok(found(findings, "ok", "connections", "1 ACTIVE"), "the connections")
    status, out, _ = cli(d, "doctor", "--config", d.config_file)
    t.ok(status == 0 and out.rstrip().endswith("0 wrong") and "\nok " not in "\n" + out,
         "in text what is well is only counted", out)
    status, out, _ = cli(d, "doctor", "--config", d.config_file, "--all")
    t.ok("ok    daemon: it answers" in out.splitlines(), "but for --all", out)


@limit(90)
def test_doctor_of_files(t):
    d = t.use(Daemon())
    keyring = d.path("etc/keyring")
    os.chmod(keyring, 0o640)
    status, findings = doctor(d)
    t.ok(status == 1 and found(findings, "fail", "keyring", "mode 640"), "a keyring that others read",
         findings)
    os.chmod(keyring, 0o600)
    os.chmod(d.dir, 0o777)
    status, findings = doctor(d)
    os.chmod(d.dir, 0o700)
    t.ok(status == 1 and found(findings, "fail", "store", "mode 777") and
         found(findings, "fail", "sockets", "mode 777"), "folders that others write", findings)
    d.configure({"connectors": {"catalog": [d.path("nowhere")]}})
    status, findings = doctor(d)
    t.ok(status == 0 and found(findings, "warn", "catalogue", "nowhere"), "a folder that is not there")
    os.rename(keyring, keyring + "x")
    status, findings = doctor(d)
    os.rename(keyring + "x", keyring)
    t.ok(status == 1 and found(findings, "fail", "keyring", "No such file"), "no keyring")
    d.configure({"providers": {"x": {"kind": "oauth2_refresh", "token_ur": "https://a.example"}},
                 "lisen": {}})
    status, findings = doctor(d)
    errors = [f for f in findings if f[1] == "configuration" and f[0] == "fail"]
    t.ok(status == 1 and len(errors) >= 2, "each error of the configuration", findings)
    d.configure({})
    status, findings = doctor(d, "--config", d.path("nothing.yaml"), config=False)
    t.ok(status == 1 and found(findings, "fail", "configuration", "No such file"), "no such file")


@limit(90)
def test_doctor_of_a_daemon(t):
    desk = t.use(KeyDesk())
    sim = t.use(Endpoint(prefix="DOCT"))
    broken = sim.provider(client_secret="wrong-" + make_secret("S"))
    d = t.use(Daemon({"providers": {"desk": key_provider(desk, experimental=True),
                                    "idle": key_provider(desk), "acme": broken},
                      "auth": {"still": {"kind": "static", "token": make_secret("STILL")}},
                      "connectors": {"experimental": True}}))
    c = d.client()
    key = c.ask("credential.put", owner="o", provider="desk",
                secret={"kind": "api_key", "api_key": good(desk)})["connection"]
    c.call("invalidate", owner="o", connection=key)
    wait_state(c, key, "NEEDS_REAUTH")
    grant = sim.issue("a", ttl=3600)
    c.ask("credential.put", owner="o", provider="acme",
          secret={"kind": "oauth2", "access_token": grant["access_token"],
                  "refresh_token": grant["refresh_token"]})
    t.eq(c.code("refresh", owner="o", provider="acme", force=True), "client_rejected",
         "our client is refused")
    status, findings = doctor(d)
    t.eq(status, 1, "something is wrong")
    t.ok(found(findings, "fail", "acme", "refuses our client"), "a client that is refused", findings)
    t.ok(found(findings, "fail", "acme", "incident"), "is an incident")
    t.ok(found(findings, "warn", "desk", "experimental"), "an experimental entry")
    t.ok(found(findings, "warn", "idle", "nobody is connected"), "a provider without connections")
    t.ok(not found(findings, "warn", "desk", "nobody"), "but not one with some")
    t.ok(found(findings, "warn", "@still", "unused: no job has named it"), "a shared one that is not used")
    t.ok(found(findings, "warn", "connections", f"o {key}"), "a dead grant, by its name")
    changed = dict(d.config["providers"])
    changed["later"] = changed.pop("idle")
    d.config["providers"] = {}
    d.configure({"providers": changed, "auth": d.config["auth"],
                 "connectors": {"experimental": True}})
    status, findings = doctor(d)
    t.ok(found(findings, "warn", "later", "daemon does not have it") and
         found(findings, "warn", "idle", "not in the configuration"), "a restart that is due")
    d.stop()
    status, findings = doctor(d)
    t.ok(status == 1 and found(findings, "fail", "daemon", d.jobs), "no daemon", findings)
    t.ok(not any(make in str(findings) for make in desk.answers), "and never a secret")


if __name__ == "__main__":
    run([test_connectors, test_validate, test_validate_without_a_way, test_validate_groups,
         test_put_on_a_terminal, test_freeze_on_a_terminal, test_put_as_before,
         test_put_fields_from_a_pipe, test_recheck, test_recheck_confirms,
         test_doctor_when_all_is_well, test_doctor_of_files, test_doctor_of_a_daemon])
