#!/usr/bin/python3
"""Providers, callbacks and modules that mean harm, or only go wrong in ways that nobody expects: what a
hostile reading of the code found, each once."""

import hashlib
import hmac
import os
import random
import re
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from building import module
from harness import Daemon, limit, run
from machine import LONG_MS
from provider_site import Site
from scene import database, make_secret, now, record, until, wait_state

CALLBACK = "https://app.example/cb"
TOKEN = {"access_token": "at-of-a-site", "token_type": "bearer", "refresh_token": "rt-of-a-site"}


def consented(site, **over):
    """An entry of a provider that people consent to in a browser."""
    return {"kind": "oauth2_authorization_code", "authorize_url": f"{site.url}/authorize",
            "token_url": f"{site.url}/token", "client_id": "ours",
            "client_secret": make_secret("client"), "client_auth": "client_secret_post",
            "redirect_uris": [CALLBACK], **over}


def on_device(site, **over):
    """The same on a device."""
    return {"kind": "oauth2_device", "device_url": f"{site.url}/device",
            "token_url": f"{site.url}/token", "client_id": "ours", "client_auth": "none", **over}


def device(expires_in=60, interval=1):
    """What /device answers."""
    return 200, {"device_code": "dc", "user_code": "UC", "verification_uri": "https://x.example/",
                 "expires_in": expires_in, "interval": interval}


def scene(t, entry, **more):
    d = t.use(Daemon({"providers": {"k": entry, **more}}))
    return d, d.client()


def put(c, owner="o", lives_s=3600):
    secret = {"kind": "oauth2", "access_token": make_secret("at"),
              "refresh_token": make_secret("rt")}
    return c.ask("credential.put", owner=owner, provider="k", secret=secret,
                 expires_at=now() + lives_s)["connection"]


def begin(c, **over):
    return c.ask("connect.begin", owner="o", provider="k", redirect_uri=CALLBACK, **over)


# ---- devices ---------------------------------------------------------------------------------------

@limit(60)
def test_device_expires(t):
    site = t.use(Site(device=device(expires_in=3), token=(400, {"error": "authorization_pending"})))
    _, c = scene(t, on_device(site))
    told = c.ask("connect.device", owner="o", provider="k")
    last = until(lambda: record(c, told["connection"]).get("last_refresh"), "the end")
    t.eq(last["error"], "expired_token", "a code that nobody used in time")


@limit(60)
def test_device_denied(t):
    site = t.use(Site(device=device(expires_in=600), token=(400, {"error": "access_denied"})))
    d, c = scene(t, on_device(site))
    connection = put(c)
    before = record(c, connection)
    c.ask("connect.device", owner="o", provider="k", reconnect=connection)
    d.wait_log("a device was not connected")
    after = until(lambda: record(c, connection) if "reason" in record(c, connection) else None,
                  "the trace")
    t.eq((after["state"], after["next_refresh_at"]), ("ACTIVE", before["next_refresh_at"]),
         "a no to a device leaves the connection planned as it was")


@limit(60)
def test_device_revoked(t):
    site = t.use(Site(device=device(), token=(200, TOKEN)))
    _, c = scene(t, on_device(site))
    connection = put(c)
    c.ask("connection.revoke", owner="o", connection=connection)
    t.eq(c.code("connect.device", owner="o", provider="k", reconnect=connection), "revoked",
         "nobody is asked for a connection that takes no secret")
    t.eq(site.count("device"), 0, "not even the provider")


@limit(90)
def test_store_down(t):
    """What a device has brought waits until the store can be written."""
    is_held = threading.Event()
    site = t.use(Site(device=device(expires_in=600), token=lambda _: (
        (200, {**TOKEN, "expires_in": 600}) if is_held.is_set() else (400, {"error": "authorization_pending"}))))
    d, c = scene(t, on_device(site))
    told = c.ask("connect.device", owner="o", provider="k")
    handle = database(d)
    handle.execute("BEGIN IMMEDIATE")
    is_held.set()  # it has its token then, and not before
    d.wait_log("store cannot be written")
    handle.execute("ROLLBACK")
    handle.close()
    t.eq(wait_state(c, told["connection"], "ACTIVE")["generation"], 1, "and it is kept")


# ---- replies ---------------------------------------------------------------------------------------

@limit(60)
def test_head(t):
    site = t.use(Site(check=(200, "x" * 100)))
    _, c = scene(t, {"kind": "api_key", "timeout_s": 3,
                     "validate": {"url": f"{site.url}/check", "method": "HEAD"}})
    reply = c.call("connector.validate", provider="k", fields={"api_key": make_secret("key")})
    t.ok(reply["ok"], "a reply to HEAD has a length and no body", reply)


@limit(60)
def test_echo(t):
    """A provider that repeats what it was sent."""
    secret, code = make_secret("client"), make_secret("code")

    def token(asked):
        said = f"bad secret {asked.form['client_secret']} for {asked.form.get('code')}"
        return 400, {"error": "invalid_client", "error_description": said}

    site = t.use(Site(token=token))
    d, c = scene(t, consented(site, client_secret=secret))
    reply = c.call("connect.complete", state=begin(c)["state"], code=code)
    t.ok(not reply["ok"] and secret not in repr(reply), "not in the answer")
    t.ok(secret not in d.log() and code not in d.log(), "nor in the log")


@limit(60)
def test_echo_of_a_refresh_token(t):
    token = make_secret("rt")
    site = t.use(Site(token=lambda asked: (
        400, {"error": "no such token " + asked.form["refresh_token"]})))
    d, c = scene(t, {"kind": "oauth2_refresh", "token_url": site.url + "/token", "client_id": "c"})
    c.ask("credential.put", owner="o", provider="k", expires_at=1,
          secret={"kind": "oauth2", "access_token": make_secret("at"), "refresh_token": token})
    reply = c.call("vend", owner="o", provider="k", deadline_ms=2000)
    t.ok(not reply["ok"] and token not in repr(reply), "not in the answer")
    t.ok(site.wait("token") and token not in d.log(), "nor in the log")


# ---- what leads where ------------------------------------------------------------------------------

@limit(60)
def test_callback_host(t):
    """A callback never says where our client's secret goes."""
    site, evil = (t.use(Site(token=(200, TOKEN))) for _ in range(2))
    entry = {**consented(site, callback_captures={"base": "base"}), "token_url": "{base}/token"}
    _, c = scene(t, entry)
    reply = c.call("connect.complete", state=begin(c)["state"], code="c1",
                   callback={"base": evil.url})
    t.ok(not reply["ok"], "it is refused", reply)
    t.eq(evil.count("token"), 0, "and nothing was sent there")


@limit(60)
def test_reply_host(t):
    """Nor does a reply."""
    evil = t.use(Site(token=(200, TOKEN)))
    site = t.use(Site(token=(200, {**TOKEN, "base": evil.url, "expires_in": 3600})))
    d, c = scene(t, consented(site, captures={"base": "$.base"}, refresh_url="{base}/token"))
    made = c.ask("connect.complete", state=begin(c)["state"], code="c1")["record"]
    t.ok(c.code("refresh", owner="o", connection=made["id"], force=True) != "ok", "no refresh")
    d.wait_log("refresh failed")
    t.eq(evil.count("token"), 0, "and nothing was sent there")


@limit(60)
def test_many_callbacks(t):
    site = t.use(Site(token=(200, TOKEN)))
    _, c = scene(t, consented(site))
    begun = begin(c)
    reply = c.call("connect.complete", state=begun["state"], code="c1",
                   callback={f"p{i}": "x" for i in range(40)})
    t.eq((reply["error"]["code"], site.count("token")), ("bad_request", 0),
         "too many parameters are refused before the code is used")
    reply = c.call("connect.complete", state=begun["state"], code="c1",
                   callback={f"p{i}": "x" for i in range(24)})
    asked = site.of("token")[-1].form
    t.ok(reply["ok"] and asked["code"] == "c1" and asked["code_verifier"],
         "and 24 push nothing of ours aside", reply)


# ---- whose it is -----------------------------------------------------------------------------------

@limit(60)
def test_identity_metadata(t):
    site = t.use(Site(token=(200, {**TOKEN, "expires_in": 0}),
                      me=(200, {"user_id": 77, "dc": "us6"})))
    _, c = scene(t, consented(site, identity_url=f"{site.url}/me", identity_path="$.user_id",
                              identity_metadata={"dc": "$.dc"}))
    made = c.ask("connect.complete", state=begin(c)["state"], code="c1")["record"]
    t.eq((made["account"], made["metadata"]["dc"]), ("77", "us6"), "what was told of it is kept")


@limit(60)
def test_issuer_template(t):
    site = t.use(Site(token=(200, {**TOKEN, "expires_in": 60})))
    _, c = scene(t, consented(site, issuer="https://login.example/{tenant}/v2.0",
                              variables=[{"name": "tenant", "default": "common"}]))
    begun = begin(c, metadata={"tenant": "t1"})
    reply = c.call("connect.complete", state=begun["state"], code="c1",
                   iss="https://login.example/t1/v2.0")
    t.ok(reply["ok"], "an issuer with a placeholder", reply)


@limit(60)
def test_identity_down(t):
    """A grant that nobody can name does not take another account's place."""
    site = t.use(Site(token=(200, {**TOKEN, "expires_in": 3600}), me=(503, {})))
    _, c = scene(t, consented(site, identity_url=f"{site.url}/me"))
    connection = put(c)
    before = c.ask("vend", owner="o", connection=connection)["secret"]["access_token"]
    reply = c.call("connect.complete", state=begin(c)["state"], code="c1")
    t.eq(reply["error"]["code"], "conflict", "it is refused")
    t.eq(c.ask("vend", owner="o", connection=connection)["secret"]["access_token"], before,
         "and the other account's grant stands")


# ---- what is missing -------------------------------------------------------------------------------

@limit(60)
def test_empty_grant(t):
    site = t.use(Site(token=(200, TOKEN)))
    _, c = scene(t, {"kind": "oauth2_refresh", "token_url": f"{site.url}/token", "client_id": "c"})
    t.eq(c.code("credential.put", owner="o", provider="k",
                secret={"kind": "oauth2", "grant": {}}), "bad_request", "a grant of nothing")


@limit(60)
def test_missing_variable(t):
    site = t.use(Site(token=(200, {"access_token": "x"})))
    _, c = scene(t, {"kind": "oauth2", "token_url": site.url + "/token?t={tenant}",
                     "client_id": "c", "client_secret": make_secret("client"),
                     "variables": [{"name": "tenant"}]})
    c.ask("credential.put", owner="o", provider="k", secret={"kind": "oauth2", "grant": {}})
    t.ok(c.code("vend", owner="o", provider="k", deadline_ms=5000) != "ok", "no token without it")
    c.ask("connection.update", owner="o", provider="k", metadata={"tenant": "x"})
    t.eq(c.code("vend", owner="o", provider="k", deadline_ms=LONG_MS), "ok", "with it there is")


@limit(60)
def test_shared_and_dead(t):
    """A shared credential that makes its tokens comes back with a restart."""
    refusals = [True]
    site = t.use(Site(token=lambda _: (400, {"error": "invalid_grant"}) if refusals else
                      (200, {"access_token": "at-of-a-site", "expires_in": 3600})))
    d = t.use(Daemon({"auth": {"k": {"kind": "oauth2", "token_url": f"{site.url}/token",
                                     "client_id": "c", "client_secret": make_secret("client")}}}))
    t.eq(d.client().code("vend", ref="k", deadline_ms=LONG_MS), "needs_reauth", "refused")
    refusals.clear()
    d.restart()
    t.eq(d.client().code("vend", ref="k", deadline_ms=LONG_MS), "ok", "tried anew")


# ---- modules ---------------------------------------------------------------------------------------

def refusal(t, config):
    """Why a daemon does not start with this configuration."""
    d = Daemon(config, start=False)
    t.cleanup(d.close, None)
    try:
        d.start()
    except RuntimeError as error:
        return str(error)
    return "it starts"


@limit(60)
def test_module_of_an_unknown_kind(t):
    folder = module(t, kind="cookie")
    for where in ("providers", "auth"):
        why = refusal(t, {"connectors": {"modules": [folder]},
                          where: {"k": {"kind": "mine", "token_url": "https://a.example/"}}})
        t.ok("kind of secret" in why or "secret_kind" in why, f"{where}: refused by name", why)


@limit(60)
def test_module_that_ends_the_process(t):
    for load, words in (("abort();", "crashes while"), ("exit(0);", "ends the process")):
        why = refusal(t, {"connectors": {"modules": [module(t, load=load)]}})
        t.ok(words in why, load, why)


@limit(60)
def test_module_without_sigchld(t):
    """A start whose parent ignores SIGCHLD still hears how a trial ended."""
    folder = module(t, load="abort();")
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        why = refusal(t, {"connectors": {"modules": [folder]}})
    finally:
        signal.signal(signal.SIGCHLD, before)
    t.ok("crashes while" in why, "the crash is named", why)


@limit(60)
def test_module_in_an_open_folder(t):
    folder = module(t)
    os.chmod(folder, 0o777)
    why = refusal(t, {"connectors": {"modules": [folder]}})
    t.ok("written by everybody" in why, "the folder is named", why)


@limit(60)
def test_signature_covers_the_body(t):
    """AWS Signature Version 4, recomputed from what arrived."""
    site = t.use(Site(token=(200, {})))
    folder = module(t, build='call->emit(call, BURSAR_REQ_FORM, "a", "b", 1);'
                             'call->emit(call, BURSAR_REQ_SIGV4, "eu-west-1:sts",'
                             ' "AKID:SECRETKEY", 14);')
    d = t.use(Daemon({"connectors": {"modules": [folder]},
                      "providers": {"k": {"kind": "mine", "token_url": site.url + "/token"}}}))
    c = d.client()
    c.ask("credential.put", owner="o", provider="k", secret={"kind": "oauth2", "grant": {}})
    c.ask("vend", owner="o", provider="k", deadline_ms=LONG_MS)
    asked = site.of("token")[0]
    headers = {name.lower(): value.strip() for name, value in asked.headers.items()}
    parts = dict(re.findall(r"(\w+)=([^,\s]+)", headers["authorization"]))
    scope = parts["Credential"].partition("/")[2]

    def signature(body):
        lines = [asked.method, asked.path, "",
                 *[f"{name}:{headers[name]}" for name in parts["SignedHeaders"].split(";")], "",
                 parts["SignedHeaders"], hashlib.sha256(body.encode()).hexdigest()]
        text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope,
                          hashlib.sha256("\n".join(lines).encode()).hexdigest()])
        key = b"AWS4SECRETKEY"
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    t.eq(parts["Signature"], signature(asked.body), "of the body that was sent")
    t.ok(parts["Signature"] != signature(""), "and of no other")


# ---- the end, and all at once ----------------------------------------------------------------------

def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@limit(100)
def test_end_with_all_under_way(t):
    """Each sort of exchange is with a provider that does not answer when the daemon is to end."""
    answer = threading.Event()
    t.cleanup(answer.set)

    def hang(_):
        answer.wait(600)
        return 200, {}

    site = t.use(Site(device=hang, token=hang, me=hang, check=hang))
    other = t.use(Site(device=device(), token=hang))
    check = {"validate": {"url": f"{site.url}/check"}, "timeout_s": 60}
    d, c = scene(t, consented(site, device_url=f"{site.url}/device", revoke_url=f"{site.url}/check",
                              **check),
                 p=on_device(other, timeout_s=60), v={"kind": "api_key", **check})
    connection = put(c)
    c.send("connect.complete", state=begin(c)["state"], code="c1", deadline_ms=LONG_MS)
    c.send("connect.device", owner="o", provider="k", deadline_ms=LONG_MS)
    c.send("connector.validate", provider="v", fields={"api_key": "abcabcabc"}, deadline_ms=LONG_MS)
    for owner in ("o", "o2"):
        c.ask("connect.device", owner=owner, provider="p")
    c.send("connection.revoke", owner="o", connection=connection, at_provider=True, deadline_ms=LONG_MS)
    t.ok(site.wait("token") and site.wait("check", 2) and other.wait("token"), "all are under way")
    before_s = cpu_s(d.pid)
    d.child.send(signal.SIGTERM)
    t.eq(d.child.wait(3), None, "the end waits for what is under way")
    t.le(cpu_s(d.pid) - before_s, 1.0, "and does not spin")
    if "address" not in os.environ.get("BURSAR_SANITIZE", ""):
        answer.set()  # what is cut off at the end of the draining is for the leak checker to see
    t.eq(d.wait_exit(), 0, "it ends well")


class Jostling:
    """Jobs of all sorts for a few owners, each drawn by lot."""

    def __init__(self, seed, ends_at):
        self.lot, self.ends_at = random.Random(seed), ends_at

    def work(self, c):
        while time.monotonic() < self.ends_at:
            self.owner = f"o{self.lot.randrange(3)}"
            found = c.call("connection.list", owner=self.owner)
            self.connection = (self.lot.choice(found["connections"])["id"]
                               if found["ok"] and found["connections"] else None)
            self.lot.choice((self.consent, self.device, self.validate, self.change))(c)

    def again(self):
        return {"reconnect": self.connection} if self.connection and self.lot.random() < .5 else {}

    def device(self, c):
        c.call("connect.device", owner=self.owner, provider="k", deadline_ms=2000, **self.again())

    def consent(self, c):
        begun = c.call("connect.begin", owner=self.owner, provider="k", redirect_uri=CALLBACK,
                       **self.again())
        for _ in range(2 if begun["ok"] else 0):
            c.call("connect.complete", state=begun["state"], code="c",
                   deadline_ms=self.lot.choice([1, 2000]))

    def validate(self, c):
        c.call("connector.validate", provider="k", fields={"x": "y"}, deadline_ms=500)

    def change(self, c):
        op, more = self.lot.choice((("connection.revoke", {"at_provider": self.lot.random() < .5}),
                                    ("connection.restore", {}), ("connection.delete", {}),
                                    ("connection.update", {"metadata": {"a": "b"}}),
                                    ("refresh", {"force": True, "deadline_ms": 500}),
                                    ("invalidate", {"deadline_ms": 500})))
        if self.connection:
            c.call(op, owner=self.owner, connection=self.connection, **more)


@limit(100)
def test_races(t):
    lot = random.Random(1)

    def token(_):
        time.sleep(lot.random() * 0.2)  # the pace of a provider
        return 200, {**TOKEN, "expires_in": lot.choice([1, 60])}

    site = t.use(Site(device=device(), token=token, me=(200, {"sub": "u1"}), rev=(200, {})))
    d, c = scene(t, consented(site, device_url=f"{site.url}/device", identity_url=f"{site.url}/me",
                              revoke_url=f"{site.url}/rev"))
    ends_at = time.monotonic() + 8
    threads = [threading.Thread(target=Jostling(seed, ends_at).work, args=(client,))
               for seed, client in enumerate(d.clients(12))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.ok(d.running() and c.call("whoami")["ok"], "it runs, and answers")
    t.eq([line for line in d.log().splitlines() if " error " in line and "could not be put" not in
          line], [], "nothing went wrong in it")


if __name__ == "__main__":
    run([test_device_expires, test_device_denied, test_device_revoked, test_store_down, test_head,
         test_echo, test_echo_of_a_refresh_token, test_callback_host, test_reply_host,
         test_many_callbacks, test_identity_metadata, test_issuer_template, test_identity_down,
         test_empty_grant, test_missing_variable, test_shared_and_dead,
         test_module_of_an_unknown_kind, test_module_that_ends_the_process,
         test_module_without_sigchld, test_module_in_an_open_folder,
         test_signature_covers_the_body, test_end_with_all_under_way, test_races])
