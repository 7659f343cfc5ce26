"""A downstream system on this machine: it answers what the test tells it to, and keeps what it was asked."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from cli.machine.polling import back_off

PATIENCE_SECONDS = 240  # far more than it takes


@dataclass(frozen=True)
class Answer:
    """An answer; of the body, text goes as it is, all else as JSON."""

    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = ""


HANGS = Answer(0)  # no answer for as long as the test runs
RESETS = Answer(-1)  # the connection is reset


@dataclass(frozen=True)
class Request:
    """A request as it came in; headers are found in any case."""

    method: str
    path: str
    headers: Any
    body: str


class Partner:
    """Gives the answers in turn, the last one again and again. `requests` are all that came in."""

    def __init__(self, url: str, end: Event) -> None:
        self.url = url
        self.end = end
        self.answers = [Answer()]
        self.requests: list[Request] = []

    def next_answer(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def await_paths(self) -> list[str]:
        """The same as `paths`, once there are any: a client may give up before its request is taken."""
        assert any(self.requests for _ in back_off(PATIENCE_SECONDS))
        return self.paths

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def header(self, name: str) -> list[str | None]:
        """The values that the requests had for a header."""
        return [request.headers[name] for request in self.requests]


@contextmanager
def partner() -> Iterator[Partner]:
    """A partner, as long as the context lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    told = Partner(f"http://127.0.0.1:{server.server_port}", Event())
    server.partner = told  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield told
    finally:
        told.end.set()
        server.shutdown()
        thread.join()
        server.server_close()


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        partner: Partner = self.server.partner  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        partner.requests.append(Request(self.command, self.path, self.headers, body))
        answer = partner.next_answer()
        self.close_connection = True
        if answer is HANGS:
            partner.end.wait()
        elif answer is RESETS:
            # To close without lingering is to reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RD)
        else:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        body = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_DELETE = do_POST = do_GET = _answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: object) -> None:
        """Log nothing."""
