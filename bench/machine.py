"""What scripts/bench starts and asks: bursar's programs, those of bench/, and the kernel's figures of them."""

import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

START_S = 60
QUIET_S = 60


class Failed(Exception):
    """A program did not do what it was started for."""


def thread_cpu_s(pid):
    """{thread's name: seconds of processor that it has used}, of those that live; equal names are one."""
    seconds = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            folder = pathlib.Path(f"/proc/{pid}/task/{task}")
            name = (folder / "comm").read_text(encoding="utf-8").strip()
            used = int((folder / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
        except FileNotFoundError:
            continue
        seconds[name] = seconds.get(name, 0) + used
    return seconds


def cpu_s(pid):
    return sum(thread_cpu_s(pid).values())


def fsyncs(pid, load):
    """How often a process waits for the disk during a load; None where strace may not look."""
    if not shutil.which("strace"):
        return None
    with tempfile.NamedTemporaryFile() as counts:
        with subprocess.Popen(["strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", counts.name, "-p", str(pid)],
                              stderr=subprocess.PIPE, text=True) as child:
            if "attached" not in child.stderr.readline():
                child.kill()
                return None
            load()
            child.send_signal(signal.SIGINT)
        rows = pathlib.Path(counts.name).read_text(encoding="utf-8").splitlines()
    return sum(int(row.split()[3]) for row in rows if row.endswith(("fsync", "fdatasync")))


def resident_kb(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    return int(re.search(r"^Rss:\s+(\d+)", text, re.MULTILINE)[1])


def status_of(pid, field):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(rf"^{field}:\s+(\d+)", text, re.MULTILINE)[1])


def wakeups(pid):
    """{thread: how often it has gone to sleep}."""
    counts = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        text = pathlib.Path(f"/proc/{pid}/task/{task}/status").read_text(encoding="utf-8")
        name = re.search(r"^Name:\s+(.*)$", text, re.MULTILINE)[1]
        count = int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE)[1])
        counts[name] = counts.get(name, 0) + count
    return counts


def wait_quiet(pid):
    """Until no thread has had anything to do for a second. The kernel's figures tell nobody: they are looked at."""
    ends, before = time.monotonic() + QUIET_S, wakeups(pid)
    while time.monotonic() < ends:
        time.sleep(1)
        after = wakeups(pid)
        if after == before:
            return
        before = after
    raise Failed("a daemon that nobody asks for anything goes on working")


def run(*words, timeout=1200):
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(words)}: {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


class Server:
    """A process that says `ready …` when it is."""

    def __init__(self, *words):
        self.child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        line = self.child.stdout.readline().split()
        if line[:1] != ["ready"]:
            self.close()
            raise Failed(f"{words[0]} did not start")
        self.said, self.pid = line[1:], self.child.pid

    def next_line(self):
        return self.child.stdout.readline().split()

    def close(self):
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Programs:
    """Where they were built, and a folder for what they write."""

    def __init__(self, build, folder=None):
        self.build = pathlib.Path(build).resolve()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench", dir=folder or "/tmp"))
        for name in ("server", "client"):
            run(self.path("bursar"), "init", str(self.folder / name))

    def path(self, name):
        return str(self.build / name)

    def key(self, whose, kind):
        return str(self.folder / whose / f"curve.{kind}")

    def echo(self, endpoint, reply_bytes, curve=False, hold=1):
        key = [self.key("server", "key")] if curve else []
        held = ["--hold", str(hold)] if hold > 1 else []
        return Server(self.path("bench/echo"), *held, endpoint, str(reply_bytes), *key)

    def endpoint(self, token_bytes, delay_ms=0, *words):
        return Server(self.path("bench/endpoint"), str(token_bytes), str(delay_ms), *words)

    def load(self, endpoint, *words, curve=False):
        """`bursar bench` there; what it measured."""
        keys = ["--key", self.key("client", "key"), "--server-key", self.key("server", "pub")] if curve else []
        return json.loads(run(self.path("bursar"), "bench", "--json", "--endpoint", endpoint, *keys,
                              *map(str, words)))

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Daemon:
    """bursard with a static provider, and one or many at a local token endpoint. Its workers do not rest unless idle_s
    is more than 0: a thread that ends takes along what it has used of a processor, and the figures lack it."""

    def __init__(self, programs, port, tcp_port=0, name="d", others=None, io_threads=1, idle_s=0):
        self.programs, self.child = programs, None
        self.folder = programs.folder / name
        self.folder.mkdir(exist_ok=True)
        self.jobs, self.tcp = f"ipc://{self.folder}/jobs", f"tcp://127.0.0.1:{tcp_port}"
        self.db = self.folder / "bursar.db"
        client = pathlib.Path(programs.key("client", "pub")).read_text(encoding="ascii").strip()
        client = client.replace("${", "$${")  # a key may have it by chance
        roles = ["vend", "refresh", "connect", "manage", "events", "export", "admin"]
        owners = {"owners": ["*"], "max_in_flight": 65536, "max_unread_bytes": 1 << 34}
        config = {
            "listen": {"jobs": [self.jobs, *([self.tcp] if tcp_port else [])],
                       "intake": [f"ipc://{self.folder}/intake"], "events": [f"ipc://{self.folder}/events"],
                       "curve_key": f"${{file:{programs.key('server', 'key')}}}", "io_threads": io_threads},
            "store": f"sqlite:{self.db}", "keyring": f"file:{programs.folder}/server/keyring",
            "principals": {"here": {"uids": [str(os.getuid())], "roles": roles, **owners},
                           "far": {"curve_keys": [client], "roles": roles, **owners}},
            "connectors": {"allow_http_loopback": True, "idle_s": idle_s},
            "providers": {"plain": {"kind": "static"},
                          "acme": {"kind": "oauth2_refresh", "token_url": f"http://127.0.0.1:{port}/token",
                                   "client_id": "client", "client_secret": "secret", "rotation": "none"}},
            "log": {"level": "info"}}
        for other, other_port in (others or {}).items():
            config["providers"][other] = {**config["providers"]["acme"],
                                          "token_url": f"http://127.0.0.1:{other_port}/token"}
        self.config = self.folder / "bursar.yaml"
        self.config.touch(mode=0o600)
        self.config.write_text(json.dumps(config), encoding="utf-8")

    @property
    def pid(self):
        return self.child.pid

    def start(self):
        """Starts it; the seconds until it was ready."""
        log = self.folder / "log"
        before = log.stat().st_size if log.exists() else 0
        begun_at = time.monotonic()
        with open(log, "ab") as file:
            self.child = subprocess.Popen([self.programs.path("bursard"), "-c", str(self.config)], stderr=file,
                                          stdout=file)
        while True:
            with open(log, "rb") as file:
                file.seek(before)
                if b" ready " in file.read():
                    return time.monotonic() - begun_at
            if self.child.poll() is not None or time.monotonic() - begun_at > START_S:
                raise Failed(f"bursard did not start: {log.read_text(encoding='utf-8')}")
            time.sleep(0.002)

    def stop(self):
        if self.child:
            self.child.send_signal(signal.SIGTERM)
            self.child.wait(60)
            self.child = None

    def restart(self):
        self.stop()
        return self.start()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


def spread(values):
    """Median, least and most."""
    return statistics.median(values), min(values), max(values)


def in_turns(count, *measures):
    """Figures of each, taken one after the other, who begins changing each time: as many lists."""
    results = tuple([] for _ in measures)
    for turn in range(count):
        for i in range(len(measures)):
            which = (turn + i) % len(measures)
            results[which].append(measures[which]())
    return results
