#!/usr/bin/python3
"""The catalogue as an operator meets it: entries that are wrong, experimental, overlaid, or not there."""

import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import ROOT, Daemon, limit, program, run
from machine import PATIENCE_S
from scene import make_secret, until

CATALOG = ROOT / "workers" / "catalog"
GOOD = """# Acme
kind: oauth2_refresh
display_name: Acme
token_url: https://id.acme.example/token
client_auth: client_secret_post
rate: {limit: 10, window_s: 60}
apply:
  - {in: header, name: X-Key, value: "key {access_token}"}
"""


def folder(d, **files):
    path = pathlib.Path(d.path("etc")) / "catalog"
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / f"{name}.yaml").write_text(text)
    return str(path)


def check(d):
    """(status, what bursard --check says)."""
    done = subprocess.run([*program("bursard", "BURSARD"), "--check", "-c", d.config_file],
                          capture_output=True, timeout=PATIENCE_S, check=False)
    return done.returncode, done.stderr.decode().replace(d.dir, "")


def with_catalog(t, providers, connectors=None, **files):
    d = t.use(Daemon({"providers": providers}, start=False))
    d.configure({"providers": providers, "connectors": {**(connectors or {}),
                                                        "catalog": [folder(d, **files)]}})
    return d


@limit(60)
def test_mutations(t):
    """Everything that is wrong, at once, each with its file, line and key."""
    mutations = {
        "a_type": (GOOD.replace("rate: {limit: 10", "rate: {limit: ten"), 6, "rate.limit"),
        "a_key": (GOOD.replace("client_auth:", "client_auth:"), 5, "client_ath"),
        "a_path": (GOOD + "access_token_path: $.a[*]\n", 9, "access_token_path"),
        "a_url": (GOOD.replace("https://id", "ftp://id"), 4, "token_url"),
        "a_column": (GOOD.replace("name: X-Key", "nam: X-Key"), 8, "apply"),
        "a_choice": (GOOD.replace("client_secret_post", "by_post"), 5, "client_auth"),
        "a_kind": (GOOD.replace("oauth2_refresh", "oauth3"), 2, "kind"),
        "a_number": (GOOD + "expiry_ratio: .nan\n", 9, "expiry_ratio"),
        "a_predicate": (GOOD + "success: ['$.ok = 1']\n", 9, "success"),
        "a_capture": (GOOD + "captures: {url: instance_url}\n", 9, "captures.url"),
        "twice": (GOOD + "display_name: Other\n", 9, "display_name"),
        "broken": (GOOD + "x: [\n", 9, ""),
    }
    mutations["a_key"] = (GOOD.replace("client_auth:", "client_ath:"), 5, "client_ath")
    d = with_catalog(t, {}, good=GOOD, **{name: m[0] for name, m in mutations.items()})
    status, said = check(d)
    t.eq(status, 1, "refused")
    lines = said.splitlines()
    for name, (_, line, key) in mutations.items():
        mine = [text for text in lines if f"/{name}.yaml:" in text]
        t.ok(any(re.search(rf"/{name}\.yaml:({line}|{line + 1}):", text) and key in text
                 for text in mine), f"{name}: line {line}, {key}", "; ".join(mine) or said[:300])
    t.ok(not any("/good.yaml" in text for text in lines), "the good one is not mentioned")
    t.ok("did you mean" in " ".join(lines), "and near names are given")


@limit(60)
def test_experimental(t):
    entry = GOOD + "experimental: true\n"
    d = with_catalog(t, {"acme": {"client_id": "c", "client_secret": "s"}}, acme=entry)
    status, said = check(d)
    t.ok(status == 1 and "connectors.experimental" in said, "not without being allowed", said)
    d = with_catalog(t, {"acme": {"client_id": "c", "client_secret": "s"}}, {"experimental": True},
                     acme=entry)
    t.eq(check(d)[0], 0, "and with it")
    d = with_catalog(t, {}, acme=entry)
    t.eq(check(d)[0], 0, "one that nobody uses does no harm")


@limit(60)
def test_acts_as(t):
    """A person's is never what all share, and nobody consents to a service's."""
    shared = {"kind": "oauth2", "token_url": "https://id.acme.example/token", "client_id": "c"}
    d = t.use(Daemon({"auth": {"wh": {**shared, "acts_as": "user"}}}, start=False))
    status, said = check(d)
    t.ok(status == 1 and "auth.wh" in said and "acts as a user" in said, "a shared one of a user", said)
    entry = {"kind": "oauth2_authorization_code", "client_id": "c",
             "authorize_url": "https://id.acme.example/authorize",
             "device_url": "https://id.acme.example/device",
             "token_url": "https://id.acme.example/token", "redirect_uris": ["https://a.example/"]}
    d = t.use(Daemon({"providers": {"robot": {**entry, "acts_as": "service"},
                                    "person": {**entry, "acts_as": "user"}}}))
    c = d.client()
    for op in ("connect.begin", "connect.device"):
        job = c.call(op, owner="o", provider="robot", redirect_uri="https://a.example/")
        t.eq(job["error"]["code"], "unsupported_op", f"{op}: nobody consents to a service")
    t.eq(c.code("connect.begin", owner="o", provider="person", redirect_uri="https://a.example/"),
         "ok", "a person consents to what is theirs")


@limit(60)
def test_guard(t):
    """A provider's guard: only an operator of that scope has its secrets."""
    plain = {"plain": {"kind": "static", "guard": "weather"}}
    d = t.use(Daemon({"providers": plain}))
    c = d.client()
    c.ask("credential.put", owner="o", provider="plain",
          secret={"kind": "bearer", "token": make_secret("guarded")})
    refused = c.call("vend", owner="o", provider="plain")["error"]
    t.eq(refused["code"], "forbidden", "nobody is an operator: nobody vends it")
    t.ok("operator" in refused["message"], "and is told why")
    t.eq(c.code("connection.get", owner="o", provider="plain"), "ok", "its record is no secret")
    me = {"uids": [os.getuid()], "owners": ["*"], "operator_scopes": ["weather"],
          "email": "ops@example.com", "roles": ["vend", "refresh", "connect", "export"]}
    d.configure({"providers": plain, "principals": {"ops": me}})
    d.restart()
    c = d.client()
    for op in ("vend", "connection.export"):
        t.eq(c.code(op, owner="o", provider="plain"), "ok", f"an operator: {op}")
    t.eq([c.ask("principal.is_operator", email=email, scope=scope)["is_operator"]
          for email, scope in (("ops@example.com", "weather"), ("ops@example.com", "climate"),
                               ("web@example.com", "weather"))], [True, False, False],
         "who is an operator")
    me["operator_scopes"] = ["climate"]
    d.configure({"providers": plain, "principals": {"ops": me}})
    offset = len(d.log())
    d.reload()
    d.wait_log("read again", since=offset)
    t.ok(until(lambda: c.code("vend", owner="o", provider="plain") == "forbidden", "refused"),
         "of another scope, since the configuration was read again")


@limit(60)
def test_overlay(t):
    """What the operator says lies over the entry, key by key."""
    d = with_catalog(t, {"acme": {"client_id": "c", "client_secret": make_secret("s"),
                                  "display_name": "Ours", "rate": {"limit": 5}},
                         "other": {"kind": "static"}}, acme=GOOD)
    d.start()
    c = d.client()
    one = c.ask("connector.get", provider="acme")["connector"]
    t.eq((one["display_name"], one["rate"], one["configured"], one["kind"]),
         ("Ours", {"limit": 5, "window_s": 60}, True, "oauth2_refresh"), "over it, and from it")
    key = make_secret("token")
    put = c.ask("credential.put", owner="o", provider="acme",
                secret={"kind": "oauth2", "access_token": key})
    t.eq(c.ask("vend", owner="o", connection=put["connection"])["secret"]["apply"],
         [{"in": "header", "name": "X-Key", "value": f"key {key}"}], "and its rows are used")
    ids = [entry["id"] for entry in c.ask("connector.list")["connectors"]]
    t.eq(ids, ["acme", "other"], "both are listed, in order")
    t.eq(c.call("connector.get", provider="acmee")["error"]["code"], "unknown_provider", "a near name")


@limit(60)
def test_not_there(t):
    d = with_catalog(t, {"acmee": {"client_id": "c"}}, acme=GOOD)
    status, said = check(d)
    t.ok(status == 1 and "acmee" in said and "kind" in said, "a name that no catalogue has", said)
    d = t.use(Daemon({"connectors": {"catalog": ["/nowhere/at/all"]}}))
    t.eq(d.client().ask("connector.list")["connectors"], [], "a folder that is not there is empty")


@limit(90)
def test_shipped(t):
    """The catalogue that comes along, whole: quick to read, and only what is configured works."""
    d = t.use(Daemon({"connectors": {"catalog": [str(CATALOG)]},
                      "providers": {"github": {"client_id": "c", "client_secret": make_secret("s")},
                                    "openai": {}}}))
    c = d.client()
    connectors = c.ask("connector.list")["connectors"]
    t.ok(len(connectors) >= 300, f"{len(connectors)} providers")
    t.eq([e["id"] for e in connectors], sorted(e["id"] for e in connectors), "in order")
    t.eq([e["id"] for e in connectors if e["configured"]], ["github", "openai"], "two are configured")
    t.eq(c.code("connection.create", owner="o", provider="slack"), "unknown_provider",
         "the others cannot be used")
    t.eq(c.code("connection.create", owner="o", provider="openai"), "ok", "those can")


run([test_mutations, test_experimental, test_acts_as, test_guard, test_overlay, test_not_there, test_shipped])
