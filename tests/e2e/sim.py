#!/usr/bin/python3
"""A scriptable token endpoint: what a provider does on its good and on its worst days.

In a test's own process:

    with TokenEndpoint(rotation="strict", prefix="T1") as sim:
        grant = sim.issue("alice")               # {"refresh_token": …, "access_token": …, …}
        sim.script({"status": 503}, {"drop": "after"})
        …
        sim.wait_requests(2, timeout=5)
        assert sim.grant(grant["grant_id"])["reuse"] == 0

As a process of its own, which outlives the daemon under test (and itself, by its state file):

    python3 sim.py --state FILE [--rotation strict] [--prefix T1] [--die-with-stdin]

It prints one line of JSON with its address; SimClient has the same methods and speaks to its
control door.

A scripted reply is a mapping; see Reply. Nothing here writes a token to a log.
"""

import argparse
import base64
import dataclasses
import http.client
import json
import os
import secrets
import signal
import socket
import sys
import threading
import time
import urllib.parse

from machine import PATIENCE_S
from sim_http import Connection, Reply, Request, encode, fingerprint

MAX_HOLD_S = 600.0
MAX_WAIT_S = 600.0
OF_INTEREST = ("accept", "connection", "content-length", "content-type", "expect", "host",
               "user-agent")


class Ledger:
    """Grants, tokens and the rule of rotation. The endpoint's lock is held around each call."""

    COUNTERS = ("requests", "ok", "grace", "reuse", "refused")

    def __init__(self, rotation, prefix, ttl, token_tail):
        self.rotation, self.prefix, self.ttl, self.token_tail = rotation, prefix, ttl, token_tail
        self.grants, self.tokens, self.made = {}, {}, []

    def new_token(self, kind, grant):
        value = f"{self.prefix}-{kind}-{secrets.token_urlsafe(24)}{self.token_tail}"
        self.made.append(value)
        self.tokens[value] = {"kind": kind, "grant_id": grant["grant_id"],
                              "generation": grant["generation"], "used_at": None}
        return value

    def pair(self, grant, new_refresh=True):
        grant["generation"] += 1
        access = self.new_token("at", grant)
        if new_refresh:
            grant["refresh_token"] = self.new_token("rt", grant)
        grant["access_token"] = access
        reply = {"access_token": access, "token_type": "Bearer", "expires_in": grant["ttl"]}
        if grant["scope"]:
            reply["scope"] = grant["scope"]
        if new_refresh:
            reply["refresh_token"] = grant["refresh_token"]
        return reply

    def issue(self, account, ttl, scope, rotation):
        grant_id = f"g{len(self.grants)}"
        grant = {"grant_id": grant_id, "account": account, "alive": True, "generation": 0,
                 "ttl": self.ttl if ttl is None else ttl, "scope": scope,
                 "rotation": rotation or self.rotation}
        grant.update(dict.fromkeys(self.COUNTERS, 0))
        self.grants[grant_id] = grant
        reply = self.pair(grant)
        return dict(reply, grant_id=grant_id, account=account)

    def grant_of(self, token):
        known = self.tokens.get(token)
        return self.grants[known["grant_id"]] if known else None

    def refresh(self, token):
        """(status, reply, outcome); one use of a refresh token."""
        known, grant = self.tokens.get(token), self.grant_of(token)
        if not grant or known["kind"] != "rt":
            return self.refuse(None, "unknown")
        if not grant["alive"]:
            return self.refuse(grant, "dead")
        if grant["rotation"] == "none":
            grant["ok"] += 1
            return 200, self.pair(grant, new_refresh=False), "kept"
        now = time.time()
        first_use = known["used_at"] is None
        if first_use:
            known["used_at"] = now
        elif now - known["used_at"] > self.grace_s(grant):
            grant["reuse"] += 1
            grant["alive"] = False
            return self.refuse(grant, "reuse")
        else:
            grant["grace"] += 1
        grant["ok"] += 1
        return 200, self.pair(grant), "rotated" if first_use else "grace"

    @staticmethod
    def grace_s(grant):
        kind, _, seconds = grant["rotation"].partition(":")
        return float(seconds) if kind == "grace" else -1.0

    @staticmethod
    def refuse(grant, outcome):
        if grant:
            grant["refused"] += 1
        return 400, {"error": "invalid_grant", "error_description": f"token is {outcome}"}, outcome


class TokenEndpoint:
    """The server. Every public method may be called from any thread."""

    # What the control door offers, by the same names.
    CONTROL = ("health", "issue", "issue_many", "script", "clear_script", "release", "journal",
               "stats", "grant", "lookup", "revoke", "all_secrets", "wait_requests", "wait_done",
               "options", "save")

    def __init__(self, rotation="strict", prefix="SIM", ttl=60, client_id="bursar",
                 client_secret=None, check_client=True, token_tail="", state=None, port=0,
                 on_request=None):
        self.client_id, self.check_client, self.state_file = client_id, check_client, state
        self.on_request = on_request  # called with a Request; gives a Reply, a mapping or None
        lock = threading.RLock()
        self._changed = threading.Condition(lock)  # the journal has grown
        self._gate = threading.Condition(lock)     # held replies wait here
        self._ledger = Ledger(rotation, prefix, ttl, token_tail)
        self.client_secret = client_secret or f"{prefix}-cs-{secrets.token_urlsafe(24)}"
        self._journal, self._done, self._script, self._released = [], 0, [], set()
        self._connections, self._stopping = {}, False
        if state and os.path.exists(state) and os.path.getsize(state):
            self._load(state)
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.token_url, self.revoke_url = self.url + "/token", self.url + "/revoke"

    # --- life

    def start(self):
        threading.Thread(target=self._accept, daemon=True, name="sim-accept").start()
        return self

    def stop(self):
        with self._changed:
            self._stopping = True
            connections = list(self._connections.values())
            self._changed.notify_all()
            self._gate.notify_all()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for connection in connections:
            connection.end()
        if self.state_file:
            self.save()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # --- what tests do with it (CONTROL)

    def health(self):
        return {"ok": True}

    def issue(self, account="default", ttl=None, scope=None, rotation=None):
        """A new grant: {grant_id, account, refresh_token, access_token, expires_in, token_type}."""
        with self._changed:
            return self._ledger.issue(account, ttl, scope, rotation)

    def issue_many(self, count, account="account", **rest):
        return [self.issue(f"{account}-{i}", **rest) for i in range(count)]

    def script(self, *replies):
        """Replies to come, in order: each is for the first token request that fits its match."""
        with self._changed:
            self._script += [dataclasses.replace(Reply.of(spec)) for spec in replies]

    def clear_script(self):
        with self._changed:
            dropped, self._script = len(self._script), []
            return dropped

    def release(self, name):
        """Lets go every reply held by this name, those to come too."""
        with self._changed:
            self._released.add(name)
            self._gate.notify_all()

    def journal(self, since=0):
        with self._changed:
            return [dict(entry) for entry in self._journal[since:]]

    def stats(self):
        with self._changed:
            totals = {name: sum(g[name] for g in self._ledger.grants.values())
                      for name in Ledger.COUNTERS}
            scripts = len(self._script)
            return dict(totals, arrived=len(self._journal), done=self._done, scripts_left=scripts,
                        connections=len(self._connections))

    def grant(self, grant_id):
        """Counters and state of a grant, without its tokens."""
        with self._changed:
            grant = self._ledger.grants[grant_id]
            public = {k: v for k, v in grant.items() if not k.endswith("_token")}
            return dict(public, fp=fingerprint(grant["refresh_token"]))

    def lookup(self, token):
        """Where a token comes from: {kind, generation, used, current, alive, …}, or None."""
        with self._changed:
            known, grant = self._ledger.tokens.get(token), self._ledger.grant_of(token)
            if not known:
                return None
            current = token in (grant["refresh_token"], grant["access_token"])
            return {"kind": known["kind"], "generation": known["generation"],
                    "used": known["used_at"] is not None, "current": current,
                    "alive": grant["alive"], "grant_id": grant["grant_id"],
                    "account": grant["account"], "fp": fingerprint(token)}

    def revoke(self, token=None, grant_id=None):
        """What a user does in the account settings: the grant is dead."""
        with self._changed:
            grant = self._ledger.grants.get(grant_id) or self._ledger.grant_of(token)
            if grant:
                grant["alive"] = False
            return bool(grant)

    def all_secrets(self):
        """Every token ever made here, and the client's secret."""
        with self._changed:
            return list(self._ledger.made) + [self.client_secret]

    def wait_requests(self, count, timeout=PATIENCE_S):
        """True once this many token requests have arrived in all."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._journal) >= count or self._stopping,
                                          min(timeout, MAX_WAIT_S)) and not self._stopping

    def wait_done(self, count, timeout=PATIENCE_S):
        """True once this many token requests have been dealt with in all, one way or another."""
        with self._changed:
            return self._changed.wait_for(lambda: self._done >= count or self._stopping,
                                          min(timeout, MAX_WAIT_S)) and not self._stopping

    def options(self, rotation=None, ttl=None, check_client=None):
        """Changes what the next grants (and, by ttl, the next replies) get."""
        with self._changed:
            if rotation is not None:
                self._ledger.rotation = rotation
            if ttl is not None:
                self._ledger.ttl = ttl
                for grant in self._ledger.grants.values():
                    grant["ttl"] = ttl
            if check_client is not None:
                self.check_client = check_client

    def save(self):
        """Writes grants, tokens and journal to the state file, whole or not at all."""
        with self._changed:
            state = {"grants": self._ledger.grants, "tokens": self._ledger.tokens,
                     "made": self._ledger.made, "client_secret": self.client_secret,
                     "journal": self._journal, "done": self._done}
            text = json.dumps(state)
        new = self.state_file + ".new"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        os.replace(new, self.state_file)

    def _load(self, path):
        with open(path) as file:
            state = json.load(file)
        self._ledger.grants, self._ledger.tokens = state["grants"], state["tokens"]
        self._ledger.made, self.client_secret = state["made"], state["client_secret"]
        self._journal, self._done = state["journal"], state["done"]

    # --- serving

    def _accept(self):
        conn_id = 0
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            conn_id += 1
            connection = Connection(sock, conn_id)
            with self._changed:
                if self._stopping:
                    connection.end()
                    return
                self._connections[conn_id] = connection
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            while True:
                request = connection.read_request()
                if request is None or not self._answer(connection, request):
                    break
        except OSError:
            pass  # the peer or stop() ended it; the journal has what was under way
        finally:
            connection.end()
            with self._changed:
                self._connections.pop(connection.conn_id, None)

    def _answer(self, connection, request):
        """Deals with one request; False ends the connection."""
        if request.path.startswith("/_control/"):
            return self._control(connection, request)
        if request.method != "POST" or not request.path.endswith(("/token", "/revoke")):
            return self._send_plain(connection, 404, {"error": "not_found"})
        if request.path.endswith("/revoke"):
            known = self.revoke(token=request.form.get("token"))
            return self._send_plain(connection, 200, {"revoked": known})
        return self._token(connection, request)

    @staticmethod
    def _send_plain(connection, status, answer):
        connection.sock.sendall(encode(Reply(), status, {}, json.dumps(answer).encode()))
        return True

    def _token(self, connection, request):
        entry = self._open_entry(request)
        try:
            return self._play(connection, request, entry, self._choose(request))
        except OSError as error:
            entry["wire"] = f"lost: {type(error).__name__}"
            return False
        finally:
            with self._changed:
                entry["done_at"] = time.time()
                self._done += 1
                self._changed.notify_all()

    def _open_entry(self, request):
        headers = {k: v for k, v in request.headers.items() if k in OF_INTEREST}
        with self._changed:
            grant = self._ledger.grant_of(request.refresh_token)
            if grant:
                grant["requests"] += 1
                request.grant, request.account = grant["grant_id"], grant["account"]
            entry = {"n": len(self._journal), "at": time.time(), "conn": request.conn_id,
                     "nth": request.nth, "path": request.path, "grant_type": request.grant_type,
                     "fp": fingerprint(request.refresh_token), "grant": request.grant,
                     "account": request.account, "client_auth": request.client_auth,
                     "headers": headers, "fields": sorted(request.form), "outcome": "untouched",
                     "status": None, "wire": None, "delivered": False, "done_at": None}
            self._journal.append(entry)
            self._changed.notify_all()
            return entry

    def _choose(self, request):
        reply = self.on_request(request) if self.on_request else None
        if reply is not None:
            return Reply.of(reply)
        with self._changed:
            for i, reply in enumerate(self._script):
                if not reply.fits(request):
                    continue
                reply.times -= 1
                if reply.times == 0:
                    del self._script[i]
                return reply
        return Reply()

    def _play(self, connection, request, entry, reply):
        """The scripted course of one request, in the order of the fields of Reply."""
        self._pause(reply.delay_s, reply.hold if reply.hold_at == "before" else None)
        status, headers, answer = 200, {}, {}
        if reply.spends():
            status, headers, answer, entry["outcome"] = self._process(request)
        self._pause(reply.delay_after_s, reply.hold if reply.hold_at == "after" else None)
        if reply.drop:
            entry["wire"] = f"dropped {reply.drop}"
            connection.end(reply.reset)
            return False
        answer = {k: v for k, v in {**answer, **reply.set}.items() if k not in reply.remove}
        body = json.dumps(answer).encode() if reply.body is None else reply.body
        status = reply.status or status
        data = reply.raw if reply.raw is not None else encode(reply, status, headers, body)
        entry["status"] = status
        if connection.peer_is_gone():
            entry["wire"] = "peer gone"
            return False
        connection.sock.sendall(data)
        whole = not reply.truncate
        entry["wire"], entry["delivered"] = "sent" if whole else "truncated", whole
        if reply.raw is not None or reply.truncate or reply.close:
            connection.end(reply.reset)
            return False
        return request.headers.get("connection", "").lower() != "close"

    def _process(self, request):
        if self.check_client and not self._is_our_client(request):
            headers = {"WWW-Authenticate": 'Basic realm="sim"'}
            return 401, headers, {"error": "invalid_client"}, "invalid_client"
        if request.grant_type != "refresh_token" or not request.refresh_token:
            return 400, {}, {"error": "unsupported_grant_type"}, "bad_request"
        with self._changed:
            status, answer, outcome = self._ledger.refresh(request.refresh_token)
        return status, {}, answer, outcome

    def _is_our_client(self, request):
        given = (request.client_secret or "").encode()
        return (request.client_id == self.client_id
                and secrets.compare_digest(given, self.client_secret.encode()))

    def _pause(self, seconds, hold):
        if seconds or hold:
            with self._gate:
                self._gate.wait_for(lambda: self._stopping, seconds)
                if hold:
                    self._gate.wait_for(lambda: self._stopping or hold in self._released,
                                        MAX_HOLD_S)

    def _control(self, connection, request):
        name = request.path[len("/_control/"):]
        if name not in self.CONTROL:
            return self._send_plain(connection, 404, {"error": "no such control"})
        try:
            arguments = json.loads(request.body or b"{}")
            result = getattr(self, name)(*arguments.pop("args", ()), **arguments)
            return self._send_plain(connection, 200, {"result": result})
        except (TypeError, ValueError, KeyError) as error:
            answer = {"error": type(error).__name__}  # its words could quote a token
            return self._send_plain(connection, 400, answer)


class SimClient:
    """The same methods as TokenEndpoint's, spoken to a process. Any thread."""

    def __init__(self, url, timeout=MAX_WAIT_S):
        self._netloc, self._timeout = urllib.parse.urlsplit(url).netloc, timeout

    def request(self, method, name, content=None):
        """One request to a control door; what it answers."""
        connection = http.client.HTTPConnection(self._netloc, timeout=self._timeout)
        try:
            body = None if content is None else json.dumps(content)
            connection.request(method, f"/_control/{name}", body)
            reply = connection.getresponse()
            answer = json.loads(reply.read())
        finally:
            connection.close()
        if reply.status != 200:
            raise RuntimeError(f"control {name}: {answer.get('error')}")
        return answer

    def __getattr__(self, name):
        if name not in TokenEndpoint.CONTROL:
            raise AttributeError(name)

        def ask(*args, **kwargs):
            content = dict(kwargs, args=[_plain(arg) for arg in args])
            return self.request("POST", name, content)["result"]
        return ask


def _plain(argument):
    """A scripted reply's bytes, in a form that JSON can carry."""
    if isinstance(argument, Reply):
        argument = dataclasses.asdict(argument)
    if isinstance(argument, dict):
        return {(k + "_b64" if isinstance(v, bytes) else k):
                (base64.b64encode(v).decode() if isinstance(v, bytes) else v)
                for k, v in argument.items()}
    return argument


def main():
    parser = argparse.ArgumentParser(description="a scriptable token endpoint on loopback")
    parser.add_argument("--state", required=True, help="keeps grants and journal over a restart")
    parser.add_argument("--rotation", default="strict", help="none, grace:SECONDS or strict")
    parser.add_argument("--prefix", default="SIM", help="every secret made begins with it")
    parser.add_argument("--ttl", type=int, default=60)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token-tail", default="", help="every token made ends with it")
    parser.add_argument("--die-with-stdin", action="store_true")
    args = parser.parse_args()
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    if args.die_with_stdin:
        threading.Thread(target=lambda: (sys.stdin.read(), os.kill(os.getpid(), signal.SIGTERM)),
                         daemon=True).start()
    with TokenEndpoint(rotation=args.rotation, prefix=args.prefix, ttl=args.ttl, port=args.port,
                       token_tail=args.token_tail, state=args.state) as sim:
        print(json.dumps({"url": sim.url, "token_url": sim.token_url, "revoke_url": sim.revoke_url,
                          "client_id": sim.client_id, "client_secret": sim.client_secret,
                          "port": sim.port, "pid": os.getpid()}), flush=True)
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
