"""One onboarding as a timeline: each state, its tries, errors and time, and what it published or sent.

Inputs and outputs of states are personal, and none is shown. What a function says in an error never names a value that
was typed; in what AWS itself says, such a value is blotted out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from rich.table import Table

from cli.aws.executions import history
from cli.aws.stack import Stack
from cli.operate import execution

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

LONGEST_MESSAGE = 200
# The details of the events that end a try, or a state, in an error.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
FAILURES = (
    "taskFailedEventDetails",
    "taskTimedOutEventDetails",
    "taskStartFailedEventDetails",
    "taskSubmitFailedEventDetails",
    "evaluationFailedEventDetails",
)
ENDS = (
    "executionSucceededEventDetails",
    "executionFailedEventDetails",
    "executionTimedOutEventDetails",
    "executionAbortedEventDetails",
)


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
    typed = registered.get("data") if isinstance(registered, dict) else registered
    events = history(stack.session.client("stepfunctions"), described["executionArn"])
    published = _published(execution.definition_of(stack, described["executionArn"]))
    return Trace(
        customer_id=customer_id,
        correlation_id=registered.get("correlationId", "") if isinstance(registered, dict) else "",
        status=described["status"],
        outcome=" ".join(filter(None, [output.get("status"), output.get("reason"), described.get("error")])),
        started=described["startDate"],
        redrives=described.get("redriveCount", 0),
        visits=list(_visits(events, published, _blot_out(_texts(typed)))),
    )


def table(traced: Trace) -> Table:
    """Lay a trace out: a line for each state, and one for each try that failed."""
    redriven = f", redriven {traced.redrives} x" if traced.redrives else ""
    ended = f"{traced.status}{redriven}: {traced.outcome}" if traced.outcome else f"{traced.status}{redriven}"
    title = f"{traced.customer_id}\nstarted {traced.started:%Y-%m-%d %H:%M:%S %Z}, {ended}"
    title += f"\ncorrelation id {traced.correlation_id}, ids of events {traced.customer_id}:…"
    laid_out = Table(title=title, title_justify="left", title_style="", box=None, padding=(0, 2, 0, 0))
    laid_out.add_column("after", justify="right", no_wrap=True)
    laid_out.add_column("state", no_wrap=True)
    laid_out.add_column("tries", justify="right")
    laid_out.add_column("took", justify="right", no_wrap=True)
    laid_out.add_column("what came of it", overflow="fold")
    for visit in traced.visits:
        name = f"{visit.state} ({visit.subject})" if visit.subject else visit.state
        tries = str(len(visit.tries)) if visit.tries else ""
        laid_out.add_row(_after(traced, visit.entered), name, tries, _took(visit.entered, visit.exited), visit.result)
        for failed in (it for it in visit.tries if it.error):
            said = f"{failed.error}: {failed.message}" if failed.message else failed.error
            laid_out.add_row(_after(traced, failed.at), "", "", _took(failed.at, failed.ended), said, style="red")
    return laid_out


def _visits(
    events: Sequence[HistoryEventTypeDef], published: Mapping[str, str], blot_out: Callable[[str], str] = str
) -> Iterator[Visit]:
    """The states in the order in which they were entered.

    Each event names the one that it follows, which tells the iterations of a Map apart. The emulator names none, and
    enters no state of an iteration: what is done there counts for the Map.
    """
    visits: dict[int, Visit] = {}  # by the id of the event that entered the state
    inside: dict[int, int] = {}  # for each event, the id of that one
    latest = 0
    for event in events:
        number = event["id"]
        if entered := event.get("stateEnteredEventDetails"):
            visits[number] = Visit(entered["name"], event["timestamp"])
            inside[number] = latest = number
            continue
        inside[number] = inside.get(event.get("previousEventId", 0), latest)
        if left := event.get("stateExitedEventDetails"):
            # Of iterations that are in the same state, the one that this event follows; of a Map, the Map itself.
            for visit in (visits[inside[number]], *visits.values()):
                if visit.state == left["name"] and visit.exited is None:
                    visit.exited = event["timestamp"]
                    break
        elif ended := _details(event, ENDS):
            error, said = ended.get("error", ""), blot_out(_message(ended.get("cause", "")))
            name = "TIMED_OUT" if event["type"] == "ExecutionTimedOut" else event["type"][len("Execution") :].upper()
            visits[number] = Visit(name, event["timestamp"], result=": ".join(filter(None, [error, said])))
        elif "executionRedrivenEventDetails" in event:
            visits[number] = Visit("REDRIVEN", event["timestamp"])
        elif inside[number]:
            visit = visits[inside[number]]
            _note(visit, event, published.get(visit.state, ""), blot_out)
    yield from visits.values()


def _note(visit: Visit, event: HistoryEventTypeDef, published: str, blot_out: Callable[[str], str]) -> None:
    """Add to a visit what one event of its task says; `published` is what the task publishes, where it succeeds."""
    if scheduled := event.get("taskScheduledEventDetails"):
        visit.tries.append(Try(event["timestamp"]))
        payload = json.loads(scheduled.get("parameters", "{}")).get("Payload")
        if isinstance(payload, dict):
            visit.subject = payload.get("system", "")
        return
    under_way = next((it for it in visit.tries if it.ended is None), None)
    if failed := _details(event, FAILURES):
        if under_way is None:  # an expression failed, before the task was scheduled or after it had succeeded
            under_way = Try(event["timestamp"])
            visit.tries.append(under_way)
        under_way.error, under_way.message = failed.get("error", ""), blot_out(_message(failed.get("cause", "")))
        under_way.ended = event["timestamp"]
    elif under_way and (succeeded := event.get("taskSucceededEventDetails")):
        under_way.ended = event["timestamp"]
        visit.result = published or _sent(succeeded.get("output", "{}"))


def _details(event: HistoryEventTypeDef, names: Sequence[str]) -> Mapping[str, str] | None:
    """The first of these details that the event has."""
    details = cast("Mapping[str, Mapping[str, str]]", event)
    return next((details[name] for name in names if name in details), None)


def _published(definition: Mapping[str, Any]) -> dict[str, str]:
    """What each state publishes, where it does."""
    return {
        name: f"published {entries[0]['DetailType']}"
        for name, state in definition["States"].items()
        if (entries := state.get("Arguments", {}).get("Entries"))
    }


def _sent(output: str) -> str:
    """The e-mail in a task's output, if it is one that sent it."""
    payload = json.loads(output).get("Payload")
    message_id = payload.get("messageId") if isinstance(payload, dict) else None
    return f"sent the e-mail {message_id}" if message_id else ""


def _message(cause: str) -> str:
    """What a function said, out of the JSON in which Lambda passes its exception on; else the cause as it is."""
    try:
        said = str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        said = cause
    return said if len(said) <= LONGEST_MESSAGE else f"{said[:LONGEST_MESSAGE]}…"


def _texts(document: object) -> Iterator[str]:
    """Every text in a JSON document."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for part in document.values():
            yield from _texts(part)


def _blot_out(texts: Iterator[str]) -> Callable[[str], str]:
    """Return what replaces each of these texts in a message, in upper or lower case."""
    values = sorted(filter(None, texts), key=len, reverse=True)
    if not values:
        return str
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, values))})(?!\w)", re.IGNORECASE)
    return lambda message: pattern.sub("…", message)


def _after(traced: Trace, moment: datetime) -> str:
    return f"+{(moment - traced.started).total_seconds():.3f} s"


def _took(begin: datetime, end: datetime | None) -> str:
    return f"{(end - begin) / timedelta(milliseconds=1):.0f} ms" if end else ""
