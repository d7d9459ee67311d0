#!/usr/bin/python3
"""The broker in somebody else's process, with a connector that only that process knows."""

import http.server
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from building import build_folder, build_setting
from harness import ROOT, Child, Daemon, run
from machine import PATIENCE_S
from scene import make_secret


class Door:
    """Gives a new word to whoever says the phrase."""

    def __init__(self, phrase):
        door = self
        self.asked, self.words = 0, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                door.asked += 1
                known = self.headers.get("X-Phrase") == phrase
                body = b"who?"
                if known:
                    door.words.append(make_secret("word"))
                    body = b'{"word": "%s"}' % door.words[-1].encode()
                self.send_response(200 if known else 500)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Built:
    """The example, compiled with nothing of the tree but the public headers and the library."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bemb"))
        shutil.copytree(ROOT / "include" / "bursar", self.dir / "include" / "bursar")
        self.program = self.dir / "broker"
        library = build_folder() / "lib" / ".libs"
        subprocess.run(
            [*build_setting("CC"), "-std=c11", "-pedantic", "-D_POSIX_C_SOURCE=200809L", "-g", "-O1",
             "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", *build_setting("SANITIZE_CFLAGS"),
             f"-I{self.dir / 'include'}", "-o", str(self.program),
             str(ROOT / "doc" / "examples" / "broker.c"), f"-L{library}",
             f"-Wl,-rpath,{library}", "-lbursar-broker", "-pthread"], check=True, timeout=PATIENCE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)


class Host:
    """The program with the broker in it."""

    def __init__(self, built, d):
        self.captured = open(d.path("host.captured"), "wb")
        self.child = Child([str(built.program), d.config_file], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=self.captured)

    def line(self):
        return self.child.proc.stdout.readline().decode().strip()

    def end(self):
        self.child.proc.stdin.close()
        return self.child.wait(PATIENCE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.end(5, signal.SIGKILL)
        self.child.proc.stdout.close()
        self.captured.close()


def test_own_connector(t):
    phrase = make_secret("phrase")
    door, built = t.use(Door(phrase)), t.use(Built())
    d = t.use(Daemon({"auth": {"door": {"kind": "sesame", "url": door.url, "phrase": phrase}},
                      "providers": {"house": {"kind": "sesame", "url": door.url,
                                              "phrase": phrase}}}, start=False))
    with Host(built, d) as host:
        t.eq(host.line(), "ready", "it starts")
        c = d.client()
        reply = c.ask("vend", ref="door")
        t.eq((reply["secret"], reply["generation"]),
             ({"kind": "bearer", "token": door.words[0], }, 2), "its secret by name")
        t.eq(c.ask("vend", ref="door")["secret"]["token"], door.words[0], "and once more")
        t.eq(door.asked, 1, "asked for once")
        put = c.ask("credential.put", owner="o", provider="house",
                    secret={"kind": "bearer", "grant": {}})
        reply = c.ask("vend", owner="o", connection=put["connection"])
        t.eq(reply["secret"]["token"], door.words[1], "a connection's own")
        t.eq(host.end(), 0, "it ends in order")


def test_one_that_is_not_known(t):
    built = t.use(Built())
    d = t.use(Daemon({"providers": {"house": {"kind": "seesam"}}}, start=False))
    with Host(built, d) as host:
        t.eq((host.line(), host.child.wait(PATIENCE_S)), ("", 1), "it does not start")
    said = pathlib.Path(d.path("host.captured")).read_text()
    t.ok("no such kind of connector" in said and 'did you mean "sesame"' in said,
         "and says what is wrong", said)


run([test_own_connector, test_one_that_is_not_known])
