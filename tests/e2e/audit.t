#!/usr/bin/python3
"""The audit log: what has a row, what is found when somebody edits it, and that nothing goes unwritten."""

import collections
import json
import os
import shutil
import sqlite3
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from audit_log import ME, keyring_of, link_of, log_of, mend, seal_of, sound, spoil, start, store, total, verify
from harness import Daemon, Endpoint, limit, run
from harness import cli as cli_words
from wire import decode, encode
from scene import (SANITIZED, database, edit, make_secret, now, put, quickest, rows, until)

Done = collections.namedtuple("Done", "status stdout stderr")
REFUSED = 4  # the kind of a row, as the store has it (store/audit.h)


def cli(d, *words):
    return Done(*cli_words(d, *words))


# --- what has a row


def test_rows(t):
    _, c = start(t)
    one = store(c, "one")
    for purpose in (None, "night run", "night run"):
        c.ask("vend", owner="o", connection=one, purpose=purpose)
    t.eq(c.code("vend", owner="o", provider="plain", account="two"), "not_connected", "refused")
    t.eq(c.code("vend", owner="o"), "bad_request", "refused, and not read to its end")
    t.eq(c.code("nonsense"), "unsupported_op", "refused, and not known")
    c.ask("connection.freeze", owner="o", connection=one, purpose="incident 7")
    t.eq(c.code("vend", owner="o", connection=one), "frozen", "refused by its state")
    c.ask("connection.thaw", owner="o", connection=one)
    c.ask("connection.export", owner="o", connection=one)
    c.ask("connection.get", owner="o", connection=one)
    c.ask("provider.pause", provider="plain")
    c.ask("connection.delete", owner="o", connection=one)
    found = log_of(c)
    by_op = {(r.get("op"), r["outcome"], r["kind"]): r for r in found}
    for op, outcome, kind in (
            ("audit.begin", "ok", "log"), ("credential.put", "ok", "change"),
            ("vend", "ok", "vend"), ("vend", "not_connected", "refused"),
            ("vend", "bad_request", "refused"), ("connection.freeze", "ok", "change"),
            ("vend", "frozen", "refused"), ("connection.thaw", "ok", "change"),
            ("connection.export", "ok", "export"), ("provider.pause", "ok", "change"),
            ("connection.delete", "ok", "change")):
        t.ok((op, outcome, kind) in by_op, f"a row: {op} {outcome} {kind}", found)
    t.ok(not any(r["op"] == "connection.get" for r in found if r.get("op")), "none: a look")
    t.ok(any(r["outcome"] == "unsupported_op" for r in found), "a row: what is no operation")
    t.eq(total([r for r in found if r.get("op") == "vend" and r["outcome"] == "ok"]), 3,
         "every vend is counted")
    t.eq(total([r for r in found if r.get("purpose") == "night run"]), 2, "by its purpose")
    row = by_op["vend", "ok", "vend"]
    t.eq((row["owner"], row["connection"], row["provider"], row["account"], row["generation"],
          row["principal"]), ("o", one, "plain", "one", 1, ME), "who was given what")
    t.ok(row["peer"].startswith(f"{ME}:gid:"), "by which process", row["peer"])
    t.eq(by_op["connection.freeze", "ok", "change"]["purpose"], "incident 7", "why it was changed")
    t.eq([r["seq"] for r in found], list(range(1, len(found) + 1)), "numbers without a gap")
    sound(t, c, "rows")


def test_refreshes(t):
    sim = t.use(Endpoint(prefix="AUDIT"))
    d = t.use(Daemon({"providers": {"acme": sim.provider()}}))
    c = d.client()
    connection = put(c, sim.issue("alice", ttl=3600), lives_s=3600)
    c.ask("invalidate", owner="o", connection=connection, generation=1, vend=True,
          purpose="report")
    refresh, vend = log_of(c, op="refresh"), log_of(c, op="invalidate", kind="vend")
    t.eq([(r["generation"], r.get("principal"), r.get("purpose"), r.get("detail"))
          for r in refresh], [(2, ME, "report", "for invalidate")], "a refresh has the row of its cause")
    t.eq([r["generation"] for r in vend], [2], "and the vend the generation that it gave")
    sim.script({"status": 503, "body": "sorry"})
    c.code("refresh", owner="o", connection=connection, force=True, deadline_ms=300)
    t.ok(sim.wait_done(2), "an attempt that fails")
    until(lambda: [r for r in log_of(c, op="refresh") if r["outcome"] == "provider"], "it has one too")
    c.ask("vend", owner="o", connection=connection, include=["refresh_token"])
    t.eq([r["kind"] for r in log_of(c, op="vend")][-1], "export", "a refresh token is told apart")
    sound(t, c, "refreshes")


def test_counts(t):
    d, c = start(t)
    connections, times = [store(c, f"a{i}") for i in range(3)], 500
    ids = [c.send("vend", owner="o", connection=connections[i % 3]) for i in range(3 * times)]
    for job_id in ids:
        c.recv_id(job_id)
    vends = log_of(c, op="vend")
    for connection in connections:
        t.eq(total([r for r in vends if r["connection"] == connection]), times,
             "as many as there were")
    t.ok(len(vends) < times, "in few rows", len(vends))
    t.ok(all(r["at_ms"] <= r["last_ms"] for r in vends), "with the first and the last time")
    written = rows(d, "SELECT count(*) FROM audit")[0][0]
    t.ok(written >= len(vends), "on the disk when they are shown")


def test_flood_of_refusals(t):
    d, c = start(t)
    count, begun = 3000, time.monotonic()
    ids = [c.send("vend", owner="o", provider="plain", account=f"guess{i}") for i in range(count)]
    for job_id in ids:
        c.recv_id(job_id)
    took_s = time.monotonic() - begun
    refused = log_of(c, outcome="not_connected")
    t.eq(total(refused), count, "each one is counted")
    # 256 with names at once and four a second; one for all others in each batch, and of those ten a second.
    t.le(len(refused), 256 + 14 * took_s + 10, "the names that a caller makes up do not fill the disk")
    many = [r for r in refused if r.get("detail") == "many"]
    t.ok(many and all(r["principal"] == ME and "account" not in r for r in many),
         "behind the first ones only who was refused what", many)
    sound(t, d.client(), "flood")


def test_on_the_disk_in_time(t):
    d, c = start(t)
    connection = store(c, "one")
    given = [0]

    def written():
        return rows(d, "SELECT coalesce(sum(count), 0) FROM audit WHERE op = 'vend'")[0][0]

    def vend():
        given[0] += 1
        c.ask("vend", owner="o", connection=connection)

    def one():
        begun = time.monotonic()
        store(c, "another")  # what this machine takes for a commit
        commit_s = time.monotonic() - begun
        vend()
        until(lambda: written() == given[0], "the row", every=0.005)
        return time.monotonic() - begun - 3 * commit_s
    quickest(t, 5 if SANITIZED else 0.5, "written soon, with nothing else", one)
    vend()
    d.stop()
    t.eq(written(), given[0],
         "and at the end whatever there is")


def test_principals(t):
    me = {"uids": [os.getuid()], "owners": ["o"], "roles": ["vend", "connect"]}
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}}, "principals": {"ci": me}}))
    c = d.client()
    c.ask("vend", owner="o", connection=store(c, "one"))
    t.eq(c.code("vend", owner="p", provider="plain"),
         c.code("vend", owner="o", provider="plain", account="no"), "another's owner: as if none")
    t.eq(c.code("connection.list", owner="o"), "forbidden", "without the role")
    t.eq(c.code("audit.since", owner="o"), "forbidden", "the log is for administrators")
    d.stop()
    found = rows(d, "SELECT principal, op, owner, outcome FROM audit WHERE seq > 1 ORDER BY seq")
    for row in (("ci", "credential.put", "o", "ok"), ("ci", "vend", "o", "ok"),
                ("ci", "connection.list", "o", "forbidden"),
                ("ci", "audit.since", "o", "forbidden")):
        t.ok(row in found, f"{row}", found)
    t.eq([r[2] for r in found if r[1] == "vend" and r[3] != "ok"], ["p", "o"],
         "whose connection was asked for is told as it was asked")


def test_refused_unheard(t):
    """The intake answers nobody: who was refused there is told by the log alone."""
    me = {"uids": [os.getuid()], "owners": ["o"], "roles": ["vend", "connect"]}
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}}, "principals": {"ci": me}}))
    connection = store(d.client(), "one")
    d.push().send("refresh", owner="o", connection=connection)
    until(lambda: (REFUSED, "ci", "refresh", "o", connection, "forbidden") in rows(
        d, "SELECT kind, principal, op, owner, connection, outcome FROM audit"), "the row of the intake's job")
    t.ok(True, "a job of the intake that was refused has a row")


def test_some_providers(t):
    """Rows are of all providers: who may use some alone does not read the log, whatever provider it names."""
    me = {"uids": [os.getuid()], "owners": ["*"], "roles": ["vend", "connect", "admin"], "providers": ["plain"]}
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}, "other": {"kind": "static"}},
                      "principals": {"ci": me}}))
    c = d.client()
    store(c, "one")
    t.eq(c.code("audit.since"), "forbidden", "the log")
    t.eq(c.code("audit.since", owner="o", provider="plain"), "forbidden", "nor with its own provider's name")


# --- what is found


def restore(d, saved):
    """The store of a daemon that is down, as it was."""
    for suffix in ("-wal", "-shm"):
        if os.path.exists(d.db + suffix):
            os.unlink(d.db + suffix)
    shutil.copy(saved, d.db)


def edited(t, d, saved, name, *statements):
    """The daemon's answer about a store that was edited while it was down."""
    restore(d, saved)
    for statement in statements:
        edit(d, statement)
    d.start()
    problems, _ = verify(d.client())
    with_cli = cli(d, "audit", "verify")
    t.eq((with_cli.status, bool(problems)), (1, True), f"{name}: found")
    d.stop()
    return problems


def test_tampering(t):
    d, c = start(t)
    for i in range(4):
        store(c, f"a{i}")
    c.ask("vend", owner="o", provider="plain", account="a0")
    head = c.ask("audit.head")["audit"]["head"]
    sound(t, c, "before")
    t.eq(head, c.ask("status")["audit"]["head"], "status tells the head")
    t.ok(head["seq"] == 6, "six rows", head)
    d.stop()
    t.ok(f"seq=6 hash={head['hash']}" in d.log(), "and so does the log")
    saved = d.path("saved.db")
    rows(d, "PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(d.db, saved)
    swap = ("UPDATE audit SET seq = -seq WHERE seq IN (3, 4)",
            "UPDATE audit SET seq = CASE seq WHEN -3 THEN 4 ELSE 3 END WHERE seq < 0")
    t.eq(edited(t, d, saved, "altered", "UPDATE audit SET outcome = 'no' WHERE seq = 3"),
         [(3, "altered")], "the row that was edited")
    t.eq(edited(t, d, saved, "dropped", "DELETE FROM audit WHERE seq = 3"), [(4, "missing")],
         "the place of one that is gone")
    t.eq(edited(t, d, saved, "swapped", *swap)[:2], [(3, "altered"), (4, "altered")],
         "two in the other order")
    t.eq(edited(t, d, saved, "cut off", "DELETE FROM audit WHERE seq > 4"), [(7, "missing")],
         "the newest ones")
    t.ok(re_found(d, "the audit log was changed"), "which the log tells at the start")
    forge(saved, d, seq=5, key=os.urandom(32))
    d.start()
    t.eq([p for p in verify(d.client())[0] if p[1] == "broken"], [(6, "broken")],
         "a seal that was not made with the keyring")
    d.stop()
    # The whole file as it was before: only who has noted a later head can tell.
    restore(d, saved)
    d.start()
    store(d.client(), "later")
    noted = d.client().ask("audit.head")["audit"]["head"]
    d.stop()
    restore(d, saved)
    d.start()
    t.eq(verify(d.client())[0], [], "an old copy of the whole is sound in itself")
    for mark, status in ((head, 0), (noted, 1)):
        out = cli(d, "audit", "verify", "--head", f"{mark['seq']}:{mark['hash']}")
        t.eq(out.status, status, f"--head {mark['seq']}: {out.stderr}")
    store(d.client(), "other")
    out = cli(d, "audit", "verify", "--head", f"{noted['seq']}:{noted['hash']}")
    t.ok(out.status == 1 and "noted" in out.stderr, "also where another row has its number")


def re_found(d, words):
    return words in d.log()


def forge(saved, d, seq, key=None):
    """Cuts the log off behind seq and seals that with a key; None: the right one."""
    restore(d, saved)
    key_id, right = keyring_of(d)
    link = rows(d, "SELECT link FROM audit WHERE seq = ?", seq)[0][0]
    edit(d, "DELETE FROM audit WHERE seq > ?", seq)
    edit(d, "UPDATE audit_ends SET seq = ?, link = ?, seal = ?", seq, link,
         seal_of(key or right, key_id, 0, bytes(32), seq, link))


def rewrite(d, change):
    """Changes every row of a daemon that is down, and makes the chain and its seal anew."""
    handle = database(d)
    handle.row_factory = sqlite3.Row
    before, seq = bytes(32), 0
    for found in handle.execute("SELECT * FROM audit ORDER BY seq").fetchall():
        row = change(dict(found))
        before, seq = link_of(before, row), row["seq"]
        handle.execute("UPDATE audit SET at_ms = ?, last_ms = ?, link = ? WHERE seq = ?",
                       (row["at_ms"], row["last_ms"], before, seq))
    key_id, key = keyring_of(d)
    handle.execute("UPDATE audit_ends SET link = ?, seal = ?",
                   (before, seal_of(key, key_id, 0, bytes(32), seq, before)))
    handle.close()


def test_trim_and_export(t):
    d, c = start(t)
    for i in range(5):
        store(c, f"a{i}")
    d.stop()

    def make_old(row):
        days = 3 if row["seq"] <= 4 else 0
        return {**row, "at_ms": row["at_ms"] - days * 86400000,
                "last_ms": row["last_ms"] - days * 86400000}
    rewrite(d, make_old)
    d.start()
    sound(t, d.client(), "sealed by another program with the same keyring")
    old, new = d.path("old.jsonl"), d.path("new.jsonl")
    with open(old, "w", encoding="utf-8") as file:
        file.write(cli(d, "audit", "export").stdout)
    d.configure({**d.config, "audit_keep_days": 2})
    d.restart()
    until(lambda: d.client().ask("audit.head")["audit"]["anchor"]["seq"] == 4, "the trimming")
    c = d.client()
    t.eq([r["seq"] for r in log_of(c)], [5, 6, 7], "old rows are gone")
    t.eq([(r["op"], r.get("detail")) for r in log_of(c)][-1], ("audit.trim", "through=4 rows=4"),
         "and a row says so")
    sound(t, c, "trimmed")
    with open(new, "w", encoding="utf-8") as file:
        file.write(cli(d, "audit", "export", "--after", "6").stdout)
    both = cli(d, "audit", "verify", old, new)
    t.eq(both.status, 0, f"what was exported before joins what came after: {both.stderr}")
    anchor = c.ask("audit.head")["audit"]["anchor"]
    mark = f"{anchor['seq']}:{anchor['hash']}"
    t.eq(cli(d, "audit", "verify", "--head", mark, old).status, 0,
         "and has the row behind which the store begins")
    t.eq(cli(d, "audit", "export", "--after", "2").status, 1, "what is gone is not exported")
    t.eq(cli(d, "audit", "verify", new, old).status, 1, "in the wrong order they do not join")
    with open(old, encoding="utf-8") as file:
        lines = file.readlines()
    for name, edited_lines in (
            ("altered", [line.replace('"account":"a1"', '"account":"b1"') for line in lines]),
            ("dropped", lines[:3] + lines[4:]), ("headless", lines[1:]),
            ("no row", lines + ["{}\n"])):
        with open(old, "w", encoding="utf-8") as file:
            file.writelines(edited_lines)
        t.eq(cli(d, "audit", "verify", old).status, 1, f"an exported file, {name}")
    d.restart()
    sound(t, d.client(), "begun behind its anchor")


# --- nothing goes unwritten


def test_strict(t):
    d, c = start(t, audit="strict")
    connection = store(c, "one")
    for _ in range(3):
        c.ask("vend", owner="o", connection=connection)
        count = rows(d, "SELECT coalesce(sum(count), 0) FROM audit WHERE op = 'vend'")[0][0]
    t.eq(count, 3, "the row is there before the answer")
    t.eq(c.code("vend", owner="o", provider="plain", account="no"), "not_connected", "a refusal")
    t.eq(rows(d, "SELECT count(*) FROM audit WHERE outcome = 'not_connected'"), [(1,)],
         "has waited for its own")
    spoil(d)
    error = c.call("vend", owner="o", connection=connection)["error"]
    t.eq((error["code"], error["retryable"]), ("store_unavailable", True), "no row, no secret")
    codes = set()
    quickest(t, 10 if SANITIZED else 2, "without waiting for the disk",
             lambda: codes.add(c.code("vend", owner="o", connection=connection)))
    t.eq(codes, {"store_unavailable"}, "at once")
    t.eq(c.code("connection.freeze", owner="o", connection=connection), "store_unavailable",
         "no row, no change")
    mend(d)
    until(lambda: c.code("vend", owner="o", connection=connection) == "ok", "by itself again")
    t.ok(total(log_of(c, op="vend", outcome="store_unavailable")) >= 2,
         "and what was refused meanwhile is told")
    given = rows(d, "SELECT sum(count) FROM audit WHERE op = 'vend' AND kind = 1")[0][0]
    t.eq(given, 4, "what nobody got is not told as given")
    sound(t, c, "strict")


@limit(120)
def test_buffered(t):
    d, c = start(t)
    connection = store(c, "one")
    c.ask("vend", owner="o", connection=connection)
    spoil(d)
    t.eq(c.code("vend", owner="o", connection=connection), "ok", "a warm vend goes on")
    d.wait_log("the audit log cannot be written")
    t.eq(c.code("connection.freeze", owner="o", connection=connection), "store_unavailable",
         "a change does not")
    given = 2
    if not SANITIZED:
        given += fill_buffer(t, c, connection)
    mend(d)
    until(lambda: c.code("vend", owner="o", connection=connection) == "ok", "by itself again")
    d.wait_log("the audit log can be written again")
    c.ask("audit.head")  # all that was told is written
    told = rows(d, "SELECT sum(count) FROM audit WHERE op = 'vend' AND kind = 1")[0][0]
    t.ok(told >= given + 1, "nothing of what was given is missing", (told, given))
    t.eq(verify(c, 10000)[0], [], "and the log is sound")


def fill_buffer(t, c, connection):
    """As many different rows as there is room for, and more. Gives how many vends were served."""
    codes = collections.Counter()
    for batch in range(0, 66000, 500):
        for i in range(500):
            c.sock.send_multipart([b"", encode({"op": "vend", "owner": "o", "connection": connection,
                                                "purpose": f"p{batch + i}"})])
        for i in range(500):
            reply = decode(c.sock.recv_multipart()[1])
            codes["ok" if reply["ok"] else reply["error"]["code"]] += 1
    t.ok(65000 < codes["ok"] <= 65536, "vends go on while the buffer has room", codes)
    t.eq(codes.get("store_unavailable"), 66000 - codes["ok"], "and then stop")
    return codes["ok"]


def test_kill(t):
    d, c = start(t)
    done = []
    for i in range(30):
        done.append(store(c, f"a{i}"))
        c.send("vend", owner="o", connection=done[-1])
    d.kill()
    d.start()
    c = d.client()
    changed = {r["connection"] for r in log_of(c, op="credential.put")}
    t.eq(changed, set(done), "each committed change has its row")
    t.eq(rows(d, "SELECT count(*) FROM connection"), [(len(done),)], "and each row its change")
    sound(t, c, "killed")


# --- keys


def key_rows(d):
    """What was done with keys, as (op, owner, detail)."""
    return rows(d, "SELECT op, owner, detail FROM audit WHERE kind = 3 AND op LIKE 'key.%' ORDER BY seq")


def test_keys(t):
    """What is done with the keyring has its row before it is done, whether anybody waits for it or not."""
    d, c = start(t)
    store(c, "one", owner="mine")
    first, = c.ask("status")["key_ids"]
    own = c.ask("key.new", owner="mine")["key"]
    t.eq(c.code("key.rotate", deadline_ms=0), "deadline_exceeded", "nobody waits for it")
    second = until(lambda: next((k["key"] for k in c.ask("key.list")["keys"]
                                 if k["role"] == "active" and "owner" not in k and k["key"] != first),
                                None), "it is done")
    until(lambda: not c.ask("status")["rewrap"]["running"], "all is wrapped")
    c.ask("key.reload")
    c.ask("key.shred", owner="mine")
    t.eq(c.code("key.retire", key=second), "conflict", "a refusal")
    c.ask("key.retire", key=first)
    d.kill()
    found = key_rows(d)
    t.eq([row for row in found if row[2] != "reason=key_destroyed"], [
        ("key.new", "mine", f"key={own} role=active"), ("key.rotate", None, f"key={second} role=active"),
        ("key.reload", None, f"active={second} dropped=0"), ("key.shred", "mine", "dropped=1"),
        ("key.retire", None, f"key={first}")], "each change has one, as soon as it is answered")
    t.eq(rows(d, "SELECT DISTINCT principal, outcome FROM audit WHERE kind = 3 AND op LIKE 'key.%'"),
         [(ME, "ok")], "of who asked for it")
    d.start()
    c = d.client()
    t.eq(c.ask("status")["key_ids"], [second], "and all was done")
    sound(t, c, "keys")
    spoil(d)
    for op, keys in (("key.new", {}), ("key.rotate", {}), ("key.reload", {})):
        t.eq(c.code(op, **keys), "store_unavailable", f"{op}: no row, no change")
    t.eq(c.ask("status")["key_ids"], [second], "the keys are what they were")
    with open(d.path("etc/keyring"), encoding="ascii") as file:
        t.eq([line.split()[1] for line in file if line.startswith("key ")], [second], "and their file")
    mend(d)
    until(lambda: c.code("key.new") == "ok", "by itself again")


# --- who was given what


def given(c, **keys):
    found, cursor = [], None
    while True:
        reply = c.ask("audit.vends", limit=2, cursor=cursor, **keys)
        found += reply["vends"]
        cursor = reply.get("cursor")
        if cursor is None:
            return [(v["principal"], v["account"], v["generation"], v["count"]) for v in found]


def test_who_was_given_what(t):
    d, c = start(t)
    accounts = {name: store(c, name) for name in ("one", "two", "three")}
    before = now()
    for account, count in (("one", 2), ("two", 1)):
        for _ in range(count):
            c.ask("vend", owner="o", connection=accounts[account])
    c.ask("credential.put", owner="o", provider="plain", account="one",
          secret={"kind": "api_key", "api_key": make_secret("NEXT")})
    c.ask("vend", owner="o", provider="plain", account="one")
    t.eq(given(c, owner="o", provider="plain", account="one"), [(ME, "one", 1, 2),
                                                               (ME, "one", 2, 1)],
         "who was given which generations of one")
    t.eq(given(c, owner="o", connection=accounts["one"], since=now() + 60), [], "since then")
    t.eq(given(c, owner="p", connection=accounts["one"]), [], "it is another owner's")
    t.eq(sorted(given(c, principal=ME, since=before)),
         [(ME, "one", 1, 2), (ME, "one", 2, 1), (ME, "two", 1, 1)], "what somebody was given")
    t.eq(given(c, principal="nobody"), [], "who was given nothing")
    t.eq(c.code("audit.vends", owner="o", provider="plain", account="none"), "not_found",
         "a connection that is not there")
    c.ask("connection.delete", owner="o", connection=accounts["two"])
    t.eq(given(c, owner="o", connection=accounts["two"]), [(ME, "two", 1, 1)],
         "one that is gone has its id")
    out = cli(d, "audit", "who", "o", "plain/one", "--since", "1h")
    t.eq([line.split()[0] for line in out.stdout.splitlines()], [ME, ME], "by the command")
    out = cli(d, "audit", "given", ME, "--since", "1h", "--json")
    t.eq(len(json.loads(out.stdout)["vends"]), 3, "the other way round")
    # The same receipts say what a freeze is about.
    select = {"principal": ME, "vended_since": before}
    plan = c.ask("connection.freeze", select=select, dry_run=True)
    t.eq((plan["count"], plan["providers"]), (1, {"plain": 1}), "a dry run")
    out = cli(d, "freeze", "--vended-to", ME, "--since", "1h", "--yes")
    t.eq(out.status, 0, f"freeze --vended-to: {out.stderr}")
    states = {name: c.ask("connection.get", owner="o", connection=accounts[name])["record"]["state"]
              for name in ("one", "three")}
    t.eq(states, {"one": "FROZEN", "three": "ACTIVE"}, "those alone are frozen")
    sweep = c.ask("sweep.list")["sweeps"][0]
    t.eq(sweep["select"]["principal"], ME, "the sweep says what it was about")
    receipts = c.ask("sweep.receipts", sweep=sweep["id"])["receipts"]
    t.eq([r["account"] for r in receipts], ["one"], "with a receipt")
    swept = [r for r in log_of(c, op="connection.freeze") if "connection" in r]
    t.eq([(r["connection"], r["detail"]) for r in swept], [(accounts["one"], sweep["id"])],
         "and an audit row that names the sweep")
    t.eq(c.ask("connection.revoke", dry_run=True,
               select={"principal": "nobody", "vended_since": 0})["count"], 0, "nobody's")
    sound(t, c, "given")


def test_commands(t):
    d, c = start(t)
    connection = store(c, "one")
    out = cli(d, "vend", "o", connection, "--purpose", "a report", "--json")
    t.eq(out.status, 0, "vend --purpose")
    tail = cli(d, "audit", "tail")
    t.ok("purpose a report" in tail.stdout and "credential.put" in tail.stdout, "audit tail",
         tail.stdout)
    lines = cli(d, "audit", "tail", "--json", "--principal", ME).stdout.splitlines()
    t.eq([json.loads(line)["op"] for line in lines], ["credential.put", "vend"],
         "of one principal, as JSON")
    for words in (["audit"], ["audit", "nonsense"], ["audit", "who", "o"], ["audit", "given"],
                  ["audit", "tail", "--since", "yesterday"], ["audit", "verify", "--head", "1:x"],
                  ["freeze", "--vended-to", ME], ["freeze", "--since", "1h"]):
        t.eq(cli(d, *words).status, 2, f"{words}: how it is used")


run([test_rows, test_principals, test_refused_unheard, test_some_providers, test_refreshes, test_counts, test_flood_of_refusals,
     test_on_the_disk_in_time, test_tampering, test_trim_and_export, test_strict, test_buffered, test_kill,
     test_keys, test_who_was_given_what, test_commands])
