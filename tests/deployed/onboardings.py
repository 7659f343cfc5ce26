"""Calls a deployed stack as clients do, and reads the results from AWS's APIs."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from threading import Lock
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from cli.aws.queues import take
from cli.demo.event_recorder import record_events
from cli.documents.event_contracts import path_of
from cli.machine.deploy import EmulatorStack
from cli.machine.patch import VISIBILITY_SECONDS
from cli.machine.polling import back_off
from cli.operate.dead_letters import counts
from cli.operate.execution import history
from onboarding.adapters.workflow import execution_arn
from onboarding.domain.events import EVENTS
from tests.wiring.rules.publications import BY_CONSUMERS

PATIENCE_SECONDS = 240  # far more than it takes, even on a busy machine
TERMINAL = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"}


@cache
def contract(event: str) -> Draft202012Validator:
    """The published contract, which each event must keep."""
    return Draft202012Validator(json.loads(path_of(EVENTS[event]).read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Onboarding:
    """An execution that has ended.

    `tries` counts the tries of each state's task, or of a Map's tasks. `ends` are the terminal events in its history,
    `events` the published events as (detail-type, detail), in order, `mails` the e-mails that SES would have sent.
    """

    status: str
    states: list[str]
    output: dict[str, str]
    error: str | None
    tries: Counter[str]
    ends: list[str]
    events: list[tuple[str, dict[str, Any]]]
    mails: list[dict[str, Any]]

    @property
    def last_state(self) -> str:
        return self.states[-1]

    @property
    def event_types(self) -> list[str]:
        return [detail_type for detail_type, _ in self.events]


class Onboardings:
    """The onboardings of one stack."""

    def __init__(self, stack: EmulatorStack, http: httpx.Client) -> None:
        self.stack = stack
        self.sfn = stack.session.client("stepfunctions")
        self._sqs = stack.session.client("sqs")
        self._http = http
        self._recorder = record_events(stack)
        self._events: list[dict[str, Any]] = []
        self._taking = Lock()
        self.sent: list[Any] = []  # every body that was posted as JSON

    def post(self, **request: Any) -> httpx.Response:
        """POST /api/customers; takes httpx's arguments."""
        if "json" in request:
            self.sent.append(request["json"])
        return self._http.post(f"{self.stack.api_url}/api/customers", **request)

    def request(self, method: str, path: str) -> httpx.Response:
        """Any other request to the API."""
        return self._http.request(method, f"{self.stack.api_url}{path}")

    def status_of(self, customer_id: str, **headers: str) -> httpx.Response:
        """GET /api/customers/{customerId}/onboarding."""
        return self._http.get(f"{self.stack.api_url}/api/customers/{customer_id}/onboarding", headers=headers)

    def await_status(self, customer_id: str, status: str) -> dict[str, Any]:
        """Wait until the API answers this status of the customer, and return the answer."""
        answer: httpx.Response | None = None
        for _ in back_off(PATIENCE_SECONDS):
            answer = self.status_of(customer_id)
            if answer.status_code == httpx.codes.OK and answer.json()["status"] == status:
                return dict(answer.json())
        said = answer.text if answer else "nothing"
        raise TimeoutError(f"{customer_id} is not {status} within {PATIENCE_SECONDS} s: {said}")

    @cached_property
    def consumers(self) -> list[str]:
        """The names of the consumers, as in their queues' names."""
        return [name for name, _ in counts(self.stack) if name != "Registration"]

    def physical_id(self, logical_id: str) -> str:
        """A resource's id on AWS: a queue's URL, a table's or a function's name."""
        cloudformation = self.stack.session.client("cloudformation")
        found = cloudformation.describe_stack_resource(StackName=self.stack.name, LogicalResourceId=logical_id)
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def await_consumers(self) -> None:
        """Wait until the consumers have handled every published event. The emulator queues an event at once."""
        for consumer in 2 * self.consumers:  # some publish what others consume
            self.await_left(consumer, 0)

    def await_rest(self) -> None:
        """Wait until all registrations have been executed, and the consumers have handled every event."""
        self.await_left("Registration", 0)
        machine = self.stack.outputs["StateMachineArn"]
        for _ in back_off(PATIENCE_SECONDS):
            if not self.sfn.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]:
                return self.await_consumers()
        raise TimeoutError(f"executions still run after {PATIENCE_SECONDS} s")

    def await_left(self, name: str, most: int) -> None:
        """Wait until at most so many messages are in a consumer's queue."""
        url = self.physical_id(f"{name}Queue")
        for _ in back_off(PATIENCE_SECONDS):
            attributes = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            waiting = attributes["ApproximateNumberOfMessages"], attributes["ApproximateNumberOfMessagesNotVisible"]
            if sum(map(int, waiting)) <= most:
                return
        raise TimeoutError(f"more than {most} messages are in {url} after {PATIENCE_SECONDS} s")

    @contextmanager
    def hurried(self, *names: str) -> Iterator[None]:
        """Show the messages of these queues again after a second, so that failing ones are soon dead-lettered."""
        urls = [self.physical_id(f"{name}Queue") for name in names]

        def show_again_after(seconds: int) -> None:
            for url in urls:
                self._sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(seconds)})

        show_again_after(1)
        try:
            yield
        finally:
            show_again_after(VISIBILITY_SECONDS)

    def dead_letters(self, name: str) -> list[str]:
        """Take the messages that are now in a consumer's dead-letter queue."""
        return list(take(self._sqs, self.physical_id(f"{name}DeadLetterQueue")))

    def register(self, customer: dict[str, Any], idempotency_key: str | None = None) -> str:
        """Register a customer and return the customerId."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        response = self.post(json=customer, headers=headers)
        for _ in back_off(PATIENCE_SECONDS):
            if response.status_code != httpx.codes.TOO_MANY_REQUESTS:  # the emulator's few workers may all be taken
                break
            response = self.post(json=customer, headers=headers)
        assert response.status_code == httpx.codes.ACCEPTED, response.text
        return str(response.json()["customerId"])

    def onboard(self, customer: dict[str, Any]) -> Onboarding:
        """Register a customer and wait until the onboarding has ended."""
        return self.ended(self.register(customer))

    def ended(self, customer_id: str, state_machine_arn: str | None = None) -> Onboarding:
        """Wait until the customer's execution has ended, and return the onboarding."""
        execution = self.await_end(customer_id, state_machine_arn)
        address = json.loads(execution["input"])["data"]["email"]
        history: list[dict[str, Any]] = []
        ends: list[str] = []
        for _ in back_off(PATIENCE_SECONDS):
            history = self.history(execution["executionArn"])
            if ends := [event["type"] for event in history if event["type"] in TERMINAL]:  # the emulator writes it last
                break
        states: list[str] = []
        tries: Counter[str] = Counter()
        for event in history:
            if "stateEnteredEventDetails" in event:
                states.append(event["stateEnteredEventDetails"]["name"])
            elif event["type"] == "TaskScheduled":
                tries[states[-1]] += 1
        return Onboarding(
            status=execution["status"],
            states=states,
            output=json.loads(execution.get("output", "{}")),
            error=execution.get("error"),
            tries=tries,
            ends=ends,
            events=[event for event in self.events_of(customer_id) if event[0] not in BY_CONSUMERS],
            mails=[mail for mail in self.stack.emulator.mails() if address in mail["To"]],
        )

    def await_end(self, customer_id: str, state_machine_arn: str | None = None) -> dict[str, Any]:
        """Wait until the customer's execution has ended, and return AWS's description of it."""
        machine = state_machine_arn or self.stack.outputs["StateMachineArn"]
        arn = execution_arn(machine, customer_id)
        for _ in back_off(PATIENCE_SECONDS):
            try:
                execution = self.sfn.describe_execution(executionArn=arn)
            except self.sfn.exceptions.ExecutionDoesNotExist:
                continue
            if "stopDate" in execution:  # the emulator sets it after the status, the output and the error
                return dict(execution)
        raise TimeoutError(f"{arn} has not ended within {PATIENCE_SECONDS} s")

    def history(self, arn: str) -> list[dict[str, Any]]:
        """The events of an execution's history."""
        return [dict(event) for event in history(self.sfn, arn)]

    def executions(self) -> int:
        """How many executions there are."""
        pages = self.sfn.get_paginator("list_executions").paginate(
            stateMachineArn=self.stack.outputs["StateMachineArn"]
        )
        return sum(len(page["executions"]) for page in pages)

    def events_of(self, customer_id: str) -> list[tuple[str, dict[str, Any]]]:
        """The detail-type and the detail of each event published about a customer so far, in order."""
        with self._taking:
            for event in self._recorder.events():
                contract(event["detail-type"]).validate(event["detail"])
                self._events.append(event)
        theirs = [event for event in self._events if event["detail"]["customerId"] == customer_id]
        theirs.sort(key=lambda event: str(event["detail"]["metadata"]["occurredAt"]))
        return [(event["detail-type"], event["detail"]) for event in theirs]
