"""What the end-to-end tests stand on: the daemon, its command, real and scripted providers.

    from harness import Daemon, Endpoint, Idp, cli, run

    def test_vend(t):
        sim = t.use(Endpoint(prefix="VEND"))
        d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
        c = d.client()
        …
        t.eq(c.code("vend", owner="o", provider="acme"), "ok", "a vend")

    run([test_vend])

A test's resources are given back when it ends, whatever happened; each daemon is then stopped (and
must exit 0), and its folder searched for every secret that the tests know.
"""

import copy
import json
import os
import pathlib
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position,unused-import
import leaks
import tap as tap_module
from machine import BUSY, PATIENCE_S, FileWatch, hold_port, port_of
from sim import SimClient, TokenEndpoint, fingerprint
from tap import SkipTest, Tap, limit
from wire import (Client, Events, NoReply, Push, Refused, curve, curve_pair, decode, encode, fan, gather,
                  topic_of)

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
READY_S = STOP_S = PATIENCE_S  # the daemon gives its flights 30 s
LOG_TAIL = 60   # lines shown of a daemon's log where a test failed
SANITIZER = re.compile(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:)[^\n]*")

secrets = leaks.Registry()
_daemons = []   # those that are not closed yet
_problems = []  # what closing them brought to light


def program(name, variable):
    """The words that start one of our programs: the variable's, or where it was built."""
    if os.environ.get(variable):
        return shlex.split(os.environ[variable])
    folders = [os.environ.get("abs_top_builddir"), os.environ.get("top_builddir"),
               ROOT, ROOT / "build"]
    for folder in filter(None, folders):
        path = pathlib.Path(folder, name).resolve()
        if os.access(path, os.X_OK):
            return [str(path)]
    raise FileNotFoundError(f"{name}: not in ${variable}, $abs_top_builddir or {ROOT}: built?")


def bound_to_us(command):
    """The command, ended by the kernel when this process dies without cleaning up."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else list(command)


def merge(base, over):
    """A mapping with another laid over it, maps within maps too."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merge(result[key], value) if both else copy.deepcopy(value)
    return result


class Child:
    """A process with a bounded end."""

    def __init__(self, command, **popen):
        self.proc = subprocess.Popen(bound_to_us(command), **popen)
        self.fd = os.pidfd_open(self.proc.pid)
        self.pid = self.proc.pid

    def wait(self, timeout):
        """The exit status (negative: the signal), or None where it still runs."""
        if self.fd is not None:
            if not select.select([self.fd], [], [], timeout)[0]:
                return None
            os.close(self.fd)
            self.fd = None
        return self.proc.wait()

    def send(self, number):
        if self.proc.returncode is None:
            self.proc.send_signal(number)

    def end(self, timeout=STOP_S, first=signal.SIGTERM):
        """Asks, and where that does not help, kills. Gives the exit status."""
        self.send(first)
        status = self.wait(timeout)
        if status is None:
            self.send(signal.SIGKILL)
            status = self.wait(PATIENCE_S)
        for pipe in (self.proc.stdin, self.proc.stdout, self.proc.stderr):
            if pipe:
                pipe.close()
        return status


def first_line(child, timeout, what):
    """The line of JSON that a helper process prints when it is ready."""
    ends, text = time.monotonic() + timeout, b""
    while not text.endswith(b"\n"):
        left = max(0, ends - time.monotonic())
        readable = select.select([child.proc.stdout], [], [], left)[0]
        data = os.read(child.proc.stdout.fileno(), 65536) if readable else b""
        if not data:
            child.end(1, signal.SIGKILL)
            raise RuntimeError(f"{what} did not start")
        text += data
    return json.loads(text)


class Daemon:
    """bursard in a folder of its own. `config`: keys over the defaults, or the whole text as a str
    (where @DIR@ stands for the folder). `tcp`: all three sockets on tcp too, with CURVE."""

    def __init__(self, config=None, env=None, args=(), start=True, ready_timeout=READY_S,
                 wrapper=(), tcp=False):
        self.dir = tempfile.mkdtemp(prefix="b", dir="/tmp")  # socket paths have 107 bytes at most
        self.env, self.args, self.wrapper = dict(env or {}), list(args), list(wrapper)
        self.ready_timeout, self.child, self.notified = ready_timeout, None, []
        self.popen = {}  # further arguments of subprocess.Popen
        self.config_file, self.log_file = self.path("bursar.yaml"), self.path("log")
        self.db = self.path("bursar.db")
        self.jobs, self.intake, self.events_endpoint = (
            f"ipc://{self.dir}/{name}" for name in ("jobs", "intake", "events"))
        self._ports = [hold_port() for _ in range(3 if tcp else 0)]
        self.tcp = [f"tcp://127.0.0.1:{port_of(held)}" for held in self._ports]
        self._clients, self.may_hold_secrets = [], ["bursar.yaml", "conf.d", "etc"]
        _daemons.append(self)
        try:
            self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._notify.bind(self.path("notify"))
            self.configure(config or {})
            if start:
                self.start()
        except BaseException:
            self.close(expect=None)
            raise

    def path(self, name):
        return os.path.join(self.dir, name)

    # --- configuration

    def defaults(self):
        level = os.environ.get("BURSAR_TEST_LOG_LEVEL", "debug")
        listen = {"jobs": [self.jobs], "intake": [self.intake], "events": [self.events_endpoint]}
        if self.tcp:
            for name, endpoint in zip(("jobs", "intake", "events"), self.tcp):
                listen[name].append(endpoint)
            listen["curve_key"] = f"${{file:{self.path('etc/curve.key')}}}"
        return {"listen": listen, "store": f"sqlite:{self.db}", "keyring": f"file:{self.path('etc/keyring')}",
                "connectors": {"allow_http_loopback": True}, "log": {"level": level}}

    def configure(self, config):
        """Writes the configuration; a running daemon reads it at reload() or restart()."""
        if isinstance(config, str):
            text = config.replace("@DIR@", self.dir)
        else:
            self.config = merge(self.defaults(), config)
            text = json.dumps(self.config, indent=2)  # JSON is YAML
        if not os.path.exists(self.path("etc")):
            self._make_keyring()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with open(os.open(self.config_file, flags, 0o600), "w") as file:
            file.write(text)

    def _make_keyring(self):
        done = subprocess.run([*program("bursar", "BURSAR"), "init", self.path("etc")], timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"bursar init: {done.returncode}: {done.stderr.decode()}")
        curve = self.path("etc/curve.key")
        if os.path.exists(curve):
            secrets.add(pathlib.Path(curve).read_text().strip())

    # --- life

    @property
    def pid(self):
        return self.child.pid if self.child else None

    def running(self):
        return self.child is not None and self.child.wait(0) is None

    def start(self, wait=True):
        if self.running():
            raise RuntimeError("it runs already")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BURSAR_SECRET_")}
        environment.update({"NOTIFY_SOCKET": self.path("notify"), **self.env})
        command = [*self.wrapper, *program("bursard", "BURSARD"), "-c", self.config_file,
                   *self.args]
        self.notified.clear()
        while select.select([self._notify], [], [], 0)[0]:
            self._notify.recv(4096)  # of an earlier life
        with open(self.log_file, "ab") as log:
            self.child = Child(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                               cwd=self.dir, env=environment, **self.popen)
        if wait:
            self.wait_ready(self.ready_timeout)
        return self

    def wait_ready(self, timeout=READY_S):
        self.wait_notify("READY=1", timeout)

    def wait_notify(self, line, timeout=READY_S):
        """Waits until the daemon has told the service manager this line."""
        ends = time.monotonic() + timeout
        while line not in self.notified:
            left = max(0, ends - time.monotonic())
            sources = [fd for fd in (self._notify, self.child.fd) if fd is not None]
            readable = select.select(sources, [], [], left)[0]
            if self._notify in readable:
                self.notified += self._notify.recv(4096).decode(errors="replace").splitlines()
                continue
            status = self.child.wait(0) if readable else "still runs"
            if not readable:
                self.child.end(5, signal.SIGKILL)
            raise RuntimeError(f"bursard did not say {line} in {timeout} s "
                               f"(exit status: {status})\n{secrets.mask(self.log_tail())}")

    def wait_exit(self, timeout=STOP_S):
        """The exit status of a daemon that ends by itself (negative: by that signal)."""
        status = self.child.wait(timeout)
        if status is None:
            raise AssertionError(f"bursard still runs after {timeout} s")
        self._look_for_reports()
        return status

    def stop(self, timeout=STOP_S, expect=0):
        """SIGTERM, and the exit status it must have (None: any). Gives the status."""
        if not self.child:
            return None
        ran = self.running()
        status = self.child.end(timeout)
        self._look_for_reports()
        if ran and expect is not None and status != expect:
            raise AssertionError(f"bursard ended with {status}\n{secrets.mask(self.log_tail())}")
        return status

    def kill(self):
        """SIGKILL, and gone when this returns."""
        return self.child.end(PATIENCE_S, signal.SIGKILL)

    def restart(self):
        self.stop()
        return self.start()

    def reload(self):
        self.child.send(signal.SIGHUP)

    def close(self, expect=0):
        """Stops it, searches its folder for secrets, removes it; run() reports the finds."""
        if self not in _daemons:
            return
        _daemons.remove(self)
        try:
            self.stop(expect=expect)
        finally:
            for client in self._clients:
                client.close()
            self._notify.close()
            for held in self._ports:
                held.close()
            for name in self.leaks():
                _problems.append(f"a secret stands in {name}")
            if not os.environ.get("BURSAR_TEST_KEEP"):
                shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close(expect=None if kind else 0)

    # --- looking at it

    def log(self):
        try:
            return pathlib.Path(self.log_file).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=LOG_TAIL):
        return "\n".join(self.log().splitlines()[-lines:])

    def wait_log(self, pattern, timeout=PATIENCE_S, since=0):
        """Waits for a line that the pattern is found in; gives the match. `since`: an offset."""
        ends, watch = time.monotonic() + timeout, FileWatch(self.log_file)
        try:
            while True:
                found = re.search(pattern, self.log()[since:], re.MULTILINE)
                if found:
                    return found
                if time.monotonic() >= ends:
                    raise AssertionError(f"no {pattern!r} in the log after {timeout} s")
                watch.wait(ends - time.monotonic())
        finally:
            watch.close()

    def proc(self, field):
        """A figure of /proc/PID/status, such as VmRSS (KiB) or Threads."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+)", text, re.MULTILINE)[1])

    def rss_kib(self):
        return self.proc("VmRSS")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def _look_for_reports(self):
        for found in SANITIZER.finditer(self.log()):
            report = f"sanitizer: {found[0]}"
            if report not in _problems:
                _problems.append(report)

    def leaks(self, exclude=()):
        return leak_check(self.dir, [*self.may_hold_secrets, *exclude])

    # --- speaking to it

    def _keep(self, client):
        self._clients.append(client)
        return client

    @property
    def server_key(self):
        return pathlib.Path(self.path("etc/curve.pub")).read_text().strip()

    def _way(self, endpoint, tcp, key):
        """The endpoint and the setup of who comes with this key pair, or with none."""
        return (self.tcp[tcp], curve(self.server_key, key)) if key else (endpoint, None)

    def client(self, key=None, **kwargs):
        """A client whose replies (but for secrets) are searched with the rest, closed with us. `key`: a
        pair, with which it comes by tcp."""
        endpoint, setup = self._way(self.jobs, 0, key)
        return self._keep(Client(endpoint, capture=self.path("replies.captured"),
                                 **{"setup": setup, **kwargs}))

    def clients(self, count):
        return [self.client() for _ in range(count)]

    def push(self, key=None):
        endpoint, setup = self._way(self.intake, 1, key)
        return self._keep(Push(endpoint, setup))

    def events(self, topics=("",), key=None, **kwargs):
        """A subscriber, connected, and a round trip behind its subscription."""
        endpoint, setup = self._way(self.events_endpoint, 2, key)
        return self._keep(Events(endpoint, topics, sync=self.round_trip,
                                 capture=self.path("events.captured"),
                                 **{"setup": setup, **kwargs}))

    def round_trip(self):
        with Client(self.jobs) as client:
            client.call("whoami")


def leak_check(folder, exclude=()):
    """Names of the files under a folder in which a secret of the tests stands, in any form."""
    return leaks.leak_check(folder, secrets, exclude)


def cli(daemon, *args, stdin=None, timeout=PATIENCE_S, env=None, endpoint=True):
    """bursar COMMAND …: (exit status, stdout, stderr). `stdin`: text."""
    where = ["--endpoint", daemon.jobs] if endpoint and daemon else []
    command = [*program("bursar", "BURSAR"), *args[:1], *where, *args[1:]]
    environment = {"LC_ALL": "C.UTF-8", **os.environ, **(env or {})}
    source = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin.encode()}
    done = subprocess.run(command, **source, timeout=timeout, capture_output=True,
                          env=environment, check=False)
    errors = done.stderr.decode(errors="replace")
    if daemon and errors:
        with open(daemon.path("cli.captured"), "a", encoding="utf-8") as file:
            file.write(errors)
    return done.returncode, done.stdout.decode(errors="replace"), errors


def provider_config(info, **over):
    """A provider's section for the configuration of bursar."""
    return {"kind": "oauth2_refresh", "token_url": info["token_url"],
            "revoke_url": info["revoke_url"], "client_id": info["client_id"],
            "client_secret": info["client_secret"],
            "client_auth": info.get("client_auth", "client_secret_basic"), **over}


def put_secret(grant):
    """The `secret` of a credential.put for what a provider has issued."""
    return {"kind": "oauth2", "access_token": grant["access_token"],
            "token_type": grant.get("token_type", "Bearer"),
            "refresh_token": grant["refresh_token"]}


def bursar_rotation(rotation):
    """The scripted endpoint's rule in bursar's words."""
    kind, _, seconds = rotation.partition(":")
    if kind == "grace":
        return {"rotation": "reuse_grace", "reuse_grace_s": int(float(seconds))}
    return {"rotation": kind}


class Endpoint(TokenEndpoint):
    """The scripted token endpoint in this process, its secrets known to the searches."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._rotation = kwargs.get("rotation", "strict")

    def start(self):
        secrets.source(self.all_secrets)
        return super().start()

    def stop(self):
        super().stop()
        secrets.retire(self.all_secrets)

    def provider(self, **over):
        info = {"token_url": self.token_url, "revoke_url": self.revoke_url,
                "client_id": self.client_id, "client_secret": self.client_secret}
        return provider_config(info, **{**bursar_rotation(self._rotation), **over})


class Sim:
    """The scripted token endpoint as a process: the same methods, and its own restart."""

    def __init__(self, rotation="strict", prefix="SIM", ttl=60, token_tail=""):
        self._dir = tempfile.mkdtemp(prefix="bsim")
        self._rotation, self._held = rotation, hold_port()  # also while it is away
        self._command = [sys.executable, str(HERE / "sim.py"), "--die-with-stdin",
                         "--state", os.path.join(self._dir, "state"), "--rotation", rotation,
                         "--prefix", prefix, "--ttl", str(ttl), "--token-tail", token_tail]
        self._child = self._client = None
        self.resume()

    def resume(self):
        self._child = Child([*self._command, "--port", str(port_of(self._held))],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.info = first_line(self._child, PATIENCE_S, "sim.py")
        self._client = SimClient(self.info["url"])
        self.token_url, self.client_secret = self.info["token_url"], self.info["client_secret"]
        secrets.source(self.all_secrets)

    def halt(self):
        """Ends it, its state kept: connections are refused until resume()."""
        secrets.retire(self.all_secrets)
        self._child.end(20)

    def restart(self):
        """A short outage: the same grants on the same port afterwards."""
        self.halt()
        self.resume()

    def close(self):
        if self._child:
            if self._child.wait(0) is None:
                self.halt()
            self._child = None
            self._held.close()
            shutil.rmtree(self._dir)

    def __getattr__(self, name):  # issue, script, journal, … as TokenEndpoint's
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._client, name)

    def all_secrets(self):
        return self._client.all_secrets()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def provider(self, **over):
        return provider_config(self.info, **{**bursar_rotation(self._rotation), **over})


class Idp:
    """A real authorization server (tests/idp) on a free loopback port."""

    def __init__(self, access_ttl=60, refresh_ttl=86400, rotation=True, port=0):
        self._folder = pathlib.Path(os.environ.get("BURSAR_IDP_DIR") or ROOT / "tests" / "idp")
        if not (self._folder / "node_modules" / "oidc-provider").exists():
            missing = RuntimeError if os.environ.get("BURSAR_REQUIRE_IDP") else SkipTest
            raise missing(f"oidc-provider is not installed: npm ci in {self._folder}")
        self._rotation = rotation
        self._child = Child(["node", str(self._folder / "server.mjs"), "--die-with-stdin",
                             "--port", str(port), "--access-ttl", str(access_ttl),
                             "--refresh-ttl", str(refresh_ttl),
                             "--rotation", "on" if rotation else "off"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.info = first_line(self._child, PATIENCE_S, "the identity provider")
        self._control = SimClient(self.info["issuer"])
        for client in self.info["clients"].values():
            secrets.add(client["client_secret"])
        secrets.source(self.all_secrets)

    def _ask(self, method, path, body=None):
        return self._control.request(method, path, body)

    def grant(self, account="alice", client="basic"):
        """A grant by authorization code, login and consent, without a person: the token reply."""
        command = ["node", str(self._folder / "grant.mjs"), "-", "--account", account,
                   "--client", client]
        done = subprocess.run(command, input=json.dumps(self.info).encode(), timeout=PATIENCE_S,
                              capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(secrets.mask(done.stderr.decode()))
        return json.loads(done.stdout)

    def grants(self, count, account="bulk", client="basic"):
        """Many grants, made by the provider's own models without a login. Accounts are NAME-0, …"""
        client_id = self.info["clients"][client]["client_id"]
        answer = self._ask("POST", "grants", {"count": count, "account": account,
                                              "client_id": client_id})
        return answer["grants"]

    def stats(self):
        return self._ask("GET", "stats")

    def grant_stats(self, account):
        """The counts of an account's one grant: {refresh_requests, ok, refused, reused}."""
        found = [g for g in self.stats()["by_grant"].values() if g["account"] == account]
        return found[-1] if found else {"account": account, "refresh_requests": 0, "ok": 0,
                                        "refused": 0, "reused": 0}

    def faults(self, *faults):
        return self._ask("POST", "faults", {"faults": list(faults)})

    def clear_faults(self):
        return self._ask("DELETE", "faults")

    def revoke(self, token):
        """What a user does in the account settings. Any token of the grant will do, used or not."""
        return self._ask("POST", "revoke", {"refresh_token": token})

    def lookup(self, token):
        return self._ask("POST", "lookup", {"refresh_token": token})

    def all_secrets(self):
        return self._ask("GET", "secrets")["tokens"]

    def provider(self, client="basic", **over):
        info = {**self.info, **self.info["clients"][client]}
        return provider_config(info, **{"rotation": "strict" if self._rotation else "none", **over})

    def close(self):
        if self._child:
            if self._child.wait(0) is None:
                secrets.retire(self.all_secrets)
                self._child.end(10)
            self._child = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _explain(tap):
    for daemon in _daemons:
        tap.diag(f"log of bursard in {daemon.dir}:\n{daemon.log_tail()}")


def _after_test(tap, name):
    """Closes what the test has left, and reports what closing has brought to light."""
    for daemon in list(_daemons):
        daemon.close(expect=None)
    for problem in _problems:
        tap.fail(f"{name}: {problem}")
    _problems.clear()


def run(tests, timeout=60, argv=None):
    """Runs test functions f(t), prints TAP, ends the process. See tap.run; times are for a machine that does
    nothing else, and a busy one has BUSY times as long."""
    tap_module.run(tests, timeout, Tap(secrets.mask, secrets.mask_all), argv, _explain, _after_test, BUSY)
