#!/usr/bin/python3
"""Keys: where they come from, rotation while work goes on, retiring, and an owner's keys destroyed."""

import os
import pathlib
import shutil
import sqlite3
import stat
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import Daemon, Endpoint, cli, limit, run
from machine import LONG_MS
from scene import (FAULT_POINTS, SANITIZED, check_store, edit, make_secret, put, record, scaled, types_of,
                   until)

PASSPHRASE = make_secret("passphrase")


def bearers(client, count, owner="o", first=0):
    """So many connections, put without waiting for each; what was put by connection."""
    tokens = [make_secret("KEYS") for _ in range(count)]
    jobs = [client.send("credential.put", owner=owner, provider="plain", account=f"a{first + i}",
                        secret={"kind": "bearer", "token": token})
            for i, token in enumerate(tokens)]
    return {client.recv_id(job)["connection"]: token for job, token in zip(jobs, tokens)}


def vend(client, connection, owner="o"):
    return client.ask("vend", owner=owner, connection=connection)["secret"]["token"]


def key_ids(db):
    """The key ids that blobs of the store name, and how many rows name each."""
    found = {}
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as store:
        for row in store.execute('SELECT secret, "grant", prior_secret, prior_grant'
                                 ' FROM connection'
                                 ' UNION ALL SELECT reply, NULL, NULL, NULL FROM intent'
                                 ' UNION ALL SELECT sealed, NULL, NULL, NULL FROM consent'):
            for key in {blob[1:9].hex() for blob in row if blob}:
                found[key] = found.get(key, 0) + 1
    return found


def keyring(d):
    """The lines of the keyring's file: {id: [role, owner]}."""
    file = pathlib.Path(d.path("etc/keyring"))
    mode = file.stat()
    assert stat.S_IMODE(mode.st_mode) == 0o600 and mode.st_uid == os.geteuid(), "the file's mode"
    assert not file.with_name("keyring.new").exists(), "nothing is left beside it"
    return {words[1]: words[3:] for words in map(str.split, file.read_text().splitlines())
            if words and words[0] == "key"}


def figures_of(reply):
    return reply["dropped"], reply["count"]


def wrapped(client):
    """The figures, once all rows are under the active keys."""
    def probe():
        figures = client.ask("status")["rewrap"]
        return None if figures["running"] else figures
    return until(probe, "all wrapped anew")


def start(t, **keys):
    sim = t.use(Endpoint(prefix="KEYS"))
    d = t.use(Daemon({"providers": {"acme": sim.provider(), "plain": {"kind": "static"}}, **keys}))
    return sim, d, d.client()


def test_rotation(t):
    """While vends and refreshes go on: nothing is lost, and in the end no row names the old key."""
    sim, d, c = start(t)
    count = scaled(3000, 200)
    tokens = bearers(c, count)
    grants = [sim.issue(f"g{i}", ttl=3600) for i in range(20)]
    refreshed = [put(c, grant, lives_s=3600, account=f"g{i}") for i, grant in enumerate(grants)]
    first, = c.ask("status")["key_ids"]
    t.eq(c.ask("key.list")["keys"], [{"key": first, "role": "active", "rows": count + 20}],
         "one key, which all rows name")
    reply = c.ask("key.new")
    second = reply["key"]
    t.eq((reply["role"], keyring(d)), ("new", {first: ["active"], second: ["new"]}),
         "a further one is in the file, and does nothing")
    t.ok(first in key_ids(d.db) and second not in key_ids(d.db), "new secrets are under the first")
    t.eq(c.ask("key.rotate", key=second)["role"], "active", "it is made active")
    t.eq(keyring(d), {second: ["active"], first: ["old"]}, "in the file before any row")
    names = list(tokens)

    def serve_meanwhile(client):
        """Vends and refreshes while rows are wrapped anew; how many vends were served."""
        running = served = 0
        while client.ask("status")["rewrap"]["running"]:
            running += 1
            jobs = [client.send("refresh", owner="o", connection=connection, force=True)
                    for connection in refreshed[running % 20::7]]
            for connection in names[running * 7 % count::max(1, count // 20)]:
                served += vend(client, connection) == tokens[connection]
            t.ok(all(client.recv_id(job)["ok"] for job in jobs), "refreshes go on meanwhile")
            if running > 2000:
                raise AssertionError("it does not end")
        return served

    served = serve_meanwhile(c)
    figures = wrapped(c)
    t.eq((figures["failed"], figures["to_key"]), (0, second), "all could be wrapped")
    t.ok(figures["done"] >= count, "the progress says so", figures)
    t.eq(key_ids(d.db), {second: count + 20}, "no row names the first")
    for connection in refreshed:
        t.ok(c.ask("refresh", owner="o", connection=connection, force=True)["generation"],
             "every grant is the current one")
    t.eq(figures_of(c.ask("key.retire", key=first)), (1, 1), "it can go")
    t.eq(keyring(d), {second: ["active"]}, "out of the file")
    t.eq([connection for connection in names if vend(c, connection) != tokens[connection]], [],
         "what was in memory under it is served too")
    d.restart()
    c = d.client()
    t.eq([connection for connection in names[::50] if vend(c, connection) != tokens[connection]],
         [], "and so after a restart")
    for _ in range(20):  # on a busy machine all may be wrapped before anybody has looked
        if served == 0:
            c.ask("key.rotate")
            served = serve_meanwhile(c)
    t.ok(served > 0, "vends are served meanwhile", served)
    check_store(t, d, "rotated")


def test_resumed(t):
    """SIGKILL in the middle: the next process does what is left, and nothing is lost."""
    if not FAULT_POINTS:
        return t.skip("resumed", "needs a build with fault points")
    _, d, c = start(t)
    tokens = bearers(c, 400)
    first, = c.ask("status")["key_ids"]
    d.stop()
    d.env = {"BURSAR_FAULT_POINT": "rewrap-committed:3"}
    d.start()
    d.client().send("key.rotate")
    t.eq(d.wait_exit(), -9, "it was killed between two batches")
    middle = key_ids(d.db)
    second, = [key for key, (role, *_) in keyring(d).items() if role == "active"]
    t.eq((middle[first], middle[second]), (208, 192), "half of the rows were done")
    d.env = {}
    d.start()
    c = d.client()
    t.eq(wrapped(c)["failed"], 0, "the next one goes on by itself")
    t.eq(key_ids(d.db), {second: 400}, "and comes to the end")
    t.eq([connection for connection in tokens if vend(c, connection) != tokens[connection]], [],
         "every secret is what it was")
    return None


def test_retire_refused(t):
    """While a row names it, and while it is active; a row that cannot be wrapped is named in the log."""
    _, d, c = start(t)
    broken, whole = bearers(c, 2)
    first, = c.ask("status")["key_ids"]
    t.eq(c.code("key.retire", key=first), "conflict", "the active one stays")
    t.eq(c.code("key.retire", key="0011223344556677"), "not_found", "an unknown one")
    t.eq(c.code("key.retire"), "bad_request", "none")
    d.stop()
    edit(d, 'UPDATE connection SET secret = CAST(substr(secret, 1, 80) || x\'00\' ||'
            ' substr(secret, 82) AS BLOB) WHERE id = ?', broken)
    d.start()
    c = d.client()
    second = c.ask("key.rotate")["key"]
    figures = wrapped(c)
    t.eq((figures["failed"], figures["changed"]), (1, 1), "one row does not open")
    t.ok(d.wait_log(rf"cannot be wrapped anew.*{broken}.*bad_seal"), "the log names it")
    refused = c.call("key.retire", key=first)
    t.eq(refused["error"]["code"], "conflict", "the old key stays while a row names it")
    t.ok(refused["error"]["message"].startswith("1 rows name the key"), "and says how many",
         refused["error"]["message"])
    t.eq(sorted(keyring(d)), sorted([first, second]), "the file is as it was")
    refused = c.call("vend", owner="o", connection=broken)
    t.eq((refused["error"]["code"], broken in refused["error"]["message"],
          "bad_seal" in refused["error"]["message"]), ("internal", True, True),
         "a vend says which row does not open, and why")
    t.ok(vend(c, whole), "the other one is served")
    c.ask("connection.delete", owner="o", connection=broken)
    t.eq(c.ask("key.retire", key=first)["dropped"], 1, "gone with the row that named it")


def test_retire_behind_strict(t):
    """What waits for its audit row while a key is retired is given: it was promised under that key."""
    _, d, c = start(t, audit="strict")
    connection, token = next(iter(bearers(c, 1).items()))
    first, = c.ask("status")["key_ids"]
    t.eq(vend(c, connection), token, "in memory, under the first key")
    c.ask("key.rotate")
    wrapped(c)
    edit(d, "CREATE TRIGGER slow AFTER INSERT ON audit WHEN new.op = 'vend' BEGIN"
            " SELECT max(i) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
            " SELECT i FROM n); END")
    jobs = [c.send("vend", owner="o", connection=connection, purpose=f"p{i}", deadline_ms=LONG_MS) for i in range(14000)]
    retire = c.send("key.retire", key=first, deadline_ms=LONG_MS)
    got = [c.recv_id(job) for job in jobs]
    t.eq([r["error"] for r in got if not r["ok"]][:3], [], "every one is served")
    t.ok(all(r["secret"]["token"] == token for r in got), "with the secret")
    t.eq(c.recv_id(retire).get("dropped"), 1, "and the key is gone")

SHREDS = 3


def test_shred(t):
    """An owner's key is destroyed: its secrets are gone, also in copies of the database."""
    sim, d, c = start(t)
    mine = bearers(c, 5, owner="mine")
    other = bearers(c, 5, owner="other")
    grant = put(c, sim.issue("alice", ttl=3600), owner="mine", lives_s=3600)
    shared, = c.ask("status")["key_ids"]
    reply = c.ask("key.new", owner="mine")
    own = reply["key"]
    t.eq((reply["role"], reply["owner"]), ("active", "mine"), "an owner's first key is active")
    wrapped(c)
    t.eq(key_ids(d.db), {own: 6, shared: 5}, "its rows are under it, and no others")
    t.eq(keyring(d)[own], ["active", "mine"], "the file says whose it is")
    mine.update(bearers(c, 1, owner="mine", first=9))
    t.eq(key_ids(d.db)[own], 7, "new secrets too")
    for _ in range(3):  # from the store, and from memory, where the second time leaves what the third opens
        t.ok(all(vend(c, one, "mine") == token for one, token in mine.items()), "they are vended")
    t.eq(c.code("key.shred", owner="nobody"), "not_found", "an owner without a key")
    copy = d.path("copy.db")
    with sqlite3.connect(d.db) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    status, _, _ = cli(d, "key", "shred", "mine")
    t.eq(status, 2, "it is not done unasked")
    status, said, errors = cli(d, "key", "shred", "mine", "--yes")
    t.eq((status, said, errors),
         (0, "mine: 1 keys destroyed, 7 connections need a new secret\n", ""), "done")
    t.ok(own not in keyring(d), "out of the file")
    for connection in [*mine, grant]:
        t.eq(c.code("vend", owner="mine", connection=connection), "needs_reauth", "a typed answer")
    t.eq(record(c, grant, "mine")["last_refresh"]["error"], "the key of this owner was destroyed",
         "the record says why")
    t.eq(types_of(c, grant), ["connected", "reauth"], "its owner is told, once")
    t.ok(all(vend(c, one, "other") == token for one, token in other.items()), "others are served")
    token = make_secret("KEYS")
    again = c.ask("credential.put", owner="mine", provider="plain", account="a0",
                  secret={"kind": "bearer", "token": token})["connection"]
    t.eq((again in mine, vend(c, again, "mine")), (True, token), "it can be put again")
    d.stop()
    shutil.move(copy, d.db)
    for tail in ("-wal", "-shm"):
        pathlib.Path(d.db + tail).unlink(missing_ok=True)
    d.start()
    c = d.client()
    refused = c.call("vend", owner="mine", connection=again)
    t.eq((refused["error"]["code"], "unknown_key" in refused["error"]["message"]),
         ("internal", True), "the backup of before is not readable either")
    t.ok(vend(c, next(iter(other)), "other"), "but for other owners")


@limit(120)
def test_shred_while_vended(t):
    """What is vended while its owner's key is destroyed is not in memory afterwards."""
    _, d, c = start(t)
    for turn in range(SHREDS):
        mine = list(bearers(c, 200, owner="mine"))
        c.ask("key.new", owner="mine", activate=True)
        wrapped(c)
        shred = c.send("key.shred", owner="mine")
        busy = d.client()
        jobs = 0
        while shred not in c._early and not c.wait(0):
            for connection in mine:
                busy.send("vend", owner="mine", connection=connection)
            for _ in mine:
                busy.recv()
            jobs += len(mine)
        t.eq(c.recv_id(shred).get("connections"), len(mine), f"destroyed in turn {turn}, behind {jobs} vends")
        codes = [c.code("vend", owner="mine", connection=connection) for connection in mine]
        t.eq(set(codes), {"needs_reauth"}, "nothing is given out any more")


def reload_source(t, d, c, file):
    """A source that the daemon cannot write: what is asked of it is said, and a change is taken up."""
    first, = c.ask("status")["key_ids"]
    for op, keys in (("key.new", {}), ("key.rotate", {}), ("key.retire", {"key": first})):
        refused = c.call(op, **keys)
        t.eq((refused["error"]["code"], "key.reload" in refused["error"]["message"]),
             ("conflict", True), f"{op} says what to do")
    connection, token = next(iter(bearers(c, 1).items()))
    second = cli(None, "key", "new", "--file", file, "--activate")[1].split()[0]
    t.eq(c.ask("key.reload")["count"], 2, "the changed keyring is taken up")
    wrapped(c)
    t.eq(key_ids(d.db), {second: 1}, "and its active key is in use")
    text = pathlib.Path(file).read_text()
    lines = text.splitlines(keepends=True)
    pathlib.Path(file).write_text("".join(line for line in lines if second not in line)
                                  .replace(" old", " active"))
    refused = c.call("key.reload")
    t.eq((refused["error"]["code"], "active key is not there" in refused["error"]["message"]),
         ("conflict", True), "a key in use cannot go")
    pathlib.Path(file).write_text("".join(line for line in lines if first not in line))
    t.eq(figures_of(c.ask("key.reload")), (1, 1), "one that no row names can")
    t.eq(vend(c, connection), token, "all is served")


def test_command(t):
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}}}, start=False))
    file = d.path("etc/keyring")
    config = {"keyring": f"command:/bin/cat '{file}'", "providers": {"plain": {"kind": "static"}}}
    d.configure({**config, "sandbox": "off"})
    d.start()
    reload_source(t, d, d.client(), file)
    if SANITIZED:
        return
    d.stop()
    d.configure(config)
    d.start()
    refused = d.client().call("key.reload")
    t.eq((refused["error"]["code"], "sandbox" in refused["error"]["message"]), ("conflict", True),
         "in the sandbox no command can be run again")
    t.ok(d.running(), "and the daemon goes on")


def test_credential(t):
    d = t.use(Daemon({"keyring": "credential:keyring", "providers": {"plain": {"kind": "static"}}},
                     start=False))
    d.env = {"CREDENTIALS_DIRECTORY": d.path("etc")}
    d.start()
    reload_source(t, d, d.client(), d.path("etc/keyring"))


def test_passphrase(t):
    """A keyring under a passphrase is read, rotated and written again under it."""
    config = {"providers": {"plain": {"kind": "static"}}}
    d = t.use(Daemon(config, start=False))
    status, _, errors = cli(None, "key", "seal", "--file", d.path("etc/keyring"),
                            stdin=PASSPHRASE + "\n")
    t.eq((status, errors), (0, ""), "the file is put under it")
    text = pathlib.Path(d.path("etc/keyring")).read_text()
    t.ok(text.startswith("bursar-keyring argon2id ") and "\nkey " not in text, "no key is in it")
    secret = d.path("etc/passphrase")
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(PASSPHRASE)
    d.configure({**config, "keyring_passphrase": f"${{file:{secret}}}"})
    d.start()
    c = d.client()
    connection, token = next(iter(bearers(c, 1).items()))
    first, = c.ask("status")["key_ids"]
    second = c.ask("key.rotate")["key"]
    wrapped(c)
    c.ask("key.retire", key=first)
    text = pathlib.Path(d.path("etc/keyring")).read_text()
    t.ok(text.startswith("bursar-keyring argon2id ") and second not in text, "written under it")
    d.restart()
    c = d.client()
    t.eq((c.ask("status")["key_ids"], vend(c, connection)), ([second], token), "and read again")
    d.stop()
    for config, words in ((config, "set keyring_passphrase"),
                          ({**config, "keyring_passphrase": "x" * 20}, "another passphrase")):
        d.configure(config)
        d.start(wait=False)
        t.eq((d.wait_exit(), words in d.log_tail()), (1, True), f"refused: {words}")


def test_changed_file(t):
    """A file that somebody changed meanwhile is not written over."""
    _, d, c = start(t)
    first, = c.ask("status")["key_ids"]
    file = pathlib.Path(d.path("etc/keyring"))
    text = file.read_text()
    file.write_text(text.replace(first, "00" * 8))
    refused = c.call("key.new")
    t.eq((refused["error"]["code"], first in refused["error"]["message"]), ("conflict", True),
         "the key that it lacks is named")
    t.eq(file.read_text(), text.replace(first, "00" * 8), "it is as it was")
    file.write_text(text)
    file.chmod(0o644)
    refused = c.call("key.new")
    t.ok("can be read by others" in refused["error"]["message"], "nor one that others can read")
    file.chmod(0o600)
    t.eq(c.ask("key.new", activate=True)["role"], "active", "now it can be")
    t.eq(len(keyring(d)), 2, "both are there")


def test_refused_sources(t):
    """What is no source is an error of the configuration."""
    d = t.use(Daemon(start=False))
    for where in ("credential:../x", "credential:", "command:cat x", "file:x", "env:KEYS"):
        d.configure({"keyring": where})
        d.start(wait=False)
        t.eq((d.wait_exit(), "keyring: must be file:" in d.log_tail()), (1, True), where)
    missing = {"credential:none": "cannot be opened", "command:/bin/false": "ended with 1",
               "command:/bin/true": "has no active key"}
    d.env = {"CREDENTIALS_DIRECTORY": d.path("etc")}
    for where, words in missing.items():
        d.configure({"keyring": where})
        d.start(wait=False)
        t.eq((d.wait_exit(), words in d.log_tail()), (1, True), where)


run([test_rotation, test_resumed, test_retire_refused, test_retire_behind_strict, test_shred, test_shred_while_vended, test_command,
     test_credential, test_passphrase, test_changed_file, test_refused_sources])
