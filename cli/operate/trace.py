"""One onboarding as a timeline: each state with its attempts, errors and duration, and what it published or sent.

States' inputs and outputs are personal data, so none is shown. Our functions' errors never quote what the customer
typed; AWS's may, so such values are redacted.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from rich.table import Table
from rich.text import Text

from cli.aws.stack import Stack
from cli.operate import execution
from cli.terminal import listing
from onboarding.domain import errors

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

LONGEST_MESSAGE = 200
# Types of events that end an attempt in an error, and that end or redrive an execution.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
FAILURES = {"TaskFailed", "TaskTimedOut", "TaskStartFailed", "TaskSubmitFailed", "EvaluationFailed"}
NOT_YET = "the e-mail address is not confirmed yet"
CONFIRMED, WAITING, NOT_CONFIRMED = "the customer confirmed", "waiting for the customer", "the customer did not confirm"
ENDS = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionTimedOut": "TIMED_OUT",
    "ExecutionAborted": "ABORTED",
    "ExecutionRedriven": "REDRIVEN",
}


@dataclass
class Try:
    """One attempt at a task; `error` and `message` if it failed."""

    at: datetime
    ended: datetime | None = None
    error: str = ""
    message: str = ""

    @property
    def said(self) -> str:
        """The error with its message."""
        return ": ".join(filter(None, [self.error, self.message]))

    @property
    def meaning(self) -> str:
        """What one of our errors means; empty for another."""
        known = vars(errors).get(self.error)
        said = inspect.getdoc(known) if isinstance(known, type) and issubclass(known, Exception) else None
        return re.split(r"(?<=\.)\s", said or "", maxsplit=1)[0]


@dataclass
class Visit:
    """A state that was entered, or in capitals the end of the execution, such as FAILED, or REDRIVEN.

    `subject` is the task's downstream system, if it has one.
    """

    state: str
    entered: datetime
    exited: datetime | None = None
    tries: list[Try] = field(default_factory=list)
    subject: str = ""
    result: str = ""

    @property
    def waits(self) -> bool:
        """Whether it is spent waiting for the customer."""
        return self.result in {CONFIRMED, WAITING, NOT_CONFIRMED}

    @property
    def name(self) -> str:
        return f"{self.state} ({self.subject})" if self.subject else self.state


@dataclass(frozen=True)
class Trace:
    """An onboarding. `outcome` is the output's status, or the error; `correlation_id` is the API's request id.

    `email` is the outcome of the welcome e-mail as the public status shows it, later bounces included.
    """

    customer_id: str
    correlation_id: str
    status: str
    outcome: str
    email: str
    started: datetime
    redrives: int
    visits: Sequence[Visit]

    @property
    def ending(self) -> str:
        """The status, the redrives and the outcome."""
        status = f"{self.status}, redriven {self.redrives} x" if self.redrives else self.status
        return ": ".join(filter(None, [status, self.outcome]))

    def times(self, begin: datetime, end: datetime | None) -> tuple[str, str]:
        """How long after the start something began, and how long it took if it has ended."""
        after, took = begin - self.started, end - begin if end else None
        return (
            f"+{_in_hours(after) or f'{after.total_seconds():.3f} s'}",
            "" if took is None else _in_hours(took) or f"{took / timedelta(milliseconds=1):.0f} ms",
        )


def trace(stack: Stack, customer_id: str) -> Trace:
    """Return the trace of a customer's execution. Raises `NoExecution`."""
    described = execution.describe(stack, customer_id)
    output = json.loads(described.get("output", "{}"))
    registered = json.loads(described.get("input", "{}"))
    registered = registered if isinstance(registered, dict) else {"data": registered}
    sfn = stack.session.client("stepfunctions")
    events = execution.history(sfn, described["executionArn"])
    # The execution's own definition, which may be older than the deployed one.
    definition = sfn.describe_state_machine_for_execution(executionArn=described["executionArn"])["definition"]
    states = json.loads(definition)["States"].items()
    published = {
        name: f"published {entries[0]['DetailType']}"
        for name, state in states
        if (entries := state.get("Arguments", {}).get("Entries"))
    }
    published |= {name: CONFIRMED for name, state in states if state.get("Resource", "").endswith(".waitForTaskToken")}
    tracked = execution.tracked(stack, customer_id)
    return Trace(
        customer_id=customer_id,
        correlation_id=registered.get("correlationId", ""),
        status=described["status"],
        outcome=" ".join(filter(None, [output.get("status"), output.get("reason"), described.get("error")])),
        email=tracked.welcome_email if tracked and tracked.timeline else "unknown",
        started=described["startDate"],
        redrives=described.get("redriveCount", 0),
        visits=visits(events, published, redactor(registered.get("data"))),
    )


def table(traced: Trace) -> Table:
    """Lay out a trace: a line for each state and each failed attempt."""
    title = (
        f"{traced.customer_id}\nstarted {traced.started:%Y-%m-%d %H:%M:%S %Z}, {traced.ending}, e-mail {traced.email}\n"
        f"correlation id {traced.correlation_id}, event ids {traced.customer_id}:…"
    )
    names, numbers = ("after", "state", "attempts", "took", "result"), ("after", "attempts", "took")
    return listing(*names, rows=_rows(traced), right=numbers, title=title)


def _rows(traced: Trace) -> Iterator[tuple[str | Text, ...]]:
    for visit in traced.visits:
        after, took = traced.times(visit.entered, visit.exited)
        yield after, visit.name, str(len(visit.tries) or ""), took, visit.result
        for failed in (it for it in visit.tries if it.error):
            after, took = traced.times(failed.at, failed.ended)
            yield after, "", "", took, Text(failed.said, "red")


def _in_hours(duration: timedelta) -> str:
    """A minute or more as hours, minutes and seconds; empty for less."""
    return "" if duration < timedelta(minutes=1) else str(timedelta(seconds=round(duration.total_seconds())))


def visits(
    events: Iterable[HistoryEventTypeDef], published: Mapping[str, str], redact: Callable[[str], str] = str
) -> list[Visit]:
    """Return the states in the order they were entered.

    `published` says by a state's name what it publishes, or CONFIRMED where it waits for the customer.

    Each event names the event before it, which separates a Map's iterations. The emulator doesn't, and enters no state
    inside a Map: that work counts for the Map.
    """
    found: dict[int, Visit] = {}  # by the id of the event that entered it
    inside: dict[int, int] = {}  # each event's id, with the id of the event that entered its state
    latest = 0
    for event in events:
        number, kind, details = event["id"], event["type"], _details(event)
        inside[number] = inside.get(event.get("previousEventId", 0), latest)
        if kind.endswith("StateEntered"):
            found[number] = Visit(details["name"], event["timestamp"])
            inside[number] = latest = number
        elif kind.endswith("StateExited"):
            # If several iterations are in this state, the one that this event follows; for a Map, the Map itself.
            for visit in (found[inside[number]], *found.values()):
                if visit.state == details["name"] and visit.exited is None:
                    visit.exited = event["timestamp"]
                    break
        elif kind in ENDS:
            result = ": ".join(filter(None, [details.get("error"), redact(_message(details.get("cause", "")))]))
            found[number] = Visit(ENDS[kind], event["timestamp"], result=result)
        elif inside[number]:
            visit = found[inside[number]]
            _note(visit, event, published.get(visit.state, ""), redact)
    return list(found.values())


def _details(event: HistoryEventTypeDef) -> Mapping[str, Any]:
    """The event's details."""
    return next((cast("Mapping[str, Any]", it) for name, it in event.items() if name.endswith("EventDetails")), {})


def _note(visit: Visit, event: HistoryEventTypeDef, published: str, redact: Callable[[str], str]) -> None:
    """Add one event of a task to its visit; `published` says what the task publishes if it succeeds."""
    kind, at, details = event["type"], event["timestamp"], _details(event)
    under_way = next((it for it in visit.tries if it.ended is None), None)
    waits = published == CONFIRMED
    if kind == "TaskScheduled":
        visit.tries.append(Try(at))
        visit.result = WAITING if waits else visit.result
        payload = json.loads(details.get("parameters", "{}")).get("Payload")
        visit.subject = payload.get("system", "") if isinstance(payload, dict) else ""
    elif waits and under_way and details.get("error") == "States.Timeout":
        under_way.ended, visit.result = at, NOT_CONFIRMED
    elif under_way and details.get("error") == "EmailNotConfirmed":  # so the workflow asks: that is no failure
        under_way.ended, visit.result = at, NOT_YET
    elif kind in FAILURES:
        if under_way is None:  # an expression failed, before the task was scheduled or after it succeeded
            under_way = Try(at)
            visit.tries.append(under_way)
        visit.result = visit.result.removesuffix(WAITING)
        under_way.ended, under_way.error = at, details.get("error", "")
        under_way.message = redact(_message(details.get("cause", "")))
    elif kind == "TaskSucceeded" and under_way:
        under_way.ended = at
        match json.loads(details.get("output", "{}")).get("Payload"):
            case {"messageId": message_id}:
                done = f"sent the e-mail {message_id}"
            case {"system": system, "status": status}:
                done = f"{system} {status}"
            case _:
                done = published
        visit.result = ", ".join(filter(None, [visit.result.removeprefix(WAITING), done]))


def _message(cause: str) -> str:
    """The message of a function's exception, which Lambda wraps in JSON; otherwise the cause itself."""
    try:
        said = _in_words(str(json.loads(cause)["errorMessage"]))
    except (ValueError, KeyError, TypeError):
        said = cause
    return said if len(said) <= LONGEST_MESSAGE else f"{said[:LONGEST_MESSAGE]}…"


def _in_words(message: str) -> str:
    """The message, without the JSON in which some of our errors carry it: the wrong fields, or a system's answer."""
    try:
        parsed = json.loads(message)
    except ValueError:
        return message
    match parsed:
        case [{"field": _, "message": _}, *_]:
            return "; ".join(f"{it['field']}: {it['message']}" for it in parsed)
        case {"system": system, "answer": answer}:
            return f"{system}: {answer}"
    return message


def redactor(document: object) -> Callable[[str], str]:
    """Return a function that replaces the document's texts in a message, ignoring case."""
    values = sorted(filter(None, _texts(document)), key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, values))})(?!\w)", re.IGNORECASE)
    return lambda message: pattern.sub("…", message) if values else message


def _texts(document: object) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for part in document.values():
            yield from _texts(part)
