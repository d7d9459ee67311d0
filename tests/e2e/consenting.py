"""What the tests of consents have in common: a server, a daemon that knows it, and people who say yes."""

import os
import select
import subprocess
import time
import urllib.parse

from harness import ROOT, Child, Daemon, Idp, program, secrets
from machine import PATIENCE_S, hold_port, port_of


_held = []  # as long as this process lives


def callback():
    _held.append(hold_port())
    return f"http://127.0.0.1:{port_of(_held[-1])}/callback"


def entry(idp, uri, **over):
    info = {**idp.info, **idp.info["clients"]["basic"]}
    return {"kind": "oauth2_authorization_code", "rotation": "strict",
            **{key: info[key] for key in ("issuer", "authorize_url", "token_url", "revoke_url",
                                          "device_url", "identity_url", "client_id",
                                          "client_secret", "client_auth")},
            "scopes": ["openid", "offline_access"], "authorize_params": {"prompt": "consent"},
            "redirect_uris": [uri], **over}


def scene(t, idp=None, uri=None, **over):
    """A server, a daemon that knows it as `acme`, a client, and where consents lead back to."""
    idp = idp or t.use(Idp(access_ttl=3600))  # what the tests count is not refreshed by itself
    uri = uri or callback()
    d = t.use(Daemon({"providers": {"acme": entry(idp, uri, **over)}}))
    return idp, d, d.client(), uri


def person(url, account="alice", deny=False, uri=None, follow=False):
    """Logs in and consents at an address; gives what consent.mjs prints."""
    command = ["node", str(ROOT / "tests" / "idp" / "consent.mjs"), "--account", account,
               *(["--deny"] if deny else []), *(["--redirect-uri", uri] if uri else []),
               *(["--follow"] if follow else [])]
    done = subprocess.run(command, input=url.encode(), timeout=PATIENCE_S, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(secrets.mask(done.stderr.decode()))
    return done.stdout.decode().strip()


def parameters(address):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))


def consent(c, uri, who="alice", deny=False, **begin):
    """connect.begin and the person; gives the callback's parameters."""
    begun = c.ask("connect.begin", owner="o", provider="acme", redirect_uri=uri, **begin)
    back = parameters(person(begun["authorize_url"], who, deny, uri))
    if "code" in back:
        secrets.add(back["code"])
    return back


def complete(c, back, **over):
    keys = {key: back[key] for key in ("state", "code", "error", "iss") if key in back}
    return c.call("connect.complete", **{**keys, **over})


class Command:
    """bursar connect under way, its errors read a line at a time."""

    def __init__(self, daemon, *args):
        command = [*program("bursar", "BURSAR"), "connect", "--endpoint", daemon.jobs, *args]
        environment = {k: v for k, v in os.environ.items() if "DISPLAY" not in k}
        self.child = Child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env=environment)
        self.text = b""

    def line(self, timeout=PATIENCE_S):
        ends = time.monotonic() + timeout
        source = self.child.proc.stderr.fileno()
        while b"\n" not in self.text:
            ready = select.select([source], [], [], max(0, ends - time.monotonic()))[0]
            data = os.read(source, 4096) if ready else b""
            if not data:
                raise AssertionError(f"no line: {self.text.decode()!r}")
            self.text += data
        line, _, self.text = self.text.partition(b"\n")
        return line.decode()

    def url(self):
        while True:
            line = self.line()
            if line.startswith("http"):
                return line

    def end(self, timeout=PATIENCE_S):
        """Exit status, output, errors that are left."""
        status = self.child.wait(timeout)
        return (status, self.child.proc.stdout.read().decode(),
                (self.text + self.child.proc.stderr.read()).decode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.end(5)
