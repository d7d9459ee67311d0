#!/usr/bin/python3
"""Kinds of credentials that make their secrets, through the daemon: shared by name and owners' own, over
crashes between the steps of one exchange, and refused."""

import base64
import hmac
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, SkipTest, fan, limit, run, secrets
from scene import FAULT_POINTS, edit, make_secret, scaled, types_of, until, wait_state


class Site:
    """Answers as the function of a path says: (method, query, headers, body) -> (status, headers, body)."""

    def __init__(self, **paths):
        site = self
        self.asked, self.lock = [], threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                parts = urllib.parse.urlsplit(self.path)
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size).decode()
                name = parts.path.strip("/").split("/")[0]
                with site.lock:
                    site.asked.append(name)
                    status, headers, content = paths[name](self.command, self.path, self.headers,
                                                           body)
                content = content if isinstance(content, str) else json.dumps(content)
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(content.encode())))
                self.end_headers()
                self.wfile.write(content.encode())

            do_GET = do_POST = do_DELETE = answer  # pylint: disable=invalid-name

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def count(self, name):
        with self.lock:
            return self.asked.count(name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def fields(body):
    return dict(urllib.parse.parse_qsl(body))


def basic(headers):
    """Who says to be whom, by RFC 6749 section 2.3.1."""
    text = headers.get("Authorization", "")
    if not text.startswith("Basic "):
        return None
    return tuple(map(urllib.parse.unquote_plus, base64.b64decode(text[6:]).decode().split(":")))


class Clients:
    """A token endpoint for clients themselves; each gets tokens of its own."""

    def __init__(self, **known):
        self.known, self.given, self.fails = known, {}, None

    def __call__(self, method, path, headers, body):
        if self.fails:
            return self.fails
        who, form = basic(headers), fields(body)
        if not who or self.known.get(who[0]) != who[1]:
            return 401, {}, {"error": "invalid_client"}
        if method != "POST" or form.get("grant_type") != "client_credentials":
            return 400, {}, {"error": "unsupported_grant_type"}
        token = make_secret(f"{who[0]}-token")
        self.given.setdefault(who[0], []).append(token)
        return 200, {}, {"access_token": token, "token_type": "bearer", "expires_in": 3600,
                         "scope": form.get("scope", "")}


def entry(site, path, **over):
    return {"token_url": f"{site.url}/{path}", **over}


@limit(90)
def test_client_credentials_shared(t):
    """100 users of a name, one token."""
    secret = make_secret("client:secret%")
    endpoint = Clients(**{"app 1": secret})
    site = t.use(Site(token=endpoint))
    d = t.use(Daemon({"auth": {"wh": entry(site, "token", kind="oauth2", client_id="app 1",
                                           client_secret=secret, scopes=["read", "write"])}}))
    clients = d.clients(20)
    replies = [reply for _ in range(5) for reply in fan(clients, "vend", ref="wh")]
    t.eq({r["secret"]["access_token"] for r in replies}, {endpoint.given["app 1"][0]},
         "100 vends, one token")
    t.eq((site.count("token"), replies[0]["secret"]["scopes"]), (1, ["read", "write"]), "one request")
    stale = replies[0]["generation"]
    again = fan(clients, "invalidate", ref="wh", generation=stale, vend=True)
    t.eq({r["secret"]["access_token"] for r in again}, {endpoint.given["app 1"][1]},
         "20 callers who had it refused get one new token")
    t.eq(site.count("token"), 2, "by one request")


@limit(90)
def test_client_credentials_of_owners(t):
    """Each owner's own client, kept with the connection; two grants of one application stay apart."""
    known = {f"client-{owner}": make_secret(f"secret-{owner}") for owner in "abc"}
    endpoint = Clients(**known)
    site = t.use(Site(token=endpoint))
    d = t.use(Daemon({"providers": {"api": entry(site, "token", kind="oauth2_client_credentials")}}))
    c, connections = d.client(), {}
    for owner in "abc":
        grant = {"client_id": f"client-{owner}", "client_secret": known[f"client-{owner}"],
                 "token_url": "http://127.0.0.1:1/"}  # URLs are the operator's alone
        connections[owner] = c.ask("credential.put", owner=owner, provider="api",
                                   secret={"kind": "oauth2", "grant": grant})["connection"]
    for owner, connection in connections.items():
        reply = c.ask("vend", owner=owner, connection=connection)
        t.eq(reply["secret"]["access_token"], endpoint.given[f"client-{owner}"][0],
             f"{owner} gets a token of its own client")
        t.ok(known[f"client-{owner}"] not in json.dumps(reply), "and not the client's secret")
    other = c.ask("credential.put", owner="a", provider="api", account="second",
                  secret={"kind": "oauth2", "grant": {"client_id": "client-b",
                                                      "client_secret": known["client-b"]}})
    token = c.ask("vend", owner="a", connection=other["connection"])["secret"]["access_token"]
    t.ok(token in endpoint.given["client-b"], "a second account of the same provider")
    t.ok(c.ask("vend", owner="a", connection=connections["a"])["secret"]["access_token"]
         in endpoint.given["client-a"], "does not disturb the first")


@limit(90)
def test_client_is_refused(t):
    endpoint = Clients(app=make_secret("right"))
    site = t.use(Site(token=endpoint))
    d = t.use(Daemon({"auth": {"wh": entry(site, "token", kind="oauth2", client_id="app",
                                           client_secret=make_secret("wrong"))}}))
    c = d.client()
    job = c.call("vend", ref="wh", deadline_ms=60000)
    t.eq(job["error"]["code"], "client_rejected", "it is the operator's matter")
    t.eq(until(lambda: types_of_incidents(c), "the incident"), ["begin"], "one incident")
    t.eq(c.code("vend", ref="nowhere"), "not_found", "another name")


def types_of_incidents(c):
    events = c.ask("events.since", seq=0)["events"]
    return [e["phase"] for e in events if e["type"] == "incident"]


@limit(90)
def test_outage(t):
    endpoint = Clients(app=make_secret("right"))
    site = t.use(Site(token=endpoint))
    endpoint.fails = (503, {}, "<html>maintenance</html>")
    d = t.use(Daemon({"auth": {"wh": entry(site, "token", kind="oauth2", client_id="app",
                                           client_secret=endpoint.known["app"])}}))
    c = d.client()
    until(lambda: site.count("token") > 0, "it is asked")  # from the start, without anybody asking
    job = c.call("invalidate", ref="wh", vend=True, deadline_ms=300)
    t.ok(not job["ok"] and job["error"]["code"] in
         ("provider_unavailable", "deadline_exceeded", "not_connected"), "an outage is an outage",
         repr(job))
    endpoint.fails = None
    reply = until(lambda: (r := c.call("vend", ref="wh"))["ok"] and r, "its end")
    t.eq(reply["secret"]["access_token"], endpoint.given["app"][0], "and passes")


# --- several steps


class Login:
    """A page, a login, a token: each step needs what the one before gave."""

    def __init__(self):
        self.password, self.sessions, self.codes, self.tokens = make_secret("password"), set(), {}, []

    def page(self, *_):
        session = make_secret("session")
        self.sessions.add(session)
        return 200, {"Set-Cookie": f"SID={session}; HttpOnly"}, {"csrf": session[::-1]}

    def login(self, _, __, headers, body):
        session = headers.get("Cookie", "").removeprefix("SID=")
        form = fields(body)
        if session not in self.sessions or form.get("csrf") != session[::-1]:
            return 400, {}, {"error": "no session"}
        if form.get("password") != self.password:
            return 403, {}, {"error": "bad_login"}
        self.sessions.discard(session)  # good once
        code = make_secret("code")
        self.codes[code] = session
        return 200, {"X-Code": code}, {}

    def token(self, _, path, *__):
        code = urllib.parse.unquote(path.split("/")[2])
        if not self.codes.pop(code, None):
            return 400, {}, {"error": "no code"}
        self.tokens.append(make_secret("token"))
        return 200, {}, {"token": self.tokens[-1], "ttl": 3600}

    def entry(self, site):
        return {"kind": "flow", "reauth_errors": ["bad_login"], "access_token_path": "$.token",
                "expires_path": "$.ttl", "rotation": "none",
                "steps": [
                    {"url": f"{site.url}/page", "capture": {"csrf": "$.csrf"},
                     "capture_cookies": {"session": "SID"}},
                    {"url": f"{site.url}/login", "method": "POST",
                     "headers": {"Cookie": "SID={session}"},
                     "body": {"password": "{password}", "csrf": "{csrf}"},
                     "capture_headers": {"code": "X-Code"}},
                    {"url": f"{site.url}/token/{{code}}", "method": "POST", "body": {"x": "y"}}]}


def put_login(c, password):
    return c.ask("credential.put", owner="o", provider="odd",
                 secret={"kind": "oauth2", "grant": {"password": password}})["connection"]


@limit(90)
def test_flow(t):
    login = Login()
    site = t.use(Site(page=login.page, login=login.login, token=login.token))
    d = t.use(Daemon({"providers": {"odd": login.entry(site)}}))
    c = d.client()
    connection = put_login(c, login.password)
    reply = c.ask("vend", owner="o", connection=connection)
    t.eq((reply["secret"]["access_token"], reply["secret"].get("fields")), (login.tokens[0], None),
         "three steps, one token; what was captured on the way is gone")
    t.eq(site.asked, ["page", "login", "token"], "in their order")
    connection = put_login(c, make_secret("wrong"))
    t.eq(c.code("vend", owner="o", connection=connection), "needs_reauth", "a wrong password")
    t.eq(types_of(c, connection).count("reauth"), 1, "said once")
    connection = put_login(c, login.password)
    t.eq(c.ask("vend", owner="o", connection=connection)["secret"]["access_token"],
         login.tokens[1], "and the right one again")


@limit(120)
def test_flow_over_a_crash(t):
    """What a step gave is kept with its reply: the next process goes on with the next step."""
    if not FAULT_POINTS:
        raise SkipTest("configure --enable-fault-points")
    login = Login()
    site = t.use(Site(page=login.page, login=login.login, token=login.token))
    d = t.use(Daemon({"providers": {"odd": login.entry(site)}}))
    c = d.client()
    connection = put_login(c, login.password)
    c.ask("vend", owner="o", connection=connection)
    d.env = {"BURSAR_FAULT_POINT": "reply-committed"}
    d.restart()
    d.client().send("refresh", owner="o", connection=connection, force=True)
    t.eq(d.wait_exit(), -9, "it dies")
    t.eq(site.asked, ["page", "login", "token", "page"], "with the first reply on the disk")
    d.env = {}
    d.start()
    c = d.client()
    record = until(lambda: (r := c.ask("connection.get", owner="o", connection=connection)["record"])
                   ["generation"] == 3 and r, "the exchange is brought to its end")
    t.eq(c.ask("vend", owner="o", connection=connection)["secret"]["access_token"],
         login.tokens[1], "the next process has the token")
    t.eq((record["state"], site.asked[3:]), ("ACTIVE", ["page", "login", "token"]),
         "no step was made twice")


# --- assertions


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True,
                          timeout=60).stdout


def unbase64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@limit(90)
def test_jwt_bearer(t):
    """A service account: the assertion is signed by the key, and fresh each time."""
    key = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048").decode()
    secrets.add("".join(key.splitlines()[1:-1])[100:140])
    public = tempfile.NamedTemporaryFile(suffix=".pem")
    public.write(openssl("pkey", "-pubout", data=key.encode()))
    public.flush()
    seen, tokens = [], []

    def token(_, __, ___, body):
        head, claims, signature = fields(body)["assertion"].split(".")
        with tempfile.NamedTemporaryFile() as file:
            file.write(unbase64url(signature))
            file.flush()
            openssl("dgst", "-sha256", "-verify", public.name, "-signature", file.name,
                    data=f"{head}.{claims}".encode())
        seen.append((json.loads(unbase64url(head)), json.loads(unbase64url(claims))))
        tokens.append(make_secret("token"))
        return 200, {}, {"access_token": tokens[-1], "expires_in": 3599}

    site = t.use(Site(token=token))
    account = json.dumps({"type": "service_account", "private_key": key, "private_key_id": "k1",
                          "client_email": "robot@example.com"})
    d = t.use(Daemon({"providers": {"google": entry(site, "token", kind="jwt_bearer",
                                                    scopes=["a", "b"])}}))
    c = d.client()
    connection = c.ask("credential.put", owner="o", provider="google",
                       secret={"kind": "oauth2", "grant": {"service_account": account}})["connection"]
    t.eq(c.ask("vend", owner="o", connection=connection)["secret"]["access_token"], tokens[0],
         "the signature is good")
    head, claims = seen[0]
    t.eq((head["alg"], head.get("kid"), claims["iss"], claims["aud"], claims["scope"]),
         ("RS256", "k1", "robot@example.com", f"{site.url}/token", "a b"), "and says what it should")
    t.ok(0 < claims["exp"] - claims["iat"] <= 3600, "for an hour at most")
    c.ask("refresh", owner="o", connection=connection, force=True)
    t.eq(len(seen), 2, "a new one for the next token")


@limit(90)
def test_github_app(t):
    key = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048").decode()
    secrets.add("".join(key.splitlines()[1:-1])[100:140])
    tokens = []

    def app(_, path, headers, ___):
        if not headers.get("Authorization", "").startswith("Bearer ey"):
            return 401, {}, {"message": "no"}
        if path != "/app/installations/77/access_tokens":
            return 404, {}, {"message": "Not Found"}
        tokens.append(make_secret("ghs"))
        return 201, {}, {"token": tokens[-1], "expires_at": "2099-01-01T00:00:00Z"}

    site = t.use(Site(app=app))
    d = t.use(Daemon({"providers": {"gh": {
        "kind": "github_app", "app_id": "1", "private_key": key, "expires_unit": "iso8601",
        "token_url": site.url + "/app/installations/{installation_id}/access_tokens",
        "variables": [{"name": "installation_id"}]}}}))
    c = d.client()

    def put(installation, account):
        return c.ask("credential.put", owner="o", provider="gh", account=account,
                     metadata={"installation_id": installation},
                     secret={"kind": "oauth2", "grant": {}})["connection"]

    connection = put("77", "there")
    t.eq(c.ask("vend", owner="o", connection=connection)["secret"]["access_token"], tokens[0],
         "an installation's token")
    gone = put("78", "gone")
    t.eq(c.code("vend", owner="o", connection=gone), "needs_reauth", "one that was removed")
    wait_state(c, gone, "NEEDS_REAUTH")
    evil = put("77/../78", "evil")
    job = c.call("vend", owner="o", connection=evil, deadline_ms=3000)
    t.ok(not job["ok"], "metadata cannot leave its place in the URL", repr(job.get("error")))
    t.ok("/app/installations/77/../78/access_tokens" not in str(site.asked), "nor was it asked")


@limit(90)
def test_aws(t):
    access, secret, session = make_secret("ASIA"), make_secret("secret"), make_secret("session")
    long_secret, seen = make_secret("longlived"), []

    def sts(method, path, headers, _):
        seen.append((method, path, headers.get("Authorization", "")))
        return 200, {"Content-Type": "text/xml"}, f"""<AssumeRoleResponse><AssumeRoleResult><Credentials>
            <AccessKeyId>{access}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>
            <SessionToken>{session}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>
            </Credentials></AssumeRoleResult></AssumeRoleResponse>"""

    site = t.use(Site(sts=sts))
    d = t.use(Daemon({"auth": {"deploy": {
        "kind": "aws_sts", "sts_url": f"{site.url}/sts", "region": "eu-west-1",
        "access_key_id": "AKIA1", "secret_access_key": long_secret,
        "role_arn": "arn:aws:iam::1:role/r"}}}))
    reply = d.client().ask("vend", ref="deploy")["secret"]
    t.eq((reply["kind"], reply["api_key"], reply["api_secret"], reply["fields"]["session_token"]),
         ("api_key", access, secret, session), "keys of the role")
    method, path, authorization = seen[0]
    query = urllib.parse.urlsplit(path).query.split("&")
    t.eq((method, query), ("GET", sorted(query)), "asked with a sorted query")
    t.ok(authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIA1/")
         and "/eu-west-1/sts/aws4_request" in authorization, "and signed", authorization[:90])


@limit(90)
def test_token_exchange(t):
    subject = make_secret("subject")
    replies = []

    def sts(_, __, ___, body):
        form = fields(body)
        if form.get("subject_token") != subject:
            return 400, {}, {"error": "invalid_request"}
        replies.append({"access_token": make_secret("token"), "expires_in": 600, "token_type": "Bearer",
                        "issued_token_type": form["requested_token_type"]})
        return 200, {}, replies[-1]

    site = t.use(Site(sts=sts))
    d = t.use(Daemon({"providers": {"wif": entry(site, "sts", kind="token_exchange",
                                                 audience="//pool")}}))
    c = d.client()
    connection = c.ask("credential.put", owner="o", provider="wif",
                       secret={"kind": "oauth2", "grant": {"subject_token": subject}})["connection"]
    t.eq(c.ask("vend", owner="o", connection=connection)["secret"]["access_token"],
         replies[0]["access_token"], "exchanged")


@limit(90)
def test_oauth1(t):
    """RFC 5849 section 2: temporary credentials, consent, a token; each request signed."""
    consumer, temporary = make_secret("consumer"), make_secret("temporary")
    token, token_secret, seen = make_secret("token"), make_secret("tokensecret"), {}

    def params(headers):
        text = headers.get("Authorization", "").removeprefix("OAuth ")
        pairs = (part.strip().split("=", 1) for part in text.split(","))
        return {k: urllib.parse.unquote(v.strip('"')) for k, v in pairs}

    def signature(url, given, secret):
        given = {k: v for k, v in given.items() if k not in ("oauth_signature", "realm")}

        def quote(text):
            return urllib.parse.quote(text, safe="-._~")

        base = "&".join(f"{k}={v}" for k, v in sorted((quote(k), quote(v)) for k, v in given.items()))
        text = "&".join(quote(part) for part in ("POST", url, base))
        key = f"{quote(consumer)}&{quote(secret)}"
        return base64.b64encode(hmac.new(key.encode(), text.encode(), "sha1").digest()).decode()

    def request(_, path, headers, ___):
        given = params(headers)
        seen["request"] = given
        if signature(site.url + path, given, "") != given["oauth_signature"]:
            return 401, {}, "oauth_problem=signature_invalid"
        return 200, {}, f"oauth_token=temp1&oauth_token_secret={temporary}&oauth_callback_confirmed=true"

    def access(_, path, headers, ___):
        given = params(headers)
        if (signature(site.url + path, given, temporary) != given["oauth_signature"]
                or given.get("oauth_verifier") != "v1" or given.get("oauth_token") != "temp1"):
            return 401, {}, "oauth_problem=token_rejected"
        return 200, {}, f"oauth_token={token}&oauth_token_secret={token_secret}"

    site = t.use(Site(request=request, access=access))
    uri = "https://app.example/back"
    d = t.use(Daemon({"providers": {"old": {
        "kind": "oauth1", "request_token_url": f"{site.url}/request",
        "authorize_url": f"{site.url}/authorize", "token_url": f"{site.url}/access",
        "client_id": "key", "client_secret": consumer, "redirect_uris": [uri]}}}))
    c = d.client()

    def begin():
        return c.ask("connect.begin", owner="o", provider="old", redirect_uri=uri)

    first = begin()
    url = urllib.parse.urlsplit(first["authorize_url"])
    t.eq((url.path, urllib.parse.parse_qs(url.query)), ("/authorize", {"oauth_token": ["temp1"]}),
         "a person is sent there with the temporary token")
    t.ok(first["state"] in urllib.parse.unquote(seen["request"]["oauth_callback"]),
         "and comes back with the state")
    t.ok(temporary not in json.dumps(first), "whose secret stays here")
    record = c.ask("connect.complete", state=first["state"],
                   callback={"oauth_token": "temp1", "oauth_verifier": "v1"})["record"]
    secret = c.ask("vend", owner="o", connection=record["id"])["secret"]
    t.eq((secret["kind"], secret["api_key"], secret["api_secret"]),
         ("api_key", token, token_secret), "the token and its secret")
    t.eq(c.code("connect.complete", state=first["state"],
                callback={"oauth_token": "temp1", "oauth_verifier": "v1"}), "not_found", "once")
    t.eq(c.code("connect.complete", state=begin()["state"],
                callback={"oauth_token": "other", "oauth_verifier": "v1"}), "bad_request",
         "another token than the one that was sent there")
    t.ok(not c.call("connect.complete", state=begin()["state"],
                    callback={"oauth_token": "temp1", "oauth_verifier": "v2"})["ok"], "another verifier")


# --- what a client is told to do with a secret


@limit(60)
def test_apply(t):
    d = t.use(Daemon({"providers": {"shop": {
        "kind": "api_key", "apply": [{"in": "header", "name": "X-Shop", "value": "{shop}"},
                                     {"in": "header", "name": "X-Key", "value": "key {api_key}"},
                                     {"in": "query", "name": "other", "value": "{not_given}"}],
        "variables": [{"name": "shop"}]}}}))
    c, key = d.client(), make_secret("key")
    put = c.ask("credential.put", owner="o", provider="shop", metadata={"shop": "seven"},
                secret={"kind": "api_key", "api_key": key})
    secret = c.ask("vend", owner="o", connection=put["connection"])["secret"]
    t.eq(secret["apply"], [{"in": "header", "name": "X-Shop", "value": "seven"},
                           {"in": "header", "name": "X-Key", "value": f"key {key}"}],
         "what can be said is said, the rest is left out")


@limit(60)
def test_many_users_of_one_name(t):
    """However many ask at once while nothing is there yet."""
    endpoint = Clients(app=make_secret("right"))
    site = t.use(Site(token=endpoint))
    d = t.use(Daemon({"auth": {"wh": entry(site, "token", kind="oauth2", client_id="app",
                                           client_secret=endpoint.known["app"])}}, start=False))
    d.start()
    replies = fan(d.clients(scaled(100, 20)), "vend", ref="wh")
    t.eq({r["secret"]["access_token"] for r in replies}, {endpoint.given["app"][0]}, "one token")
    t.eq(site.count("token"), 1, "one request")


@limit(90)
def test_what_a_refresh_leaves(t):
    """Parts that a reply lacks are those of the secret before; one that nothing is taken of is not even opened."""
    replies = []

    def token(_, __, ___, body):
        reply = {"access_token": make_secret("token"), "expires_in": 3600, **replies.pop(0)}
        return (200, {}, reply) if fields(body)["refresh_token"] == start else (400, {}, {"error": "invalid_grant"})

    start = make_secret("refresh")
    site = t.use(Site(token=token))
    d = t.use(Daemon({"providers": {
        "acme": entry(site, "token", kind="oauth2_refresh", client_id="app", rotation="none"),
        "host": entry(site, "token", kind="oauth2_refresh", client_id="app", rotation="none",
                      captures={"realm": "$.realm"})}}))
    c = d.client()

    def begin(provider):
        secret = {"kind": "oauth2", "access_token": make_secret("first"), "refresh_token": start}
        return c.ask("credential.put", owner="o", provider=provider, secret=secret)["connection"]

    def refresh(connection, **more):
        replies.append(more)
        c.ask("refresh", owner="o", connection=connection, force=True)
        secret = c.ask("vend", owner="o", connection=connection)["secret"]
        return {name: value for name, value in secret.items() if name != "access_token"}

    acme = begin("acme")
    typed = {"kind": "oauth2", "token_type": "Mac", "scopes": ["a", "b"]}
    t.eq(refresh(acme), {"kind": "oauth2"}, "a reply of a token alone")
    t.eq(refresh(acme, token_type="Mac", scope="a b"), typed, "more parts")
    t.eq(refresh(acme, token_type="Mac"), typed, "scopes stay where a reply names none")
    t.eq(refresh(acme), typed, "and the type, too")
    t.eq(refresh(acme, scope="c"), {**typed, "scopes": ["c"]}, "the type alone")
    host = begin("host")
    at_home = {"kind": "oauth2", "fields": {"realm": "home"}}
    t.eq(refresh(host, realm="home"), at_home, "a field")
    t.eq(refresh(host), at_home, "stays where a reply has none")
    t.eq(refresh(host, token_type="Mac"), {**at_home, "token_type": "Mac"}, "also beside new parts")
    exported = c.ask("connection.export", owner="o", connection=acme)["secret"]
    t.eq(sorted(exported), ["access_token", "kind", "refresh_token", "scopes", "token_type"],
         "what the grant notes for this is no part of an export")
    d.stop()
    edit(d, "UPDATE connection SET secret = zeroblob(200)")
    d.start()
    c = d.client()
    replies.append({"token_type": "Mac", "scope": "a"})
    c.ask("refresh", owner="o", connection=acme, force=True)
    t.eq(c.ask("vend", owner="o", connection=acme)["secret"]["scopes"], ["a"],
         "a secret that does not open is replaced where nothing of it is needed")
    replies.append({"realm": "home"})
    reply = c.call("refresh", owner="o", connection=host, force=True)
    t.ok(not reply["ok"] and "does not open" in reply["error"]["provider_error"], "else it is in the way, and")
    t.eq(replies.pop(), {"realm": "home"}, "nobody is asked in vain")


run([test_client_credentials_shared, test_client_credentials_of_owners, test_client_is_refused,
     test_outage, test_flow, test_flow_over_a_crash, test_jwt_bearer, test_github_app, test_aws,
     test_token_exchange, test_oauth1, test_apply, test_many_users_of_one_name,
     test_what_a_refresh_leaves])
