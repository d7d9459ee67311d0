#!/usr/bin/python3
"""bursar conform and bursar simulate: the whole catalogue against its providers as they are played,
an entry of one's own, a broken one, and the daemon itself against a simulated provider."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Child, Daemon, SkipTest, cli, first_line, limit, program, run
from machine import BUSY, PATIENCE_S
from scene import wait_generation, wait_state

CATALOG = str(pathlib.Path(__file__).resolve().parents[2] / "workers" / "catalog")
QUIRKS = str(pathlib.Path(__file__).resolve().parents[1] / "connector" / "quirks.yaml")

OWN = """\
kind: oauth2_refresh
token_url: https://id.example/token
client_auth: client_secret_post
rotation: strict
error_path: $.problem
reauth_errors: [gone]
"""


class Folder:
    """A folder for entries, gone with its test."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="bursar-conform-")

    def write(self, name, text):
        path = pathlib.Path(self.folder.name, name)
        path.write_text(text)
        return str(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


class Simulation:
    """bursar simulate, until it is told to end."""

    def __init__(self, entry, *args):
        command = [*program("bursar", "BURSAR"), "simulate", entry, "--catalog", CATALOG, "--json",
                   *args]
        self.child = Child(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.info = first_line(self.child, PATIENCE_S, "bursar simulate")

    def provider(self, token_path, **over):
        return {"client_id": self.info["client_id"], "client_secret": self.info["client_secret"],
                "token_url": self.info["url"] + token_path, **over}

    def end(self, how=signal.SIGTERM):
        return self.child.end(PATIENCE_S, how)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def conform(*args, timeout=400 * BUSY):
    return cli(None, "conform", "--catalog", CATALOG, *args, timeout=timeout)


@limit(400)
def test_catalogue(t):
    if "thread" in os.environ.get("BURSAR_SANITIZE", ""):
        raise SkipTest("one thread, and slow")
    entries = len(list(pathlib.Path(CATALOG).glob("*.yaml")))
    status, out, err = conform("all", "--json")
    results = [json.loads(line) for line in out.splitlines()]
    wrong = [(r["provider"], r.get("problem"), [c for c in r["cases"] if c.get("failure")])
             for r in results if r["failed"] or r.get("problem")]
    t.eq(wrong, [], "every entry does what it should at its provider")
    t.eq((status, err), (0, ""), "and that is the exit status")
    t.eq(len(results), entries, "all of them were looked at")
    t.ok(sum(r["passed"] for r in results) > 20 * entries, "in many cases each")


@limit(120)
def test_quirks(t):
    status, out, _ = conform("--quirks", QUIRKS)
    lines = out.splitlines()
    t.eq([line for line in lines if not line.endswith(": passed")], [], "each deviation is met")
    t.eq((status, len(lines)), (0, 44), "all of them")
    t.ok(lines[0].startswith("Q1 ") and "github" in lines[0], "with the providers that show it")


def test_own_entry(t):
    folder = t.use(Folder())
    path = folder.write("own.yaml", OWN)
    status, out, err = conform(path)
    t.eq((status, err), (0, ""), "an entry of one's own")
    t.ok(out.startswith("own ") and out.rstrip().endswith("cases passed"), f"on one line: {out}")
    status, out, _ = conform(path, "google", "--tap")
    t.eq(status, 0, "several, as TAP")
    t.eq([line.split(" - ")[0] for line in out.splitlines()], ["1..2", "ok 1", "ok 2"], "two tests")
    status, out, _ = conform(path, "--case", "a dead grant", "--list")
    t.eq((status, out.splitlines()[1:]), (0, ["    a dead grant: passed"]), "one case alone")


def test_against(t):
    """What differs from an entry that is right is found."""
    folder = t.use(Folder())
    right = folder.write("right.yaml", OWN)
    wrong = folder.write("wrong.yaml", OWN.replace("strict", "none").replace("$.problem", "$.error"))
    status, out, _ = conform(wrong, "--against", right)
    t.eq(status, 1, "it fails")
    t.ok("cases failed" in out.splitlines()[0], "says how many")
    t.ok("a dead grant: expected: a dead grant; got: " in out, f"what was expected and got: {out}")
    t.ok("the connection ends before the reply: expected: an uncertain end; got: an outage" in out,
         "in each case")
    t.ok("POST https://id.example/token" in out, "and what was sent")
    t.ok("open:sesame" not in out and "rt.0" not in out, "without a secret")
    status, out, _ = conform(wrong, "--against", right, "--tap")
    t.ok(status == 1 and out.splitlines()[1].startswith("not ok 1 - wrong"), "the same as TAP")


def test_broken_entry(t):
    folder = t.use(Folder())
    path = folder.write("broken.yaml", OWN + "tokn_url: x\nexpires_path: $..x\n")
    status, out, _ = conform(path)
    t.eq(status, 1, "a broken file")
    t.ok(f"{path}:7:1: " in out and '(did you mean "token_url"?)' in out, f"by its line: {out}")
    t.ok(f"{path}:8:" in out, "all that is wrong with it")
    status, out, _ = conform(folder.write("empty.yaml", ""))
    t.ok(status == 1 and "empty.yaml:1:1: " in out, f"an empty one: {out}")
    status, out, _ = conform("no-such-provider")
    t.ok(status == 1 and "no-such-provider.yaml" in out, f"one that is not there: {out}")
    status, out, _ = conform("No_Id")
    t.ok(status == 1 and "is no provider's id" in out, "what cannot be one")
    t.eq(conform()[0], 2, "nothing to look at is wrong usage")
    status, _, err = conform("--quirks", folder.write("quirks.yaml", "Q1: {provider: google}\n"))
    t.eq(status, 1, f"a deviation without a case {err}")
    status, _, err = conform("--quirks", folder.write("list.yaml", "[1]\n"))
    t.ok(status == 1 and "must be a map" in err, "no map of deviations")


def put(client, simulation, provider):
    secret = {"kind": "oauth2", "access_token": simulation.info["access_token"],
              "refresh_token": simulation.info["refresh_token"]}
    return client.ask("credential.put", owner="o", provider=provider, secret=secret,
                      expires_at=1)["connection"]


@limit(60)
def test_simulate(t):
    """The daemon refreshes at a simulated provider of the catalogue."""
    simulation = t.use(Simulation("box"))
    config = {"connectors": {"allow_http_loopback": True, "catalog": [CATALOG]},
              "providers": {"box": simulation.provider("/oauth2/token")}}
    d = t.use(Daemon(config))
    c = d.client()
    connection = put(c, simulation, "box")
    wait_generation(c, connection, 2)
    first = c.ask("vend", owner="o", connection=connection)["secret"]["access_token"]
    t.ok(first != simulation.info["access_token"], "a new token")
    again = c.ask("refresh", owner="o", connection=connection, force=True)
    t.eq(again["generation"], 3, "with the refresh token that came with it")
    d.stop()
    t.eq(simulation.end(signal.SIGINT), 0, "it ends when it is told to")


@limit(60)
def test_scenarios(t):
    dead, throttled = t.use(Simulation("box", "--scenario", "dead-grant")), t.use(
        Simulation("google", "--scenario", "throttled-once", "--port", "0"))
    lost = t.use(Simulation("zoom", "--scenario", "lost-reply"))
    config = {"connectors": {"allow_http_loopback": True, "catalog": [CATALOG]},
              "providers": {"box": dead.provider("/oauth2/token"),
                            "google": throttled.provider("/token"),
                            "zoom": lost.provider("/oauth/token")}}
    d = t.use(Daemon(config))
    c = d.client()
    refused = wait_state(c, put(c, dead, "box"), "NEEDS_REAUTH")
    t.eq(refused["reason"], "invalid_grant", "a dead grant")
    record = wait_generation(c, put(c, throttled, "google"), 2)
    t.eq(record["state"], "ACTIVE", "a provider that asked to wait is asked again")
    doubtful = wait_state(c, put(c, lost, "zoom"), "NEEDS_REAUTH")
    t.eq(doubtful["reason"], "lost_in_flight", "a lost reply cost the only token")


def test_simulate_refusals(t):
    folder = t.use(Folder())
    command = ("simulate", "--catalog", CATALOG)
    status, _, err = cli(None, *command, "no-such-provider")
    t.ok(status == 1 and "no-such-provider.yaml" in err, f"no such provider: {err}")
    status, _, err = cli(None, *command, folder.write("broken.yaml", OWN + "rotation: sometimes\n"))
    t.ok(status == 1 and "broken.yaml:7:" in err, f"a broken entry: {err}")
    status, _, err = cli(None, *command, "google", "--scenario", "sunshine")
    t.ok(status == 2 and "lost-reply" in err, "an unknown scenario: those there are")
    t.eq(cli(None, *command, "google", "--port", "70000")[0], 2, "a port that is none")
    busy = t.use(Simulation("google"))
    port = busy.info["url"].rsplit(":", 1)[1]
    status, _, err = cli(None, *command, "google", "--port", port)
    t.ok(status == 1 and "cannot listen" in err, f"a port that is taken: {err}")


run([test_catalogue, test_quirks, test_own_entry, test_against, test_broken_entry, test_simulate,
     test_scenarios, test_simulate_refusals])
