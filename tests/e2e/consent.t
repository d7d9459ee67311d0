#!/usr/bin/python3
"""Consent, by real HTTP with a real authorization server: in a browser, on a device, discovered."""

import json
import os
import signal
import socket
import stat
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from consenting import Command, callback, complete, consent, entry, parameters, person, scene
from harness import Daemon, Idp, SkipTest, cli, limit, run, secrets
from scene import FAULT_POINTS, edit, events_of, rows

# ---- in a browser ----------------------------------------------------------------------------------

@limit(90)
def test_consent(t):
    idp, d, c, uri = scene(t)
    before = int(time.time())
    begun = c.ask("connect.begin", owner="o", provider="acme", redirect_uri=uri)
    after = time.time()
    asked = parameters(begun["authorize_url"])
    t.eq((asked["response_type"], asked["code_challenge_method"], asked["state"],
          asked["redirect_uri"], asked["scope"]),
         ("code", "S256", begun["state"], uri, "openid offline_access"), "what is asked for")
    t.ok(before + 600 <= begun["expires_at"] <= after + 601, "for ten minutes")
    back = parameters(person(begun["authorize_url"], "alice", uri=uri))
    secrets.add(back["code"])
    t.eq(back["iss"], idp.info["issuer"], "the server says who it is")
    reply = complete(c, back)
    t.ok(reply["ok"], "the code is exchanged, with PKCE that the server demands", reply)
    made = reply["record"]
    t.eq((made["owner"], made["provider"], made["account"], made["state"], made["generation"]),
         ("o", "acme", "alice", "ACTIVE", 1), "the account is that of the identity")
    t.eq(sorted(made["scopes"]), ["offline_access", "openid"], "with what was granted")
    token = c.ask("vend", owner="o", provider="acme", account="alice")["secret"]["access_token"]
    answer = urllib.request.urlopen(urllib.request.Request(
        idp.info["identity_url"], headers={"Authorization": f"Bearer {token}"}))
    t.eq(json.load(answer)["sub"], "alice", "the token works")
    fresh = c.ask("refresh", owner="o", provider="acme", account="alice", force=True)
    t.eq(fresh["generation"], 2, "and its grant is refreshed")
    t.eq([e["type"] for e in events_of(c, connection=made["id"])], ["connected", "refreshed"],
         "as events tell")
    t.eq(rows(d, "SELECT count(*) FROM consent"), [(0,)], "nothing is left of the consent")


@limit(90)
def test_state(t):
    _, d, c, uri = scene(t)
    back = consent(c, uri)
    replies = [complete(c, {**back, "state": "acme.nonsense"}),
               complete(c, {**back, "state": "nobody." + back["state"].partition(".")[2]}),
               complete(c, {**back, "state": ""}),
               complete(c, back, owner="p")]
    t.ok(replies[2]["error"]["code"] in ("not_found", "bad_request"), "an empty state")
    for index, what in ((0, "an unknown state"), (1, "of another provider"),
                        (3, "of another owner")):
        t.eq((replies[index]["error"]["code"], replies[index]["error"]["message"]),
             ("not_found", "no consent with this state is under way"), what)
    t.eq(complete(c, back)["error"]["code"], "not_found",
         "whoever tries with another owner's state spends it")
    back = consent(c, uri)
    t.ok(complete(c, back)["ok"], "a state is good once")
    t.eq(complete(c, back)["error"]["code"], "not_found", "and not again")
    late = consent(c, uri)
    d.stop()
    edit(d, "UPDATE consent SET expires_at = 1")
    d.start()
    t.eq(complete(d.client(), late)["error"]["code"], "not_found", "nor when its time is over")


@limit(90)
def test_state_of_another_provider(t):
    idp, uri = t.use(Idp()), callback()
    d = t.use(Daemon({"providers": {"acme": entry(idp, uri), "beta": entry(idp, uri)}}))
    c = d.client()
    back = consent(c, uri)
    moved = "beta." + back["state"].partition(".")[2]
    t.eq(complete(c, {**back, "state": moved})["error"]["code"], "not_found",
         "a state is of the provider that it was made for")
    t.ok(complete(c, back)["ok"], "and is not spent by that")


@limit(90)
def test_restart_between(t):
    _, d, c, uri = scene(t)
    back = consent(c, uri)
    d.restart()
    t.ok(complete(d.client(), back)["ok"], "a consent outlives the daemon")


@limit(120)
def test_killed_before_the_put(t):
    """Between the code's exchange and the commit: neither a spent state without a secret, nor half."""
    if not FAULT_POINTS:
        raise SkipTest("built without fault points")
    idp, d, c, uri = scene(t)
    for point, is_put in (("consent-put", False), ("store-before-commit", False),
                          ("store-after-commit", True)):
        back = consent(c, uri, "alice")
        d.stop()
        d.env = {"BURSAR_FAULT_POINT": point}
        d.start()
        d.client().send("connect.complete", state=back["state"], code=back["code"],
                        iss=back.get("iss"))  # nobody is left to answer it
        t.eq(d.wait_exit(), -signal.SIGKILL, f"{point}: killed")
        d.env = {}
        d.start()
        c = d.client()
        found = c.ask("connection.list", owner="o")["connections"]
        t.eq(len(found), is_put, f"{point}: the secret is {'there' if is_put else 'not there'}")
        t.eq(rows(d, "SELECT count(*) FROM consent"), [(int(not is_put),)],
             f"{point}: and the state is {'spent' if is_put else 'not'}")
        if is_put:
            t.eq(complete(c, back)["error"]["code"], "not_found", f"{point}: for good")
        else:
            t.eq(complete(c, back)["error"]["code"], "invalid_credential",
                 f"{point}: its code was used, as the provider says")
            t.eq(complete(c, back)["error"]["code"], "not_found", f"{point}: which spends it")
    t.ok(c.ask("refresh", owner="o", connection=found[0]["id"], force=True)["generation"] == 2,
         "what was put works")
    t.eq(idp.stats().get("reuse", 0), 0, "no token was sent twice")


@limit(90)
def test_two_at_once(t):
    """Of two that complete one state at once, one finds it."""
    _, d, c, uri = scene(t)
    back = consent(c, uri)
    other = d.client()
    replies = []
    threads = [threading.Thread(target=lambda by=by: replies.append(complete(by, back)))
               for by in (c, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.eq(sorted(r["ok"] for r in replies), [False, True], "one is connected")
    t.eq([r["error"]["code"] for r in replies if not r["ok"]], ["not_found"], "one is told nothing")


@limit(90)
def test_issuer(t):
    _, _, c, uri = scene(t, require_iss=True)
    for iss, what in (("https://evil.example", "another issuer"), (None, "none, where one is due")):
        back = consent(c, uri)
        reply = complete(c, {k: v for k, v in back.items() if k != "iss"}, iss=iss)
        t.eq(reply["error"]["code"], "invalid_credential", what)
        t.eq(complete(c, back)["error"]["code"], "not_found", "and the state is spent")
    t.ok(complete(c, consent(c, uri))["ok"], "the right one")


@limit(90)
def test_redirect_uris(t):
    _, _, c, uri = scene(t)
    for wrong in (uri + "/", uri + "?a=b", uri.replace("127.0.0.1", "localhost"),
                  "https://evil.example/callback", uri.upper()):
        t.eq(c.code("connect.begin", owner="o", provider="acme", redirect_uri=wrong), "bad_request",
             f"not allowed: {wrong.replace(uri, 'URI')}")
    t.eq(c.code("connect.begin", owner="o", provider="acme"), "bad_request", "none at all")
    _, _, c, uri = scene(t, redirect_uris=[])
    t.eq(c.code("connect.begin", owner="o", provider="acme", redirect_uri=uri), "bad_request",
         "an empty list allows none")


@limit(90)
def test_refused(t):
    idp, _, c, uri = scene(t)
    back = consent(c, uri, deny=True)
    t.eq(back["error"], "access_denied", "a person says no")
    reply = complete(c, back)
    t.eq((reply["error"]["code"], reply["error"]["provider_error"]),
         ("invalid_credential", "access_denied"), "and the caller is told")
    t.eq(c.ask("connection.list", owner="o")["connections"], [], "nothing is made")
    back = consent(c, uri)
    reply = complete(c, back, code="not-the-code")
    t.eq(reply["error"]["code"], "invalid_credential", "a code that the server does not know")
    back = consent(c, uri)
    idp.faults({"kind": "status", "status": 503, "match": {"grant_type": "authorization_code"}})
    t.eq(complete(c, back)["error"]["code"], "provider_unavailable", "a server that is away")
    begun = c.ask("connect.begin", owner="o", provider="acme", redirect_uri=uri)
    stolen = parameters(person(begun["authorize_url"], "mallory", uri=uri))
    secrets.add(stolen["code"])
    own = consent(c, uri, "alice")
    reply = complete(c, {**own, "code": stolen["code"]})
    t.eq(reply["error"]["code"], "invalid_credential",
         "PKCE: a code of one consent does not do for another one's state")


@limit(90)
def test_reconnect(t):
    idp, _, c, uri = scene(t)
    first = complete(c, consent(c, uri))["record"]
    token = c.ask("vend", owner="o", connection=first["id"])["secret"]["access_token"]
    idp.revoke(token)
    t.eq(c.code("refresh", owner="o", connection=first["id"], force=True), "needs_reauth",
         "the grant is dead")
    again = complete(c, consent(c, uri, reconnect=first["id"]))
    t.ok(again["ok"], "a new consent", again)
    t.eq((again["record"]["id"], again["record"]["state"], again["record"]["generation"]),
         (first["id"], "ACTIVE", 2), "is of the same connection")
    t.ok(c.ask("refresh", owner="o", connection=first["id"], force=True)["generation"] == 3,
         "which lives")
    for owner, connection, what in (("p", first["id"], "another owner's"),
                                    ("o", first["id"][:-3] + "000", "one that is not there")):
        t.eq(c.code("connect.begin", owner=owner, provider="acme", redirect_uri=uri,
                    reconnect=connection), "not_found", f"a reconnect of {what}")


@limit(90)
def test_accounts(t):
    _, _, c, uri = scene(t)
    made = [complete(c, consent(c, uri, name))["record"] for name in ("alice", "bob")]
    t.eq([m["account"] for m in made], ["alice", "bob"], "each account is a connection")
    again = complete(c, consent(c, uri, "alice"))["record"]
    t.eq((again["id"], again["generation"]), (made[0]["id"], 2), "the same one is the same")
    named = complete(c, consent(c, uri, "carol", account="work"))["record"]
    t.eq(named["account"], "work", "a name that was given wins")


# ---- bursar connect --------------------------------------------------------------------------------

def fetch(url, **headers):
    """(status, headers, body), whatever the status is."""
    try:
        reply = urllib.request.urlopen(urllib.request.Request(url, headers=headers))
    except urllib.error.HTTPError as error:
        reply = error
    with reply:
        return reply.status, reply.headers, reply.read().decode()


@limit(90)
def test_command(t):
    _, d, c, uri = scene(t)
    command = t.use(Command(d, "o", "acme", "--no-browser"))
    url = command.url()
    origin = uri.rpartition("/")[0]
    t.eq(parameters(url)["redirect_uri"], uri, "the first address of this machine")
    t.eq(fetch(origin + "/")[0], 404, "another path is not there")
    t.eq(fetch(origin + "/favicon.ico")[0], 404, "nor is a picture")
    status, headers, body = fetch(uri + "?code=x&state=acme.wrong")
    t.eq(status, 400, "another state is not taken")
    t.eq(fetch(uri)[0], 400, "nor is none")
    silent = socket.create_connection(("127.0.0.1", urllib.parse.urlsplit(uri).port))
    large = socket.create_connection(("127.0.0.1", urllib.parse.urlsplit(uri).port))
    large.sendall(b"GET /callback HTTP/1.1\r\nX: " + b"x" * 20000)
    page = json.loads(person(url, uri=uri, follow=True))
    t.eq((page["status"], page["headers"]["referrer-policy"], page["headers"]["cache-control"]),
         (200, "no-referrer", "no-store"), "the callback's page tells nobody")
    t.ok("close this window" in page["text"] and "<script" not in page["text"], "and says the end")
    status, out, err = command.end()
    silent.close()
    large.close()
    t.eq((status, err), (0, ""), "the command ends well")
    t.ok("alice" in out and "ACTIVE" in out, "with the record", out)
    t.eq(c.code("vend", owner="o", provider="acme", account="alice"), "ok", "and it is connected")
    try:
        socket.create_connection(("127.0.0.1", urllib.parse.urlsplit(uri).port)).close()
        t.fail("nobody listens any more")
    except ConnectionRefusedError:
        t.ok(True, "nobody listens any more")


@limit(90)
def test_command_refused(t):
    _, d, c, uri = scene(t)
    command = t.use(Command(d, "o", "acme", "--no-browser"))
    page = json.loads(person(command.url(), deny=True, uri=uri, follow=True))
    t.eq(page["status"], 200, "the browser is answered")
    status, _, err = command.end()
    t.ok(status == 1 and "invalid_credential" in err and "access_denied" in err, "no consent", err)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", urllib.parse.urlsplit(uri).port))
        taken.listen()
        status, _, err = cli(d, "connect", "o", "acme", "--no-browser")
        t.ok(status == 1 and "cannot listen" in err, "a port that is taken", err)
    status, _, err = cli(d, "connect", "o", "acme", "--redirect-uri", uri + "x", "--no-browser")
    t.ok(status == 1 and "redirect_uri" in err, "an address that is not allowed", err)
    status, _, err = cli(d, "connect", "o", "nobody", "--no-browser")
    t.ok(status == 1 and "unknown_provider" in err, "an unknown provider", err)
    status, _, err = cli(d, "connect", "o", "acme/", "--no-browser")
    t.eq(status, 2, "no account behind the slash")
    t.eq(c.ask("connection.list", owner="o")["connections"], [], "nothing was made")


@limit(90)
def test_command_reconnect_and_json(t):
    _, d, c, uri = scene(t)
    first = complete(c, consent(c, uri))["record"]
    command = t.use(Command(d, "o", "acme", "--no-browser", "--json", "--reconnect", first["id"],
                            "--scope", "openid", "--scope", "offline_access"))
    url = command.url()
    t.eq(parameters(url)["scope"], "openid offline_access", "scopes of the command line")
    person(url, uri=uri, follow=True)
    status, out, _ = command.end()
    made = json.loads(out)["record"]
    t.eq((status, made["id"], made["generation"]), (0, first["id"], 2), "the same connection, as JSON")


@limit(90)
def test_command_without_a_listener(t):
    """Where the address is on another machine, the person brings it back."""
    idp, uri = t.use(Idp(access_ttl=3600)), callback()
    elsewhere = uri.replace("127.0.0.1", "127.0.0.2")
    d = t.use(Daemon({"providers": {"acme": entry(idp, elsewhere)}}))
    command = t.use(Command(d, "o", "acme", "--no-browser"))
    url = command.url()
    state = parameters(url)["state"]
    command.child.proc.stdin.write(f"{elsewhere}?error=access_denied&state={state}\n".encode())
    command.child.proc.stdin.close()
    status, _, err = command.end()
    t.ok(status == 1 and "access_denied" in err, "what is pasted is completed", err)


# ---- discovery -------------------------------------------------------------------------------------

@limit(90)
def test_discover(t):
    idp = t.use(Idp())
    issuer = idp.info["issuer"]
    for url, what in ((issuer, "an authorization server"), (idp.info["resource"], "a resource"),
                      (issuer + "/hidden", "a resource whose challenge leads to its metadata")):
        status, out, err = cli(None, "discover", url, "--allow-loopback", endpoint=False)
        t.eq((status, err), (0, ""), what)
        for line in (f'  issuer: "{issuer}"', f'  token_url: "{issuer}/token"',
                     f'  authorize_url: "{issuer}/auth"', f'  device_url: "{issuer}/device/auth"',
                     '  pkce: "s256"', "  require_iss: true"):
            t.ok(line in out.splitlines(), f"{what}: {line.strip().partition(':')[0]}", out)
        has_resource = f'authorize_params: {{resource: "{url}"}}' in out
        t.eq(has_resource, url != issuer, f"{what}: tokens are asked for it")
    refused = ((issuer, [], 2, "https"), (issuer + "/nothing", ["--allow-loopback"], 1, "neither"),
               ("https://127.0.0.1:1/", [], 1, "address is not allowed"),
               ("https://10.0.0.1/", [], 1, "address is not allowed"),
               (issuer, ["--allow-loopback", "--register"], 2, "--output"))
    for url, options, expected, words in refused:
        status, _, err = cli(None, "discover", url, *options, endpoint=False)
        t.ok(status == expected and words in err, f"refused: {words}", f"{status} {err}")


@limit(90)
def test_discover_and_connect(t):
    """From an address to a connection: discovered, registered, configured, consented to."""
    idp, uri = t.use(Idp()), callback()
    d = t.use(Daemon())
    path = d.path("etc/found.yaml")
    words = ["discover", idp.info["issuer"], "--allow-loopback", "--register", "--id", "found",
             "--redirect-uri", uri, "--output", path, "--scope", "openid", "--scope",
             "offline_access"]
    status, out, err = cli(None, *words, endpoint=False)
    t.eq((status, out.strip(), err), (0, path, ""), "a client is registered")
    t.eq(stat.S_IMODE(os.stat(path).st_mode), 0o600, "its secret is in a file of ours alone")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    secret = json.loads(text.partition("client_secret: ")[2].partition("\n")[0])
    secrets.add(secret)
    status, _, err = cli(None, *words, endpoint=False)
    t.ok(status == 2 and "exists already" in err, "a file is not written over", err)
    os.mkdir(d.path("conf.d"), 0o700)
    with open(d.path("conf.d/found.yaml"), "w", encoding="utf-8") as file:
        file.write("providers:\n" + "".join(f"  {line}\n" for line in text.splitlines()) +
                   "    authorize_params: {prompt: consent}\n")
    d.restart()
    c = d.client()
    begun = c.ask("connect.begin", owner="o", provider="found", redirect_uri=uri)
    back = parameters(person(begun["authorize_url"], uri=uri))
    secrets.add(back["code"])
    reply = complete(c, back)
    t.ok(reply["ok"], "the entry is all that a consent needs", reply)
    t.eq(reply["record"]["account"], "alice", "its account too")


if __name__ == "__main__":
    run([test_consent, test_state, test_state_of_another_provider, test_restart_between,
         test_killed_before_the_put, test_two_at_once, test_issuer, test_redirect_uris,
         test_refused, test_reconnect, test_accounts, test_command, test_command_refused,
         test_command_reconnect_and_json, test_command_without_a_listener, test_discover,
         test_discover_and_connect])
