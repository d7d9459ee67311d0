#!/usr/bin/python3
"""Providers by https: whose certificates are taken, and a client that shows its own (RFC 8705)."""

import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, cli, limit, run
from scene import make_secret


class Authority:
    """A certificate authority in a folder of its own, and what it has signed."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bca"))
        self.make_key("ca")
        self.openssl("req", "-x509", "-new", "-key", self.at("ca.key"), "-subj", "/CN=test CA",
                     "-days", "2", "-out", self.at("ca.pem"))

    def at(self, name):
        return str(self.dir / name)

    def openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, timeout=60)

    def make_key(self, name):
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
                     self.at(f"{name}.key"))

    def sign(self, name, *lines):
        self.make_key(name)
        (self.dir / f"{name}.ext").write_text("\n".join(lines))
        self.openssl("req", "-new", "-key", self.at(f"{name}.key"), "-subj", f"/CN={name}", "-out",
                     self.at(f"{name}.csr"))
        self.openssl("x509", "-req", "-in", self.at(f"{name}.csr"), "-CA", self.at("ca.pem"),
                     "-CAkey", self.at("ca.key"), "-CAcreateserial", "-days", "2", "-extfile",
                     self.at(f"{name}.ext"), "-out", self.at(f"{name}.pem"))
        return self.at(f"{name}.pem"), self.at(f"{name}.key")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for file in self.dir.iterdir():
            file.unlink()
        self.dir.rmdir()


class Server:
    """A token endpoint by https; with wants_client it asks for the client's certificate."""

    def __init__(self, authority, wants_client=False, minimum=None, **sign):
        server = self
        self.seen, self.tokens = [], []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                subject = dict(pair[0] for pair in (self.connection.getpeercert() or {}).get(
                    "subject", ()))
                server.seen.append((subject.get("commonName"),
                                    dict(urllib.parse.parse_qsl(body)),
                                    self.headers.get("Authorization")))
                server.tokens.append(make_secret("token"))
                content = json.dumps({"access_token": server.tokens[-1], "expires_in": 3600}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        name = sign.get("name", "IP:127.0.0.1")
        cert, key = authority.sign("server", f"subjectAltName={name}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        if minimum:
            context.minimum_version = context.maximum_version = minimum
            context.set_ciphers("ALL:@SECLEVEL=0")
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(authority.at("ca.pem"))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # a handshake that is refused
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def daemon(t, server, ca_file=None, **over):
    entry = {"kind": "oauth2", "token_url": server.url, "client_id": "app", **over}
    connectors = {"ca_file": ca_file} if ca_file else {}
    return t.use(Daemon({"connectors": connectors, "auth": {"wh": entry}}))


@limit(90)
def test_client_certificate(t):
    authority = t.use(Authority())
    server = t.use(Server(authority, wants_client=True))
    cert, key = authority.sign("client", "extendedKeyUsage=clientAuth")
    d = daemon(t, server, authority.at("ca.pem"), client_auth="tls_client_auth",
               tls_certificate_file=cert, tls_key_file=key)
    t.eq(d.client().ask("vend", ref="wh")["secret"]["access_token"], server.tokens[0],
         "the certificate is shown")
    t.eq(server.seen[0][0], "client", "it is the client's")
    t.eq((server.seen[0][1].get("client_id"), "client_secret" in server.seen[0][1],
          server.seen[0][2]), ("app", False, None), "with the client's id and no secret")


@limit(90)
def test_without_its_certificate(t):
    authority = t.use(Authority())
    server = t.use(Server(authority, wants_client=True))
    d = daemon(t, server, authority.at("ca.pem"), client_auth="none")
    job = d.client().call("vend", ref="wh", deadline_ms=2000)
    t.ok(not job["ok"], "a client without one is not served", repr(job.get("error")))
    t.eq(server.seen, [], "no request was made")
    d = daemon(t, server, authority.at("ca.pem"), client_auth="tls_client_auth",
               tls_certificate_file="/nowhere.pem", tls_key_file="/nowhere.key")
    job = d.client().call("vend", ref="wh", deadline_ms=2000)
    t.ok(not job["ok"], "nor one whose file is not there", repr(job.get("error")))


@limit(90)
def test_whose_certificate(t):
    """Never without TLS, never with somebody else: a failure is the answer."""
    authority, other = t.use(Authority()), t.use(Authority())
    server = t.use(Server(authority))
    secret = make_secret("secret")
    for what, ca_file in (("the system's authorities", None), ("another one", other.at("ca.pem"))):
        d = daemon(t, server, ca_file, client_secret=secret)
        job = d.client().call("vend", ref="wh", deadline_ms=1000)
        t.ok(not job["ok"] and job["error"]["code"] in ("provider_unavailable",
                                                        "deadline_exceeded"),
             f"{what}: refused", repr(job.get("error")))
    t.eq(server.seen, [], "nothing was sent")
    wrong_name = t.use(Server(authority, name="DNS:other.example"))
    d = daemon(t, wrong_name, authority.at("ca.pem"), client_secret=secret)
    t.ok(not d.client().call("vend", ref="wh", deadline_ms=1000)["ok"], "another name: refused")
    old = t.use(Server(authority, minimum=ssl.TLSVersion.TLSv1_1))
    d = daemon(t, old, authority.at("ca.pem"), client_secret=secret)
    t.ok(not d.client().call("vend", ref="wh", deadline_ms=1000)["ok"], "TLS 1.1: refused")
    t.eq((wrong_name.seen, old.seen), ([], []), "and nothing was sent")
    d = daemon(t, server, authority.at("ca.pem"), client_secret=secret)
    t.ok(d.client().call("vend", ref="wh")["ok"], "the right one is taken")


@limit(90)
def test_discover(t):
    """bursar discover asks the authorities of the daemon's configuration."""
    authority, other = t.use(Authority()), t.use(Authority())
    server = t.use(Server(authority))
    for what, ca_file, words in (("another authority", other.at("ca.pem"), "certificate"),
                                 ("the right one", authority.at("ca.pem"), "HTTP 501")):
        file = pathlib.Path(authority.at("bursar.yaml"))
        file.write_text(f"connectors: {{ca_file: '${{env:THERE}}'}}\n")
        status, _, err = cli(None, "discover", server.url, "--allow-loopback", "--config",
                             str(file), endpoint=False, env={"THERE": ca_file})
        t.ok(status == 1 and words in err, what, err)
    status, _, err = cli(None, "discover", server.url, "--allow-loopback", "--config", str(file),
                         endpoint=False)
    t.ok(status == 1 and "THERE" in err, "a variable that is not there is named", err)
    status, _, err = cli(None, "discover", server.url, "--config", "/nowhere.yaml", endpoint=False)
    t.ok(status == 1 and "/nowhere.yaml" in err, "as is a file", err)


run([test_client_certificate, test_without_its_certificate, test_whose_certificate, test_discover])
