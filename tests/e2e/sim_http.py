"""HTTP for sim.py: requests as they came, replies with the damage that a test asks for."""

import base64
import dataclasses
import hashlib
import json
import select
import socket
import struct
import urllib.parse

MAX_HEAD = 64 * 1024
MAX_BODY = 8 * 1024 * 1024
REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
           404: "Not Found", 405: "Method Not Allowed", 429: "Too Many Requests",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}
MATCHES = ("min_on_connection", "account", "grant", "grant_type", "refresh_token", "path",
           "client_id", "conn_id", "nth")


def fingerprint(token):
    """What stands for a token in the journal."""
    return hashlib.sha256(token.encode()).hexdigest()[:16] if token else None


@dataclasses.dataclass
class Reply:
    """One scripted reply. Where neither status, body nor raw is given, the own answer is sent."""

    status: int = None
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = None        # bytes or str
    raw: bytes = None         # the whole reply, head and all; then the connection is closed
    process: bool = None      # is the token spent? by default only where the own answer is wanted
    set: dict = dataclasses.field(default_factory=dict)  # members put into the own answer
    remove: list = dataclasses.field(default_factory=list)  # members taken out of it
    delay_s: float = 0.0      # before the request is processed
    delay_after_s: float = 0.0
    hold: str = None          # waits for release(NAME), MAX_HOLD_S at most
    hold_at: str = "before"   # before or after the token is spent
    drop: str = None          # before, after: the connection ends without a reply
    reset: bool = False       # … by RST instead of FIN
    truncate: int = 0         # bytes missing at the end of the body, Content-Length as if whole
    pad: int = 0              # body filled with blanks up to this size
    chunked: int = 0          # chunk size, 0 for none
    close: str = None         # header: says Connection: close; silent: just closes after the reply
    match: dict = dataclasses.field(default_factory=dict)
    times: int = 1            # -1 for ever

    @classmethod
    def of(cls, spec):
        if isinstance(spec, cls):
            return spec
        spec = dict(spec)
        for name in ("body", "raw"):
            if name + "_b64" in spec:
                spec[name] = base64.b64decode(spec.pop(name + "_b64"))
            if isinstance(spec.get(name), str):
                spec[name] = spec[name].encode()
            if isinstance(spec.get(name), dict):
                spec[name] = json.dumps(spec[name]).encode()
        reply = cls(**spec)
        unknown = set(reply.match) - set(MATCHES)
        if unknown or reply.drop not in (None, "before", "after"):
            raise ValueError(f"no such match or drop: {unknown or reply.drop}")
        return reply

    def spends(self):
        if self.process is not None:
            return self.process
        if self.drop:
            return self.drop == "after"
        return self.status is None and self.body is None and self.raw is None

    def fits(self, request):
        wanted = dict(self.match)
        if request.nth < wanted.pop("min_on_connection", 1):
            return False
        return all(getattr(request, key) == value for key, value in wanted.items())


class Request:
    """One request as it came. Matching and hooks look at these attributes."""

    def __init__(self, method, target, headers, body, conn_id, nth):
        self.method, self.headers, self.body = method, headers, body
        self.path, _, self.query = target.partition("?")
        self.conn_id, self.nth = conn_id, nth  # nth on its connection, from 1
        self.form = self._read_form()
        self.grant_type = self.form.get("grant_type")
        self.refresh_token = self.form.get("refresh_token")
        self.client_id, self.client_secret, self.client_auth = self._read_client()
        self.grant = self.account = None  # filled in where the token is known

    def _read_form(self):
        try:
            if self.headers.get("content-type", "").startswith("application/json"):
                form = json.loads(self.body or b"{}")
                return form if isinstance(form, dict) else {}
            text = self.body.decode()
            return dict(urllib.parse.parse_qsl(text, keep_blank_values=True,
                                               strict_parsing=bool(text)))
        except ValueError:
            return {}

    def _read_client(self):
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                name, _, password = base64.b64decode(value).decode().partition(":")
            except ValueError:
                return None, None, "basic"
            return urllib.parse.unquote_plus(name), urllib.parse.unquote_plus(password), "basic"
        how = "post" if "client_secret" in self.form else "none"
        return self.form.get("client_id"), self.form.get("client_secret"), how


class Connection:
    """One client's connection: reads whole requests, writes whole replies."""

    def __init__(self, sock, conn_id):
        self.sock, self.conn_id, self.nth = sock, conn_id, 0
        self.buffer = b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _fill(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def read_request(self):
        """The next request, or None where the peer is gone or talks nonsense."""
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > MAX_HEAD or not self._fill():
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        length = headers.get("content-length", "0")
        if len(parts) != 3 or not length.isdigit() or int(length) > MAX_BODY:
            return None
        if headers.get("expect", "").lower() == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(self.buffer) < int(length):
            if not self._fill():
                return None
        body, self.buffer = self.buffer[:int(length)], self.buffer[int(length):]
        self.nth += 1
        return Request(parts[0], parts[1], headers, body, self.conn_id, self.nth)

    def peer_is_gone(self):
        if self.sock.fileno() < 0:  # ended from here
            return True
        readable, _, _ = select.select([self.sock], [], [], 0)
        return bool(readable) and self.sock.recv(1, socket.MSG_PEEK) == b""

    def end(self, reset=False):
        try:
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


def encode(reply, status, headers, body):
    """The bytes of a reply, with the damage that was asked for."""
    body = body.ljust(reply.pad) if reply.pad else body
    head = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    head.update(headers)
    head.update(reply.headers)
    if reply.close == "header":
        head["Connection"] = "close"
    if reply.chunked:
        head["Transfer-Encoding"] = "chunked"
        step = reply.chunked
        chunks = [body[i:i + step] for i in range(0, len(body), step)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    else:
        head.setdefault("Content-Length", str(len(body)))
    if reply.truncate:
        body = body[:max(0, len(body) - reply.truncate)]
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in head.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
