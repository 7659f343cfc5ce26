"""AWS in process, with time as a variable: nothing happens until a history asks for it, and a call may meet a fault."""

from __future__ import annotations

import io
import json
import logging
import pickle
import re
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import time_machine
from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from hypothesis import note
from moto.dynamodb import models
from moto.dynamodb.exceptions import DynamodbException
from moto.dynamodb.responses import DynamoHandler
from werkzeug.exceptions import Gone

from cli.downstream.partner.accounts import Accounts
from cli.operate import execution
from onboarding.adapters import fraud
from onboarding.domain.errors import DownstreamRefused, DownstreamUnavailable
from onboarding.domain.events import EVENTS
from onboarding.domain.tasks import Account
from onboarding.runtime.aws import FAILURES
from tests import invocations
from tests.in_process import aws, functions, template
from tests.wiring.definition import ERASURE, ONBOARDING, State
from tests.wiring.execution import Execution, Executions, Failed, Refused

Given = dict[str, Any]
RANDOM = ("os.urandom", "random._urandom")

REFUSED = "Rex"  # by the crm
CRASHES, UNREACHED, _ = FAULTS = ("crashes after", "can't reach", "gets no answer to")
OVERTAKEN = "is overtaken before"


class Crashed(BaseException):
    """The process ends; no handler of errors sees it."""


class Fault(NamedTuple):
    """What befalls the call with the number `at`; a `lasting` one befalls each retry of the task too."""

    what: str
    at: int
    lasting: bool


@dataclass
class Mail:
    """An e-mail, with a `code` or to welcome; if it `is_unknown`, the stack had no answer from SES."""

    customer_id: str
    tags: Given
    sent: datetime
    code: str
    is_unknown: bool = False


@dataclass
class World:
    """The stack and its downstream systems; by customerId the first names and executions."""

    systems: dict[str, Accounts] = field(default_factory=lambda: {name: Accounts() for name in aws.SYSTEMS})
    queues: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    people: dict[str, str] = field(default_factory=dict)
    onboardings: Executions = field(default_factory=lambda: Executions(ONBOARDING))
    erasures: Executions = field(default_factory=lambda: Executions(ERASURE))
    calls: list[tuple[str, Given]] = field(default_factory=list)
    archive: list[Given] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    _dynamodb: DynamoHandler = field(default_factory=DynamoHandler)
    # Of what is at work: the fault, until it is met; what overtakes it; the calls so far; the e-mail that was sent.
    _fault: Fault | None = None
    _meanwhile: Callable[[], object] = bool
    _calls: int = 0
    _mail: Mail | None = None

    @contextmanager
    def running(self) -> Iterator[time_machine.Traveller]:
        """All clients and clocks are those of this world inside the block; yields the clock."""
        systems, numbers = SimpleNamespace(connect=self._connect), count(1)
        users = [functions.modules()[name] for name in ("provision_account", "deprovision_account")]

        def call(caller: Any, operation: str, given: Given) -> Any:
            return self._meet(operation, lambda: self._answer(caller, operation, given))

        with ExitStack() as stack:
            clock = stack.enter_context(time_machine.travel(datetime(2026, 11, 23, 8, tzinfo=UTC), tick=False))
            entered: tuple[Any, ...] = (
                patch("time.sleep", clock.shift),
                *(patch(it, lambda length: next(numbers).to_bytes(length, "big")) for it in RANDOM),
                patch.dict("os.environ", functions.RUNTIME_ENVIRONMENT),
                patch.object(BaseClient, "_make_api_call", call),
                patch.object(fraud, "datetime", datetime),
                patch.object(models, "copy", SimpleNamespace(deepcopy=lambda it: pickle.loads(pickle.dumps(it)))),  # noqa: S301
                patch.object(execution, "call", self._operate),
                patch.object(functions.modules()["register_customer"].outcomes, "_not_before", 0.0),
                *(patch.object(user, "systems", systems) for user in users),
                redirect_stdout(io.StringIO()),
                warnings.catch_warnings(action="ignore"),  # Powertools': a crash leaves no metrics
            )
            for it in entered:
                stack.enter_context(it)
            logging.disable()  # a third of the time
            stack.callback(logging.disable, logging.NOTSET)
            self._dynamodb.region, self._dynamodb.current_account = template.REGION, "histories"
            tables = self._dynamodb.dynamodb_backend.tables
            if not tables:
                aws.create_tables()
            for table in tables.values():
                table.items.clear()
            yield clock

    def items(self, logical_id: str) -> list[Given]:
        """The items of a table: of each attribute its text, number or map."""
        table = self._dynamodb.dynamodb_backend.get_table(template.name_of(logical_id))
        return [{name: it.value for name, it in item.attrs.items()} for item in table.all_items()]

    def say(self, words: str) -> None:
        """Note what happens, with customers' names for their ids."""
        for number, (customer_id, name) in enumerate(self.people.items(), start=1):
            words = words.replace(customer_id, f"customer {number} ({name})")
        note(words)

    def plan(self, fault: Fault | None, meanwhile: Callable[[], object] = bool) -> None:
        """What is at work next, a second later, may meet the fault, or be overtaken."""
        time.sleep(1)
        self._fault, self._meanwhile, self._calls, self._mail = fault, meanwhile, 0, None

    def deliver(self, queue: str, which: slice, fault: Fault | None = None, *, again: bool = False) -> None:
        """Deliver messages of a queue; they stay there if that fails, or if they are to come again."""
        bodies, self.queues[queue][which] = self.queues[queue][which], []
        package = "start_onboarding" if queue == "RegistrationQueue" else xform_name(queue.removesuffix("Queue"))
        for body in bodies:
            self.say(f"    {package} gets {json.loads(body).get('detail-type', 'the registration')}")
        self.plan(fault)
        done = False
        with suppress(Crashed):
            done = not functions.invoke(package, invocations.a_batch(*bodies))["batchItemFailures"]
        assert done or fault, f"{package} failed"
        if again or not done:
            self.queues[queue] += bodies

    def step(self, it: Execution, fault: Fault | None = None, meanwhile: Callable[[], object] = bool) -> str:
        """Let an execution do its next task, or wait no longer; return its error."""
        self.plan(fault, meanwhile)
        name = it.name
        if error := it.step(self._perform, lasting=bool(fault and fault.lasting)):
            self.say(f"    {name} fails with {error}")
        return error

    def route(self, event: Given) -> None:
        """Send an event to the queues of the rules that match it."""
        for queue in aws.queues_of(event):
            self.queues[queue].append(json.dumps(event))

    # Step Functions

    def _perform(self, task: State, arguments: Any) -> Any:
        service, operation = task["Resource"].split(":")[-2:]
        try:
            if service == "lambda":
                package = functions.deployed()[arguments["FunctionName"]].package
                self.calls.append((package, arguments["Payload"]))
                return {"Payload": functions.invoke(*self.calls[-1])}
            return getattr(aws.client(service), xform_name(operation))(**arguments)
        except Crashed:
            raise Failed("Lambda.Unknown" if service == "lambda" else "States.Timeout") from None
        except Exception as error:
            raise Failed("DynamoDB." * (service == "dynamodb") + type(error).__name__) from error

    def _announce(self, it: Execution) -> None:
        """Say how an execution has changed; Step Functions puts that on the default bus."""
        what = "erasure" if it.machine == ERASURE else "onboarding"
        self.say(f"    the {what} of {it.customer_id}: {it.error or it.output.get('status') or it.status}")
        event = {"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "time": it.changed}
        self.route(json.loads(json.dumps(event | {"detail": it.description()}, default=str)))

    def _operate(self, _: Any, state: str, payload: Given) -> Any:
        """An operator invokes a task's function."""
        try:
            return functions.invoke(xform_name(state), payload)
        except Exception as error:  # noqa: BLE001 - all that a function raises
            raise execution.TaskFailed(state, type(error).__name__, str(error)) from None

    # Calls of AWS and of the downstream systems

    def _connect(self, system: str, **_: Any) -> Any:
        """A downstream system, as the functions see it; the crm refuses one customer."""
        accounts = self.systems[system]

        def ask(work: Callable[[], Any]) -> None:
            try:
                self._meet(f"the {system}", work)
            except Gone:
                raise DownstreamRefused(system, "410") from None
            except FAILURES as error:
                raise DownstreamUnavailable(str(error)) from None

        def provision(customer_id: str, account: Account) -> None:
            if system == "crm" and account.first_name == REFUSED:
                raise DownstreamRefused(system, "422")
            ask(lambda: accounts.put(customer_id, customer_id, account.model_dump()))

        return SimpleNamespace(provision=provision, deprovision=lambda it: ask(lambda: accounts.delete(it)))

    def _meet(self, name: str, make: Callable[[], Any]) -> Any:
        """Make a call, or have it meet the fault."""
        fault, self._calls = self._fault, self._calls + 1
        if not fault or fault.at != self._calls - 1:
            return make()
        self._fault = None
        self.say(f"    it {fault.what} {name}")
        if fault.what == OVERTAKEN:
            self._meanwhile()
            return make()
        if fault.what != UNREACHED:
            make()
        if self._mail:
            self._mail.is_unknown = True
        if fault.what == CRASHES:
            raise Crashed
        raise (EndpointConnectionError if fault.what == UNREACHED else ReadTimeoutError)(endpoint_url=name)

    def _answer(self, caller: Any, operation: str, given: Given) -> Given:
        try:
            if arn := given.get("executionArn") or given.get("stateMachineArn"):
                is_erasure = template.name_of(ERASURE) in arn
                return (self.erasures if is_erasure else self.onboardings).answer(operation, given, self._announce)
            if token := given.get("taskToken"):
                return self.onboardings.complete(token, given.get("error", ""))
        except Refused as refused:
            raise _error(caller, str(refused)) from None
        match operation:
            case "SendMessage":
                message = json.loads(given["MessageBody"])
                self.people[message["customerId"]] = message["data"]["firstName"]
                note(f"    customer {len(self.people)} is {message['customerId']}")
                self.queues[given["QueueUrl"].rpartition("/")[2]].append(given["MessageBody"])
                return {"MessageId": "message"}
            case "PutEvents":
                for entry in given["Entries"]:
                    detail = json.loads(entry["Detail"]) if isinstance(entry["Detail"], str) else entry["Detail"]
                    event = EVENTS[entry["DetailType"]].model_validate(detail)
                    self.archive.append(invocations.an_envelope(event) | {"detail": detail})
                    self.route(self.archive[-1])
                return {"FailedEntryCount": 0}
            case "SendEmail":
                tags = {tag["Name"]: tag["Value"] for tag in given["EmailTags"]}
                code = re.search(r"&code=(\w+)", given["Content"]["Simple"]["Body"]["Text"]["Data"])
                self._mail = Mail(tags["customerId"], tags, datetime.now(UTC), code[1] if code else "")
                self.mails.append(self._mail)
                return {"MessageId": f"mail-{len(self.mails)}"}
        self._dynamodb.body = given  # without HTTP between: ten times as fast
        try:
            return dict(getattr(self._dynamodb, xform_name(operation))().result)
        except DynamodbException as error:
            raise _error(caller, error.error_type.rpartition("#")[2], **json.loads(error.description)) from None


def _error(caller: Any, code: str, **answer: Any) -> Any:
    return caller.exceptions.from_code(code)({"Error": {"Code": code, "Message": code}} | answer, "")
