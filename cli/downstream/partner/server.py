"""A partner's life: a thread that accepts, one for each connection, and all of them ended by `stop`."""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import suppress
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Self

from cli.downstream.partner.authentication import Authentication
from cli.downstream.partner.faults import Fault
from cli.downstream.partner.requests import Requests
from cli.downstream.partner.state import State
from cli.machine.system_configuration import SystemConfiguration

HOST = "127.0.0.1"
# A partner that hangs costs a demo this much; one that works needs thousandths of it.
CONNECT_SECONDS = 1
READ_SECONDS = 2
logger = logging.getLogger(__name__)


class Partner(ThreadingHTTPServer):
    """A partner, running on a free port of this machine as soon as it is made; stopped on leaving its context."""

    request_queue_size = 128

    def __init__(self, name: str, file: Path, authentication: Authentication) -> None:
        self.state = State(name, file, authentication)
        super().__init__((HOST, 0), partial(Requests, self.state))
        self.name = name
        self.authentication = authentication
        self.answers = self.state.answers
        self._lock = Lock()
        self._connections: set[socket.socket] = set()
        self._handlers: list[Thread] = []
        self._thread = Thread(target=self.serve_forever, args=(0.02,), name=f"partner {name}", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The contract's base URL; the tokens are at /token and the control path is /faults."""
        return f"http://{HOST}:{self.server_port}"

    @property
    def configuration(self) -> SystemConfiguration:
        """How the stack reaches it."""
        settings = {
            "kind": "http",
            "url": self.url,
            "connectTimeoutSeconds": CONNECT_SECONDS,
            "readTimeoutSeconds": READ_SECONDS,
            "authentication": self.authentication.settings(self.url),
        }
        return SystemConfiguration(self.name, settings, self.authentication.credentials())

    def plan(self, customer: str, *faults: Fault) -> None:
        """Have the requests about a customer fail, in this order, and in place of what was planned before.

        `customer` is the account's e-mail address or the customerId. None planned, none fails.
        """
        self.state.faults.plan(customer, faults)

    def accounts(self) -> dict[str, dict[str, Any]]:
        """The accounts that there are, by customerId."""
        return self.state.accounts.documents()

    def tombstones(self) -> set[str]:
        """The customers whose account was deleted."""
        return self.state.accounts.tombstones()

    def stop(self) -> None:
        """End all connections and all threads, and free the port; harmless when done before."""
        self.state.stopping.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            open_connections = self._connections.copy()
        for connection in open_connections:
            with suppress(OSError):  # closed from the other side
                connection.shutdown(socket.SHUT_RDWR)
        for thread in (self._thread, *self._handlers):
            thread.join()

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
