"""A partner: the contract's operations, and a way to make them fail."""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPMethod, HTTPStatus
from typing import Any

from pydantic import ValidationError
from werkzeug import Request, Response
from werkzeug import exceptions as http
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.routing import Map, Rule

from cli.downstream.partner.accounts import Accounts
from cli.downstream.partner.authentication import ApiKeys, ClientCredentials
from cli.downstream.partner.faults import Fault, FaultKind, Faults, Plan
from cli.downstream.server import Server
from cli.machine.system_configuration import SystemConfiguration

# A hanging partner costs the demo this much.
CONNECT_SECONDS = 1
READ_SECONDS = 2
# The fields of every account; unknown ones are ignored.
REQUIRED = ("accountId", "firstName", "lastName", "email")
logger = logging.getLogger(__name__)


class Partner(Server):
    """A partner on a free local port, which runs until stopped. `url` is the contract's base URL.

    It also has /token and, to inspect and control it, /accounts and /faults.
    """

    def __init__(self, name: str, authentication: ApiKeys | ClientCredentials) -> None:
        self.name = name
        self.authentication = authentication
        self._accounts, self._faults = Accounts(), Faults()
        self._answers: dict[str, list[str]] = {}
        self.accounts, self.tombstones = self._accounts.documents, self._accounts.tombstones
        self.plan = self._faults.plan
        routes = [
            Rule("/accounts/<string(maxlength=80):customer_id>", methods=["PUT", "DELETE"], endpoint=self._account),
            Rule("/accounts", methods=["GET"], endpoint=lambda _: Response(json.dumps(self.accounts()))),
            Rule("/faults", methods=["PUT"], endpoint=self._plan_faults),
        ]
        if isinstance(authentication, ClientCredentials):
            routes.append(Rule("/token", methods=["POST"], endpoint=authentication.grant))
        self._routes = Map(routes)
        super().__init__(Request.application(self._answer))

    @property
    def configuration(self) -> SystemConfiguration:
        """How to configure it in the stack."""
        oauth = isinstance(self.authentication, ClientCredentials)
        settings = {
            "kind": "http",
            "url": self.url,
            "connectTimeoutSeconds": CONNECT_SECONDS,
            "readTimeoutSeconds": READ_SECONDS,
            "authentication": {"type": "oauth2", "tokenUrl": f"{self.url}/token"} if oauth else {"type": "apiKey"},
        }
        return SystemConfiguration(self.name, settings, self.authentication.credentials())

    def answers(self, customer_id: str) -> list[str]:
        """The answers to requests about a customer, in order, such as "PUT 503", "PUT hang", "DELETE 204"."""
        return self._answers.get(customer_id, []).copy()

    def _answer(self, request: Request) -> Response:
        about: Mapping[str, str] = {}
        try:
            endpoint, about = self._routes.bind_to_environ(request.environ).match()
            response: Response = endpoint(request, **about)
        except http.HTTPException as error:
            response = _problem(error, request)
        if customer_id := about.get("customer_id"):
            self._note(request, customer_id, str(response.status_code))
        return response

    def _plan_faults(self, request: Request) -> Response:
        try:
            plan = Plan.model_validate_json(request.get_data())  # curl calls it a form
        except ValidationError as error:
            raise http.BadRequest(str(error.errors(include_input=False, include_url=False))) from None
        self.plan(plan.customer, *plan.faults)
        return Response(status=HTTPStatus.NO_CONTENT)

    def _account(self, request: Request, customer_id: str) -> Response:
        if not self.authentication.admits(request):
            challenge = WWWAuthenticate(self.authentication.challenge)
            raise http.Unauthorized("The credentials are not valid", www_authenticate=challenge)
        document = request.get_json(force=True, silent=True)
        account = document if isinstance(document, dict) else {}
        fault = self._faults.take(request.method, customer_id, account)
        if not fault:
            return Response(status=self._work(request, customer_id, account))
        if fault.kind in {FaultKind.HANG_AFTER, FaultKind.RESET_AFTER}:
            with suppress(http.HTTPException):  # its answer is lost, too
                self._work(request, customer_id, account)
        raise self._failure(request, customer_id, fault)

    def _work(self, request: Request, customer_id: str, account: dict[str, Any]) -> HTTPStatus:
        key = request.headers.get("Idempotency-Key")
        if not key:
            raise http.BadRequest("Idempotency-Key is missing")
        if request.method == HTTPMethod.DELETE:
            return self._accounts.delete(customer_id)
        if not all(isinstance(account.get(field), str) for field in REQUIRED):
            raise http.BadRequest("The body must be an account in JSON")
        return self._accounts.put(customer_id, key, account)

    def _failure(self, request: Request, customer_id: str, fault: Fault) -> Exception:
        match fault.kind:
            case FaultKind.REFUSE:
                return http.UnprocessableEntity("The account is refused")
            case FaultKind.UNAVAILABLE:
                return http.ServiceUnavailable(retry_after=fault.retry_after_seconds)
            case FaultKind.THROTTLE:
                return http.TooManyRequests(retry_after=fault.retry_after_seconds or 1)
        self._note(request, customer_id, fault.kind)
        if fault.kind in {FaultKind.HANG, FaultKind.HANG_AFTER}:
            self.hang()
        return ConnectionResetError()

    def _note(self, request: Request, customer_id: str, answer: str) -> None:
        self._answers.setdefault(customer_id, []).append(f"{request.method} {answer}")
        logger.info("%s: %s %s %s", self.name, request.method, customer_id, answer)


def _problem(error: http.HTTPException, request: Request) -> Response:
    """A problem document (RFC 9457)."""
    problem = {"title": error.name, "status": error.code, "detail": error.description}
    headers = dict(error.get_headers(request.environ)) | {"Content-Type": "application/problem+json"}
    return Response(json.dumps(problem), error.code, headers)
