"""One onboarding as a timeline: each state, its tries, errors and time, and what it published or sent.

Inputs and outputs of states are personal, and none is shown. What a function says in an error never names a value that
was typed; in what AWS itself says, such a value is blotted out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from rich.table import Table
from rich.text import Text

from cli.aws.executions import history
from cli.aws.stack import Stack
from cli.operate import execution
from cli.terminal import listing

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

LONGEST_MESSAGE = 200
# The types of the events that end a try in an error, and of those that end an execution or begin it again.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
FAILURES = {"TaskFailed", "TaskTimedOut", "TaskStartFailed", "TaskSubmitFailed", "EvaluationFailed"}
ENDS = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionTimedOut": "TIMED_OUT",
    "ExecutionAborted": "ABORTED",
    "ExecutionRedriven": "REDRIVEN",
}


@dataclass
class Try:
    """One try of a task: when it was scheduled, and when and how it ended; `error` and `message` where it failed."""

    at: datetime
    ended: datetime | None = None
    error: str = ""
    message: str = ""


@dataclass
class Visit:
    """A state that was entered, or in capitals what became of the execution: SUCCEEDED, FAILED, REDRIVEN and so on.

    `subject` is the downstream system that a task was about, `result` what it brought.
    """

    state: str
    entered: datetime
    exited: datetime | None = None
    tries: list[Try] = field(default_factory=list)
    subject: str = ""
    result: str = ""


@dataclass(frozen=True)
class Trace:
    """An onboarding. `outcome` is the status of the output, or the error; `correlation_id` the API's request id."""

    customer_id: str
    correlation_id: str
    status: str
    outcome: str
    started: datetime
    redrives: int
    visits: Sequence[Visit]


def trace(stack: Stack, customer_id: str) -> Trace:
    """Return what happened to a customer.

    Raises:
        NotPossible: there is no execution of that customer.
    """
    described = execution.describe(stack, customer_id)
    output = json.loads(described.get("output", "{}"))
    registered = json.loads(described.get("input", "{}"))
    registered = registered if isinstance(registered, dict) else {"data": registered}
    sfn = stack.session.client("stepfunctions")
    events = history(sfn, described["executionArn"])
    # The definition by which it runs, which may be older than the one that is deployed.
    definition = sfn.describe_state_machine_for_execution(executionArn=described["executionArn"])["definition"]
    published = {
        name: f"published {entries[0]['DetailType']}"
        for name, state in json.loads(definition)["States"].items()
        if (entries := state.get("Arguments", {}).get("Entries"))
    }
    return Trace(
        customer_id=customer_id,
        correlation_id=registered.get("correlationId", ""),
        status=described["status"],
        outcome=" ".join(filter(None, [output.get("status"), output.get("reason"), described.get("error")])),
        started=described["startDate"],
        redrives=described.get("redriveCount", 0),
        visits=visits(events, published, blotter(registered.get("data"))),
    )


def table(traced: Trace) -> Table:
    """Lay a trace out: a line for each state, and one for each try that failed."""
    ended = f"{traced.status}, redriven {traced.redrives} x" if traced.redrives else traced.status
    title = (
        f"{traced.customer_id}\nstarted {traced.started:%Y-%m-%d %H:%M:%S %Z}, "
        f"{': '.join(filter(None, [ended, traced.outcome]))}\n"
        f"correlation id {traced.correlation_id}, ids of events {traced.customer_id}:…"
    )
    names, numbers = ("after", "state", "tries", "took", "what came of it"), ("after", "tries", "took")
    return listing(*names, rows=_rows(traced), right=numbers, title=title)


def _rows(traced: Trace) -> Iterator[tuple[str | Text, ...]]:
    for visit in traced.visits:
        name = f"{visit.state} ({visit.subject})" if visit.subject else visit.state
        after, took = _times(traced, visit.entered, visit.exited)
        yield after, name, str(len(visit.tries) or ""), took, visit.result
        for failed in (it for it in visit.tries if it.error):
            said = ": ".join(filter(None, [failed.error, failed.message]))
            after, took = _times(traced, failed.at, failed.ended)
            yield after, "", "", took, Text(said, "red")


def _times(traced: Trace, begin: datetime, end: datetime | None) -> tuple[str, str]:
    took = f"{(end - begin) / timedelta(milliseconds=1):.0f} ms" if end else ""
    return f"+{(begin - traced.started).total_seconds():.3f} s", took


def visits(
    events: Iterable[HistoryEventTypeDef], published: Mapping[str, str], blot_out: Callable[[str], str] = str
) -> list[Visit]:
    """Return the states in the order in which they were entered; `published` has what a state publishes, by its name.

    Each event names the one that it follows, which tells the iterations of a Map apart. The emulator names none, and
    enters no state of an iteration: what is done there counts for the Map.
    """
    found: dict[int, Visit] = {}  # by the id of the event that entered the state
    inside: dict[int, int] = {}  # for each event, the id of that one
    latest = 0
    for event in events:
        number, kind, details = event["id"], event["type"], _details(event)
        inside[number] = inside.get(event.get("previousEventId", 0), latest)
        if kind.endswith("StateEntered"):
            found[number] = Visit(details["name"], event["timestamp"])
            inside[number] = latest = number
        elif kind.endswith("StateExited"):
            # Of iterations that are in the same state, the one that this event follows; of a Map, the Map itself.
            for visit in (found[inside[number]], *found.values()):
                if visit.state == details["name"] and visit.exited is None:
                    visit.exited = event["timestamp"]
                    break
        elif kind in ENDS:
            result = ": ".join(filter(None, [details.get("error"), blot_out(_message(details.get("cause", "")))]))
            found[number] = Visit(ENDS[kind], event["timestamp"], result=result)
        elif inside[number]:
            visit = found[inside[number]]
            _note(visit, event, published.get(visit.state, ""), blot_out)
    return list(found.values())


def _details(event: HistoryEventTypeDef) -> Mapping[str, Any]:
    """What the event says beside its type and its time."""
    return next((cast("Mapping[str, Any]", it) for name, it in event.items() if name.endswith("EventDetails")), {})


def _note(visit: Visit, event: HistoryEventTypeDef, published: str, blot_out: Callable[[str], str]) -> None:
    """Add to a visit what one event of its task says; `published` is what the task publishes, where it succeeds."""
    kind, at, details = event["type"], event["timestamp"], _details(event)
    under_way = next((it for it in visit.tries if it.ended is None), None)
    if kind == "TaskScheduled":
        visit.tries.append(Try(at))
        payload = json.loads(details.get("parameters", "{}")).get("Payload")
        visit.subject = payload.get("system", "") if isinstance(payload, dict) else ""
    elif kind in FAILURES:
        if under_way is None:  # an expression failed, before the task was scheduled or after it had succeeded
            under_way = Try(at)
            visit.tries.append(under_way)
        under_way.ended, under_way.error = at, details.get("error", "")
        under_way.message = blot_out(_message(details.get("cause", "")))
    elif kind == "TaskSucceeded" and under_way:
        under_way.ended = at
        payload = json.loads(details.get("output", "{}")).get("Payload")
        message_id = payload.get("messageId") if isinstance(payload, dict) else None
        visit.result = published or (f"sent the e-mail {message_id}" if message_id else "")


def _message(cause: str) -> str:
    """What a function said, out of the JSON in which Lambda passes its exception on; else the cause as it is."""
    try:
        said = str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        said = cause
    return said if len(said) <= LONGEST_MESSAGE else f"{said[:LONGEST_MESSAGE]}…"


def blotter(document: object) -> Callable[[str], str]:
    """Return what replaces each text of a JSON document in a message, in upper or lower case."""
    values = sorted(filter(None, _texts(document)), key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, values))})(?!\w)", re.IGNORECASE)
    return lambda message: pattern.sub("…", message) if values else message


def _texts(document: object) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for part in document.values():
            yield from _texts(part)
