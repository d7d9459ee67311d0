#!/usr/bin/python3
"""Providers, callbacks and modules that mean harm, or only go wrong in ways that nobody expects: what a
hostile reading of the code found, each once."""

import json, os, sys, time, threading, urllib.parse, http.server, sqlite3, re
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, Daemon, SkipTest, fan, limit, run, secrets, cli
from scene import make_secret, until, wait_state, record, types_of
import importlib.util, importlib.machinery

class Site:
    def __init__(self, **paths):
        site = self
        self.asked, self.lock, self.last = [], threading.Lock(), {}
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def answer(self):
                parts = urllib.parse.urlsplit(self.path)
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size).decode()
                name = parts.path.strip("/").split("/")[0]
                with site.lock:
                    site.asked.append((name, self.command, self.path, dict(self.headers), body))
                r = paths[name](self.command, self.path, self.headers, body)
                status, headers, content = r
                content = content if isinstance(content, str) else json.dumps(content)
                self.send_response(status)
                for k, v in headers.items(): self.send_header(k, v)
                self.send_header("Content-Length", str(len(content.encode())))
                self.end_headers()
                if self.command != "HEAD": self.wfile.write(content.encode())
            do_GET = do_POST = do_DELETE = do_HEAD = answer
            def log_message(self, *_): pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
    def count(self, name):
        with self.lock: return sum(1 for a in self.asked if a[0] == name)
    def of(self, name):
        with self.lock: return [a for a in self.asked if a[0] == name]
    def __enter__(self): return self
    def __exit__(self, *_):
        self.server.shutdown(); self.server.server_close()

def form(body): return dict(urllib.parse.parse_qsl(body))
CB = "https://app.example/cb"

def consent_entry(site, **over):
    return {"kind": "oauth2_authorization_code", "authorize_url": f"{site.url}/authorize", "token_url": f"{site.url}/token",
            "client_id": "cid", "client_secret": over.pop("secret", "shh-secret-1"), "client_auth": "client_secret_post", "redirect_uris": [CB], **over}

def dev_entry(site, **over):
    return {"kind": "oauth2_device", "device_url": f"{site.url}/device", "token_url": f"{site.url}/token",
            "client_id": "cid", "client_auth": "none", **over}

@limit(60)
def test_head(t):
    site = t.use(Site(check=lambda *a: (200, {}, "x" * 100)))
    d = t.use(Daemon({"providers": {"k": {"kind": "api_key", "timeout_s": 3, "validate": {"url": f"{site.url}/check", "method": "HEAD"}}}}))
    c = d.client()
    r = c.call("connector.validate", provider="k", fields={"api_key": make_secret("k")})
    t.ok(r["ok"], "HEAD validate", repr(r))

@limit(60)
def test_device_expires(t):
    site = t.use(Site(device=lambda *a: (200, {}, {"device_code": "dc", "user_code": "UC", "verification_uri": "https://x.example/", "expires_in": 3, "interval": 1}),
                      token=lambda *a: (400, {}, {"error": "authorization_pending"})))
    d = t.use(Daemon({"providers": {"k": dev_entry(site)}}))
    c = d.client()
    r = c.ask("connect.device", owner="o", provider="k")
    time.sleep(6)
    rec = record(c, r["connection"])
    t.ok("last_refresh" in rec and rec["last_refresh"].get("error"), "expiry told", repr(rec))

@limit(60)
def test_device_denied_active(t):
    site = t.use(Site(device=lambda *a: (200, {}, {"device_code": "dc", "user_code": "UC", "verification_uri": "https://x.example/", "expires_in": 30, "interval": 1}),
                      token=lambda *a: (400, {}, {"error": "access_denied"})))
    d = t.use(Daemon({"providers": {"k": dev_entry(site)}}))
    c = d.client()
    conn = c.ask("credential.put", owner="o", provider="k", secret={"kind": "oauth2", "access_token": make_secret("a"), "refresh_token": make_secret("r")}, expires_at=int(time.time())+3600)["connection"]
    before = record(c, conn)
    r = c.ask("connect.device", owner="o", provider="k", reconnect=conn)
    time.sleep(4)
    rec = record(c, conn)
    t.diag(repr(before)); t.diag(repr(rec))
    t.ok(rec.get("next_refresh_at"), "still planned", repr(rec))

@limit(60)
def test_device_revoked(t):
    site = t.use(Site(device=lambda *a: (200, {}, {"device_code": "dc", "user_code": "UC", "verification_uri": "https://x.example/", "expires_in": 30, "interval": 1}),
                      token=lambda *a: (200, {}, {"access_token": "at-zzz", "token_type": "bearer", "refresh_token": "rt-zzz"})))
    d = t.use(Daemon({"providers": {"k": dev_entry(site)}}))
    c = d.client()
    conn = c.ask("credential.put", owner="o", provider="k", secret={"kind": "oauth2", "access_token": make_secret("a"), "refresh_token": make_secret("r")}, expires_at=int(time.time())+3600)["connection"]
    c.ask("connection.revoke", owner="o", connection=conn)
    r = c.call("connect.device", owner="o", provider="k", reconnect=conn)
    t.ok(not r["ok"], "refused at once", repr(r))
    time.sleep(3)
    t.diag(d.log_tail(6))
    r = c.call("connect.begin", owner="o", provider="k", redirect_uri=CB, reconnect=conn)
    t.diag(repr(r))

@limit(60)
def test_empty_grant(t):
    site = t.use(Site(token=lambda *a: (200, {}, {"access_token": "x"})))
    d = t.use(Daemon({"providers": {"k": {"kind": "oauth2_refresh", "token_url": f"{site.url}/token", "client_id": "c"}}}))
    c = d.client()
    r = c.call("credential.put", owner="o", provider="k", secret={"kind": "oauth2", "grant": {}})
    t.diag(repr(r))
    v = c.call("vend", owner="o", provider="k")
    t.diag(repr(v))
    t.ok(not r["ok"] or v["error"]["code"] == "needs_reauth", "not internal", repr(v))
    t.diag(d.log_tail(4))

@limit(60)
def test_mint_missing_variable(t):
    site = t.use(Site(token=lambda *a: (200, {}, {"access_token": "x"})))
    d = t.use(Daemon({"providers": {"k": {"kind": "oauth2", "token_url": site.url + "/token?t={tenant}", "client_id": "c", "client_secret": "ssss-1", "variables": [{"name": "tenant"}]}}}))
    c = d.client()
    r = c.call("credential.put", owner="o", provider="k", secret={"kind": "oauth2", "grant": {}})
    t.diag(repr(r))
    v = c.call("vend", owner="o", provider="k", deadline_ms=3000)
    t.diag(repr(v))
    u = c.call("connection.update", owner="o", provider="k", metadata={"tenant": "x"})
    t.diag(repr(u))
    v = c.call("vend", owner="o", provider="k", deadline_ms=3000)
    t.ok(v["ok"], "vend once metadata is there", repr(v))

@limit(60)
def test_auth_needs_reauth(t):
    st = {"bad": True}
    site = t.use(Site(token=lambda *a: (400, {}, {"error": "invalid_grant"}) if st["bad"] else (200, {}, {"access_token": "at-yyy", "expires_in": 3600})))
    d = t.use(Daemon({"auth": {"k": {"kind": "oauth2", "token_url": f"{site.url}/token", "client_id": "c", "client_secret": "ssss-2"}}}))
    c = d.client()
    v = c.call("vend", ref="k", deadline_ms=5000); t.diag(repr(v))
    st["bad"] = False
    v = c.call("refresh", ref="k", force=True, deadline_ms=3000); t.diag(repr(v))
    d.restart()
    v = c.call("vend", ref="k", deadline_ms=5000)
    t.ok(v["ok"], "comes back with a restart", repr(v))

@limit(60)
def test_identity_metadata(t):
    site = t.use(Site(token=lambda *a: (200, {}, {"access_token": "at-www", "expires_in": 0}), me=lambda *a: (200, {}, {"user_id": 77, "dc": "us6"})))
    d = t.use(Daemon({"providers": {"k": consent_entry(site, identity_url=f"{site.url}/me", identity_path="$.user_id", identity_metadata={"dc": "$.dc"})}}))
    c = d.client()
    b = c.ask("connect.begin", owner="o", provider="k", redirect_uri=CB)
    r = c.call("connect.complete", state=b["state"], code="c1")
    t.diag(repr(r))
    t.eq(r["record"].get("metadata", {}).get("dc"), "us6", "identity_metadata kept")

@limit(60)
def test_issuer_template(t):
    site = t.use(Site(token=lambda *a: (200, {}, {"access_token": "at-www", "expires_in": 60})))
    d = t.use(Daemon({"providers": {"k": consent_entry(site, issuer="https://login.example/{tenant}/v2.0", variables=[{"name": "tenant", "default": "common"}])}}))
    c = d.client()
    b = c.ask("connect.begin", owner="o", provider="k", redirect_uri=CB, metadata={"tenant": "t1"})
    r = c.call("connect.complete", state=b["state"], code="c1", iss="https://login.example/t1/v2.0")
    t.ok(r["ok"], "issuer with placeholder", repr(r))

@limit(60)
def test_callback_host(t):
    site = t.use(Site(token=lambda *a: (200, {}, {"access_token": "at-www"})))
    evil = t.use(Site(token=lambda *a: (200, {}, {"access_token": "at-evil"})))
    host = evil.url.split("//")[1]
    e = consent_entry(site, callback_captures={"base": "base"}, variables=[{"name": "x"}])
    e["token_url"] = "{base}/token"; host = evil.url
    d = t.use(Daemon({"providers": {"k": e}}, start=False))
    try:
        d.start()
    except RuntimeError as x:
        t.ok(True, "refused by the configuration " + str(x)[:200]); return
    c = d.client()
    b = c.call("connect.begin", owner="o", provider="k", redirect_uri=CB)
    r = c.call("connect.complete", state=b["state"], code="c1", callback={"base": host})
    t.diag(repr(r))
    t.eq(evil.count("token"), 0, "secret not sent where a callback says", )
    if evil.count("token"): t.diag(repr(evil.of("token")))

@limit(60)
def test_reply_host(t):
    evil = t.use(Site(me=lambda *a: (200, {}, {"sub": "1"}), token=lambda *a: (200, {}, {"access_token": "at"})))
    site = t.use(Site(token=lambda *a: (200, {}, {"access_token": "at-www", "refresh_token": "rt-www", "base": evil.url, "expires_in": 1})))
    d = t.use(Daemon({"providers": {"k": consent_entry(site, captures={"base": "$.base"}, refresh_url="{base}/token")}}))
    c = d.client()
    b = c.ask("connect.begin", owner="o", provider="k", redirect_uri=CB)
    r = c.call("connect.complete", state=b["state"], code="c1")
    time.sleep(3)
    t.eq(evil.count("token"), 0, "secret not sent where a reply says")

@limit(60)
def test_many_callbacks(t):
    site = t.use(Site(token=lambda *a: (200, {}, {"access_token": "at-www"})))
    d = t.use(Daemon({"providers": {"k": consent_entry(site)}}))
    c = d.client()
    b = c.ask("connect.begin", owner="o", provider="k", redirect_uri=CB)
    r = c.call("connect.complete", state=b["state"], code="c1", callback={f"p{i}": "x" for i in range(40)})
    t.diag(repr(r))
    got = form(site.of("token")[0][4]) if site.count("token") else {}
    t.ok((got.get("code") == "c1" and got.get("code_verifier")) or not got, "the code and verifier were sent", repr(got))
    r = c.call("connect.complete", state=b["state"], code="c1", callback={f"p{i}": "x" for i in range(24)})
    t.ok(r["ok"], "and 24 are fine", repr(r))

@limit(60)
def test_echo(t):
    sec = make_secret("client-secret")
    def token(m, p, h, b):
        f = form(b)
        return 400, {}, {"error": "invalid_client", "error_description": f"bad secret {f['client_secret']} for {f.get('code')}"}
    site = t.use(Site(token=token))
    d = t.use(Daemon({"providers": {"k": consent_entry(site, secret=sec)}}))
    c = d.client()
    b = c.ask("connect.begin", owner="o", provider="k", redirect_uri=CB)
    code = make_secret("thecode")
    r = c.call("connect.complete", state=b["state"], code=code)
    t.ok(sec not in repr(r), "not in the answer", repr(r))
    t.ok(sec not in d.log(), "not in the log")
    t.ok(code not in d.log(), "code not in the log")

@limit(100)
def test_shutdown_leaks(t):
    stop = threading.Event()
    def hang(*a):
        stop.wait(80); return 200, {}, {}
    site = t.use(Site(device=hang, token=hang, me=hang, check=hang))
    dev2 = t.use(Site(device=lambda *a: (200, {}, {"device_code": "dc", "user_code": "UC", "verification_uri": "https://x.example/", "expires_in": 90, "interval": 1}), token=hang))
    d = t.use(Daemon({"providers": {"k": consent_entry(site, device_url=f"{site.url}/device", revoke_url=f"{site.url}/check", timeout_s=60, validate={"url": f"{site.url}/check"}),
                                    "p": dev_entry(dev2, timeout_s=60),
                                    "v": {"kind": "api_key", "timeout_s": 60, "validate": {"url": f"{site.url}/check"}}}}))
    c = d.client()
    b = c.ask("connect.begin", owner="o", provider="k", redirect_uri=CB)
    c.call("connect.complete", state=b["state"], code="c1", deadline_ms=300)
    c.call("connect.device", owner="o", provider="k", deadline_ms=300)
    c.call("connector.validate", provider="v", fields={"api_key": "abcabcabc"}, deadline_ms=300)
    c.ask("connect.device", owner="o", provider="p")
    c.ask("connect.device", owner="o2", provider="p")
    conn = c.ask("credential.put", owner="z", provider="k", secret={"kind": "oauth2", "access_token": make_secret("a"), "refresh_token": make_secret("r")}, expires_at=int(time.time())+3600)["connection"]
    c.call("connection.revoke", owner="z", connection=conn, at_provider=True, deadline_ms=300)
    until(lambda: dev2.count("token") >= 1, "poll")
    a = open(f"/proc/{d.pid}/stat").read().split(); cpu0 = int(a[13]) + int(a[14])
    d.child.send(15)
    time.sleep(4)
    a = open(f"/proc/{d.pid}/stat").read().split(); cpu1 = int(a[13]) + int(a[14])
    t.ok(cpu1 - cpu0 < 100, "draining does not spin", f"{(cpu1-cpu0)/100} s cpu of 4")
    if "address" not in os.environ.get("BURSAR_SANITIZE", ""):
        stop.set()  # what is cut off at the end of the draining is for the leak checker to see
    st = d.child.wait(40)
    stop.set()
    t.eq(st, 0, "exit")
    t.diag("\n".join(l for l in d.log().splitlines() if "SUMMARY" in l or "leak" in l.lower())[:3000])

MOD = r'''
#include <bursar/connector.h>
#include <stdlib.h>
#include <signal.h>
static const struct bursar_option options[] = {{"token_url", BURSAR_OPTION_URL, .required = true, .help = "u"}, {0}};
static int build(const struct bursar_call *c) { struct bursar_text u = c->setting(c, "token_url"); c->emit(c, BURSAR_REQ_URL, NULL, u.data, u.len); BODY; return 0; }
static enum bursar_read rd(const struct bursar_call *c, const struct bursar_response *r) { (void)r; c->emit(c, BURSAR_OUT_ACCESS_TOKEN, NULL, "tok-123", 7); return BURSAR_READ_OK; }
static const struct bursar_connector m = {.abi = BURSAR_CONNECTOR_ABI, .kind = "mine", .summary = "s", .flags = BURSAR_CONNECTOR_MINTS, .secret_kind = SK, .options = options, .exchanges = {[BURSAR_REFRESH] = {build, rd}}};
__attribute__((visibility("default"))) const struct bursar_connector *bursar_connector_module(void) { CRASH; return &m; }
'''
import subprocess
def module(folder, sk='"oauth2"', crash="", body=""):
    os.makedirs(folder, exist_ok=True)
    open(folder + "/m.c", "w").write(MOD.replace("SK", sk).replace("CRASH", crash).replace("BODY", body))
    subprocess.run(["gcc", "-shared", "-fPIC", "-I", str(ROOT / "include"), "-o", folder + "/m.so", folder + "/m.c"], check=True)

@limit(60)
def test_module_kind(t):
    site = t.use(Site(token=lambda *a: (200, {}, {})))
    import tempfile
    f = tempfile.mkdtemp(); module(f, sk='"cookie"')
    d = t.use(Daemon({"connectors": {"modules": [f]}, "providers": {"k": {"kind": "mine", "token_url": site.url + "/token"}}}, start=False))
    try: d.start()
    except RuntimeError as x:
        t.ok("exit status: 1" in str(x), "refused by name", str(x)[-400:]); return
    c = d.client()
    try: t.diag(repr(c.call("credential.put", owner="o", provider="k", secret={"kind": "oauth2", "grant": {}})))
    except Exception as x: t.diag(repr(x))
    try: t.diag(repr(c.call("credential.put", owner="o", provider="k", secret={"kind": "cookie", "grant": {}})))
    except Exception as x: t.diag(repr(x))
    time.sleep(1)
    t.ok(d.running(), "still runs")

@limit(60)
def test_module_kind_auth(t):
    site = t.use(Site(token=lambda *a: (200, {}, {})))
    import tempfile
    f = tempfile.mkdtemp(); module(f, sk='"cookie"')
    d = t.use(Daemon({"connectors": {"modules": [f]}, "auth": {"k": {"kind": "mine", "token_url": site.url + "/token"}}}, start=False))
    try: d.start()
    except RuntimeError as x: t.ok("secret_kind" in str(x) or "kind of secret" in str(x), "refused by name", str(x)[-900:])

@limit(60)
def test_sigchld(t):
    import tempfile, signal
    site = t.use(Site(token=lambda *a: (200, {}, {})))
    f = tempfile.mkdtemp(); module(f, crash="abort()")
    d = t.use(Daemon({"connectors": {"modules": [f]}}, start=False))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try: d.start()
    except RuntimeError as x: t.ok("crashes while" in str(x) or "cannot be tried" in str(x), "the crash is named", str(x)[-700:])
    finally: signal.signal(signal.SIGCHLD, signal.SIG_DFL)

@limit(60)
def test_exit0(t):
    import tempfile
    f = tempfile.mkdtemp(); module(f, crash="exit(0)")
    d = t.use(Daemon({"connectors": {"modules": [f]}}, start=False))
    try: d.start()
    except RuntimeError as x: t.ok("ends the process" in str(x), "an exit is named", str(x)[-700:])

@limit(60)
def test_folder(t):
    import tempfile
    f = tempfile.mkdtemp(); module(f); os.chmod(f, 0o777)
    d = t.use(Daemon({"connectors": {"modules": [f]}}, start=False))
    try: d.start()
    except RuntimeError as x: t.ok("written by everybody" in str(x), "the folder is named", str(x)[-700:])
    else: t.fail("loaded from a folder that everybody can write to")

@limit(60)
def test_sigv4_body(t):
    import tempfile, hashlib, hmac
    site = t.use(Site(token=lambda *a: (200, {}, {})))
    f = tempfile.mkdtemp(); module(f, body='c->emit(c, BURSAR_REQ_FORM, "a", "b", 1); c->emit(c, BURSAR_REQ_SIGV4, "eu-west-1:sts", "AKID:SECRETKEY", 14)')
    d = t.use(Daemon({"connectors": {"modules": [f]}, "providers": {"k": {"kind": "mine", "token_url": site.url + "/token"}}}))
    c = d.client()
    t.diag(repr(c.call("credential.put", owner="o", provider="k", secret={"kind": "oauth2", "grant": {}})))
    t.diag(repr(c.call("vend", owner="o", provider="k", deadline_ms=3000)))
    name, method, path, headers, body = site.of("token")[0]
    t.diag(repr(headers) + body)
    auth = headers["Authorization"]
    signed = re.search(r"SignedHeaders=([^,]+)", auth)[1]; sig = re.search(r"Signature=(\w+)", auth)[1]; scope = re.search(r"Credential=AKID/([^,]+)", auth)[1]
    low = {k.lower(): v for k, v in headers.items()}
    def sign(b):
        canon = "\n".join([method, path, "", *[f"{h}:{low[h].strip()}" for h in signed.split(";")], "", signed, hashlib.sha256(b.encode()).hexdigest()])
        sts = "\n".join(["AWS4-HMAC-SHA256", low["x-amz-date"], scope, hashlib.sha256(canon.encode()).hexdigest()])
        k = b"AWS4SECRETKEY"
        for p in scope.split("/"): k = hmac.new(k, p.encode(), hashlib.sha256).digest()
        return hmac.new(k, sts.encode(), hashlib.sha256).hexdigest()
    t.eq(sig == sign(body), True, "signed with its body; of an empty one: %s" % (sig == sign("")))

@limit(60)
def test_echo_flight(t):
    rt = make_secret("refreshtok")
    site = t.use(Site(token=lambda m, p, h, b: (400, {}, {"error": "no such token " + form(b)["refresh_token"]})))
    d = t.use(Daemon({"providers": {"k": {"kind": "oauth2_refresh", "token_url": site.url + "/token", "client_id": "c"}}}))
    c = d.client()
    c.ask("credential.put", owner="o", provider="k", secret={"kind": "oauth2", "access_token": make_secret("a"), "refresh_token": rt}, expires_at=1)
    r = c.call("vend", owner="o", provider="k", deadline_ms=500)
    t.ok(rt not in repr(r), "not in the answer", repr(r))
    t.ok(rt not in d.log(), "not in the log")

@limit(60)
def test_identity_down(t):
    n = [0]
    def token(*a):
        n[0] += 1
        return 200, {}, {"access_token": f"at-{n[0]}", "refresh_token": f"rt-{n[0]}", "expires_in": 3600}
    site = t.use(Site(token=token, me=lambda *a: (503, {}, {})))
    d = t.use(Daemon({"providers": {"k": consent_entry(site, identity_url=f"{site.url}/me")}}))
    c = d.client()
    conn = c.ask("credential.put", owner="o", provider="k", secret={"kind": "oauth2", "access_token": "alice-token-1", "refresh_token": "alice-refresh-1"}, expires_at=int(time.time())+3600)["connection"]
    b = c.ask("connect.begin", owner="o", provider="k", redirect_uri=CB)
    r = c.call("connect.complete", state=b["state"], code="c1")
    t.diag(repr(r))
    v = c.ask("vend", owner="o", provider="k")
    t.eq(v["secret"]["access_token"], "alice-token-1", "the other account's grant stands")

@limit(90)
def test_races(t):
    import random
    site = t.use(Site(device=lambda *a: (200, {}, {"device_code": "dc", "user_code": "UC", "verification_uri": "https://x.example/", "expires_in": 30, "interval": 1}),
                      token=lambda *a: (time.sleep(random.random()*0.2), (200, {}, {"access_token": "at-zzz", "token_type": "bearer", "refresh_token": "rt-zzz", "expires_in": random.choice([1, 60])}))[1], me=lambda *a: (200, {}, {"sub": "u1"}), rev=lambda *a: (200, {}, {})))
    d = t.use(Daemon({"providers": {"k": consent_entry(site, device_url=site.url + "/device", identity_url=site.url + "/me", revoke_url=site.url + "/rev")}}))
    cs = d.clients(12)
    stop = time.time() + 8
    def work(c, i):
        rnd = random.Random(i)
        while time.time() < stop:
            o = f"o{rnd.randrange(3)}"
            conn = None
            r = c.call("connection.list", owner=o)
            if r["ok"] and r["connections"]: conn = rnd.choice(r["connections"])["id"]
            k = rnd.randrange(9)
            if k == 0: c.call("connect.device", owner=o, provider="k", deadline_ms=2000, **({"reconnect": conn} if conn and rnd.random() < .5 else {}))
            elif k == 1:
                b = c.call("connect.begin", owner=o, provider="k", redirect_uri=CB, **({"reconnect": conn} if conn and rnd.random() < .5 else {}))
                if b["ok"]:
                    for _ in range(2): c.call("connect.complete", state=b["state"], code="c", deadline_ms=rnd.choice([1, 2000]))
            elif k == 2 and conn: c.call("connection.revoke", owner=o, connection=conn, at_provider=rnd.random() < .5)
            elif k == 3 and conn: c.call("connection.restore", owner=o, connection=conn)
            elif k == 4 and conn: c.call("connection.delete", owner=o, connection=conn)
            elif k == 5 and conn: c.call("connection.update", owner=o, connection=conn, metadata={"a": "b"})
            elif k == 6 and conn: c.call("refresh", owner=o, connection=conn, force=True, deadline_ms=500)
            elif k == 7 and conn: c.call("invalidate", owner=o, connection=conn, deadline_ms=500)
            elif k == 8: c.call("connector.validate", provider="k", fields={"x": "y"}, deadline_ms=500)
    ts = [threading.Thread(target=work, args=(c, i)) for i, c in enumerate(cs)]
    [x.start() for x in ts]; [x.join() for x in ts]
    codes = {}
    t.ok(d.running(), "runs")
    t.diag("\n".join(sorted({re.sub(r"^\S+ ", "", l)[:90] for l in d.log().splitlines() if "error" in l.split(" ")[1:2]})))

@limit(90)
def test_store_down_device(t):
    n = [0]
    def token(*a):
        n[0] += 1
        return (200, {}, {"access_token": "at-zzz", "token_type": "bearer", "refresh_token": "rt-zzz", "expires_in": 60})
    site = t.use(Site(device=lambda *a: (200, {}, {"device_code": "dc", "user_code": "UC", "verification_uri": "https://x.example/", "expires_in": 60, "interval": 2}), token=token))
    d = t.use(Daemon({"providers": {"k": dev_entry(site)}}))
    c = d.client()
    r = c.ask("connect.device", owner="o", provider="k")
    h = sqlite3.connect(d.db, isolation_level=None, timeout=10)
    h.execute("BEGIN IMMEDIATE")
    until(lambda: n[0] >= 1, "asked")
    time.sleep(12)
    h.execute("ROLLBACK")
    rec = wait_state(c, r["connection"], "ACTIVE", timeout=20)
    t.eq(rec["state"], "ACTIVE", "the grant came")
    t.diag(f"polls {n[0]} " + d.log_tail(4))

run([test_head, test_device_expires, test_device_denied_active, test_device_revoked, test_empty_grant, test_mint_missing_variable, test_auth_needs_reauth, test_identity_metadata, test_issuer_template, test_callback_host, test_reply_host, test_many_callbacks, test_echo, test_shutdown_leaks, test_module_kind, test_module_kind_auth, test_sigchld, test_exit0, test_folder, test_sigv4_body, test_echo_flight, test_identity_down, test_races, test_store_down_device], timeout=100)
