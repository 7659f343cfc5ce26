"""Counts what registrations really cause: on the emulator, with the deployed template.

What functions call is read from the emulator's CloudTrail, which tells each call with its request; what they take from
the REPORT line that ends each invocation in their logs; what the workflow does from its history. Registrations run one
after another, and the next kind begins when all consumers are done.
"""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from statistics import mean, median
from typing import Any

import httpx
from rich.console import Console
from rich.progress import track

from benchmarks.cost import dynamodb, mail_service
from benchmarks.cost.bill import added
from benchmarks.cost.history import transitions
from benchmarks.cost.kinds import KINDS, ONBOARDED, SYSTEMS, Kind
from benchmarks.cost.mail_service import MailService
from benchmarks.cost.measurement import Measurement, Registration, Work
from benchmarks.cost.prices import Unit
from local import emulator, systems
from local.deploy import STACK_NAME, Stack, deploy
from local.environment import REGION
from local.observer import Observer, observe
from local.polling import back_off
from local.systems import Systems

# Retries wait two thousandths of their delays.
SETTINGS = {"SFN_WAIT_SCALE": "0.002", "CLOUDTRAIL_RECORDING": "1"}
# The calls of functions that are billed. Settings and secrets, asked for every five minutes, are not among them.
ACTIONS = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "GetItem", "Query", "SendMessage")
MOST_EVENTS = 50
CALM_SECONDS = 0.3
WARM_UP = "warm-up"
PATIENCE_SECONDS = 120
REPORT = re.compile(r"^REPORT RequestId: \S+\tDuration: (?P<milliseconds>[\d.]+) ms")
LAMBDAS_OWN = ("START RequestId: ", "END RequestId: ", "REPORT RequestId: ")


class DidNotGoAsPlanned(RuntimeError):
    """A registration did not become what its kind says, so that what it cost is of no use."""


@dataclass
class Window:
    """What all functions did since a moment, in milliseconds since 1970: their calls, and their logs' lines."""

    began: int
    calls: list[dict[str, Any]] = field(default_factory=list)
    lines: dict[str, list[str]] = field(default_factory=dict)


class Bench:
    """A stack whose every call is recorded."""

    def __init__(self, stack: Stack, downstream: Systems, mail: MailService, http: httpx.Client) -> None:
        self.stack = stack
        self.downstream = downstream
        self.mail = mail
        self._http = http
        self._observer: Observer = observe(stack)
        session = stack.session
        self._sfn = session.client("stepfunctions")
        self._sqs = session.client("sqs")
        self._lambda = session.client("lambda")
        self._dynamodb = session.client("dynamodb")
        self._logs = session.client("logs")
        self._events = session.client("events")
        self._trail = session.client("cloudtrail")
        self._machine = stack.outputs["StateMachineArn"]
        self._definition = self._sfn.describe_state_machine(stateMachineArn=self._machine)["definition"]
        self._seen: set[str] = set()
        self.functions = self._named_functions()

    def cold_starts(self) -> dict[str, float]:
        """Have each function started anew, and return the seconds of that invocation, which refuses its input."""
        seconds = {}
        for logical_id, name in track(list(self.functions.items()), "cold starts", transient=True):
            began = _now()
            self._lambda.invoke(FunctionName=name, Payload=b"{}")
            (report,) = (found for line in self._lines(logical_id, began) if (found := REPORT.match(line)))
            seconds[logical_id] = float(report["milliseconds"]) / 1000
        return seconds

    def measure(self, kind: Kind, repetitions: int) -> Registration:
        """The mean of so many registrations of a kind, after one that warms up and is not counted.

        Raises:
            DidNotGoAsPlanned: see there.
        """
        self._configure(kind.systems)
        self._register(kind, WARM_UP)
        self._await_consumers()
        self._observer.events()
        mails, window = len(self.mail.accepted), self._window()
        executions = []
        for repetition in range(repetitions):
            executions.append(self._register(kind, str(repetition)))
            self._await_consumers()
            window.calls += self._new_calls()
        self._close(window)
        return self._registration(kind, executions, window, len(self.mail.accepted) - mails)

    def status_request(self) -> Work:
        """What one look at a finished onboarding's status causes."""
        customer_id = self._register(ONBOARDED, "status")["name"]
        self._await_consumers()
        url = f"{self.stack.api_url}/api/customers/{customer_id}/onboarding"
        self._http.get(url).raise_for_status()  # warms up
        window = self._window()
        self._http.get(url).raise_for_status()
        self._close(window)
        return self._work("GetOnboardingFunction", window, 1)

    def memory(self) -> dict[str, int]:
        """MB of each function."""
        return {
            logical_id: self._lambda.get_function_configuration(FunctionName=name)["MemorySize"]
            for logical_id, name in self.functions.items()
        }

    def _named_functions(self) -> dict[str, str]:
        """The functions' names by logical id; each is told to name itself in its calls, and where SES is."""
        resources = self.stack.session.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)
        functions = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in resources["StackResources"]
            if resource["ResourceType"] == "AWS::Lambda::Function"
        }
        for logical_id, name in functions.items():
            configuration = self._lambda.get_function_configuration(FunctionName=name)
            variables = configuration.get("Environment", {}).get("Variables", {})
            # https://docs.aws.amazon.com/sdkref/latest/guide/feature-appid.html
            added = {"AWS_SDK_UA_APP_ID": logical_id, "AWS_ENDPOINT_URL_SESV2": self.mail.url}
            self._lambda.update_function_configuration(FunctionName=name, Environment={"Variables": variables | added})
            published = self._lambda.publish_version(FunctionName=name)["Version"]
            self._lambda.update_alias(FunctionName=name, Name="live", FunctionVersion=published)
        return functions

    def _configure(self, names: Sequence[str]) -> None:
        """Have customers get an account in these systems; the stack was deployed with all of them."""
        deployed = f"'{','.join(SYSTEMS)}'"
        if deployed not in self._definition:
            raise DidNotGoAsPlanned("The definition does not name the downstream systems")
        definition = self._definition.replace(deployed, f"'{','.join(names)}'")
        self._sfn.update_state_machine(stateMachineArn=self._machine, definition=definition)

    def _register(self, kind: Kind, name: str) -> dict[str, Any]:
        """Register a customer and return AWS's description of the execution, once it has ended."""
        # Each has a mail domain of its own: detect_fraud would count, and read, those of one domain. An address that is
        # taken is that of one who was onboarded before.
        email = f"ada.lovelace@{name}.{ONBOARDED.name if kind.taken else kind.name}.example.com"
        self.mail.plan(email, kind.refusals)
        for partner in self.downstream.partners:
            partner.plan(email, *(fault for system, fault in kind.faults.items() if system == partner.name))
        customer = {"firstName": "Ada", "lastName": "Lovelace", "email": email, **kind.customer}
        answer = self._http.post(f"{self.stack.api_url}/api/customers", json=customer).raise_for_status()
        arn = f"{self._machine.replace(':stateMachine:', ':execution:')}:{answer.json()['customerId']}"
        for _ in back_off(PATIENCE_SECONDS):
            try:
                execution = self._sfn.describe_execution(executionArn=arn)
            except self._sfn.exceptions.ExecutionDoesNotExist:
                continue
            if execution["status"] != "RUNNING":
                return dict(execution)
        raise DidNotGoAsPlanned(f"{arn} has not ended within {PATIENCE_SECONDS} s")

    def _await_consumers(self) -> None:
        """Wait until the queues that functions read are empty, and have stayed so for a moment."""
        calm_since = time.monotonic()
        for _ in back_off(PATIENCE_SECONDS):
            for url in self._queues.values():
                waiting = self._sqs.get_queue_attributes(
                    QueueUrl=url,
                    AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
                )["Attributes"]
                if any(int(number) for number in waiting.values()):
                    calm_since = time.monotonic()
            if time.monotonic() - calm_since > CALM_SECONDS:
                return
        raise DidNotGoAsPlanned(f"The consumers are not done within {PATIENCE_SECONDS} s")

    @cached_property
    def _queues(self) -> dict[str, str]:
        """The URL of the queue that each function reads, by logical id."""
        names = {name: logical_id for logical_id, name in self.functions.items()}
        return {
            names[mapping["FunctionArn"].split(":")[6]]: self._sqs.get_queue_url(
                QueueName=mapping["EventSourceArn"].rpartition(":")[2]
            )["QueueUrl"]
            for mapping in self._lambda.list_event_source_mappings()["EventSourceMappings"]
        }

    def _window(self) -> Window:
        self._seen |= {event["EventId"] for told in self._told() for event in told}
        time.sleep(0.002)  # what was logged up to now is older than the window
        return Window(_now())

    def _close(self, window: Window) -> None:
        window.calls += self._new_calls()
        window.lines = {logical_id: self._lines(logical_id, window.began) for logical_id in self.functions}

    def _new_calls(self) -> list[dict[str, Any]]:
        """The calls that functions made since the last time, or since the window was opened.

        Of each action the emulator tells the last 50 and no more, so that this is asked after each registration.
        """
        calls = []
        for told in self._told():
            unseen = [event for event in told if event["EventId"] not in self._seen]
            if len(unseen) == MOST_EVENTS:
                raise DidNotGoAsPlanned(f"There may be more calls of {unseen[0]['EventName']} than CloudTrail tells")
            self._seen |= {event["EventId"] for event in unseen}
            calls += [call for event in unseen if _caller(call := json.loads(event["CloudTrailEvent"]))]
        return calls

    def _told(self) -> Iterator[list[dict[str, Any]]]:
        """The last calls of each action, whoever made them."""
        for action in ACTIONS:
            by_name = {"AttributeKey": "EventName", "AttributeValue": action}
            yield self._trail.lookup_events(LookupAttributes=[by_name])["Events"]

    def _lines(self, logical_id: str, since: int) -> list[str]:
        """What a function has logged."""
        configuration = self._lambda.get_function_configuration(FunctionName=self.functions[logical_id])
        group = configuration["LoggingConfig"]["LogGroup"]
        pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
        return [event["message"] for page in pages for event in page["events"]]

    def _registration(
        self, kind: Kind, executions: Sequence[Mapping[str, Any]], window: Window, mails: int
    ) -> Registration:
        repetitions = len(executions)
        histories = [self._history(execution) for execution in executions]
        counted = [transitions(history, len(kind.systems)) for history in histories]
        if any(one != counted[0] for one in counted):
            raise DidNotGoAsPlanned(f"{kind.name}: the transitions differ: {counted}")
        for execution in executions:
            status = json.loads(execution.get("output") or "{}").get("status", execution["status"])
            if status != kind.status:
                raise DidNotGoAsPlanned(f"{kind.name}: {status} rather than {kind.status}")
        published = self._observer.events()
        messages, commands = self._messages(published, executions, window)
        return Registration(
            kind=kind.name,
            transitions=dict(counted[0]),
            history_events=mean(map(len, histories)),
            seconds=median((one["stopDate"] - one["startDate"]).total_seconds() for one in executions),
            functions={
                logical_id: work
                for logical_id in self.functions
                if (work := self._work(logical_id, window, repetitions)).invocations
            },
            messages={logical_id: number / repetitions for logical_id, number in messages.items()},
            commands=commands / repetitions,
            events=len(published) / repetitions,
            bytes_published=sum(_size_of_entry(event) for event in published) / repetitions,
            native_writes=mean(_native_writes(history) for history in histories),
            mails=mails / repetitions,
        )

    def _history(self, execution: Mapping[str, Any]) -> list[dict[str, Any]]:
        pages = self._sfn.get_paginator("get_execution_history").paginate(executionArn=execution["executionArn"])
        return [dict(event) for page in pages for event in page["events"]]

    def _work(self, logical_id: str, window: Window, repetitions: int) -> Work:
        lines = window.lines[logical_id]
        durations = [float(found["milliseconds"]) / 1000 for line in lines if (found := REPORT.match(line))]
        own = [line for line in lines if not line.startswith(LAMBDAS_OWN)]
        units = added(
            *(
                dynamodb.billed(call["eventName"], call["requestParameters"], self._dynamodb)
                for call in window.calls
                if _caller(call) == logical_id and call["eventSource"] == "dynamodb.amazonaws.com"
            )
        )
        return Work(
            invocations=len(durations) / repetitions,
            # Whatever else the machine does makes a few of them long: the median stands for all.
            seconds=round(median(durations or [0]) * len(durations) / repetitions, 4),
            log_lines=len(own) / repetitions,
            log_bytes=sum(len(line.encode()) for line in own) / repetitions,
            writes=units.get(Unit.WRITE, 0) / repetitions,
            reads=units.get(Unit.READ, 0) / repetitions,
        )

    def _messages(
        self, published: Sequence[Mapping[str, Any]], executions: Sequence[Mapping[str, Any]], window: Window
    ) -> tuple[Counter[str], int]:
        """The messages to each function that reads a queue, and those to queues of others.

        To the functions come what rules match of the events on both buses, and what functions send.
        """
        counted: Counter[str] = Counter()
        readers = {url.rpartition("/")[2]: logical_id for logical_id, url in self._queues.items()}
        stops = [_stopped(execution) for execution in executions]
        for bus, events in ((self.stack.outputs["EventBusName"], published), ("default", stops)):
            for rule in self._events.list_rules(EventBusName=bus)["Rules"]:
                targets = self._events.list_targets_by_rule(Rule=rule["Name"], EventBusName=bus)["Targets"]
                for reader in (readers.get(target["Arn"].rpartition(":")[2]) for target in targets):
                    if reader:
                        counted[reader] += sum(self._matches(rule["EventPattern"], event) for event in events)
        sent: Counter[str] = Counter(
            readers.get(call["requestParameters"]["QueueUrl"].rpartition("/")[2], "")
            for call in window.calls
            if call["eventName"] == "SendMessage"
        )
        commands = sent.pop("", 0)
        return counted + sent, commands

    def _matches(self, pattern: str, event: Mapping[str, Any]) -> bool:
        return self._events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"]


def measure(repetitions: int, console: Console) -> Measurement:
    """Start an emulator, deploy, and count each kind of registration.

    Raises:
        DidNotGoAsPlanned: see there.
    """
    with ExitStack() as stack:
        aws = stack.enter_context(emulator.start(SETTINGS))
        downstream = stack.enter_context(systems.start(aws))
        mail = stack.enter_context(mail_service.start())
        http = stack.enter_context(httpx.Client(trust_env=False, timeout=30))
        bench = Bench(deploy(aws, systems=downstream.configured), downstream, mail, http)
        cold = bench.cold_starts()
        registrations = [
            bench.measure(kind, repetitions) for kind in track(KINDS, "registrations", console=console, transient=True)
        ]
        return Measurement(
            measured=datetime.now(UTC).date(),
            machine=f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
            repetitions=repetitions,
            memory=bench.memory(),
            cold=cold,
            status_request=bench.status_request(),
            registrations=registrations,
        )


def _caller(event: Mapping[str, Any]) -> str:
    """The function that made a call, by the name that it adds to its user agent; empty where none did."""
    found = re.search(r"\bapp/(\w+)", event["userAgent"])
    return found[1] if found else ""


def _size_of_entry(event: Mapping[str, Any]) -> int:
    """Bytes of an entry of PutEvents: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html."""
    detail = json.dumps(event["detail"], separators=(",", ":"), ensure_ascii=False)
    return sum(len(text.encode()) for text in (event["source"], event["detail-type"], detail))


def _native_writes(history: Sequence[Mapping[str, Any]]) -> int:
    scheduled = (event.get("taskScheduledEventDetails", {}) for event in history)
    return sum(details.get("resource", "").endswith("dynamodb:updateItem") for details in scheduled)


def _stopped(execution: Mapping[str, Any]) -> dict[str, Any]:
    """The event that Step Functions publishes of an execution that has ended.

    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    return {
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": execution["executionArn"].split(":")[4],
        "time": "2026-11-24T00:00:00Z",
        "region": REGION,
        "resources": [execution["executionArn"]],
        "detail": {
            "executionArn": execution["executionArn"],
            "stateMachineArn": execution["stateMachineArn"],
            "name": execution["name"],
            "status": execution["status"],
        },
    }


def _now() -> int:
    return int(time.time() * 1000)
