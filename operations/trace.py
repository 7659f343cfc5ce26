"""One onboarding as a timeline: each state, its tries, errors and time, and what it published or sent.

Inputs and outputs of states are personal, and none is shown. What a function says in an error is not: it never names a
value that was typed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.table import Table

from operations import execution
from operations.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

LONGEST_MESSAGE = 200


@dataclass
class Try:
    """One try of a task: when it was scheduled, and when and how it ended; `error` and `message` where it failed."""

    at: datetime
    ended: datetime | None = None
    error: str = ""
    message: str = ""


@dataclass
class Visit:
    """A state that was entered. `subject` is the downstream system that a task was about, `result` what it brought."""

    state: str
    entered: datetime
    exited: datetime | None = None
    tries: list[Try] = field(default_factory=list)
    subject: str = ""
    result: str = ""


@dataclass(frozen=True)
class Trace:
    """An onboarding. `outcome` is the status of the output, or the error."""

    customer_id: str
    correlation_id: str
    status: str
    outcome: str
    started: datetime
    stopped: datetime | None
    redrives: int
    visits: Sequence[Visit]


def trace(stack: Stack, customer_id: str) -> Trace:
    """Return what happened to a customer.

    Raises:
        NotPossible: there is no execution of that customer.
    """
    described = execution.describe(stack, customer_id)
    output = json.loads(described.get("output", "{}"))
    definition = execution.definition_of(stack, described["executionArn"])
    return Trace(
        customer_id=customer_id,
        correlation_id=execution.registration_of(described).correlation_id,
        status=described["status"],
        outcome=" ".join(filter(None, [output.get("status"), output.get("reason"), described.get("error")])),
        started=described["startDate"],
        stopped=described.get("stopDate"),
        redrives=described.get("redriveCount", 0),
        visits=list(_visits(execution.history(stack, described["executionArn"]), _published(definition))),
    )


def table(traced: Trace) -> Table:
    """Lay a trace out: a line for each state, and one for each try that failed."""
    redriven = f", redriven {traced.redrives} x" if traced.redrives else ""
    ended = f"{traced.status}{redriven}: {traced.outcome}" if traced.outcome else f"{traced.status}{redriven}"
    title = f"{traced.customer_id}\nstarted {traced.started:%Y-%m-%d %H:%M:%S %Z}, {ended}"
    title += f"\ncorrelation id {traced.correlation_id}"
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
    if traced.stopped:
        laid_out.add_row(_after(traced, traced.stopped), traced.status)
    return laid_out


def _visits(events: Sequence[HistoryEventTypeDef], published: Mapping[str, str]) -> Iterator[Visit]:
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
            visits[number] = Visit(entered["name"], event["timestamp"], result=published.get(entered["name"], ""))
            inside[number] = latest = number
            continue
        inside[number] = inside.get(event.get("previousEventId", 0), latest)
        if left := event.get("stateExitedEventDetails"):
            # Of iterations that are in the same state, the one that this event follows; of a Map, the Map itself.
            for visit in (visits[inside[number]], *visits.values()):
                if visit.state == left["name"] and visit.exited is None:
                    visit.exited = event["timestamp"]
                    break
        elif inside[number]:
            _note(visits[inside[number]], event)
    yield from visits.values()


def _note(visit: Visit, event: HistoryEventTypeDef) -> None:
    """Add to a visit what one event of its task says."""
    if scheduled := event.get("taskScheduledEventDetails"):
        visit.tries.append(Try(event["timestamp"]))
        payload = json.loads(scheduled.get("parameters", "{}")).get("Payload")
        if isinstance(payload, dict):
            visit.subject = payload.get("system", "")
        return
    under_way = next((it for it in visit.tries if it.ended is None), None)
    if under_way is None:
        return
    failed = event.get("taskFailedEventDetails") or event.get("taskTimedOutEventDetails")
    if failed := failed or event.get("taskSubmitFailedEventDetails"):
        under_way.error, under_way.message = failed.get("error", ""), _message(failed.get("cause", ""))
        under_way.ended = event["timestamp"]
    elif succeeded := event.get("taskSucceededEventDetails"):
        under_way.ended = event["timestamp"]
        visit.result = visit.result or _sent(succeeded.get("output", "{}"))


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


def _after(traced: Trace, moment: datetime) -> str:
    return f"+{(moment - traced.started).total_seconds():.3f} s"


def _took(begin: datetime, end: datetime | None) -> str:
    return f"{(end - begin) / timedelta(milliseconds=1):.0f} ms" if end else ""
