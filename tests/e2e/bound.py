"""A daemon with principals that are bound to one owner each."""

import os

import zmq

from harness import Client, Daemon
from machine import hold_port, port_of

ROLES = ["vend", "refresh", "connect", "manage", "events", "export"]


class Bound:
    """A daemon on ipc and on tcp with CURVE; `owners` are names of principals that are bound to the owner of
    the same name, each with a key of its own; `more`: further keys of theirs."""

    def __init__(self, t, owners, config=None, more=None):
        self.server, secret = (k.decode() for k in zmq.curve_keypair())
        self.keys = {name: zmq.curve_keypair() for name in owners}
        self._ports = hold_port(), hold_port()
        principals = {"ops": {"uids": [os.getuid()], "owners": ["*"], "roles": [*ROLES, "admin"]}}
        for name, (public, _) in self.keys.items():
            principals[name] = {"curve_keys": [public.decode()], "owners": [name], "roles": ROLES,
                                **(more or {}).get(name, {})}
        self.d = t.use(Daemon({"principals": principals, **(config or {})}, start=False))
        self.tcp, self.tcp_events = (f"tcp://127.0.0.1:{port_of(held)}" for held in self._ports)
        over = {"listen": {"jobs": [self.d.jobs, self.tcp], "intake": [self.d.intake],
                           "events": [self.d.events_endpoint, self.tcp_events], "curve_key": secret}}
        self.d.configure({"principals": principals, **(config or {}), **over})
        self.d.start()
        self.t = t

    def setup(self, name):
        public, secret = self.keys[name]

        def apply(sock):
            sock.curve_serverkey, sock.curve_publickey, sock.curve_secretkey = (
                self.server.encode(), public, secret)
        return apply

    def client(self, name):
        return self.t.use(Client(self.tcp, setup=self.setup(name)))
