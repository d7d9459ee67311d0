#!/usr/bin/python3
"""What somebody who means harm tries: as a principal that is bound to one owner, with the database in hand,
by what a provider's address or a field may hold, and with files that others can read."""

import os
import random
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time

import zmq

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from bound import ROLES, Bound
from harness import Client, Daemon, Endpoint, Events, limit, program, run
from machine import LONG_MS
from scene import SANITIZED, edit, make_secret, put, record, rows, scaled, until, wait_state

def plain(name):
    return {"kind": "bearer", "token": make_secret(name)}


# ---- somebody else's connections -------------------------------------------------------------------

def unknown_like(connection, rng):
    provider, _, rest = connection.partition(".")
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    return f"{provider}.{rest[:10]}{''.join(rng.choice(digits) for _ in range(16))}"


def test_forged_owner(t):
    """The owner in a job's body is no proof: each op about somebody else's connection is answered, byte for
    byte, as one about a connection that is not there."""
    b = Bound(t, ["acme", "globex"], {"providers": {"plain": {"kind": "static"}}})
    acme, globex, ops = b.client("acme"), b.client("globex"), b.d.client()
    mine = acme.ask("credential.put", owner="acme", provider="plain", account="a", secret=plain("mine"))
    connection, rng = mine["connection"], random.Random(1)
    before = record(ops, connection, "acme")
    for op, more in (("vend", {}), ("refresh", {"force": True}), ("invalidate", {}),
                     ("connection.get", {}), ("connection.update", {"tags": ["x"]}),
                     ("connection.revoke", {}), ("connection.restore", {}), ("connection.freeze", {}),
                     ("connection.thaw", {}), ("connection.export", {}), ("connection.delete", {})):
        replies = []
        for owner, one in (("acme", connection), ("acme", unknown_like(connection, rng)),
                           ("globex", connection), ("globex", unknown_like(connection, rng)),
                           ("nobody", connection)):
            globex.call(op, id=7, owner=owner, connection=one, **more)
            replies.append(globex.last_body)
        t.eq(len(set(replies)), 1, f"{op}: five answers, all the same bytes")
        for owner in ("acme", "globex", "nobody"):
            globex.call(op, id=7, owner=owner, provider="plain", account="a", **more)
            replies.append(globex.last_body)
        t.eq(len(set(replies[5:])), 1, f"{op} by account: three more")
    for op, more in (("credential.put", {"secret": plain("forged")}), ("connection.create", {})):
        t.eq(globex.code(op, owner="acme", provider="plain", account="b", **more), "forbidden",
             f"{op} for somebody else")
    t.eq(globex.code("connection.list", owner="acme"), "forbidden", "no list of somebody else's")
    t.eq(globex.code("connection.list"), "forbidden", "nor of everybody's")
    t.eq(globex.code("events.since", seq=0), "forbidden", "nor the events of everybody")
    for select in ({"owner": "acme"}, {"provider": "plain"}, {"tag": "x"}):
        t.eq(globex.code("connection.freeze", select=select), "forbidden", f"no sweep by {select}")
    t.eq(record(ops, connection, "acme"), before, "and nothing has changed")


def test_sweeps_of_others(t):
    """sweep.* is about everybody's connections, whatever owner it names."""
    b = Bound(t, ["acme", "globex"], {"providers": {"plain": {"kind": "static"}}},
              more={"globex": {"providers": ["plain"]}})
    acme, globex, ops = b.client("acme"), b.client("globex"), b.d.client()
    acme.ask("credential.put", owner="acme", provider="plain", secret=plain("swept"))
    sweep = ops.ask("connection.freeze", select={"owner": "acme"})["sweep"]
    for op in ("sweep.get", "sweep.list", "sweep.receipts", "sweep.cancel"):
        t.eq(globex.code(op, sweep=sweep, owner="globex", provider="plain"), "forbidden", op)


def test_select_elsewhere(t):
    """A selection in a job that takes none does no harm, and the log's rows are waited for by those alone that
    ask for them."""
    b = Bound(t, ["acme"], {"providers": {"plain": {"kind": "static"}}}, more={"acme": {"roles": ["vend", "refresh"]}})
    acme = b.client("acme")
    for op in ("vend", "refresh", "connection.get", "whoami", "status"):
        t.eq(acme.code("principal.list"), "forbidden", "a row is waiting to be written")
        t.eq(acme.code(op, owner="acme", provider="plain", select={"principal": "x", "vended_since": 1}),
             "bad_request", f"{op} with a selection")
    t.ok(b.d.running(), "the daemon lives")


def test_refresh_gives_no_secret(t):
    """The role refresh alone gives no secret, by no way."""
    b = Bound(t, ["acme"], {"providers": {"plain": {"kind": "static"}}}, more={"acme": {"roles": ["refresh"]}})
    acme, ops = b.client("acme"), b.d.client()
    ops.ask("credential.put", owner="acme", provider="plain", secret=plain("kept"))
    t.eq(acme.code("vend", owner="acme", provider="plain"), "forbidden", "vend")
    t.eq(acme.code("invalidate", owner="acme", provider="plain", access_token_sha256="0" * 64, vend=True),
         "forbidden", "invalidate with vend")


def test_routing_id(t):
    """Nobody gets another peer's answer by calling itself as that one did."""
    sim = t.use(Endpoint(prefix="RID"))
    b = Bound(t, ["acme", "evil"], {"providers": {"acme": sim.provider()}})
    ops = b.d.client()
    connection = put(ops, sim.issue("alice", ttl=3600), owner="acme")

    def named(sock, name):
        b.setup(name)(sock)
        sock.setsockopt(zmq.ROUTING_ID, b"acme-web")

    for name in ("acme", "evil"):
        def ask(who=name):
            """None where the one before, who has the same id, is not quite gone yet: then this one is not heard."""
            with Client(b.tcp, setup=lambda sock: named(sock, who)) as client:
                job = client.send("vend", owner="acme", connection=connection)
                return client.recv_id(job) if client.wait(2) else None

        reply = until(ask, "an answer")
        t.eq((reply["ok"], reply["error"]["code"]), (False, "bad_request"), f"{name}: with an id of its own")
    t.eq(b.client("acme").code("vend", owner="acme", connection=connection), "ok", "without one it is served")


def test_removed_while_it_waits(t):
    """Whoever is removed does not get what it waits for; and nobody else's events stop."""
    sim = t.use(Endpoint(prefix="RMV"))
    b = Bound(t, ["acme"], {"providers": {"acme": sim.provider(), "plain": {"kind": "static"}}})
    ops = b.d.client()
    public, secret = zmq.curve_keypair()
    ops.ask("principal.add", principal="late", definition={
        "curve_keys": [public.decode()], "roles": ["vend", "events"], "owners": ["acme"]})
    b.keys["late"] = (public, secret)
    late = b.client("late")
    sim.script({"hold": "gate"})
    everything = b.d.events(["connected/"])
    connection = put(ops, sim.issue("alice", ttl=3600), owner="acme")
    everything.expect("connected", connection=connection)  # told to whoever listens, before others do
    job = late.send("vend", owner="acme", connection=connection, deadline_ms=LONG_MS)
    t.ok(sim.wait_requests(1), "it waits for a refresh")
    first = t.use(Events(b.tcp_events, ["connected/acme/"], setup=b.setup("late"), sync=b.d.round_trip))
    second = t.use(Events(b.tcp_events, ["connected/acme/"], setup=b.setup("acme"), sync=b.d.round_trip))
    second.close()  # whose subscription that was, nobody tells the daemon
    b.d.round_trip()
    ops.ask("principal.remove", principal="late")
    t.eq(late.recv_id(job)["error"]["code"], "forbidden", "its answer is no secret any more")
    everything.wait_connected()  # all were cut off, and are asked again who they are
    sim.release("gate")
    ops.ask("credential.put", owner="acme", provider="plain", secret=plain("after"))
    everything.expect("connected", provider="plain")
    t.eq(first.drain(0.5), [], "and it hears nothing")


def test_removed_peer_has_bounds(t):
    """A peer that is nobody any more, and never reads, takes no memory."""
    b = Bound(t, [], {"providers": {"plain": {"kind": "static"}}, "log": {"level": "info"}})
    ops = b.d.client()
    public, secret = zmq.curve_keypair()
    ops.ask("principal.add", principal="late", definition={"curve_keys": [public.decode()], "roles": ["vend"],
                                                           "owners": ["x"]})
    b.keys["late"] = (public, secret)

    def deaf(sock):
        b.setup("late")(sock)
        sock.rcvhwm = 1

    client = t.use(Client(b.tcp, setup=deaf))
    t.eq(client.code("whoami"), "ok", "it is somebody")
    ops.ask("principal.remove", principal="late")
    before = b.d.rss_kib()
    for _ in range(scaled(30000, 3000)):
        client.send("whoami", id="i" * 1000)
    t.eq(ops.code("whoami"), "ok", "others are served")
    t.le(b.d.rss_kib(), before + 40 * 1024, "and nothing is kept for it")


def test_bounds_of_the_intake(t):
    b = Bound(t, [], {"providers": {"plain": {"kind": "static"}}})
    d = b.d
    ops = d.client()
    connection = ops.ask("credential.put", owner="o", provider="plain", secret=plain("x"))["connection"]
    small = {"uids": [os.getuid()], "owners": ["*"], "roles": [*ROLES, "admin"], "max_job_bytes": 200}
    d.configure({**d.config, "principals": {"ops": small}})
    d.restart()
    push, c = d.push(), d.client()
    other = c.ask("credential.put", owner="o", provider="plain", account="b", secret=plain("y"))["connection"]
    push.send("invalidate", owner="o", connection=connection, purpose="x" * 250)
    push.send("invalidate", owner="o", connection=other)  # jobs of one socket keep their order
    wait_state(c, other, "NEEDS_REAUTH", "o")
    t.eq(record(c, connection, "o")["state"], "ACTIVE", "a body over the bound does nothing there either")


def test_complete_of_another_provider(t):
    """A consent's state is of its provider: who may not use that cannot end it."""
    b = Bound(t, ["acme"], {"providers": {"plain": {"kind": "static"}}}, more={"acme": {"providers": ["other"]}})
    t.eq(b.client("acme").code("connect.complete", state="plain.abcdefgh", code="c"), "forbidden", "refused")


def test_status_of_refs(t):
    """Shared credentials that somebody may not use are not told of, nor what others have typed."""
    token = make_secret("shared")
    b = Bound(t, ["acme"], {"auth": {"mine": {"kind": "static", "token": token},
                                     "theirs": {"kind": "static", "token": token}}},
              more={"acme": {"refs": ["mine"]}})
    ops, acme = b.d.client(), b.client("acme")
    ops.code("vend", ref="hunter")
    seen, all_of_it = acme.ask("status"), ops.ask("status")
    t.eq((sorted(seen["providers"]), "unknown_refs" in seen), (["@mine"], False), "its own alone")
    t.eq((sorted(all_of_it["providers"]), list(all_of_it["unknown_refs"])), (["@mine", "@theirs"], ["hunter"]),
         "an administrator sees all")


@limit(120)
def test_timing(t):
    """A connection that is somebody else's takes as long to refuse as one that is not there."""
    b = Bound(t, ["acme", "globex"], {"providers": {"plain": {"kind": "static"}}})
    acme, globex, rng = b.client("acme"), b.client("globex"), random.Random(2)
    ids = [acme.ask("credential.put", owner="acme", provider="plain", account=f"a{i}",
                    secret=plain("timed"))["connection"] for i in range(50)]
    for one in ids:
        acme.ask("vend", owner="acme", connection=one)  # warm, as what is in use is
    tries = scaled(20000, 2000)
    times = {"foreign": [], "unknown": []}
    for _ in range(tries):
        kind = rng.choice(("foreign", "unknown"))
        one = rng.choice(ids)
        if kind == "unknown":
            one = unknown_like(one, rng)
        begin = time.perf_counter_ns()
        globex.call("vend", owner="globex", connection=one)
        times[kind].append(time.perf_counter_ns() - begin)
    medians = {kind: statistics.median(values) for kind, values in times.items()}
    gap = abs(medians["foreign"] - medians["unknown"])
    # What chance alone makes of the same two groups: the labels are dealt anew.
    everything = times["foreign"] + times["unknown"]
    half, chance = len(times["foreign"]), []
    for _ in range(30):
        rng.shuffle(everything)
        chance.append(abs(statistics.median(everything[:half]) - statistics.median(everything[half:])))
    bound = max(3 * max(chance), 0.02 * medians["unknown"])
    t.diag(f"{tries} tries: medians {medians['foreign'] / 1000:.1f} and {medians['unknown'] / 1000:.1f} us,"
           f" apart {gap / 1000:.2f} us; by chance up to {max(chance) / 1000:.2f} us")
    t.le(gap, bound, "the medians are as near as chance makes them, or within two in a hundred")


# ---- with the database in hand ---------------------------------------------------------------------

def edited(d, sql, *values):
    """Changes the database as somebody would who can write its file, while the daemon is down. Gives a client
    of the daemon that finds it so."""
    d.stop()
    edit(d, sql, *values)
    d.start()
    return d.client()


def test_rows_exchanged(t):
    """A sealed secret opens in its own row alone: moved to another owner's row, it is nobody's."""
    sim = t.use(Endpoint(prefix="ROW"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    a = put(c, sim.issue("alice", ttl=3600), owner="a", lives_s=3600)
    b = put(c, sim.issue("bob", ttl=3600), owner="b", lives_s=3600)
    sealed = dict(rows(d, "SELECT id, secret FROM connection"))
    c = edited(d, "UPDATE connection SET secret = ? WHERE id = ?", sealed[a], b)
    t.eq(c.code("vend", owner="a", connection=a), "ok", "the row that was left alone")
    reply = c.call("vend", owner="b", connection=b)
    t.ok(not reply["ok"] and "secret" not in reply, "the one that was filled from it: refused", reply)
    c = edited(d, "UPDATE connection SET secret = ? WHERE id = ?", sealed[b][:-1], b)
    t.eq(c.call("vend", owner="b", connection=b)["ok"], False, "cut short: refused")
    c = edited(d, "UPDATE connection SET secret = ?, owner = 'a2' WHERE id = ?", sealed[b], b)
    t.eq(c.call("vend", owner="a2", connection=b)["ok"], False, "given to another owner: refused")
    c = edited(d, "UPDATE connection SET owner = 'b', generation = generation + 1 WHERE id = ?", b)
    t.eq(c.call("vend", owner="b", connection=b)["ok"], False, "as another generation: refused")
    c = edited(d, "UPDATE connection SET generation = generation - 1 WHERE id = ?", b)
    t.eq(c.code("vend", owner="b", connection=b), "ok", "as it was: served")


def test_rows_of_yesterday(t):
    """A whole row that is put back as it was, dropped, or brought back opens as well as the right one: the
    audit log tells of it."""
    sim = t.use(Endpoint(prefix="OLD"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(), "plain": {"kind": "static"}}}))
    c = d.client()
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    other = c.ask("credential.put", owner="o", provider="plain", secret=plain("other"))["connection"]

    def problems(client):
        return sorted(p["problem"] for p in client.ask("audit.verify")["problems"])

    names = [name for _, name, *_ in rows(d, "PRAGMA table_info(connection)")]
    columns = ", ".join(f'"{name}"' for name in names)
    holes = ", ".join("?" * len(names))

    def saved(one):
        return rows(d, f"SELECT {columns} FROM connection WHERE id = ?", one)[0]

    before, gone = saved(connection), saved(other)
    t.eq(c.ask("refresh", owner="o", connection=connection, force=True)["generation"], 2, "a refresh")
    t.eq(problems(c), [], "nothing is wrong")
    c = edited(d, f"REPLACE INTO connection ({columns}) VALUES ({holes})", *before)
    t.eq((record(c, connection)["generation"], problems(c)), (1, ["rolled_back"]),
         "a row as it was before: found")
    c = edited(d, "UPDATE connection SET generation = 2 WHERE id = ?", connection)
    c = edited(d, "DELETE FROM connection WHERE id = ?", other)
    t.eq(problems(c), ["vanished"], "a row that nobody has deleted: found")
    c = edited(d, f"INSERT INTO connection ({columns}) VALUES ({holes})", *gone)
    t.eq(problems(c), [], "it is there again")
    c.ask("connection.delete", owner="o", connection=other)
    t.eq(problems(c), [], "now somebody has")
    c = edited(d, f"INSERT INTO connection ({columns}) VALUES ({holes})", *gone)
    t.eq(problems(c), ["returned"], "a row that was deleted: found")


def test_wrong_key(t):
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}}}))
    c = d.client()
    c.ask("credential.put", owner="o", provider="plain", secret=plain("key"))
    d.stop()
    shutil.move(d.path("etc/keyring"), d.path("etc/keyring.away"))
    done = subprocess.run([*program("bursar", "BURSAR"), "init", d.path("other")], timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    t.eq(done.returncode, 0, "another keyring")
    shutil.move(d.path("other/keyring"), d.path("etc/keyring"))
    try:
        d.start()
        reply = d.client().call("vend", owner="o", provider="plain")
        t.ok(not reply["ok"] and "secret" not in reply, "with it nothing opens", reply)
    except RuntimeError as error:
        t.ok("key" in str(error), "with it the daemon does not start, and says why", str(error))
    d.stop()
    shutil.move(d.path("etc/keyring.away"), d.path("etc/keyring"))
    d.start()
    t.eq(d.client().code("vend", owner="o", provider="plain"), "ok", "with its own all is there")


def test_key_files(t):
    """A keyring that others can read, or that a link leads to, is none."""
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}}}, start=False))
    keyring = d.path("etc/keyring")

    def refused(what):
        try:
            d.start()
        except RuntimeError as error:
            t.ok("keyring" in str(error), f"{what}: refused, and named", str(error)[-400:])
            return
        t.fail(f"{what}: it starts")
        d.stop()

    for mode in (0o640, 0o604, 0o660):
        os.chmod(keyring, mode)
        refused(f"mode {mode:o}")
    os.chmod(keyring, 0o600)
    os.rename(keyring, keyring + ".real")
    os.symlink(keyring + ".real", keyring)
    refused("a symbolic link")
    os.unlink(keyring)
    os.mkfifo(keyring, 0o600)
    refused("a pipe")
    os.unlink(keyring)
    os.rename(keyring + ".real", keyring)
    d.start()
    t.ok(d.running(), "the file itself")


# ---- addresses that lead inside --------------------------------------------------------------------

@limit(90)
def test_addresses(t):
    """No provider's address leads to this machine or its networks, however it is written, and wherever its
    name leads when it is asked for."""
    with socket.socket() as listener, socket.socket(socket.AF_INET6) as other:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.listen(50)
        listening = [listener]
        try:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            other.bind(("::1", port))
            other.listen(50)
            listening.append(other)
        except OSError:
            t.diag("no IPv6 here")
        hosts = {"a-name": "localhost", "v4": "127.0.0.1", "decimal": "2130706433", "hex": "0x7f000001",
                 "short": "127.1", "octal": "0177.0.0.1", "zero": "0.0.0.0", "any": "0",
                 "v6": "[::1]", "mapped": "[::ffff:127.0.0.1]", "unspecified": "[::]",
                 "compat": "[::127.0.0.1]", "metadata": "169.254.169.254", "decimal-metadata": "2852039166",
                 "mapped-metadata": "[::ffff:a9fe:a9fe]", "private": "10.0.0.1", "unique-local": "[fd00::1]",
                 "nat64": "[64:ff9b::7f00:1]", "sixto4": "[2002:7f00:1::1]"}
        base = {"kind": "oauth2_refresh", "client_id": "c", "client_secret": make_secret("cs"),
                "connect_timeout_s": 2, "timeout_s": 3}
        providers = {name: {**base, "token_url": f"https://{host}:{port}/token"}
                     for name, host in hosts.items()}
        d = t.use(Daemon({"connectors": {"allow_http_loopback": False}, "providers": providers}))
        c = d.client()
        asked = {}
        for name in providers:
            connection = put(c, {"access_token": make_secret("at"), "refresh_token": make_secret("rt"),
                                 "account": "x"}, provider=name, account="x")
            asked[name] = connection, c.send("vend", owner="o", provider=name, account="x", deadline_ms=1500)
        for name, (connection, job) in asked.items():
            reply = c.recv_id(job)
            t.ok(not reply["ok"], f"{hosts[name]}: no token comes of it", reply)
            tried = until(lambda one=connection: record(c, one).get("last_refresh"), f"{name} was tried")
            t.ok(tried["outcome"] != "ok", f"{hosts[name]}: of an attempt that is over", tried)
        for sock in listening:
            sock.setblocking(False)
            try:
                sock.accept()
                t.fail("somebody connected")
            except BlockingIOError:
                t.ok(True, f"nobody connected to {sock.getsockname()[0]}")


def test_redirects(t):
    """A token endpoint that leads elsewhere is not followed: not inside, not anywhere."""
    inside = t.use(Endpoint(prefix="INSIDE"))
    for status in (301, 302, 303, 307, 308):
        sim = t.use(Endpoint(prefix="REDIR"))
        sim.script({"status": status, "headers": {"Location": inside.provider()["token_url"]},
                    "body": "", "times": -1})
        d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
        c = d.client()
        connection = put(c, sim.issue("alice", ttl=3600))
        t.ok(not c.call("vend", owner="o", connection=connection, deadline_ms=1500)["ok"],
             f"{status}: refused")
        tried = until(lambda one=connection, by=c: record(by, one).get("last_refresh"), "it was tried")
        t.eq(tried["outcome"], "client", "the answer was no token")
        t.eq(record(c, connection)["state"], "ACTIVE", "and the grant lives")
        d.close(expect=None)
    t.eq(inside.journal(), [], "nobody came where it leads")


# ---- fields, files, bodies -------------------------------------------------------------------------

def test_header_injection(t):
    """A field cannot become a header of its own: neither in a request to a provider nor in what a client is
    told to send."""
    sim = t.use(Endpoint(prefix="HEAD"))
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}, "acme": sim.provider(),
                                    "key": {"kind": "api_key"}}}))
    c = d.client()
    evil = ["x\r\nX-Evil: 1", "x\nX-Evil: 1", "x\rX-Evil: 1", "x\x00y", "x\x7f", "\r\n\r\nGET / HTTP/1.1"]
    for value in evil:
        for provider, secret in (("plain", {"kind": "bearer", "token": value}),
                                 ("plain", {"kind": "header", "name": value, "value": "v" * 9}),
                                 ("plain", {"kind": "header", "name": "X-Key", "value": value}),
                                 ("plain", {"kind": "basic", "username": value, "password": "p" * 9}),
                                 ("key", {"kind": "api_key", "api_key": value}),
                                 ("acme", {"kind": "oauth2", "access_token": value,
                                           "refresh_token": "r" * 9})):
            reply = c.call("credential.put", owner="o", provider=provider, secret=secret)
            what = f"{provider} {secret['kind']} {value!r}"
            breaks = re.search(r"[\r\n\0]", value) and secret["kind"] != "basic"  # which goes out in base64
            if breaks:
                t.eq(reply.get("error", {}).get("code"), "bad_request", f"{what}: refused")
                continue
            t.eq(reply["ok"], True, f"{what}: taken")
            given = c.call("vend", owner="o", provider=provider)
            apply = given.get("secret", {}).get("apply") or [] if given["ok"] else []
            bad = [row for row in apply if row["in"] == "header"
                   and re.search(r"[\r\n\0]", row["name"] + row["value"])]
            t.eq(bad, [], f"{what}: no such header is handed out")


@limit(30)
def test_bombs(t):
    """Small texts that unfold into large ones cost nothing."""
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}}}))
    c = d.client()
    before = d.rss_kib()
    bodies = [b"\x81\xa2op\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff",
              b"\x91" * 60000 + b"\xc0", b"\x81\xa2op\xdb\xff\xff\xff\xffx", b"\xc9\xff\xff\xff\xff\x01",
              b"\x81\xa2op" + b"\xdc\xff\xff" * 20000, b"\x81\xa1" * 30000]
    for body in bodies:
        t.eq(c.raw(body)["error"]["code"], "bad_request", f"{body[:6]!r}…: refused")
    t.le(d.rss_kib(), before * (3 if SANITIZED else 1.3), "and took no memory")
    bomb = "".join(f"{chr(97 + i)}: &{chr(97 + i)} [{', '.join(['x' if i == 0 else '*' + chr(96 + i)] * 9)}]\n"
                   for i in range(12))
    bad = Daemon(f"vars: {{q: 1}}\n{bomb}", start=False)
    t.cleanup(bad.close, None)
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*program("bursard", "BURSARD"), "-c", bad.config_file, "--check"],
                          capture_output=True, check=False)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    t.eq(done.returncode, 1, "a configuration that unfolds to 9^12 words: refused")
    t.le(end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime, 10, "at once, in seconds of a processor")
    t.ok(len(done.stderr) < 20000, "in few words")


run([test_forged_owner, test_sweeps_of_others, test_select_elsewhere, test_refresh_gives_no_secret,
     test_routing_id, test_removed_while_it_waits, test_removed_peer_has_bounds, test_bounds_of_the_intake,
     test_complete_of_another_provider, test_status_of_refs, test_timing, test_rows_exchanged, test_rows_of_yesterday,
     test_wrong_key, test_key_files, test_addresses,
     test_redirects, test_header_injection, test_bombs])
