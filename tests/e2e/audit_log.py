"""The audit log for tests: how it is asked, and a second implementation of its format, from doc/security.md."""

import base64
import hashlib
import os
import struct

from harness import Daemon
from scene import edit, make_secret, rows

FULL = ("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END",
        "DROP TRIGGER full")
ME = f"uid:{os.getuid()}"


def start(t, **config):
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}}, **config}))
    return d, d.client()


def store(c, account, owner="o"):
    """A key that is good for ever."""
    return c.ask("credential.put", owner=owner, provider="plain", account=account,
                 secret={"kind": "api_key", "api_key": make_secret("AUDIT")})["connection"]


def log_of(c, **fields):
    """All rows, oldest first; only those with these fields."""
    found, seq = [], 0
    while True:
        reply = c.ask("audit.since", seq=seq, limit=10000)
        found += reply["rows"]
        if reply["next_seq"] == seq:
            return [r for r in found if all(r.get(k) == v for k, v in fields.items())]
        seq = reply["next_seq"]


def total(found):
    return sum(r["count"] for r in found)


def verify(c, limit_rows=7):
    """Every problem, as (seq, name), looked for in small pages; and the last answer."""
    problems, seq = [], 0
    while True:
        reply = c.ask("audit.verify", seq=seq, limit=limit_rows)
        problems += [(p["seq"], p["problem"]) for p in reply["problems"]]
        seq = reply["next_seq"]
        if reply["end"]:
            return problems, reply


def sound(t, c, name):
    t.eq(verify(c)[0], [], f"{name}: the log is sound")


def spoil(d):
    """From now on no audit row can be written; the inverse is mend()."""
    edit(d, FULL[0])


def mend(d):
    edit(d, FULL[1])


# --- the format


TEXTS = ("principal", "peer", "op", "purpose", "owner", "connection", "provider", "account",
         "outcome", "detail")


def link_of(before, row):
    data = b"\x01" + struct.pack(">6Q", row["seq"], row["at_ms"], row["last_ms"], row["count"],
                                 row["kind"], row["generation"])
    for name in TEXTS:
        text = row[name]
        data += struct.pack(">Q", 2**64 - 1 if text is None else len(text.encode()))
        data += b"" if text is None else text.encode()
    return hashlib.blake2b(b"bursar audit row 1\0" + before + data, digest_size=32).digest()


def seal_of(key, key_id, anchor_seq, anchor, seq, link, journal=b""):
    derived = hashlib.blake2b(b"bursar audit seal 1\0", key=key, digest_size=32).digest()
    return hashlib.blake2b(key_id + struct.pack(">2Q", anchor_seq, seq) + anchor + link + journal,
                           key=derived, digest_size=32).digest()


def keyring_of(d):
    with open(d.path("etc/keyring"), encoding="ascii") as file:
        words = [line.split() for line in file if line.startswith("key ")]
    active = next(w for w in words if w[3] == "active")
    return bytes.fromhex(active[1]), base64.b64decode(active[2])


def number_at(data, at):
    """A number of variable length, and where the next begins."""
    value, shift = 0, 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def entry_rows(data):
    """The rows of a journal's entry."""
    row, at, found = {"at_ms": 0, **dict.fromkeys(TEXTS)}, 0, []
    if data[:2] == b"\xff\xff":
        return found  # a mark
    while at < len(data):
        mask, numbers = data[at] | data[at + 1] << 8, []
        at += 2
        for _ in range(5):
            number, at = number_at(data, at)
            numbers.append(number)
        begin, length = (n >> 1 if n % 2 == 0 else -(n >> 1) - 1 for n in numbers[3:])
        row = {**row, "kind": numbers[0], "generation": numbers[1], "count": numbers[2], "at_ms": row["at_ms"] + begin}
        row["last_ms"] = row["at_ms"] + length
        for i, name in enumerate(TEXTS):
            if mask >> i & 1:
                size, at = number_at(data, at)
                row[name] = data[at:at + size - 1].decode() if size > 0 else None
                at += max(size - 1, 0)
        found.append(row)
    return found
