"""AWS in process, with time as a variable: functions, executions, queues, bus and downstream systems.

Everything waits until a history asks one part of it to go on. Then one call may meet a fault.
"""

import io
import json
import logging
import re
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from moto.dynamodb.exceptions import DynamodbException
from moto.dynamodb.responses import DynamoHandler
from moto.events.models import EventPattern
from werkzeug.exceptions import Gone

from benchmarks.outages import attempts_of, matches, retrier_for, waits_of
from cli.downstream.partner.accounts import Accounts
from cli.operate import execution
from onboarding.domain.errors import DownstreamRefused, DownstreamUnavailable
from onboarding.domain.events import EVENTS
from onboarding.domain.tasks import Account
from onboarding.runtime.aws import FAILURES
from tests import invocations
from tests.in_process import aws, functions, template
from tests.wiring.definition import ERASURE, INVOKE, ONBOARDING, PUT_EVENTS, Machine, State, rendered
from tests.wiring.expressions import evaluate
from tests.wiring.walk import leave

Given = dict[str, Any]

REDRIVABLE = timedelta(days=14)
STOPPED = {"FAILED", "TIMED_OUT", "ABORTED"}
REFUSED = {"Rex"}  # by the crm
CRASH, NO_CONNECTION, NO_ANSWER, TWICE, MEANWHILE, LATE = FAULTS = (
    "crashes after",
    "has no connection for",
    "gets no answer to",
    "makes twice",
    "waits for another step before",
    "is given up, and does its work later",
)
_machine = cache(rendered)


class Crashed(BaseException):
    """The process ends; no handler of errors sees it."""


class Failed(Exception):
    """A task failed."""

    def __init__(self, error: str, message: str = "") -> None:
        super().__init__(error, message)
        self.error = error
        self.cause = json.dumps({"errorType": error, "errorMessage": message})


class Refused(Exception):
    """AWS refuses the call, with an error's code and what else its answer has."""

    def __init__(self, code: str, answer: Given | None = None) -> None:
        super().__init__(code)
        self.code, self.answer = code, answer or {}


@dataclass(frozen=True)
class Fault:
    """What befalls the call with number `at`; `lasting`: at each try of the task; `number` is of the step meanwhile."""

    what: str
    at: int
    lasting: bool
    number: int = 0


@dataclass
class Execution:
    """An execution and the state at which it stands, in Step Functions' words; `left` are a Map's items to be done."""

    customer_id: str
    machine: Machine
    given: str
    name: str = ""
    input: Any = None
    variables: Given = field(default_factory=dict)
    entered: str = ""
    left: list[Any] = field(default_factory=list)
    status: str = "RUNNING"
    error: str = ""
    output: Any = None
    stopped: datetime | None = None

    @property
    def state(self) -> State:
        return dict(self.machine["States"][self.name])

    def states(self, given: Any) -> Given:
        """`$states` in it."""
        return {"input": given, "context": {"State": {"Name": self.name, "EnteredTime": self.entered}}}


@dataclass
class World:
    """All of it. `history` is what happened, in English; `windows` counts e-mails that may be sent and not recorded."""

    now: datetime = datetime(2026, 11, 23, 8, tzinfo=UTC)
    systems: dict[str, Accounts] = field(default_factory=lambda: {name: Accounts() for name in aws.SYSTEMS})
    queues: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    people: dict[str, str] = field(default_factory=dict)
    onboardings: dict[str, Execution] = field(default_factory=dict)
    erasures: dict[str, Execution] = field(default_factory=dict)
    archive: list[Given] = field(default_factory=list)
    late: list[tuple[str, Given]] = field(default_factory=list)
    mails: list[tuple[str, datetime, Given]] = field(default_factory=list)
    windows: Counter[str] = field(default_factory=Counter)
    history: list[str] = field(default_factory=list)
    meanwhile: Callable[[int], None] = lambda _: None
    _dynamodb: DynamoHandler = field(default_factory=DynamoHandler)
    _fault: Fault | None = None  # until it is met
    _calls: list[str] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """All clients and clocks of the functions are those of this world inside the block."""
        world, numbers = self, count(1)

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return world.now.astimezone(tz or UTC)

        def sleep(seconds: float) -> None:
            if seconds == execution.PAUSE_SECONDS:
                raise Crashed  # no operator waits

        with ExitStack() as stack:
            for name in [name for name in sys.modules if name.startswith("onboarding.")]:
                if hasattr(sys.modules[name], "datetime"):
                    stack.enter_context(patch.object(sys.modules[name], "datetime", Clock))
            stack.enter_context(patch("datetime.datetime", Clock))  # Powertools looks there
            stack.enter_context(patch("time.sleep", sleep))
            stack.enter_context(patch("os.urandom", lambda length: next(numbers).to_bytes(length, "big")))
            stack.enter_context(patch.dict("os.environ", functions.RUNTIME_ENVIRONMENT))
            stack.enter_context(patch.object(BaseClient, "_make_api_call", lambda *call: world._aws(*call)))  # noqa: PLW0108
            for user in ("provision_account", "deprovision_account"):
                systems = SimpleNamespace(connect=lambda name, **_: System(name, self))
                stack.enter_context(patch.object(functions.modules()[user], "systems", systems))
            stack.enter_context(patch.object(execution, "call", self._operate))
            stack.enter_context(redirect_stdout(io.StringIO()))
            stack.enter_context(warnings.catch_warnings(action="ignore"))  # Powertools': a crash leaves no metrics
            logging.disable(logging.CRITICAL)
            stack.callback(logging.disable, logging.NOTSET)
            self._dynamodb.region, self._dynamodb.current_account = template.REGION, template.ACCOUNT
            self._dynamodb.dynamodb_backend.reset()
            for logical_id, table in template.resources("AWS::DynamoDB::Table").items():
                keys = {key: table[key] for key in ("AttributeDefinitions", "KeySchema", "BillingMode")}
                self._table("CreateTable", {"TableName": template.name_of(logical_id), **keys})
            yield

    def items(self, logical_id: str) -> list[Given]:
        """The items of a table, their texts and numbers."""
        items = self._table("Scan", {"TableName": template.name_of(logical_id)})["Items"]
        return [{name: it.get("S") or it.get("N") for name, it in item.items()} for item in items]

    def say(self, what: str) -> None:
        self.history.append(what)

    # What may happen

    @contextmanager
    def faulty(self, fault: Fault | None) -> Iterator[None]:
        """The calls inside the block meet the fault."""
        outer = self._fault, self._calls
        self._fault, self._calls = fault, []
        try:
            yield
        finally:
            self._fault, self._calls = outer

    def invoke(self, package: str, event: Given, fault: Fault | None = None) -> Any:
        """Invoke a function; raises what it raises, and `Failed` for what Lambda says of it."""
        try:
            with self.faulty(fault):
                handler = functions.modules()[package].handler
                return json.loads(json.dumps(handler(json.loads(json.dumps(event)), invocations.Context())))
        except Crashed:
            raise Failed("Runtime.ExitError") from None

    def deliver(self, queue: str, number: int, fault: Fault | None = None, *, again: bool = False) -> None:
        """Deliver a message of a queue; it stays there if that fails, or if it is to come again."""
        body, package = self.queues[queue].pop(number), _pollers()[queue]
        self.say(f"{package} gets {_title(json.loads(body))}{', which will come again' * again}")
        done = False
        with suppress(Failed):
            done = not self.invoke(package, invocations.a_batch(body), fault)["batchItemFailures"]
        if not done or again:
            self.queues[queue].append(body)
        assert done or fault, f"{package} failed"

    def step(self, it: Execution, number: int = 0, fault: Fault | None = None) -> str:
        """Do the task at which an execution stands, of a Map for one of its items; return its error."""
        state = task = it.state
        name, given = it.name, it.input
        if state["Type"] == "Map":
            ((name, task),) = state["ItemProcessor"]["States"].items()
            given = it.left[number % len(it.left)]
        self.say(f"{it.customer_id}: {name}")
        try:
            result = self._perform(task, evaluate(task["Arguments"], it.states(given), it.variables), fault)
        except Failed as failed:
            self.say(f"    fails with {failed.error}")
            self._fail(it, task, failed, lasting=bool(fault and fault.lasting))
            return failed.error
        if state["Type"] == "Map":
            it.left.remove(given)
            result = []  # no state reads it
        if not it.left:
            self._enter(it, state["Next"], *leave(state, it.states(it.input) | {"result": result}, it.variables))
        return ""

    def end(self, it: Execution, status: str, error: str = "") -> None:
        it.status, it.error, it.stopped = status, error, self.now
        self.say(f"{it.customer_id} ends: {error or (it.output or {}).get('status', status)}")

    def do_late(self, number: int) -> None:
        """A function that Step Functions gave up does its work after all."""
        package, event = self.late.pop(number)
        self.say(f"{event['customerId']}: {package} does late what was given up")
        with suppress(Exception):
            self.invoke(package, event)

    def route(self, envelope: Given) -> None:
        """Send an event on by the patterns of the rules."""
        for pattern, queue in _rules():
            if pattern.matches_event(envelope):  # type: ignore[arg-type]
                self.queues[queue].append(json.dumps(envelope))

    # Step Functions

    def _enter(self, it: Execution, name: str, given: Any, variables: Given) -> None:
        it.name, it.input, it.variables = name, given, variables
        it.entered = f"{self.now:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        match it.state:
            case {"Type": "Map", "Items": items}:
                it.left = evaluate(items, it.states(given), variables)
                assert it.left, "no history goes without downstream systems yet"
            case {"Type": "Succeed"}:
                it.output = given
                self.end(it, "SUCCEEDED")
            case {"Type": "Fail", "Error": error}:
                self.end(it, "FAILED", error)

    def _perform(self, task: State, arguments: Given, fault: Fault | None) -> Any:
        self.now += timedelta(seconds=1)
        if task["Resource"] == INVOKE:
            package = functions.deployed()[arguments["FunctionName"]].package
            if fault and fault.what == LATE:
                self.say(f"    {LATE}")
                self.late.append((package, arguments["Payload"]))
                raise Failed("States.Timeout")
            try:
                return {"Payload": self.invoke(package, arguments["Payload"], fault)}
            except Failed:
                raise
            except Exception as error:
                raise Failed(type(error).__name__, str(error)) from error
        operation = "PutEvents" if task["Resource"] == PUT_EVENTS else "UpdateItem"
        try:
            with self.faulty(fault):
                return self._call(operation, lambda: self._answer(operation, arguments))
        except Refused as refused:
            raise Failed(f"DynamoDB.{refused.code}") from None
        except (Crashed, EndpointConnectionError, ReadTimeoutError):
            raise Failed("States.Timeout") from None

    def _fail(self, it: Execution, task: State, failed: Failed, *, lasting: bool) -> None:
        """The error is retried; or the execution's state catches it; or the execution fails."""
        retrier = retrier_for(task, failed.error)
        if retrier and attempts_of(retrier):
            self.now += timedelta(seconds=sum(waits_of(retrier)) if lasting else retrier["IntervalSeconds"])
            if not lasting:
                return
        caught = it.states(it.input) | {"errorOutput": {"Error": failed.error, "Cause": failed.cause}}
        for catcher in it.state.get("Catch", []):
            if matches(catcher["ErrorEquals"], failed.error):
                it.left = []
                self._enter(it, catcher["Next"], *leave(catcher, caught, it.variables))
                return
        self.end(it, "FAILED", failed.error)

    def _known(self, arn: str) -> tuple[str, dict[str, Execution]]:
        """The state machine in an ARN, and its executions."""
        is_erasure = template.name_of(ERASURE) in arn
        return (ERASURE, self.erasures) if is_erasure else (ONBOARDING, self.onboardings)

    def _start(self, given: Given) -> Given:
        (machine, executions), name = self._known(given["stateMachineArn"]), given["name"]
        if name not in executions:
            executions[name] = it = Execution(name, _machine(machine), given["input"])
            self._enter(it, it.machine["StartAt"], json.loads(it.given), {})
        elif (executions[name].status, executions[name].given) != ("RUNNING", given["input"]):
            raise Refused("ExecutionAlreadyExists")
        return {"executionArn": name}

    def _describe(self, given: Given) -> Given:
        _, executions = self._known(given["executionArn"])
        if (name := given["executionArn"].rpartition(":")[2]) not in executions:
            raise Refused("ExecutionDoesNotExist")
        it = executions[name]
        redrivable = it.status in STOPPED and it.stopped and self.now < it.stopped + REDRIVABLE
        about = {"executionArn": given["executionArn"], "name": name, "status": it.status, "input": it.given}
        about |= {"redriveStatus": "REDRIVABLE" if redrivable else "NOT_REDRIVABLE"}
        return about | {"error": it.error, "output": json.dumps(it.output or {})}

    def _redrive(self, given: Given) -> Given:
        about = self._describe(given)
        if about["redriveStatus"] != "REDRIVABLE":
            raise Refused("ExecutionNotRedrivable")
        it = self._known(given["executionArn"])[1][about["name"]]
        it.status, it.error = "RUNNING", ""
        it.entered = f"{self.now:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        if it.state["Type"] == "Fail":
            self._enter(it, it.name, it.input, it.variables)
        return {}

    # Calls of AWS and of the crm

    def _call(self, name: str, make: Callable[[], Any]) -> Any:
        """Make a call of something outside a function, or have it meet the fault that is planned."""
        fault = self._fault
        self._calls.append(name)
        if not fault or fault.at != len(self._calls) - 1:
            return make()
        self._fault = None
        self.say(f"    {fault.what} {name}")
        if fault.what == MEANWHILE:
            self.meanwhile(fault.number)
        answer = None if fault.what == NO_CONNECTION else make()
        if fault.what in {CRASH, NO_CONNECTION, NO_ANSWER} and "SendEmail" in self._calls[-2:] and self.mails:
            self.windows[self.mails[-1][0]] += 1
        if fault.what == NO_CONNECTION:
            raise EndpointConnectionError(endpoint_url=name)
        if fault.what == CRASH:
            raise Crashed
        if fault.what == NO_ANSWER:
            raise ReadTimeoutError(endpoint_url=name)
        # SES's client makes no second attempt; botocore repeats a transaction's token
        return make() if fault.what == TWICE and name not in {"SendEmail", "TransactWriteItems"} else answer

    def _aws(self, caller: Any, operation: str, given: Given) -> Any:
        try:
            return self._call(operation, lambda: self._answer(operation, given))
        except Refused as refused:
            answer: Any = {"Error": {"Code": refused.code, "Message": refused.code}, **refused.answer}
            raise caller.exceptions.from_code(refused.code)(answer, operation) from None

    def _answer(self, operation: str, given: Given) -> Given:  # noqa: PLR0911 - one for each operation
        match operation:
            case "SendMessage":
                self.queues[given["QueueUrl"].rpartition("/")[2]].append(given["MessageBody"])
                message = json.loads(given["MessageBody"])
                self.people[message["customerId"]] = message["data"]["firstName"]
                return {"MessageId": "message"}
            case "PutEvents":
                return self._publish(given["Entries"])
            case "SendEmail":
                tags = {tag["Name"]: tag["Value"] for tag in given["EmailTags"]}
                self.mails.append((tags["customerId"], self.now, tags))
                return {"MessageId": f"mail-{len(self.mails)}"}
            case "StartExecution":
                return self._start(given)
            case "DescribeExecution":
                return self._describe(given)
            case "RedriveExecution":
                return self._redrive(given)
            case "GetExecutionHistory":
                it = self.onboardings[given["executionArn"].rpartition(":")[2]]
                return {"events": [{"stateEnteredEventDetails": {"name": it.name}}]}
            case "DescribeStateMachine" | "DescribeStateMachineForExecution":
                return {"definition": json.dumps(_machine(ONBOARDING))}
        return self._table(operation, given)

    def _table(self, operation: str, given: Given) -> Given:
        """What moto answers, without HTTP between: ten times as fast. Raises `Refused`."""
        self._dynamodb.body = given
        try:
            answer = getattr(self._dynamodb, _snake(operation))()
        except DynamodbException as error:
            raise Refused(error.error_type.rpartition("#")[2], json.loads(error.description)) from None
        return dict(answer.result)

    def _operate(self, _: Any, state: str, payload: Given) -> None:
        try:
            self.invoke(_snake(state), payload)
        except Exception as error:  # noqa: BLE001 - all that a function raises
            raise execution.TaskFailed(state, type(error).__name__, str(error)) from None

    def _publish(self, entries: list[Given]) -> Given:
        for entry in entries:
            detail = json.loads(entry["Detail"]) if isinstance(entry["Detail"], str) else entry["Detail"]
            event = EVENTS[entry["DetailType"]].model_validate(detail)
            self.archive.append(invocations.an_envelope(event) | {"detail": detail})
            self.route(self.archive[-1])
        return {"FailedEntryCount": 0, "Entries": [{} for _ in entries]}


@dataclass
class System:
    """A downstream system, as the functions see it."""

    name: str
    world: World

    def provision(self, customer_id: str, account: Account) -> None:
        if self.name == "crm" and account.first_name in REFUSED:
            raise DownstreamRefused(self.name, "422")
        self._call(lambda accounts: accounts.put(customer_id, customer_id, account.model_dump()))

    def deprovision(self, customer_id: str) -> None:
        self._call(lambda accounts: accounts.delete(customer_id))

    def _call(self, work: Callable[[Accounts], Any]) -> None:
        try:
            self.world._call(f"a request to the {self.name}", lambda: work(self.world.systems[self.name]))
        except Gone:
            raise DownstreamRefused(self.name, "410") from None
        except FAILURES as error:
            raise DownstreamUnavailable(str(error)) from None


def _snake(name: str) -> str:
    return re.sub("(?<!^)([A-Z])", r"_\1", name).lower()


@cache
def _pollers() -> dict[str, str]:
    """The package of the function that polls each queue, by the queue's name."""
    return {
        event["Properties"]["Queue"].rpartition(":")[2]: it["Handler"].removesuffix(".app.handler")
        for it in template.resources("AWS::Serverless::Function").values()
        for event in it.get("Events", {}).values()
        if event["Type"] == "SQS"
    }


@cache
def _rules() -> list[tuple[EventPattern, str]]:
    """The pattern of each rule, and the queue that it sends to."""
    return [
        (EventPattern.load(json.dumps(rule["EventPattern"])), target["Arn"].rpartition(":")[2])
        for rule in template.resources("AWS::Events::Rule").values()
        for target in rule["Targets"]
    ]


def _title(message: Given) -> str:
    detail = message.get("detail", message)
    customer_id = detail.get("customerId") or detail["mail"]["tags"]["customerId"][0]
    return f"{message.get('detail-type', 'registration')} of {customer_id}"
