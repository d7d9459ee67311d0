"""What is tortured: one daemon with its store, its providers, and callers who never rest.

A world lives through many rounds. It writes down whatever was acknowledged, by whom and when; the book
(book.py) holds that against the store and the providers' journals after each round.
"""

import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import time

import leaks
from harness import Client, Daemon, Idp, Sim, SkipTest, put_secret
from machine import BUSY
from scene import SANITIZED, SLOW, until

HERE = pathlib.Path(__file__).resolve().parent

OWNERS = ("ann", "ben", "cleo")
ACCOUNTS_EACH = 2
TIMEOUT_S = 3 * SLOW          # how long the daemon waits for a provider
DEADLINE_S = 2 * SLOW         # how long a caller waits for the daemon
LATE_S = 4 * SLOW * BUSY      # what is allowed beyond that before an answer counts as lost
READY_S = 10 * SLOW           # a start takes no longer
REST_S = (0.25, 0.6)          # between an answer and the same caller's next job
EAGER_S = (0.0, 0.02)         # the same where a fault point is to be reached
GRACE_S = 60
PATIENCE = 4                  # answers in doubt after which an owner connects again
LOG_BYTES = 2 << 20           # the log begins anew behind so much
RULES = {"strict": "strict", "grace": f"grace:{GRACE_S}", "none": "none"}
NEVER = {"internal", "bad_request", "not_found", "not_connected", "unsupported_op", "forbidden",
         "unknown_provider", "kind_mismatch", "revoked", "frozen", "invalid_credential"}


class Tortured(Daemon):
    """The daemon. Its many secrets begin alike, so the search looks for how they begin."""

    def __init__(self, registry, **keys):
        self._registry = registry
        super().__init__(**keys)

    def leaks(self, exclude=()):
        return leaks.leak_check(self.dir, self._registry, [*self.may_hold_secrets, *exclude])


class Provider(Sim):
    """The scripted token endpoint, which can be away for a while."""

    is_up = True

    def halt(self):
        self.is_up = False
        super().halt()

    def resume(self):
        super().resume()
        self.is_up = True

    @property
    def child(self):
        return self._child


class Account:
    """One owner's account at one provider, and what its callers know."""

    def __init__(self, provider, owner, number):
        self.provider, self.owner = provider, owner
        self.name = f"{provider}-{owner}-{number}"
        self.connection = None
        self.floor = 0          # the highest generation that was acknowledged
        self.served = {}        # generation: access token
        self.rests_until = 0.0
        self.needs_put = True
        self.revocations = 0    # by its user, at the provider
        self.doubts = 0         # answers in a row that it is in doubt


class Job:
    """One that is under way."""

    def __init__(self, account, op, paused_s):
        self.account, self.op, self.floor = account, op, account.floor
        self.sent_at, self.paused_s = time.monotonic(), paused_s


class World:
    """Everything of one run. The fault functions (faults.py) use its verbs."""

    # pylint: disable=too-many-instance-attributes
    def __init__(self, rng, with_idp=True):
        self.rng, self.wrongs, self.notes = rng, [], []
        self.jobs, self.codes, self.interrupts, self.paused_s = {}, {}, [], 0.0
        self.answers, self.slowest_start_s, self.rest_s, self.halts = 0, 0.0, REST_S, []
        self.c, self.d, self.idp, self._lib, self.mark = None, None, None, None, None
        self.folder = tempfile.mkdtemp(prefix="torture")
        self._registry = leaks.Registry()  # how secrets begin
        self._deep = leaks.Registry()      # and those that begin in no way of their own
        self.sims = {}
        try:
            self._build(with_idp)
        except BaseException:
            self.close()
            raise

    def _build(self, with_idp):
        for name, rule in RULES.items():
            prefix = f"TORTURE-{name}"
            self.sims[name] = Provider(rotation=rule, prefix=prefix, ttl=3600)
            self._registry.add(prefix)
            self._deep.add(prefix)
        breaker = {"timeout_s": TIMEOUT_S, "breaker": {"failures": 5, "open_s": 0.5}}
        providers = {name: sim.provider(**breaker) for name, sim in self.sims.items()}
        if with_idp:
            try:
                self.idp = Idp(access_ttl=3600)
                providers["idp"] = self.idp.provider(**breaker)
                self._deep.source(self.idp.all_secrets)
            except SkipTest as reason:
                self.notes.append(f"no oidc-provider: {reason}")
        self.accounts = {}
        for provider in providers:
            for owner in OWNERS:
                for number in range(ACCOUNTS_EACH):
                    account = Account(provider, owner, number)
                    self.accounts[account.name] = account
        self.d = Tortured(self._deep, config={"providers": providers}, start=False)
        self.slow_file = self.d.path("slow")
        self.boot()
        for account in self.accounts.values():
            self.put(account)
        self.drain()

    def close(self):
        """Ends what there is. Gives the names of files in which a secret stood."""
        found = []
        try:
            if self.d:
                self.d.stop(expect=None)
                found = self.d.leaks()
                self.d.leaks = lambda exclude=(): []  # it has been looked at
                self.d.close(expect=None)
        finally:
            if self.c:
                self.c.close()
            for provider in [*self.sims.values(), self.idp]:
                if provider:
                    provider.close()
            shutil.rmtree(self.folder, ignore_errors=True)
        return found

    # --- what is not as it should be

    def wrong(self, what):
        self.wrongs.append(what)

    # --- the daemon's life

    def slow_library(self):
        """What makes its disk slow, compiled once; None where that cannot be."""
        if self._lib is None:
            compiler = shutil.which("cc") or shutil.which("gcc")
            self._lib = ""
            target = os.path.join(self.folder, "slow_sync.so")
            if compiler and not SANITIZED and subprocess.run(
                    [compiler, "-O1", "-shared", "-fPIC", "-o", target, HERE / "slow_sync.c"],
                    check=False, capture_output=True, timeout=60).returncode == 0:
                self._lib = target
        return self._lib or None

    def boot(self, point=None, wait=True):
        """Starts it; with a point, it ends there."""
        self.d.env = {"BURSAR_FAULT_POINT": point} if point else {}
        if self.slow_library():
            self.d.env.update({"LD_PRELOAD": self._lib, "TORTURE_SLOW_SYNC": self.slow_file})
        began = time.monotonic()
        self.d.start(wait=False)
        if wait:
            try:
                self.d.wait_ready(READY_S)
            except RuntimeError:
                if self.d.running() or not point:  # a point can lie in the start itself
                    raise
            self.slowest_start_s = max(self.slowest_start_s, time.monotonic() - began)
        self.connect()

    def connect(self):
        """A new caller; what was under way with the old one is nobody's any more."""
        if self.c:
            self.c.close()
        for job in self.jobs.values():
            job.account.needs_put = job.account.needs_put or job.op == "credential.put"
        self.c, self.jobs, self.mark = Client(self.d.jobs), {}, None

    def interrupted(self):
        """A reply of a provider that came about now may not have reached the daemon."""
        self.interrupts.append(time.time())

    def kill(self):
        self.d.kill()
        self.gone()

    def gone(self):
        """After its end: takes what it had answered before."""
        self.interrupted()
        while self.jobs and self.take(0.02):
            pass

    def terminate(self):
        """SIGTERM: it ends in order, and whoever it had heard is answered before that."""
        heard = self.heard()
        self.d.child.send(signal.SIGTERM)
        ends = time.monotonic() + TIMEOUT_S + 30 + LATE_S
        while self.d.running() and time.monotonic() < ends:
            self.take(0.02)
        status = self.d.wait_exit(1) if not self.d.running() else None
        if status != 0:
            self.wrong(f"SIGTERM: ended with {status}")
            self.kill()
        self.gone()
        for number, job in self.jobs.items():
            if number in heard:
                self.wrong(f"{job.account.name}: {job.op} was not answered before the end")

    def heard(self):
        """The numbers of jobs under way that the daemon has taken from its socket, where they keep their order."""
        self.mark, sent = self.c.send("whoami"), set(self.jobs)
        while self.mark is not None and self.take(DEADLINE_S + LATE_S):
            pass
        if self.mark is not None:
            self.wrong("whoami was not answered")
        return sent

    def pause(self, child, seconds):
        """SIGSTOP, a while, SIGCONT. Callers go on asking."""
        began = time.monotonic()
        child.send(signal.SIGSTOP)
        self.interrupted()
        self.load(seconds)
        child.send(signal.SIGCONT)
        self.interrupted()
        self.paused_s += time.monotonic() - began

    def pause_provider(self, sim, seconds):
        sim.is_up = False  # it cannot be asked for grants meanwhile
        self.pause(sim.child, seconds)
        sim.is_up = True

    def file_limit(self, limit):
        """Writes beyond so many bytes of any file fail from now on; None: without a limit."""
        hard = resource.prlimit(self.d.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.d.pid, resource.RLIMIT_FSIZE, (hard if limit is None else limit, hard))

    def slow_disk(self, ms):
        """Each sync of the daemon's files takes longer by so much; 0: as it was."""
        if ms:
            pathlib.Path(self.slow_file).write_text(str(ms))
        else:
            pathlib.Path(self.slow_file).unlink(missing_ok=True)

    # --- callers

    def up(self, account):
        """Whether its provider can be asked for a grant."""
        sim = self.sims.get(account.provider)
        return sim is None or sim.is_up

    def issue(self, account):
        if account.provider == "idp":
            return self.idp.grants(1, account=account.name)[0]
        return self.sims[account.provider].issue(account.name)

    def send(self, whose, op, **keys):
        job = self.c.send(op, owner=whose.owner, deadline_ms=int(DEADLINE_S * 1000), **keys)
        self.jobs[job] = Job(whose, op, self.paused_s)

    def put(self, account):
        account.needs_put = False
        self.send(account, "credential.put", provider=account.provider, account=account.name,
                  secret=put_secret(self.issue(account)), expires_at=int(time.time()) + 3600)

    def ask(self, account):
        """One job of one account: what a caller wants of it now."""
        if account.needs_put:
            self.put(account)
            return
        how = self.rng.random()
        key = {"connection": account.connection}
        if how < 0.55:
            self.send(account, "refresh", force=True, **key)
        elif how < 0.75:
            self.send(account, "invalidate", vend=True, generation=account.floor, **key)
        else:
            self.send(account, "vend", **key)

    def load(self, seconds, done=None):
        """Keeps callers busy for so long, or until `done`, or until the daemon is gone."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and self.d.running() and not (done and done()):
            busy = {job.account.name for job in self.jobs.values()}
            now = time.monotonic()
            for name, account in self.accounts.items():
                if name not in busy and now >= account.rests_until and (
                        not account.needs_put or self.up(account)):
                    self.ask(account)
            self.take(0.01)
            while self.take(0):
                pass

    def take(self, timeout):
        """One answer; what it acknowledges is held against the daemon for ever."""
        if not self.c.wait(timeout):
            return False
        reply = self.c.recv(0)
        if reply["id"] == self.mark:
            self.mark = None
            return True
        job = self.jobs.pop(reply["id"])
        code = "ok" if reply["ok"] else reply["error"]["code"]
        self.codes[code] = self.codes.get(code, 0) + 1
        self.answers += 1
        account = job.account
        account.rests_until = time.monotonic() + self.rng.uniform(*self.rest_s)
        if code == "ok":
            self.note(job, reply)
        elif job.op == "credential.put" or code == "needs_reauth":
            account.needs_put = True
        account.doubts = account.doubts + 1 if code == "in_doubt" else 0
        if account.doubts >= PATIENCE:  # its probe was lost, too: only a new grant ends that
            account.needs_put, account.doubts = True, 0
        if code in NEVER:
            self.wrong(f"{account.name}: {job.op}: {code}: {reply['error']['message']}")
        return True

    def note(self, job, reply):
        account, generation = job.account, reply["generation"]
        if account.connection not in (None, reply["connection"]):
            self.wrong(f"{account.name}: another connection than before")
        account.connection = reply["connection"]
        if generation < job.floor:
            self.wrong(f"{account.name}: {job.op} answered generation {generation}, {job.floor} was"
                       " acknowledged before it was sent")
        if job.op in ("refresh", "invalidate") and generation == job.floor:
            self.wrong(f"{account.name}: {job.op} answered generation {generation}, which was there"
                       " before")
        account.floor = max(account.floor, generation)
        if "secret" in reply:
            token = reply["secret"]["access_token"]
            if account.served.setdefault(generation, token) != token:
                self.wrong(f"{account.name}: two secrets of generation {generation}")

    def drain(self):
        """Waits until each job has its answer; one that has none in time is a fault."""
        while self.jobs and self.d.running():
            oldest = min(self.jobs.values(), key=lambda job: job.sent_at - job.paused_s)
            ends = oldest.sent_at + DEADLINE_S + LATE_S + self.paused_s - oldest.paused_s
            if self.take(max(0.0, ends - time.monotonic())):
                continue
            self.wrong(f"{oldest.account.name}: {oldest.op} was not answered by its deadline")
            self.jobs = {k: job for k, job in self.jobs.items() if job is not oldest}
        if self.jobs:
            self.wrong("the daemon is gone although nobody ended it")
            self.jobs = {}

    def works_again(self, account):
        """Whether a connection can be refreshed; put anew where its grant has died."""
        def probe():
            if account.needs_put or account.connection is None:
                self.put(account)
            else:
                self.send(account, "refresh", force=True, connection=account.connection)
            before = dict(self.codes)
            self.drain()
            last[:] = [code for code, count in self.codes.items() if count > before.get(code, 0)]
            return last == ["ok"]
        last = []
        try:
            until(probe, account.name, every=0.1)
        except Exception as error:  # pylint: disable=broad-except
            self.wrong(f"it does not work again: {error}: {last}")

    # --- what has been written down by the daemon

    def log_is_clean(self):
        """Looks for secrets in what it said since the last time."""
        folder = os.path.join(self.folder, "said")
        os.makedirs(folder, exist_ok=True)
        shutil.copyfile(self.d.log_file, os.path.join(folder, "log"))
        full = os.path.getsize(self.d.log_file) > LOG_BYTES
        for name in leaks.leak_check(folder, self._deep if full else self._registry):
            self.wrong(f"a secret stands in the log: {name}")
        if full:
            os.truncate(self.d.log_file, 0)  # it appends
