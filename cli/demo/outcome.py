"""A customer's result, and how the demo prints it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from itertools import groupby
from typing import Any

import httpx
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from cli.aws.stack import Stack
from cli.demo.customers import Customer
from cli.downstream.systems import Systems
from cli.operate import trace
from onboarding.domain.events import EVENTS


@dataclass(frozen=True)
class Outcome:
    """The answers to a registration's attempts, the last one final, and the onboarding's final status."""

    customer: Customer
    answers: Sequence[httpx.Response]
    status: Mapping[str, Any] = field(default_factory=dict)

    @property
    def customer_id(self) -> str | None:
        """The customerId, if the registration was accepted."""
        answer = self.answers[-1]
        return answer.json()["customerId"] if answer.status_code == httpx.codes.ACCEPTED else None

    @property
    def is_as_expected(self) -> bool:
        ended = self.status.get("status") if self.customer_id else self.answers[-1].status_code
        return ended == self.customer.expect


@dataclass(frozen=True)
class World:
    """What the demo looks at; `events` are EventBridge's envelopes, `mails` entries of the emulator's outbox."""

    stack: Stack
    downstream: Systems
    events: Sequence[dict[str, Any]]
    mails: Sequence[dict[str, Any]]


def show(outcome: Outcome, world: World, console: Console) -> None:
    """Print what was sent and what happened, with the whole trace if it wasn't expected."""
    mark = Text("✓ ", "bold green") if outcome.is_as_expected else Text("✗ ", "bold red")
    console.print(Rule(mark + Text(outcome.customer.title, style="bold default"), align="left", style="dim"))
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", min_width=8)
    rows.add_column(overflow="fold")
    traced = trace.trace(world.stack, outcome.customer_id) if outcome.customer_id else None
    for label, text in (*_answered(outcome), *(_followed(outcome, traced, world) if traced else ())):
        rows.add_row(label, Text(text))
    console.print(rows)
    if not outcome.is_as_expected:
        console.print(Text(f"expected {outcome.customer.expect}", style="red"))
        if traced:
            console.print(trace.table(traced))


def _answered(outcome: Outcome) -> Iterator[tuple[str, str]]:
    customer = outcome.customer
    yield "sent", json.dumps(customer.customer, ensure_ascii=False)
    if customer.idempotency_key:
        yield "", f"Idempotency-Key: {customer.idempotency_key}"
    for system, faults in customer.faults.items():
        planned = (f"{fault.kind} x {fault.times}" if fault.times > 1 else fault.kind for fault in faults)
        yield "fault", f"{system} fails: {' ▸ '.join(planned)}"
    *refused, answer = outcome.answers
    for refusal in _counted(f"{it.status_code} {it.reason_phrase}" for it in refused):
        yield "answer", f"{refusal}: retried after Retry-After"
    document = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
    said = f"customerId {outcome.customer_id}" if outcome.customer_id else document.get("detail", answer.text)
    yield "answer", f"{answer.status_code} {document.get('title', answer.reason_phrase)}: {said}"
    yield from _refused(document)


def _followed(outcome: Outcome, traced: trace.Trace, world: World) -> Iterator[tuple[str, str]]:
    customer_id, status = traced.customer_id, outcome.status
    yield "path", " ▸ ".join(_steps(traced))
    yield "status", f"{status.get('status')}, e-mail {status.get('welcomeEmail')}"
    yield from _refused(status)
    events = [event for event in world.events if event["detail"]["customerId"] == customer_id]
    events.sort(key=_place)
    yield "events", ", ".join(event["detail-type"] for event in events)
    answers = {it.name: " ▸ ".join(_counted(it.answers(customer_id))) for it in world.downstream.partners}
    for label, holders in (
        ("accounts", [system.name for system in world.downstream.all if customer_id in system.accounts()]),
        ("deleted", [system.name for system in world.downstream.all if customer_id in system.tombstones()]),
    ):
        shown = (f"{name} ({answers[name]})" if name in answers else name for name in holders)
        if holders or label == "accounts":
            yield label, ", ".join(shown) or "none"
    for mail in (it for it in world.mails if f"#customerId={customer_id}&" in it["BodyText"]):
        yield "mail", f"to {', '.join(mail['To'])}: {mail['Subject']}"
    message_ids = {event["detail"].get("messageId") for event in events}
    for mail in (it for it in world.mails if it["MessageId"] in message_ids):
        yield "mail", f"to {', '.join(mail['To'])}: {mail['Subject']}"
        greeting = escape(outcome.customer.customer["firstName"])
        yield from (("", line.strip()) for line in mail["BodyHtml"].splitlines() if greeting in line)


def _place(event: Mapping[str, Any]) -> tuple[datetime, int]:
    """The event's place in time; a suspicion is as old as the validation that it is about."""
    return datetime.fromisoformat(event["detail"]["metadata"]["occurredAt"]), [*EVENTS].index(event["detail-type"])


def _refused(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from (("refused", f"{error['field']}: {error['message']}") for error in document.get("errors", []))


def _steps(traced: trace.Trace) -> Iterator[str]:
    """The states, each with the errors of its attempts."""
    for visit in traced.visits:
        errors = ", ".join(_counted(it.error for it in visit.tries if it.error))
        yield f"{visit.state} ({errors})" if errors else visit.state


def _counted(words: Iterable[str]) -> Iterator[str]:
    """The words, with repetitions in a row counted."""
    for word, again in groupby(words):
        times = len(list(again))
        yield f"{word} x {times}" if times > 1 else word
