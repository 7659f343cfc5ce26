"""The demo's report: for each customer what was sent, what came of it, and whether it should."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from itertools import groupby

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from cli.demo.customers import Customer
from cli.demo.outcome import Answer, Outcome, differences
from cli.report.table import show
from onboarding.domain.analytics import Analytics


def report(outcomes: Sequence[Outcome], unmatched: Sequence[str], console: Console) -> bool:
    """Print all outcomes and the verdict; whether all went as expected."""
    by_name = {outcome.customer.name: outcome for outcome in outcomes}
    wrong = {name: list(differences(outcome, by_name)) for name, outcome in by_name.items()}
    for outcome in outcomes:
        differs = wrong[outcome.customer.name]
        mark = Text("✗ ", "bold red") if differs else Text("✓ ", "bold green")
        title = mark + Text(outcome.customer.title, style="bold default")
        console.print(Rule(title, align="left", style="dim"))
        console.print(_details(outcome, differs))
    console.print(Rule(style="dim"))
    surprised = [name for name, found in wrong.items() if found]
    if not surprised and not unmatched:
        console.print(f"All {len(outcomes)} customers as expected.", style="bold green")
        return True
    summary = f"{len(surprised)} of {len(outcomes)} customers NOT as expected: "
    console.print(Text(summary + ", ".join(surprised), style="bold red"))
    for line in unmatched:
        console.print(Text(f"There was {line}", style="red"))
    return False


def expected_funnel(customers: Iterable[Customer]) -> dict[str, int]:
    """How many of the customers are to be in each stage of the funnel; who is answered again counts once."""
    events = [set(customer.expect.events) for customer in customers if not customer.expect.same_customer]
    rejected = sum(not customer.expect.same_customer and customer.expect.status == "REJECTED" for customer in customers)
    by_stage = {
        "registered": "CustomerRegistered",
        "validated": "CustomerValidated",
        "account_created": "CustomerAccountCreated",
        "email_sent": "WelcomeEmailSent",
        "suspected": "CustomerFraudSuspected",
    }
    return {stage: sum(event in theirs for theirs in events) for stage, event in by_stage.items()} | {
        "rejected": rejected
    }


def report_funnel(analytics: Analytics, customers: Iterable[Customer], console: Console) -> bool:
    """Print the funnel that the API tells; whether it is as expected."""
    show(analytics, console)
    wrong = {
        stage: (count, getattr(analytics.total, stage))
        for stage, count in expected_funnel(customers).items()
        if getattr(analytics.total, stage) != count
    }
    for stage, (should, was) in wrong.items():
        console.print(Text(f"{stage} should be {should}, was {was}", style="bold red"))
    return not wrong


def _details(outcome: Outcome, differs: Sequence[str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", min_width=8)
    table.add_column(overflow="fold")
    for label, text in _lines(outcome):
        table.add_row(label, Text(text))
    for sentence in differs:
        table.add_row(Text("differs", style="bold red"), Text(sentence, style="red"))
    return table


def _lines(outcome: Outcome) -> Iterator[tuple[str, str]]:
    customer, execution = outcome.customer, outcome.execution
    yield from _request(customer)
    yield from _answer(outcome.answer)
    if execution:
        yield "way", " ▸ ".join(_counted(execution.states))
        result = [value for key, value in execution.output.items() if key != "customerId"]
        failure = [execution.error, execution.cause]
        yield "outcome", " · ".join(filter(None, [execution.status, *result, *failure]))
    if status := outcome.status_response:
        steps = " ▸ ".join(step["type"] for step in status["timeline"])
        yield "status", f"{status['status']}, e-mail {status['welcomeEmail']}: {steps}"
    for error in outcome.errors:
        yield "refused", f"{error['field']}: {error['message']}"
    if outcome.events:
        yield "events", ", ".join(outcome.event_types)
    if execution:
        yield "accounts", _holdings(outcome, outcome.accounts) or "in no system"
        if outcome.tombstones:
            yield "barred", _holdings(outcome, outcome.tombstones)
    for mail in outcome.mails:
        yield "mail", f"to {', '.join(mail['To'])}: {mail['Subject']}"
        shown = [line for line in mail["BodyHtml"].splitlines() if customer.expect.html in line]
        if customer.expect.html and shown:
            yield "", f"in HTML: {shown[0].strip()}"


def _answer(answer: Answer) -> Iterator[tuple[str, str]]:
    for refusal in _counted(f"{status} {HTTPStatus(status).phrase}" for status in answer.refusals):
        yield "answer", f"{refusal}: asked again, as Retry-After says"
    remark = answer.document.get("detail") or json.dumps(answer.document)
    if answer.customer_id:
        remark = f"customerId {answer.customer_id}"
    yield "answer", f"{answer.status} {HTTPStatus(answer.status).phrase}: {remark}"


def _request(customer: Customer) -> Iterator[tuple[str, str]]:
    yield "sent", json.dumps(customer.customer, ensure_ascii=False)
    if customer.idempotency_key:
        yield "", f"Idempotency-Key: {customer.idempotency_key}"
    for system, faults in customer.faults.items():
        planned = (f"{fault.kind} x {fault.times}" if fault.times > 1 else fault.kind for fault in faults)
        yield "fault", f"{system} fails: {' ▸ '.join(planned)}"


def _holdings(outcome: Outcome, systems: Iterable[str]) -> str:
    """The systems, each with what it answered."""
    shown = []
    for system in systems:
        answers = " ▸ ".join(_counted(outcome.holdings[system].answers))
        shown.append(f"{system} ({answers})" if answers else system)
    return ", ".join(shown)


def _counted(words: Iterable[str]) -> Iterator[str]:
    """The words, with those that come several times in a row counted."""
    for word, again in groupby(words):
        times = len(list(again))
        yield f"{word} x {times}" if times > 1 else word
