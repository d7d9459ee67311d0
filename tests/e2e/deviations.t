#!/usr/bin/python3
"""What providers do differently, through the daemon: second grants, wrong refusals, secrets of our own
that end, redirect URIs that must not be sent, scopes that come with the callback."""

import json
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, cli, limit, run
from scene import events_of, make_secret, now, record, types_of, until, wait_generation, wait_state
from provider_site import Site

CALLBACK = "https://app.example/callback"
GOOD = {"token_type": "Bearer", "expires_in": 3600}


def consented(site, **over):
    """An entry of a provider that people consent to."""
    return {"kind": "oauth2_authorization_code", "authorize_url": f"{site.url}/authorize",
            "token_url": f"{site.url}/token", "client_id": "ours",
            "client_secret": make_secret("secret"), "client_auth": "client_secret_post",
            "redirect_uris": [CALLBACK], **over}


def stored(client, provider="acme", **over):
    """A connection with a secret that is over."""
    secret = {"kind": "oauth2", "access_token": make_secret("at"),
              "refresh_token": make_secret("rt")}
    return client.ask("credential.put", owner="o", provider=provider, secret=secret,
                      **{"expires_at": 1, **over})["connection"]


def parameters(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


# ---- two grants of one consent -----------------------------------------------------------------------

class Workspace:
    """A provider of bots and of the people who install them, each with tokens of its own."""

    def __init__(self, has_bot=True):
        self.has_bot, self.made, self.alive = has_bot, 0, {}

    def pair(self, whose):
        self.made += 1
        made = {"access_token": make_secret(f"{whose}-at{self.made}"),
                "refresh_token": make_secret(f"{whose}-rt{self.made}"), "expires_in": 43200}
        self.alive[made["refresh_token"]] = whose
        return made

    def token(self, asked):
        token = asked.form.get("refresh_token")
        if token is None:
            first = {**self.pair("bot"), "token_type": "bot", "scope": "chat:write"}
            second = {**self.pair("user"), "token_type": "user", "scope": "search:read,users:read",
                      "id": "U1"}
            return 200, {"ok": True, "team": {"id": "T1"}, "authed_user": second,
                         **(first if self.has_bot else {})}
        whose = self.alive.pop(token, None)
        if not whose:
            return 200, {"ok": False, "error": "invalid_refresh_token"}
        return 200, {"ok": True, "token_type": whose, **self.pair(whose)}


def workspace(t, **over):
    provider = Workspace(**over)
    site = t.use(Site(token=provider.token, me=(200, {"ok": True, "team_id": "T1"})))
    second = {f"{name}_path": f"$.authed_user.{member}"
              for name, member in (("access_token", "access_token"), ("expires", "expires_in"),
                                   ("refresh_token", "refresh_token"), ("scope", "scope"),
                                   ("token_type", "token_type"))}
    entry = consented(
        site, pkce="none", rotation="strict", success=["$.ok == true"],
        reauth_errors=["invalid_refresh_token"], identity_url=f"{site.url}/me",
        identity_path="$.team_id", captures={"team_id": "$.team.id"},
        access_token_path="$.access_token | $.authed_user.access_token",
        refresh_token_path="$.refresh_token | $.authed_user.refresh_token",
        expires_path="$.expires_in | $.authed_user.expires_in",
        second_grant={**second, "account": {"team": "$.team.id", "user": "$.authed_user.id"}})
    d = t.use(Daemon({"providers": {"acme": entry}}))
    return provider, d.client()


def install(c, **over):
    begun = c.ask("connect.begin", owner="o", provider="acme", redirect_uri=CALLBACK, **over)
    return c.ask("connect.complete", state=begun["state"], code="c")["record"]


def listed(c):
    found = c.ask("connection.list", owner="o")["connections"]
    return {one["account"]: one for one in found}


@limit(60)
def test_second_grant(t):
    provider, c = workspace(t)
    made = install(c)
    t.eq(made["account"], "T1", "the consent is answered with the first grant's connection")
    both = until(lambda: listed(c) if len(listed(c)) == 2 else None, "the second grant")
    t.eq(sorted(both), ["T1", "T1/U1"], "the other grant is a connection of its own")
    t.eq((both["T1"]["scopes"], both["T1/U1"]["scopes"]),
         (["chat:write"], ["search:read", "users:read"]), "each with what it was granted")
    t.eq(sorted((r["account"], r.get("principal"), r.get("detail")) for r in c.ask("audit.since")["rows"]
                if r["op"] == "credential.put"),
         [(account, f"uid:{os.getuid()}", "for connect.complete") for account in ("T1", "T1/U1")],
         "the audit log says of both who completed the consent")
    for account, kind in (("T1", "bot"), ("T1/U1", "user")):
        for generation in (2, 3):
            fresh = c.ask("refresh", owner="o", provider="acme", account=account, force=True)
            token = c.ask("vend", owner="o", provider="acme", account=account)["secret"]
            t.ok(fresh["generation"] == generation and token["access_token"].startswith(kind),
                 f"{kind}: refreshed by itself, {generation}", fresh)
    t.eq(len(provider.alive), 2, "neither refresh spent the other's token")
    fields = c.ask("vend", owner="o", provider="acme", account="T1/U1")["secret"]["fields"]
    t.eq(fields["team_id"], "T1", "what was captured goes with both")


@limit(60)
def test_second_grant_again(t):
    provider, c = workspace(t)
    install(c)
    both = until(lambda: listed(c) if len(listed(c)) == 2 else None, "the second grant")
    provider.alive.clear()
    person = both["T1/U1"]["id"]
    t.eq(c.code("refresh", owner="o", connection=person, force=True), "needs_reauth",
         "the person's grant is dead")
    again = install(c, reconnect=person)
    t.eq((again["id"], again["account"], again["generation"], again["state"]),
         (person, "T1/U1", 2, "ACTIVE"), "a consent for it reconnects it")
    token = c.ask("vend", owner="o", connection=person)["secret"]["access_token"]
    t.ok(token.startswith("user"), "with its own grant")
    wait_generation(c, both["T1"]["id"], 2)
    token = c.ask("vend", owner="o", connection=both["T1"]["id"])["secret"]["access_token"]
    t.ok(token.startswith("bot"), "and the first grant goes where it belongs")
    named = install(c, account="T1/U1")
    t.eq((named["id"], named["generation"]), (person, 3), "the same by its account")
    t.eq(sorted(listed(c)), ["T1", "T1/U1"], "nothing else was made")


@limit(60)
def test_second_grant_alone(t):
    _, c = workspace(t, has_bot=False)
    made = install(c)
    t.eq(made["account"], "T1", "a consent that brings the second alone makes one connection")
    c.ask("refresh", owner="o", connection=made["id"], force=True)
    token = c.ask("vend", owner="o", connection=made["id"])["secret"]["access_token"]
    t.ok(token.startswith("user"), "of that grant")
    t.eq(list(listed(c)), ["T1"], "and no other")


# ---- a refusal that is wrong -------------------------------------------------------------------------

class Wavering:
    """Refuses as many good grants as it is told to."""

    def __init__(self):
        self.refuses, self.made = 0, 0

    def token(self, _):
        if self.refuses > 0:
            self.refuses -= 1
            return 400, {"error": "invalid_grant"}
        self.made += 1
        return 200, {**GOOD, "access_token": make_secret(f"at{self.made}")}


def wavering(t, **over):
    provider = Wavering()
    site = t.use(Site(token=provider.token))
    entry = {"kind": "oauth2_refresh", "token_url": f"{site.url}/token", "client_id": "ours",
             "rotation": "none", "confirm_refusals": True, **over}
    return provider, site, t.use(Daemon({"providers": {"acme": entry}}))


@limit(60)
def test_refusal_not_confirmed(t):
    provider, site, d = wavering(t, confirm_after_s=1)
    c = d.client()
    provider.refuses = 1
    connection = stored(c)
    made = wait_generation(c, connection, 2)
    t.eq((made["state"], site.count("token")), ("ACTIVE", 2), "the second try finds the grant alive")
    t.eq(types_of(c, connection), ["connected", "refreshed"], "and its owner never heard of it")


@limit(60)
def test_refusal_confirmed(t):
    provider, site, d = wavering(t, confirm_after_s=600)
    c = d.client()
    provider.refuses, before = 2, now()
    connection = stored(c)
    until(lambda: record(c, connection).get("last_refresh"), "the first refusal")
    first = record(c, connection)
    t.eq((first["state"], first["last_refresh"]["outcome"], first["last_refresh"]["error"]),
         ("ACTIVE", "grant", "invalid_grant"), "one refusal is kept, and ends nothing")
    t.le(before + 590, first["next_refresh_at"], "the second try has its time")
    reply = c.call("vend", owner="o", connection=connection, deadline_ms=60000)
    t.eq(reply["error"]["code"], "provider_unavailable", "a caller hears of an outage")
    d.restart()
    c = d.client()
    t.eq(record(c, connection)["state"], "ACTIVE", "the same after a restart")
    t.eq(c.code("refresh", owner="o", connection=connection, force=True), "needs_reauth",
         "the second refusal in a row is the last, also of a daemon that did not hear the first")
    t.eq((wait_state(c, connection, "NEEDS_REAUTH")["reason"], site.count("token")),
         ("invalid_grant", 2), "as the record says")
    t.eq(types_of(c, connection), ["connected", "reauth"], "and the event, once")


@limit(60)
def test_refusals_not_in_a_row(t):
    provider, _, d = wavering(t, confirm_after_s=600)
    c = d.client()
    connection = stored(c, expires_at=now() + 3600)  # nobody refreshes it but this test
    for generation in (2, 3):
        provider.refuses = 1
        t.eq(c.code("refresh", owner="o", connection=connection, force=True, deadline_ms=60000),
             "provider_unavailable", f"refused once, before {generation}")
        fresh = c.ask("refresh", owner="o", connection=connection, force=True)
        t.eq(fresh["generation"], generation, "a success between two refusals forgets the first")


# ---- our own secret ----------------------------------------------------------------------------------

class Strict:
    """Takes one client secret, and counts who comes with another."""

    def __init__(self, secret):
        self.secret, self.refused = secret, 0

    def token(self, asked):
        if asked.form.get("client_secret") != self.secret:
            self.refused += 1
            return 401, {"error": "invalid_client"}
        return 200, {**GOOD, "access_token": make_secret("at"), "refresh_token": make_secret("rt")}


def with_secrets(t, taken, **over):
    secrets = {"first": make_secret("first"), "next": make_secret("next"), "": make_secret("none")}
    provider = Strict(secrets[taken])
    site = t.use(Site(token=provider.token))
    d = t.use(Daemon({"providers": {"acme": consented(
        site, pkce="none", client_secret=secrets["first"], client_secret_next=secrets["next"],
        **over)}}))
    return provider, site, d


def status_of(c):
    return c.ask("status")["providers"]["acme"]


@limit(60)
def test_next_secret(t):
    provider, site, d = with_secrets(t, "next")
    c = d.client()
    connection = stored(c)
    made = wait_generation(c, connection, 2)
    t.eq((made["state"], provider.refused, site.count("token")), ("ACTIVE", 1, 2),
         "refused with the first secret, taken with the next in the same attempt")
    t.eq(status_of(c)["next_secret"], True, "as the status says")
    c.ask("refresh", owner="o", connection=connection, force=True)
    t.eq((provider.refused, site.count("token")), (1, 3), "the one that was taken is kept to")
    t.eq(events_of(c, type="incident"), [], "it is no incident")
    t.ok("its other secret is tried" in d.log(), "the log tells of it")
    d.restart()
    c = d.client()
    t.eq(status_of(c)["next_secret"], False, "a new daemon begins with the first one")
    begun = c.ask("connect.begin", owner="o", provider="acme", redirect_uri=CALLBACK, account="b")
    reply = c.call("connect.complete", state=begun["state"], code="c")
    t.ok(reply["ok"] and provider.refused == 2, "a code's exchange finds it too", reply)


@limit(60)
def test_lives_of_secrets(t):
    """A provider that ends them: the doctor asks when, and tells which one is shown."""
    provider, _, d = with_secrets(t, "next", client_secret_life_days=180)
    wait_generation(d.client(), stored(d.client()), 2)
    findings = json.loads(cli(d, "doctor", "--json", "--config", d.config_file)[1])["findings"]
    told = [f["what"] for f in findings if f["about"] == "acme" and f["level"] == "warn"]
    t.ok(any("after 180 days" in what for what in told), "nobody has said when it ends", told)
    t.ok(any("show client_secret_next" in what for what in told), "the first is over", told)
    t.eq(provider.refused, 1, "as it was found out once")


@limit(60)
def test_no_secret_taken(t):
    provider, site, d = with_secrets(t, "")
    c = d.client()
    connection = stored(c)
    incident = until(lambda: events_of(c, type="incident"), "an incident")[0]
    t.eq((incident["phase"], incident["reason"]["class"]), ("begin", "client"),
         "with both refused the client is")
    t.eq((record(c, connection)["state"], provider.refused, site.count("token")),
         ("ACTIVE", 2, 2), "each was tried once, and no grant is given up")


@limit(60)
def test_end_of_a_secret(t):
    _, _, d = with_secrets(t, "first", client_secret_expires_at="2020-02-29")
    c = d.client()
    t.eq(status_of(c)["client_secret_expires_at"], "2020-02-29", "the day is in the status")
    t.ok(d.wait_log("our client secret has ended"), "and the log tells that it is over")
    findings = json.loads(cli(d, "doctor", "--json", "--config", d.config_file)[1])["findings"]
    t.ok(any(f["level"] == "fail" and "ended on 2020-02-29" in f["what"] for f in findings),
         "the doctor calls it wrong", findings)
    until(lambda: events_of(c, type="incident"), "an incident")
    d.restart()
    c = d.client()
    incidents = events_of(c, type="incident")
    t.eq([(e["incident"], e["phase"], e["reason"]["class"], e["reason"]["code"]) for e in incidents],
         [("secret_end", "begin", "client", "client_secret_expires")], "one incident, over restarts too")
    d.config["providers"]["acme"]["client_secret_expires_at"] = "2999-12-31"
    d.configure(d.config)
    d.restart()
    c = d.client()
    until(lambda: [e["phase"] for e in events_of(c, type="incident")] == ["begin", "end"],
          "it ends with the next secret")
    later = t.use(Daemon({"providers": {"acme": consented(
        t.use(Site()), client_secret_expires_at="2999-12-31")}}))
    later.client().ask("status")
    t.ok("client secret" not in later.log(), "of one that is far away nothing is said")
    wrong = Daemon({"providers": {"acme": consented(
        t.use(Site()), client_secret_expires_at="2023-02-29")}}, start=False)
    t.cleanup(wrong.close)
    try:
        wrong.start()
        t.fail("a day that there is not")
    except RuntimeError as error:
        t.ok("must be a day" in str(error), "a day that there is not", str(error))


# ---- requests of a consent ---------------------------------------------------------------------------

@limit(60)
def test_redirect_uri(t):
    site = t.use(Site(token=lambda _: (200, {**GOOD, "access_token": make_secret("at")})))
    d = t.use(Daemon({"providers": {"acme": consented(
        site, send_redirect_uri="{where}", authorize_fragment="there",
        variables=[{"name": "where", "default": "both"}])}}))
    c = d.client()
    for index, (where, in_url, in_exchange) in enumerate(
            ((None, True, True), ("both", True, True), ("authorize", True, False),
             ("none", False, False))):
        metadata = {"metadata": {"where": where}} if where else {}
        begun = c.ask("connect.begin", owner="o", provider="acme", redirect_uri=CALLBACK,
                      account=f"a{index}", **metadata)
        t.eq("redirect_uri" in parameters(begun["authorize_url"]), in_url, f"{where}: in the URL")
        t.ok(begun["authorize_url"].endswith("#there"), "which ends in its fragment")
        c.ask("connect.complete", state=begun["state"], code="c")
        t.eq("redirect_uri" in site.of("token")[-1].form, in_exchange, f"{where}: in the exchange")
    reply = c.call("connect.begin", owner="o", provider="acme", redirect_uri=CALLBACK,
                   metadata={"where": "nowhere"})
    t.ok(reply["error"]["code"] == "bad_request" and "metadata" in reply["error"]["message"],
         "a word that it does not know", reply)


@limit(60)
def test_value_that_is_missing(t):
    """What a request lacks is named, to the caller and in the record, and comes with the metadata."""
    site = t.use(Site(token=lambda _: (200, {**GOOD, "access_token": make_secret("at")})))
    entry = {"kind": "oauth2_refresh", "token_url": site.url + "/token?for={tenant}",
             "client_id": "ours", "rotation": "none", "variables": [{"name": "tenant"}]}
    d = t.use(Daemon({"providers": {"acme": entry}}))
    c = d.client()
    connection = stored(c)
    reply = c.call("vend", owner="o", connection=connection, deadline_ms=60000)
    told = repr(reply)
    t.ok(reply["error"]["code"] in ("bad_request", "provider_unavailable") and "{tenant}" in told,
         "the placeholder is named", told)
    t.ok("{tenant}" in record(c, connection)["last_refresh"]["error"], "in the record too")
    reply = c.call("refresh", owner="o", connection=connection, force=True)
    t.eq(reply["error"]["code"], "bad_request", "it is not the broker's own fault")
    c.ask("connection.update", owner="o", connection=connection, metadata={"tenant": "t1"})
    wait_generation(c, connection, 2)
    t.eq(urllib.parse.urlsplit(site.of("token")[-1].path).query, "for=t1", "with it all is well")


@limit(60)
def test_callback_scope(t):
    site = t.use(Site(token=lambda _: (200, {**GOOD, "access_token": make_secret("at")})))
    d = t.use(Daemon({"providers": {"acme": consented(
        site, scopes=["read", "write"], scope_separator=",", callback_scope="scope")}}))
    c = d.client()
    for callback, expected in (({"scope": "read,activity:read"}, ["read", "activity:read"]), ({}, None)):
        begun = c.ask("connect.begin", owner="o", provider="acme", redirect_uri=CALLBACK,
                      account=f"a{len(callback)}")
        made = c.ask("connect.complete", state=begun["state"], code="c", callback=callback)["record"]
        t.eq(made.get("scopes"), expected, f"what was granted, with {callback}")


if __name__ == "__main__":
    run([test_second_grant, test_second_grant_again, test_second_grant_alone,
         test_refusal_not_confirmed, test_refusal_confirmed, test_refusals_not_in_a_row,
         test_next_secret, test_lives_of_secrets, test_no_secret_taken, test_end_of_a_secret, test_redirect_uri,
         test_value_that_is_missing, test_callback_scope])
