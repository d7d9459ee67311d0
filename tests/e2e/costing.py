"""What a daemon does, counted and not timed: instructions and calls by callgrind, system calls by strace."""

import collections
import ctypes
import glob
import os
import re
import shutil
import signal
import subprocess

from harness import Child, SkipTest
from scene import SANITIZED

# Called for whoami alone and once for each: what lies between two of them is a part of the profile.
MARK = "principal_pack"
DISPATCHER = "credential_give"  # and by no other thread
WORKER = "flight_conclude"


def needs(tool):
    levels = re.findall(r"-O(\w*)", os.environ.get("BURSAR_CFLAGS", "-O2"))
    if SANITIZED or levels[-1:] != ["2"]:
        raise SkipTest("counts are of what is built with -O2 and no sanitizer")
    if not shutil.which(tool):
        raise SkipTest(f"{tool} is not installed")


def curl_keeps():
    """Whether a handle of libcurl's is kept for the next request: http/engine.c knows of one version what is in it."""
    curl = ctypes.CDLL("libcurl.so.4")
    curl.curl_version.restype = ctypes.c_char_p
    return curl.curl_version().startswith(b"libcurl/7.88.1 ")


class Profile:
    """One thread's part of a callgrind profile."""

    def __init__(self, text):
        self.total = int(re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)[1])
        self.calls = collections.Counter()  # by the callee's name
        self.calls_from = collections.Counter()  # by the calling library's or program's name, and the callee's
        self.within = collections.Counter()  # instructions, by the callee's name, with those of what it calls
        self.own = collections.Counter()    # instructions, by the function's name
        self.by_object = collections.Counter()  # the same, by the library's or program's name
        names, objects, callee, caller, where, is_call = {}, {}, None, None, None, False
        for line in text.splitlines():
            found = re.match(r"(c?fn)=\((\d+)\)(?: (.*))?$", line)
            if found:
                if found[3]:
                    names[found[2]] = found[3]
                name = names[found[2]]
                if found[1] == "cfn":
                    callee = name
                else:
                    caller = name
                continue
            found = re.match(r"(c?ob)=\((\d+)\)(?: (.*))?$", line)
            if found:
                if found[3]:
                    objects[found[2]] = os.path.basename(found[3])
                if found[1] == "ob":
                    where = objects[found[2]]
            elif line.startswith("calls="):
                self.calls[callee] += int(line[6:].split()[0])
                self.calls_from[where, callee] += int(line[6:].split()[0])
                is_call = True
            elif re.match(r"[+*\d-]", line):
                if is_call:
                    self.within[callee] += int(line.split()[-1])
                elif caller:
                    self.own[caller] += int(line.split()[-1])
                    self.by_object[where] += int(line.split()[-1])
                is_call = False

    def of(self, object_name):
        """Instructions of a program or library; names of libraries go on with their versions."""
        return sum(n for name, n in self.by_object.items() if name.startswith(object_name))


def callgrind(folder):
    """The words before bursard with which profile() finds something in the folder."""
    return ("valgrind", "--quiet", "--tool=callgrind", "--separate-threads=yes", f"--dump-before={MARK}",
            "--dump-instr=no", f"--callgrind-out-file={folder}/profile")


def callgrind_control(daemon, what):
    """Of all threads, where a mark is but of the one that comes to it: --zero, or --dump, which ends a part."""
    subprocess.run(["callgrind_control", what, str(daemon.pid)], check=True, capture_output=True, timeout=60)


def profile(folder, part, whose=DISPATCHER):
    """What a thread, the dispatcher if no other, did before the part-th mark or dump, since the one before."""
    for path in glob.glob(f"{folder}/profile.*{part}-[0-9]*"):
        if not re.search(rf"\.{part}-\d+$", path):
            continue
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if re.search(rf"fn=\(\d+\) {whose}$", text, re.MULTILINE):
            return Profile(text)
    raise AssertionError(f"no part {part} of the profile has {whose}()")


class Calls:
    """The system calls of a running daemon: `counts`, {(thread, call): how often}, of those that began while this
    was open."""

    def __init__(self, daemon, only=None):
        self.path, self.names, self.counts = daemon.path("strace"), {}, collections.Counter()
        for task in os.listdir(f"/proc/{daemon.pid}/task"):
            with open(f"/proc/{daemon.pid}/task/{task}/comm", encoding="utf-8") as file:
                self.names[task] = file.read().strip()
        select = ["-e", f"trace={only}"] if only else []
        self.child = Child(["strace", "-f", "-o", self.path, *select, "-p", str(daemon.pid)],
                           stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        # It says so when all threads are its own.
        said = self.child.proc.stderr.readline().decode()
        if "attached" not in said:
            self.child.end(5, signal.SIGKILL)
            raise SkipTest(f"strace may not look at the daemon: {said.strip()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.end(10, signal.SIGINT)
        with open(self.path, encoding="utf-8", errors="replace") as file:
            for line in file:
                found = re.match(r"(\d+) +(\w+)\(", line)
                if found:
                    self.counts[self.names.get(found[1], "?"), found[2]] += 1
