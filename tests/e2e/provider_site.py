"""A provider of a test's own: what it answers at each place is a function, what it was asked is kept."""

import http.server
import json
import threading
import urllib.parse
from typing import NamedTuple

from machine import PATIENCE_S


class Asked(NamedTuple):
    """A request; `form` is its body or query, taken apart."""
    method: str
    path: str
    headers: dict
    body: str

    @property
    def form(self):
        return dict(urllib.parse.parse_qsl(self.body or urllib.parse.urlsplit(self.path).query))


class Site:
    """A server on a port of its own. Each keyword names a place (`token` is /token and all below it) and
    what answers there: a function of the request that gives (status, content) or (status, content,
    headers), or that alone."""

    def __init__(self, **places):
        self.places = places
        self._asked, self._changed = [], threading.Condition()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SiteHandler)
        self._server.daemon_threads = True
        self._server.site = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked):
        place = urllib.parse.urlsplit(asked.path).path.strip("/").partition("/")[0]
        with self._changed:
            self._asked.append((place, asked))
            self._changed.notify_all()
        answer = self.places.get(place, (404, {"error": "not_found"}))
        return answer(asked) if callable(answer) else answer

    def of(self, place):
        """The requests that went there."""
        with self._changed:
            return [asked for where, asked in self._asked if where == place]

    def count(self, place):
        return len(self.of(place))

    def wait(self, place, count=1, timeout=PATIENCE_S):
        """True once so many requests have gone there."""
        def are_there():
            return sum(where == place for where, _ in self._asked) >= count
        with self._changed:
            return self._changed.wait_for(are_there, timeout)


class SiteHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        asked = Asked(self.command, self.path, dict(self.headers), body)
        status, content, *more = self.server.site.answer(asked)
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        for name, value in (more[0] if more else {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_POST = do_DELETE = do_HEAD = answer

    def log_message(self, *_):
        pass
