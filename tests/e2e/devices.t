#!/usr/bin/python3
"""Consent on a second device (RFC 8628), with a real authorization server."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from consenting import Command, complete, consent, person, scene
from harness import Child, Idp, limit, run
from scene import record, rows, until, wait_generation

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def device(c, **keys):
    return c.ask("connect.device", owner="o", provider="acme", **keys)


@limit(90)
def test_device(t):
    _, d, c, _ = scene(t)
    told = device(c, account="tv")
    t.ok(told["user_code"] and told["verification_uri"].endswith("/device"), "a code and where to")
    t.eq(told["interval"], 1, "and how often it is asked for")
    t.eq(record(c, told["connection"])["state"], "PENDING", "the connection waits")
    t.eq(c.code("vend", owner="o", connection=told["connection"]), "not_connected",
         "and has no secret")
    d.restart()
    c = d.client()
    person(told["verification_uri_complete"])
    made = wait_generation(c, told["connection"], 1)
    t.eq((made["state"], made["account"]), ("ACTIVE", "tv"),
         "the consent is found by a daemon that was restarted in between")
    t.eq(c.ask("refresh", owner="o", connection=told["connection"], force=True)["generation"], 2,
         "its grant is refreshed")


@limit(90)
def test_device_slow_down(t):
    idp, _, c, _ = scene(t)
    slow = {"kind": "status", "status": 400, "headers": {"content-type": "application/json"},
            "body": json.dumps({"error": "slow_down"}), "match": {"grant_type": DEVICE_GRANT}}
    idp.faults(slow)
    begun = time.monotonic()
    told = device(c)
    until(lambda: idp.stats()["faults_used"] == 1, "the first poll")
    polls = idp.stats()["token_requests"]
    person(told["verification_uri_complete"])
    wait_generation(c, told["connection"], 1)
    took = time.monotonic() - begun
    t.ok(took >= 7, "slow_down makes the interval of one second five seconds longer", f"{took:.1f} s")
    more = idp.stats()["token_requests"] - polls
    t.ok(1 <= more <= (took - 1) / 6, "for each poll after it", f"{more} in {took:.1f} s")


@limit(90)
def test_device_denied(t):
    _, _, c, _ = scene(t)
    told = device(c)
    person(told["verification_uri_complete"], deny=True)
    found = until(lambda: record(c, told["connection"]).get("last_refresh"), "a refusal")
    t.ok("access_denied" in found["error"], "who says no is told of", found)
    t.eq(record(c, told["connection"])["state"], "PENDING", "and nothing is connected")


@limit(90)
def test_device_denied_again(t):
    """A refused consent for a connection that works: it goes on working, and its record tells."""
    _, d, c, uri = scene(t)
    made = complete(c, consent(c, uri))["record"]
    told = device(c, reconnect=made["id"])
    t.eq(told["connection"], made["id"], "a device is to connect it again")
    person(told["verification_uri_complete"], deny=True)
    found = until(lambda: record(c, made["id"]) if record(c, made["id"]).get("reason") else None,
                  "a trace")
    t.eq((found["reason"], found["state"], found["generation"]), ("consent_refused", "ACTIVE", 1),
         "the record says that it was refused")
    t.eq(found["next_refresh_at"], made["next_refresh_at"], "and is still planned")
    t.ok(d.wait_log("a device was not connected.*access_denied"), "the log says why")
    t.eq(rows(d, "SELECT last_error FROM connection"), [("access_denied: End-User aborted interaction",)],
         "as the row does")
    t.eq(c.ask("refresh", owner="o", connection=made["id"], force=True)["generation"], 2,
         "it is refreshed as before")
    t.eq(record(c, made["id"]).get("reason"), None, "which ends the trace")


@limit(90)
def test_device_expired(t):
    class ShortIdp(Idp):
        """Its device codes live for three seconds."""

    idp = t.use(short_lived_codes(ShortIdp))
    _, _, c, _ = scene(t, idp)
    told = device(c)
    found = until(lambda: record(c, told["connection"]).get("last_refresh"), "the end")
    t.ok("expired_token" in found["error"], "a code that nobody used in time", found)


def short_lived_codes(kind):
    """harness.Idp has no option for it: the server's own, by a program that adds it."""
    real = Child.__init__

    def start(self, command, **popen):
        real(self, [*command, "--device-ttl", "3"] if "server.mjs" in " ".join(command) else command,
             **popen)

    Child.__init__ = start
    try:
        return kind()
    finally:
        Child.__init__ = real


@limit(90)
def test_device_by_command(t):
    _, d, _, _ = scene(t)
    command = t.use(Command(d, "o", "acme/tv", "--device"))
    t.ok("any device" in command.line(), "what to do")
    lines = [command.line() for _ in range(5)]
    person(lines[-1])
    status, out, err = command.end()
    t.eq((status, err), (0, ""), "the command waits for it")
    t.ok("ACTIVE" in out and "tv" in out, "and shows the record", out)
    command = t.use(Command(d, "o", "acme/radio", "--device"))
    lines = [command.line() for _ in range(6)]
    person(lines[-1], deny=True)
    status, _, err = command.end()
    t.ok(status == 1 and "access_denied" in err, "or for a no", err)
    command = t.use(Command(d, "o", "acme/radio", "--device"))
    lines = [command.line() for _ in range(6)]
    person(lines[-1])
    status, out, err = command.end()
    t.ok(status == 0 and "ACTIVE" in out, "which is not taken for that of a later one", out + err)
    command = t.use(Command(d, "o", "acme/radio", "--device"))
    lines = [command.line() for _ in range(6)]
    person(lines[-1], deny=True)
    status, _, err = command.end()
    t.ok(status == 1 and "not connected" in err, "nor is a no to one that is connected missed", err)


if __name__ == "__main__":
    run([test_device, test_device_slow_down, test_device_denied, test_device_denied_again,
         test_device_expired, test_device_by_command])
