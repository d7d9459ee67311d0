#!/usr/bin/python3
"""Malformed bodies by the hundred thousand: each on jobs is answered once, none does harm.

What a body deserves is decided here by a reading of the protocol of its own (class Rules), which
shares nothing with the daemon: msgpack of the protocol's page, key by key.
"""

import os
import random
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
import msgpack
import zmq
from harness import Daemon, NoReply, decode, encode, limit, run
from machine import PATIENCE_S
from scene import SANITIZED, events_of, make_secret, now, record, scaled, wait_state

BODIES = 100_000
WINDOW = 400  # on their way at a time
NESTING = 16
MAX_JOB = 65536


# --- what a body deserves

class Pairs(list):
    """A map as it stands, keys twice and all."""


def text(most):
    return lambda v: isinstance(v, str) and printable(v) and 1 <= len(v.encode()) <= most


def whole(most):
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= most


def printable(value):
    # Surrogates stand for bytes that are not UTF-8.
    return not any(ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 or 0xd800 <= ord(c) < 0xe000
                   for c in value)


def texts(most):
    return lambda v: (isinstance(v, list) and not isinstance(v, Pairs) and len(v) <= most
                      and all(isinstance(i, str) and printable(i) for i in v))


def plain(value):
    return isinstance(value, (bool, int, float)) or isinstance(value, str) and printable(value)


def flat_map(value):
    return isinstance(value, Pairs) and len(value) <= 64 and all(
        isinstance(k, str) and printable(k) and plain(v) for k, v in value)


def flag(value):
    return isinstance(value, bool)


KEYS = {"deadline_ms": whole(3600000), "owner": text(128), "connection": text(1024),
        "provider": text(1024), "account": text(256), "ref": text(1024),
        "min_ttl_s": whole(10 * 365 * 86400), "kind": text(64),
        "include": lambda v: texts(8)(v) and set(v) <= {"refresh_token"}, "force": flag,
        "async": flag, "generation": whole(2 ** 63 - 1), "access_token_sha256": text(64),
        "vend": flag, "secret": lambda v: isinstance(v, Pairs), "scopes": texts(256),
        "expires_at": whole(2 ** 40), "expect_generation": whole(2 ** 63 - 1),
        "metadata": flat_map, "tags": texts(64), "at_provider": flag, "state": text(256),
        "redirect_uri": text(2048), "reconnect": text(1024), "code": text(8192),
        "error": text(1024), "iss": text(2048), "callback": flat_map, "fields": flat_map,
        "email": text(320), "scope": text(128),
        "cursor": text(128), "limit": whole(10000), "seq": whole(2 ** 63 - 1)}
NAMED = ("vend", "refresh", "invalidate", "credential.put", "connection.create", "connection.get",
         "connection.update", "connection.revoke", "connection.restore", "connection.delete")
OPS = (*NAMED, "connection.list", "events.since", "status", "whoami")


def too_deep(value, most=NESTING):
    if not isinstance(value, list):
        return False
    inner = [x for pair in value for x in pair] if isinstance(value, Pairs) else value
    return most == 0 or any(too_deep(x, most - 1) for x in inner)


def read(body):
    """The one value of a body, or ValueError."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, unicode_errors="surrogateescape",
                                object_pairs_hook=Pairs, ext_hook=lambda *_: None,
                                max_buffer_size=MAX_JOB * 2)
    unpacker.feed(body)
    value = unpacker.unpack()
    if unpacker.tell() != len(body):
        raise ValueError("bytes behind the value")
    return value


def named_well(job):
    if "ref" in job:
        return not {"owner", "connection", "provider", "account"} & set(job)
    if "owner" not in job or not {"connection", "provider"} & set(job):
        return False
    return "connection" not in job or not {"provider", "account"} & set(job)


def belongs(job):
    """What one op asks for beyond the types of its keys."""
    digest = job.get("access_token_sha256")
    if digest is not None and (len(digest) != 64 or set(digest) - set("0123456789abcdef")):
        return False
    op = job["op"]
    return not (op == "invalidate" and digest is not None and "generation" in job
                or op == "credential.put" and "secret" not in job
                or op == "connection.create" and "connection" in job
                or op == "connection.update" and not {"metadata", "tags"} & set(job)
                or op in NAMED and not named_well(job))


def deserves(body):
    """bad_request, unsupported_op, or job: anything but a failure to understand it."""
    if len(body) > MAX_JOB:
        return "bad_request"
    try:
        pairs = read(body)
    except Exception:  # pylint: disable=broad-except
        return "bad_request"
    if not isinstance(pairs, Pairs) or too_deep(pairs):
        return "bad_request"
    known = [(k, v) for k, v in pairs if isinstance(k, str) and (k in KEYS or k in ("op", "id"))
             and v is not None]
    job = dict(reversed(known))  # of two the first counts, where the second is not looked at
    if isinstance(job.get("id"), list) or len(msgpack.packb(
            job.get("id"), unicode_errors="surrogateescape")) > 1024:
        return "bad_request"
    if not isinstance(job.get("op"), str):
        return "bad_request"
    if job["op"] not in OPS:
        good = printable(job["op"]) and len(job["op"].encode("utf-8", "surrogateescape")) <= 64
        return "unsupported_op" if good else "bad_request"
    if not all(isinstance(k, str) for k, _ in pairs) or len(known) != len(dict(known)):
        return "bad_request"
    if not all(k in ("op", "id") or KEYS[k](v) for k, v in known):
        return "bad_request"
    return "job" if belongs(job) else "bad_request"


# --- bodies

def real_jobs():
    name = {"owner": "fuzz", "provider": "plain", "account": "a"}
    return [encode(job) for job in (
        {"op": "vend", "id": 1, **name, "kind": "bearer", "min_ttl_s": 5, "deadline_ms": 2000},
        {"op": "vend", "id": 1, "owner": "fuzz", "connection": "plain." + "0" * 26,
         "include": ["refresh_token"]},
        {"op": "refresh", "id": "x", **name, "force": True, "async": False},
        {"op": "invalidate", "id": 2, **name, "access_token_sha256": "0" * 64, "vend": True},
        {"op": "invalidate", "id": 2, **name, "generation": 3},
        {"op": "connection.get", "id": 3, **name}, {"op": "connection.list", "owner": "fuzz",
         "provider": "plain", "state": "ACTIVE", "limit": 3},
        {"op": "connection.update", "id": 4, **name, "metadata": {"a": 1, "b": "c"},
         "tags": ["one", "two"], "expect_generation": 9},
        {"op": "connection.revoke", **name, "at_provider": True},
        {"op": "credential.put", "id": 5, **name, "expires_at": 1700000000, "scopes": ["a"],
         "secret": {"kind": "bearer", "token": "not-a-secret", "fields": {"x": "y"}}},
        {"op": "events.since", "seq": 3, "limit": 2, "owner": "fuzz"}, {"op": "status"},
        {"op": "whoami", "id": 6}, {"op": "vend", "ref": "warehouse"})]


def nested(rng):
    depth = rng.choice((15, 16, 17, 18, 64, 1000, 30000))
    head = rng.choice((b"\x91", b"\x81\xa1x", b"\x81\x91\xc0"))
    return b"\x82\xa2op\xa6whoami\xa1x" + head * depth + b"\xc0"


def huge_length(rng):
    """A head that promises far more than follows."""
    head = rng.choice((b"\xdb", b"\xc6", b"\xdd", b"\xdf", b"\xc9", b"\xd9", b"\xda", b"\xdc",
                       b"\xde", b"\xc5"))
    width = {0xd9: 1, 0xda: 2, 0xdc: 2, 0xde: 2, 0xc5: 2}.get(head[0], 4)
    count = rng.choice((2 ** (8 * width) - 1, 2 ** (8 * width - 1), 70000 % 2 ** (8 * width)))
    return rng.choice((b"", b"\x81\xa2op", b"\x82\xa2op\xa6whoami\xa1x")) + head + count.to_bytes(
        width, "big") + rng.randbytes(rng.randrange(8))


def wrong_type(rng):
    job = decode(rng.choice(JOBS))
    job[rng.choice([*KEYS, "op", "id"])] = rng.choice((
        -1, 2 ** 63, 2 ** 64 - 1, 1.5, float("nan"), True, b"bytes", [], {}, ["x"], [1], {"x": []},
        {1: 2}, "", "\0", "x" * 40, msgpack.ExtType(5, b"x"), "\u2028", "\x85"))
    return encode(job)


def long_key(rng):
    job = decode(rng.choice(JOBS))
    job["k" * rng.choice((1000, 30000, 65000, 70000))] = 1
    if rng.random() < 0.5:
        job[rng.choice(("owner", "account", "connection", "provider", "id"))] = "x" * rng.choice(
            (128, 129, 256, 257, 1024, 1025, 60000))
    return encode(job)


def mutated(rng):
    body = bytearray(rng.choice(JOBS))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(body))
        how = rng.randrange(4)
        if how == 0:
            body[at] = rng.randrange(256)
        elif how == 1:
            body[at] ^= 1 << rng.randrange(8)
        elif how == 2:
            del body[at:at + rng.randrange(1, 5)]
        else:
            body[at:at] = rng.randbytes(rng.randrange(1, 5))
        if not body:
            break
    return bytes(body)


def truncated(rng):
    body = rng.choice(JOBS)
    return body[:rng.randrange(len(body))]


def trailing(rng):
    return rng.choice(JOBS) + rng.choice((b"\xc0", b"\0", rng.choice(JOBS), rng.randbytes(9)))


def doubled(rng):
    """A key that stands twice."""
    pairs = list(decode(rng.choice(JOBS)).items())
    pairs.append(rng.choice(pairs))
    packer = msgpack.Packer()
    return packer.pack_map_header(len(pairs)) + b"".join(encode(x) for p in pairs for x in p)


def other_root(rng):
    return encode(rng.choice((None, 1, "vend", [], [{"op": "whoami"}], {}, {"id": 1}, {"op": 1},
                              {"op": ""}, {"op": "vendd"}, {1: "op"}, {b"op": "whoami"})))


def noise(rng):
    return rng.randbytes(rng.choice((0, 1, 2, 3, 5, 9, 17, 40, 300)))


def packed_noise(rng):
    """Random bytes behind the head of a map."""
    return bytes([0x80 | rng.randrange(16)]) + rng.randbytes(rng.randrange(60))


MAKERS = [noise, packed_noise, truncated, mutated, mutated, mutated, trailing, nested, huge_length,
          wrong_type, wrong_type, long_key, doubled, other_root]
JOBS = real_jobs()


def bodies(seed, count):
    rng = random.Random(seed)
    for i in range(count):
        # The bulky ones now and then.
        maker = MAKERS[i % len(MAKERS)]
        if maker in (nested, long_key) and rng.random() < 0.7:
            maker = mutated
        yield maker, maker(rng)


# --- the tests

class Tally:
    def __init__(self):
        self.wrong, self.counts, self.seen = [], {}, 0

    def judge(self, maker, body, reply):
        expected = deserves(body)
        code = "job" if reply.get("ok") else reply["error"]["code"]
        self.seen += 1
        self.counts[expected] = self.counts.get(expected, 0) + 1
        if expected == "job":
            # A static secret cannot be refreshed: so much of the op was understood.
            good = code != "internal" and (code != "unsupported_op" or
                                           "refreshed" in reply["error"]["message"])
            if good and code == "bad_request":
                # Well formed, and still without a sense, in parts that only the op looks into.
                good = any(word in reply["error"]["message"] for word in (
                    "kind", "token", "secret", "fields", "apply", "state", "cursor", "min_ttl_s",
                    "required", "must"))
        else:
            good = code == expected
        if not good:
            self.wrong.append((maker.__name__, expected, code, body[:80].hex()))


def echo(body):
    """A reply; its id may hold whatever was sent as one."""
    return msgpack.unpackb(body, raw=False, strict_map_key=False, unicode_errors="surrogateescape")


def exchange(sock, batch, tally):
    """Sends each body under an envelope of its own and takes exactly one reply for each."""
    for i, (_, body) in enumerate(batch):
        sock.send_multipart([b"e", struct.pack(">I", i), b"", body])
    waiting = dict(enumerate(batch))
    while waiting:
        if not sock.poll(PATIENCE_S * 1000):
            raise NoReply(f"{len(waiting)} bodies without a reply, such as "
                          f"{next(iter(waiting.values()))[1][:80].hex()}")
        frames = sock.recv_multipart()
        number = struct.unpack(">I", frames[1])[0]
        if len(frames) != 4 or number not in waiting:
            raise AssertionError("a second reply, or another envelope")
        tally.judge(*waiting.pop(number), echo(frames[3]))


def start(t):
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}}, "log": {"level": "info"}}))
    c = d.client()
    connection = c.ask("credential.put", owner="o", provider="plain",
                       secret={"kind": "bearer", "token": make_secret("kept")},
                       expires_at=now() + 36000)["connection"]
    return d, c, connection


def check_after(t, d, c, connection, before):
    reply = c.ask("vend", owner="o", connection=connection)
    t.eq((reply["generation"], record(c, connection)["state"]), (1, "ACTIVE"), "service goes on")
    after = d.rss_kib()
    t.diag(f"memory: {before} KiB before, {after} KiB afterwards")
    if not SANITIZED:
        t.le(after, before * 1.2, "memory is as before")
    t.ok(d.running(), "it runs")


@limit(300)
def test_jobs(t):
    d, c, connection = start(t)
    sock = c.sock
    tally, count, batch, before = Tally(), scaled(BODIES), [], None
    for i, one in enumerate(bodies(2024, count)):
        batch.append(one)
        if len(batch) == WINDOW:
            exchange(sock, batch, tally)
            batch = []
            if before is None and i >= count // 20:
                before = d.rss_kib()  # pools and tables have their usual size
    exchange(sock, batch, tally)
    t.ok(not c.wait(0.2), "no reply is left over")
    t.eq(tally.seen, count, f"{count} bodies, {count} replies")
    t.diag(f"what they deserved: {tally.counts}")
    t.eq(tally.wrong[:5], [], "each the one it deserves")
    t.ok(tally.counts["bad_request"] > count // 2, "most of them are bad")
    check_after(t, d, c, connection, before)


@limit(300)
def test_intake(t):
    d, c, connection = start(t)
    push, count = d.push(), scaled(BODIES)
    last = c.ask("credential.put", owner="o", provider="plain", account="last",
                 secret={"kind": "bearer", "token": make_secret("last")})["connection"]
    first = len(events_of(c))
    rng, before = random.Random(7), None
    for i, (_, body) in enumerate(bodies(7, count)):
        # What is a refresh or an invalidation after all has nobody to reach: its owner has nothing.
        if rng.random() < 0.05:
            push.sock.send_multipart([b"", body])
        else:
            push.raw(body)
        if i % 1000 == 0:
            d.round_trip()
        if before is None and i > count // 20:
            before = d.rss_kib()
    push.send("invalidate", owner="o", connection=connection, generation=0)
    push.send("invalidate", owner="o", connection=last)  # jobs of one socket keep their order
    wait_state(c, last, "NEEDS_REAUTH")
    t.eq([(e["type"], e["connection"]) for e in events_of(c)[first:]], [("reauth", last)],
         f"{count} bodies on the intake: no event came of any")
    check_after(t, d, c, connection, before)


def test_frames(t):
    """Messages that are no job by their frames."""
    d, c, connection = start(t)
    good = encode({"op": "whoami", "id": 1})
    t.eq(decode(c.frames([good])[-1])["ok"], True, "without an envelope")
    t.eq(len(c.frames([b""] * 40 + [good])), 41, "an envelope of 40 frames")
    c.sock.send_multipart([b""] * 500 + [good])
    c.sock.send_multipart([b"", b"x" * (1 << 20)])
    t.eq(c.recv()["error"]["code"], "bad_request", "1 MiB: refused; 500 frames: not")
    too_long = encode({"op": "whoami", "x": "y" * (MAX_JOB - 14)})
    t.eq((len(too_long) > MAX_JOB, c.raw(too_long)["error"]["code"]), (True, "bad_request"),
         "a byte too long")
    exact = encode({"op": "whoami", "x": "y" * (MAX_JOB - 17)})
    while len(exact) < MAX_JOB:
        exact = encode({"op": "whoami", "x": "y" * (len(decode(exact)["x"]) + 1)})
    t.eq((len(exact), c.raw(exact)["ok"]), (MAX_JOB, True), "exactly as long as allowed")
    huge = d.client()
    huge.sock.setsockopt(zmq.RECONNECT_IVL, 10)
    huge.sock.send_multipart([b"", b"x" * (20 << 20)])
    t.ok(not huge.wait(0.5), "20 MiB: the peer is cut off")
    t.eq(c.ask("vend", owner="o", connection=connection)["generation"], 1, "the others are served")
    t.eq(huge.code("whoami"), "ok", "and it may come again")


def test_replies_are_plain(t):
    """What a peer sends comes back in no form that could mislead who reads it."""
    _, c, _ = start(t)
    for op in ("vend\n", "\x1b[31mvend", "v" * 65, "\u202e", "<b>"):
        reply = c.call(op)
        t.ok(reply["error"]["code"] in ("bad_request", "unsupported_op"), f"{op!r}")
        message = reply["error"]["message"]
        t.ok("\n" not in message and "\x1b" not in message and len(message) < 300, "plain words",
             message)


run([test_jobs, test_intake, test_frames, test_replies_are_plain])
