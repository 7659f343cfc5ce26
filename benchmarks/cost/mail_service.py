"""SES's SendEmail as far as a function calls it, refusing as told: the emulator's own never fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from local.environment import HOST


class MailService:
    """Accepts each e-mail, or refuses it first as planned for its recipient."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.accepted: list[str] = []
        self._plans: dict[str, list[tuple[int, str]]] = {}

    def plan(self, recipient: str, refusals: Sequence[tuple[int, str]]) -> None:
        """Refuse e-mails to this address so, one after another: an HTTP status and an error of SES."""
        self._plans[recipient] = list(refusals)

    def answer(self, recipient: str) -> tuple[int, dict[str, str], dict[str, str]]:
        """The status, the headers and the document for an e-mail."""
        if plan := self._plans.get(recipient):
            status, error = plan.pop(0)
            return status, {"x-amzn-ErrorType": error}, {"message": "planned"}
        self.accepted.append(recipient)
        return 200, {}, {"MessageId": str(uuid4())}


@contextmanager
def start() -> Iterator[MailService]:
    """Run a mail service on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, document = service.answer(request["Destination"]["ToAddresses"][0])
            body = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {
                **headers,
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the base class's signature
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        service = MailService(f"http://{HOST}:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield service
        finally:
            server.shutdown()
