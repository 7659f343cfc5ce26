"""A partner's life: a thread that accepts, one for each connection, and all of them ended by `stop`."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Self

from cli.downstream.partner.accounts import Accounts
from cli.downstream.partner.authentication import Authentication
from cli.downstream.partner.faults import Fault, Faults
from cli.downstream.partner.requests import Requests
from cli.machine.system_configuration import System

HOST = "127.0.0.1"
# A partner that hangs costs a demo this much; one that works needs thousandths of it.
CONNECT_SECONDS = 1
READ_SECONDS = 2
logger = logging.getLogger(__name__)


class Partner(ThreadingHTTPServer):
    """A partner, running on a free port of this machine as soon as it is made; stopped on leaving its context."""

    request_queue_size = 128

    def __init__(self, name: str, file: Path, authentication: Authentication) -> None:
        super().__init__((HOST, 0), Requests)
        self.name = name
        self.authentication = authentication
        self.books = Accounts(file)
        self.stopping = Event()
        self._faults = Faults()
        self._lock = Lock()
        self._connections: set[socket.socket] = set()
        self._handlers: list[Thread] = []
        self._emails: dict[str, str] = {}
        self._answers: dict[str, list[str]] = {}
        self._thread = Thread(target=self.serve_forever, args=(0.02,), name=f"partner {name}", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The contract's base URL; the tokens are at /token and the control path is /faults."""
        return f"http://{HOST}:{self.server_port}"

    @property
    def system(self) -> System:
        """How the stack is told of it."""
        settings = {
            "kind": "http",
            "url": self.url,
            "connectTimeoutSeconds": CONNECT_SECONDS,
            "readTimeoutSeconds": READ_SECONDS,
            "authentication": self.authentication.settings(self.url),
        }
        return System(self.name, settings, self.authentication.credentials())

    def plan(self, customer: str, *faults: Fault) -> None:
        """Have the requests about a customer fail, in this order, and in place of what was planned before.

        `customer` is the account's e-mail address or the customerId. None planned, none fails.
        """
        self._faults.plan(customer, faults)

    def faults_left(self, customer: str) -> int:
        """How many of the requests about a customer, as planned under this name, will fail yet."""
        return self._faults.left(customer)

    def accounts(self) -> dict[str, dict[str, Any]]:
        """The accounts that there are, by customerId."""
        return self.books.documents()

    def tombstones(self) -> set[str]:
        """The customers whose account was deleted."""
        return self.books.tombstones()

    def answers(self, customer_id: str) -> list[str]:
        """What was answered to each request about a customer, in order, such as "PUT 503", "PUT hang", "DELETE 204"."""
        with self._lock:
            return self._answers.get(customer_id, []).copy()

    def stop(self) -> None:
        """End all connections and all threads, and free the port; harmless when done before."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            open_connections = self._connections.copy()
        for connection in open_connections:
            with suppress(OSError):  # closed from the other side
                connection.shutdown(socket.SHUT_RDWR)
        for thread in (self._thread, *self._handlers):
            thread.join()

    def fault(self, customer_id: str, document: Mapping[str, Any], method: str) -> Fault | None:
        """The fault that a request meets, if any."""
        with self._lock:
            email = self._emails.get(customer_id)
            if isinstance(document.get("email"), str):  # a deletion has none, and is known by the creation's
                email = self._emails[customer_id] = document["email"]
        return self._faults.take([customer_id, email] if email else [customer_id], method)

    def note(self, customer_id: str, method: str, answer: str) -> None:
        """Remember an answer."""
        with self._lock:
            self._answers.setdefault(customer_id, []).append(f"{method} {answer}")
        logger.info("%s: %s %s %s", self.name, method, customer_id, answer)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's own
        thread = Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._lock:
            self._connections.add(request)
            # One that has closed its connection may still run.
            self._handlers = [it for it in self._handlers if it.is_alive()]
            thread.start()
            self._handlers.append(thread)

    def close_request(self, request: Any) -> None:  # noqa: ANN401 - socketserver's own
        with self._lock:
            self._connections.discard(request)
        super().close_request(request)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - socketserver's own
        if not isinstance(sys.exception(), OSError):  # the other side went away
            logger.exception("%s failed", self.name)  # noqa: LOG004 - socketserver calls it from its handler

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
