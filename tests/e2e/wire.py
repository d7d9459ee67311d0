"""bursar protocol 1, spoken raw: what is sent is what the test says, right or wrong."""

import itertools
import json
import time
import urllib.parse

import msgpack
import zmq
from machine import PATIENCE_S
from zmq.utils.monitor import recv_monitor_message

SECRET_KEYS = ("secret",)  # the one part of a reply where a secret belongs


class NoReply(Exception):
    """Nothing came in time."""


class Refused(Exception):
    """A reply with an error; `.code`, `.error` and `.reply` say which."""

    def __init__(self, reply):
        self.reply, self.error = reply, reply.get("error") or {}
        self.code = self.error.get("code")
        super().__init__(f"{self.code}: {self.error.get('message')}")


def context():
    return zmq.Context.instance()


def encode(job):
    return msgpack.packb(job, use_bin_type=True)


def decode(body):
    return msgpack.unpackb(body, raw=False, strict_map_key=False)


def topic_of(event):
    """The topic that an event's body must have come under."""
    parts = (event["type"], event.get("owner") or "-", event.get("provider") or "-",
             event.get("connection") or "-")
    return "/".join(urllib.parse.quote(str(part), safe="") for part in parts)


def curve_pair():
    """A CURVE key pair in Z85: (public, secret)."""
    return tuple(key.decode() for key in zmq.curve_keypair())


def curve(server_key, pair):
    """What makes a socket speak CURVE: the `setup` of those below."""
    def setup(sock):
        sock.curve_serverkey = server_key.encode()
        sock.curve_publickey, sock.curve_secretkey = (key.encode() for key in pair)
    return setup


class Capture:
    """Keeps what the daemon said in a file of its folder, for the search for secrets."""

    def __init__(self, path):
        self._file = open(path, "a", encoding="utf-8") if path else None

    def write(self, message):
        if self._file:
            public = {k: v for k, v in message.items() if k not in SECRET_KEYS} \
                if isinstance(message, dict) else message
            self._file.write(json.dumps(public, default=repr, ensure_ascii=False) + "\n")
            self._file.flush()

    def close(self):
        if self._file:
            self._file.close()


class _Socket:
    """What all three have: a socket that never holds up the end of a test, and a deadline."""

    def __init__(self, kind, endpoint, setup=None):
        self.endpoint = endpoint
        self.sock = context().socket(kind)
        self.sock.linger = 0
        self.sock.rcvhwm = self.sock.sndhwm = 0
        if setup:
            setup(self.sock)
        self.sock.connect(endpoint)

    def wait(self, timeout):
        """True once there is something to receive."""
        return bool(self.sock.poll(max(0, int(timeout * 1000)), zmq.POLLIN))

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Client(_Socket):
    """A DEALER with REQ's envelope. One per thread."""

    def __init__(self, endpoint, capture=None, setup=None):
        super().__init__(zmq.DEALER, endpoint, setup)
        self._ids, self._early = itertools.count(1), {}
        self._capture = Capture(capture)
        self.last_body = None  # the bytes of the reply received last

    def send(self, op, **keys):
        """Sends a job and gives its id; None as a key's value leaves the key out."""
        job_id = keys.pop("id", None) or next(self._ids)
        job = {"op": op, "id": job_id, **keys}
        self.sock.send_multipart([b"", encode({k: v for k, v in job.items() if v is not None})])
        return job_id

    def recv(self, timeout=PATIENCE_S):
        """The next reply, whichever."""
        if not self.wait(timeout):
            raise NoReply(f"no reply in {timeout} s")
        frames = self.sock.recv_multipart()
        if len(frames) != 2 or frames[0] != b"":
            raise AssertionError(f"envelope came back as {[len(f) for f in frames]} bytes")
        self.last_body = frames[1]
        reply = decode(frames[1])
        self._capture.write(reply)
        return reply

    def recv_id(self, job_id, timeout=PATIENCE_S):
        """The reply to one job; those that come before it are kept for their own turn."""
        if job_id in self._early:
            return self._early.pop(job_id)
        ends = time.monotonic() + timeout
        while True:
            reply = self.recv(max(0, ends - time.monotonic()))
            if reply.get("id") == job_id:
                return reply
            self._early[reply.get("id")] = reply

    def call(self, op, timeout=PATIENCE_S, **keys):
        """One job, its reply (ok or not)."""
        return self.recv_id(self.send(op, **keys), timeout)

    def ask(self, op, timeout=PATIENCE_S, **keys):
        """As call, but a refusal is an exception."""
        reply = self.call(op, timeout, **keys)
        if reply.get("ok") is not True:
            raise Refused(reply)
        return reply

    def code(self, op, timeout=PATIENCE_S, **keys):
        """The error code of the reply, or "ok"."""
        reply = self.call(op, timeout, **keys)
        return "ok" if reply.get("ok") is True else reply["error"]["code"]

    def raw(self, body, timeout=PATIENCE_S):
        """Any bytes as a body, and the next reply."""
        self.sock.send_multipart([b"", body])
        return self.recv(timeout)

    def frames(self, frames, timeout=PATIENCE_S):
        """Any frames, and the frames of the next reply."""
        self.sock.send_multipart(frames)
        if not self.wait(timeout):
            raise NoReply(f"no reply in {timeout} s")
        return self.sock.recv_multipart()

    def close(self):
        super().close()
        self._capture.close()


def fan(clients, op, timeout=PATIENCE_S, each=1, **keys):
    """The same job from all clients at once, `each` times per client; all the replies."""
    for client in clients:
        for _ in range(each):
            client.send(op, **keys)
    return gather(clients, each, timeout)


def gather(clients, each=1, timeout=PATIENCE_S):
    """As many replies from each client, in the order of their coming."""
    poller, owed, replies = zmq.Poller(), {}, []
    for client in clients:
        poller.register(client.sock, zmq.POLLIN)
        owed[client.sock] = (client, each)
    ends = time.monotonic() + timeout
    while owed:
        ready = poller.poll(max(0, (ends - time.monotonic()) * 1000))
        if not ready:
            raise NoReply(f"{sum(n for _, n in owed.values())} replies missing after {timeout} s")
        for sock, _ in ready:
            client, count = owed.pop(sock)
            replies.append(client.recv(0))
            if count > 1:
                owed[sock] = (client, count - 1)
            else:
                poller.unregister(sock)
    return replies


class Push(_Socket):
    """The intake: jobs without a reply. Closing waits until they have left, 5 s at most."""

    def __init__(self, endpoint, setup=None):
        super().__init__(zmq.PUSH, endpoint, setup)
        self.sock.linger = 5000

    def send(self, op, **keys):
        self.raw(encode({"op": op, **keys}))

    def raw(self, body):
        self.sock.send(body)


class Events(_Socket):
    """A subscriber, connected when it is made. Events that no one waited for yet are kept.

    A publisher does not acknowledge a subscription: `sync`, a round trip to the same daemon that is
    made behind each handshake, is what makes it all but sure to be there.
    """

    def __init__(self, endpoint, topics=("",), timeout=PATIENCE_S, capture=None, setup=None, sync=None):
        def prepare(sock):
            self._monitor = sock.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
            for topic in topics:
                sock.setsockopt(zmq.SUBSCRIBE, topic.encode())
            if setup:
                setup(sock)
        self._capture, self._sync = Capture(capture), sync
        self._waiting, self.seen, self.wrong_topics = [], [], []
        super().__init__(zmq.SUB, endpoint, prepare)
        self.wait_connected(timeout)

    def wait_connected(self, timeout=PATIENCE_S):
        """Waits for the next handshake; to be called after each start of the daemon."""
        if not self._monitor.poll(int(timeout * 1000)):
            raise NoReply(f"no connection to {self.endpoint} in {timeout} s")
        recv_monitor_message(self._monitor)
        self.sock.getsockopt(zmq.EVENTS)  # after a reconnect, this sends the subscriptions
        if self._sync:
            self._sync()

    def recv(self, timeout=PATIENCE_S):
        """The next event to come; it is in `seen`, too."""
        if not self.wait(timeout):
            raise NoReply(f"no event in {timeout} s")
        frames = self.sock.recv_multipart()
        if len(frames) != 2:
            raise AssertionError(f"an event of {len(frames)} frames")
        event = decode(frames[1])
        if frames[0].decode() != topic_of(event):
            self.wrong_topics.append((frames[0].decode(), topic_of(event)))
        self._capture.write(event)
        self.seen.append(event)
        return event

    @staticmethod
    def _fits(event, kind, where, fields):
        return ((kind is None or event.get("type") == kind)
                and all(event.get(name) == value for name, value in fields.items())
                and (where is None or where(event)))

    def expect(self, kind=None, timeout=PATIENCE_S, where=None, **fields):
        """The first event of this type and these fields; others stay for later calls."""
        for i, event in enumerate(self._waiting):
            if self._fits(event, kind, where, fields):
                return self._waiting.pop(i)
        ends = time.monotonic() + timeout
        while True:
            try:
                event = self.recv(max(0, ends - time.monotonic()))
            except NoReply:
                others = [e.get("type") for e in self._waiting]
                raise NoReply(f"no event {kind} {fields} in {timeout} s; others: {others}") \
                    from None
            if self._fits(event, kind, where, fields):
                return event
            self._waiting.append(event)

    def expect_none(self, kind, within, where=None, **fields):
        """True where no such event comes for so long, and none has come unnoticed."""
        try:
            self.expect(kind, within, where, **fields)
            return False
        except NoReply:
            return True

    def drain(self, timeout=0):
        """Takes in what has come, without using it up."""
        try:
            while True:
                self._waiting.append(self.recv(timeout))
        except NoReply:
            return list(self.seen)

    def count(self, kind, **fields):
        """How many such events have been seen in all."""
        return sum(self._fits(event, kind, None, fields) for event in self.seen)

    def gaps(self):
        """Numbers that are missing or come twice among those seen (all topics subscribed)."""
        numbers = [event["seq"] for event in self.seen if event["type"] != "alive"]
        return [(a, b) for a, b in zip(numbers, numbers[1:]) if b != a + 1]

    def close(self):
        if not self.sock.closed:
            self.sock.disable_monitor()
        super().close()
        self._capture.close()
