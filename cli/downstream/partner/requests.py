"""A partner's requests: the contract, the tokens, and the control path that makes it fail."""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Callable, Mapping
from http import HTTPMethod, HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from pydantic import ValidationError

from cli.downstream.partner.authentication import ClientCredentials
from cli.downstream.partner.faults import Fault, FaultKind, Plan
from cli.downstream.partner.state import State

ACCOUNT = re.compile(r"/accounts/([0-9A-Za-z_-]{1,80})")
MAX_BODY_BYTES = 64 * 1024
# What every account has; a partner may want more, and ignores what it doesn't know.
REQUIRED = ("accountId", "firstName", "lastName", "email")
DETAILS = {
    HTTPStatus.BAD_REQUEST: "An Idempotency-Key and an account as JSON are needed",
    HTTPStatus.UNAUTHORIZED: "The credentials are not valid, or no longer",
    HTTPStatus.NOT_FOUND: "There is no such resource",
    HTTPStatus.METHOD_NOT_ALLOWED: "The resource has no such method",
    HTTPStatus.CONFLICT: "The account was created by a request with another Idempotency-Key",
    HTTPStatus.GONE: "The account was deleted, and can't be created again",
    HTTPStatus.LENGTH_REQUIRED: "The body's length is needed beforehand",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The account is refused",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests",
    HTTPStatus.SERVICE_UNAVAILABLE: "Out of service for a while",
}
FAILING_STATUS = {
    FaultKind.REFUSE: HTTPStatus.UNPROCESSABLE_ENTITY,
    FaultKind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    FaultKind.THROTTLE: HTTPStatus.TOO_MANY_REQUESTS,
}
AFTER_THE_WORK = {FaultKind.RESET_AFTER, FaultKind.HANG_AFTER}


class Requests(BaseHTTPRequestHandler):
    """The requests of one connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Partner", ""
    disable_nagle_algorithm = True

    def __init__(self, state: State, *arguments: Any) -> None:  # noqa: ANN401 - socketserver's own
        self.state = state
        super().__init__(*arguments)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """The base class calls do_{method}, and answers 501 where there is none."""
        if name.startswith("do_"):
            return self._route
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: it would log the path as typed."""

    def _route(self) -> None:
        body = self._body()
        if body is None:
            return
        account = ACCOUNT.fullmatch(self.path)
        routes: Mapping[str, Callable[[], None]]
        if account:
            customer_id = account[1]
            routes = {
                HTTPMethod.PUT: lambda: self._account(customer_id, body),
                HTTPMethod.DELETE: lambda: self._account(customer_id, body),
            }
        elif self.path == "/token" and isinstance(self.state.authentication, ClientCredentials):
            oauth = self.state.authentication
            routes = {HTTPMethod.POST: lambda: self._token(oauth, body)}
        elif self.path == "/faults":
            routes = {HTTPMethod.PUT: lambda: self._plan(body)}
        else:
            self._problem(HTTPStatus.NOT_FOUND)
            return
        if self.command in routes:
            routes[self.command]()
        else:
            self._problem(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": ", ".join(routes)})

    def _body(self) -> bytes | None:
        """The body; None where it could not be taken, which is answered then."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            status = HTTPStatus.LENGTH_REQUIRED
        elif int(length) > MAX_BODY_BYTES:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        else:
            return self.rfile.read(int(length))
        self.close_connection = True
        self._problem(status)
        return None

    def _account(self, customer_id: str, body: bytes) -> None:
        if not self.state.authentication.admits(self.headers):
            challenge = {"WWW-Authenticate": self.state.authentication.challenge}
            self._answer(customer_id, HTTPStatus.UNAUTHORIZED, challenge)
            return
        document = _document(body)
        fault = self.state.fault(customer_id, document, self.command)
        if fault and fault.kind not in AFTER_THE_WORK:
            self._fail(customer_id, fault)
            return
        status = self._work(customer_id, document)
        if fault:
            self._fail(customer_id, fault)
        else:
            self._answer(customer_id, status)

    def _work(self, customer_id: str, document: Mapping[str, Any]) -> HTTPStatus:
        key = self.headers.get("Idempotency-Key")
        if not key:
            return HTTPStatus.BAD_REQUEST
        if self.command == HTTPMethod.DELETE:
            return self.state.accounts.delete(customer_id)
        if not all(isinstance(document.get(field), str) for field in REQUIRED):
            return HTTPStatus.BAD_REQUEST
        return self.state.accounts.put(customer_id, key, dict(document))

    def _fail(self, customer_id: str, fault: Fault) -> None:
        if fault.kind in FAILING_STATUS:
            seconds = fault.retry_after_seconds
            if seconds is None and fault.kind == FaultKind.THROTTLE:
                seconds = 1
            headers = {} if seconds is None else {"Retry-After": str(seconds)}
            self._answer(customer_id, FAILING_STATUS[fault.kind], headers)
            return
        self.state.note(customer_id, self.command, fault.kind)
        self.close_connection = True
        if fault.kind in {FaultKind.RESET, FaultKind.RESET_AFTER}:
            # With no time to linger the system resets the connection as it is closed, which it is once both are.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()
        else:
            self.state.stopping.wait()

    def _answer(self, customer_id: str, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        self.state.note(customer_id, self.command, str(status.value))
        if status in DETAILS:
            self._problem(status, headers)
        else:
            self._send(status, b"", headers)

    def _token(self, oauth: ClientCredentials, body: bytes) -> None:
        status, granted = oauth.grant(self.headers, body.decode(errors="replace"))
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        if status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Basic"
        self._send(status, json.dumps(granted).encode(), headers)

    def _plan(self, body: bytes) -> None:
        try:
            plan = Plan.model_validate_json(body)
        except ValidationError as error:
            wrong = json.dumps(error.errors(include_input=False, include_url=False, include_context=False))
            self._problem(HTTPStatus.BAD_REQUEST, detail=wrong)
            return
        self.state.faults.plan(plan.customer, plan.faults)
        self._send(HTTPStatus.NO_CONTENT, b"", None)

    def _problem(self, status: HTTPStatus, headers: Mapping[str, str] | None = None, detail: str = "") -> None:
        """Answer RFC 9457's problem document."""
        problem = {"title": status.phrase, "status": status.value, "detail": detail or DETAILS[status]}
        content = {"Content-Type": "application/problem+json"}
        self._send(status, json.dumps(problem).encode(), content | dict(headers or {}))

    def _send(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str] | None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != HTTPMethod.HEAD:
            self.wfile.write(body)


def _document(body: bytes) -> Mapping[str, Any]:
    """The JSON object in the body, empty where there is none."""
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
