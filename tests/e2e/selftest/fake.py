#!/usr/bin/python3
"""Stands in for bursard and bursar, as far as the harness' own checks need them: an echo.

    fake.py bursard -c FILE     fake.py bursar init DIR | COMMAND --endpoint E …
"""

import json
import os
import signal
import socket
import sys

import msgpack
import zmq


def notify(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])


class Broker:
    """Echoes jobs; a job can also ask for an event, a log line, an end."""

    def __init__(self, config):
        self.context = zmq.Context()
        self.jobs = self.bind(zmq.ROUTER, config["listen"]["jobs"])
        self.intake = self.bind(zmq.PULL, config["listen"]["intake"])
        self.events = self.bind(zmq.XPUB, config["listen"]["events"])
        self.seq, self.ending = 0, False

    def bind(self, kind, endpoints):
        sock = self.context.socket(kind)
        sock.linger = 500
        for endpoint in endpoints:
            sock.bind(endpoint)
        return sock

    def publish(self, job):
        self.seq += job.get("jump", 1)
        event = {"seq": self.seq, "type": job["type"], "owner": job.get("owner", "a b"),
                 "provider": "p", "connection": "p.1"}
        topic = job.get("topic") or f"{event['type']}/a%20b/p/p.1"
        self.events.send_multipart([topic.encode(), msgpack.packb(event)])

    def answer(self, body):
        try:
            job = msgpack.unpackb(body, raw=False)
            op = job["op"]
        except Exception:  # pylint: disable=broad-except
            return {"id": None, "ok": False, "error": {"code": "bad_request", "message": "no job"}}
        if op == "event":
            self.publish(job)
        if op == "log":
            print(job["text"], file=sys.stderr, flush=True)
        if op == "exit":
            os._exit(job["status"])
        if op == "refuse":
            return {"id": job["id"], "ok": False, "error": {"code": "not_found", "message": "none"}}
        return {"id": job["id"], "ok": True, "echo": job, "secret": job.get("secret")}

    def serve(self):
        poller = zmq.Poller()
        for sock in (self.jobs, self.intake, self.events):
            poller.register(sock, zmq.POLLIN)
        while not self.ending:
            for sock, _ in poller.poll(200):
                if sock is self.jobs:
                    *envelope, body = sock.recv_multipart()
                    sock.send_multipart([*envelope, msgpack.packb(self.answer(body))])
                elif sock is self.intake:
                    self.publish({"type": msgpack.unpackb(sock.recv())["op"]})
                else:
                    sock.recv()
        self.context.destroy(linger=500)


def bursard(arguments):
    with open(arguments[arguments.index("-c") + 1]) as file:
        config = json.load(file)
    if config.get("wrong"):
        print("bursard: wrong: no such key", file=sys.stderr)
        return 2
    broker = Broker(config)
    signal.signal(signal.SIGTERM, lambda *_: setattr(broker, "ending", True))
    print("bursard: ready", file=sys.stderr, flush=True)
    notify("READY=1\nSTATUS=fine")
    broker.serve()
    return config.get("exit_status", 0)


def bursar(arguments):
    if arguments[0] == "init":
        os.makedirs(arguments[1])
        with open(os.path.join(arguments[1], "curve.key"), "w") as file:
            file.write("k" * 40 + "\n")
        return 0
    print(json.dumps({"arguments": arguments, "stdin": sys.stdin.read()}))
    print("said on stderr", file=sys.stderr)
    return 4


if __name__ == "__main__":
    sys.exit({"bursard": bursard, "bursar": bursar}[sys.argv[1]](sys.argv[2:]))
