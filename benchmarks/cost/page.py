"""The page on cost: docs/cost.md, made of the measurement and the price list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from benchmarks.cost.alternatives import ALTERNATIVES, CONSUMERS, REGISTER, SEND, STANDARD, START, bills
from benchmarks.cost.bill import (
    HISTORY_EVENT_BYTES,
    LAMBDAS_BYTES,
    LOG_EVENT_BYTES,
    POLL_SECONDS,
    POLLERS,
    REQUESTS_PER_MESSAGE,
    SECONDS_A_MONTH,
    added,
    function_units,
    monthly,
    status_request,
    units,
    works,
)
from benchmarks.cost.kinds import KINDS, ONBOARDED, SYSTEMS, THREE_SYSTEMS
from benchmarks.cost.measurement import Measurement, Registration
from benchmarks.cost.prices import (
    A_MILLION_TRACES,
    GIBIBYTE,
    LISTED,
    MILLION,
    PRICES,
    REGION,
    SERVICES,
    Unit,
    Units,
    dollars,
    total,
)
from local import PROJECT

DEFINITION = PROJECT / "statemachine" / "customer_onboarding.asl.yaml"
VOLUMES = (10_000, 100_000, 1_000_000, 10_000_000)  # registrations a month
WORTH_A_MONTH = 1_000  # US dollars a month from which a second way of doing it may pay its keep: about a day's work
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: a second, in us-east-1 and elsewhere
TRANSITION_QUOTAS, START_QUOTAS = (5_000, 800), (300, 150)
SLOWER = 5

PAGE = """\
# What a registration costs

Counted from real runs of the deployed stack on the emulator ({measured}), and priced by the list of {region}
({listed}), without free tiers, discounts and taxes. The counts are AWS's to bill; durations and bytes of logs are
this machine's and make up {soft:.0%} of the first line. `make cost` counts anew, `make docs` writes this page.

An onboarded customer enters **{transitions} states** and costs **${total:.2f} for a thousand**: {step_functions:.0%}
of it are state transitions, {mail:.0%} the e-mail. Each downstream system adds one transition, each retry one.

US dollars for a million registrations:

{bill}

![The same as bars, by service](cost.svg)

Whoever looks at the status pays ${status:.2f} for a million looks; the answer's ETag spares the body, not the
request.

## What was counted

For one registration:

{counted}

## Which states cost what

US dollars for a million customers who are onboarded with {systems} downstream systems; a publication's price is that
of the event alone, its consumers are below.

{states}

Before the workflow, and behind its events:

{others}

The consumer record_analytics is the dearest function, but for the e-mail's own price: each event is a transaction,
whose writes count twice. A state that only decides costs as much as one that works, which is why Assign and Output
shape data in passing.

## Done otherwise

US dollars for a million registrations, all services:

{ways}

{assumptions}

## When another would be better

What is saved in a month against the Standard workflow, all customers onboarded without downstream systems, in US
dollars:

{saved}

Below that, what is saved is less than what it costs to look after it. In particular:

- **Express** keeps the definition, and saves nearly what can be saved. It can't wait: retries of up to 6.8 h ride out
  a mail outage here, while an Express execution ends after five minutes, for good, since it can't be redriven. It
  runs at least once, so that each registration needs a lock, and what happened to a customer is a search through a
  log. With the e-mail sent from a queue the outage is ridden out again, for ${queue:.2f} more for a million. That is
  the better choice from some {queued_volume} registrations a month ({queued_rate:.1f} a second), where ${worth:,} a
  month pay for the second process and its lock; below, it buys nothing worth having.
- **Choreography** comes to about the same, and saves ${worth:,} a month from {choreography_volume} registrations. It
  is the better choice where steps belong to different teams, not for its price: the order, the compensation and
  "where is this customer?" then have to be built, and looked after.
- **One function** is cheapest, and holds as long as no system and no mail service stays away: each retry does
  everything again, and while it waits for a slow system, its time is billed.
- **The quotas** allow {customers:.0f} customers a second in us-east-1, us-west-2 and eu-west-1 (StartExecution
  {start_quota} a second; state transitions {transition_quota:,}), {elsewhere:.0f} elsewhere (transitions
  {transition_elsewhere}; StartExecution {start_elsewhere}), and can be raised.
- **E-mail, consumers and tables** cost the same in each of these ways: what can be saved is Step Functions' part, and
  its log.

## What it rests on

- **State transitions**: each state entered is one, also in a Map's iterations, each retry is one. Step Functions'
  console draws a Start; were it billed too, each line would have one more. A redrive is one more, and the states that
  it runs again.
- **Requests to SQS**: {per_message} for each message (send, receive, delete), as with batches of one; under load
  Lambda receives and deletes up to three together, and the functions that read queues are invoked as much less often.
- **DynamoDB**: each call that a function made, by the size of the item, 1 KB a write and 4 KB a read, twice in a
  transaction.
- **Lambda**: the medians of the durations in the REPORT lines, warm, on this machine ({machine}); an invocation takes
  some 50 ms here even where it does next to nothing. On AWS, with {memory} MB on arm64, they will differ: {slower}
  times as long would add ${slower_adds:.2f} to the first line. A cold start takes {cold_least:.2f} to {cold_most:.2f}
  s here; AWS bills it as duration, at most ${cold_cost:.2f} for a million of them.
- **Logs**: the functions' own lines as they were, about {lambdas_bytes} bytes that Lambda adds to each invocation,
  about {history_bytes} for each event of the workflow's history (level ALL, without data), and {log_event_bytes} that
  CloudWatch adds to each.
- **Not in the lines**: what each instance of a function asks for every five minutes (parameters, secrets), storage,
  backups, data transfer, what the partners' systems cost. X-Ray, if each registration is traced, is ${traces:.2f} a
  million; it samples one request a second and 5 % of the others.

Each month, used or not, in US dollars:

{fixed}

Lambda polls each queue {pollers} times at once for {poll_seconds} s, also when nothing comes; SQS's free tier of a
million requests is not deducted.

Most of these prices were read in other people's copies of AWS's pages; before you rely on one, look at AWS's own:

| unit | US dollars | AWS's page |
|---|---:|---|
{prices}
"""


def page(measurement: Measurement) -> str:
    """The page as Markdown."""
    first = measurement.of(ONBOARDED.name)
    billed = units(first, measurement)
    whole, by_service = total(billed), dollars(billed)
    transitions = sum(first.transitions.values())
    duration = PRICES[Unit.LAMBDA_GB_SECOND].of(billed[Unit.LAMBDA_GB_SECOND])
    saved_by = {
        name: whole - total(each) for name, each in bills(first, measurement).items() if each and name != STANDARD.name
    }
    express, queued, choreography, _ = saved_by.values()
    cold = max(
        PRICES[Unit.LAMBDA_GB_SECOND].of(seconds * measurement.memory[name] / 1024)
        for name, seconds in measurement.cold.items()
    )
    return PAGE.format(
        measured=measurement.measured,
        region=REGION,
        listed=LISTED,
        soft=(duration + by_service["CloudWatch Logs"]) / whole,
        transitions=transitions,
        total=whole * 1000,
        step_functions=by_service["Step Functions"] / whole,
        mail=by_service["SES"] / whole,
        bill=_bill(measurement),
        status=total(status_request(measurement)) * MILLION,
        counted=_counted(measurement),
        systems=len(SYSTEMS),
        states=_states(measurement),
        others=_others(measurement),
        ways=_ways(measurement),
        assumptions="\n\n".join(_assumptions()),
        saved=_saved(saved_by),
        queue=(express - queued) * MILLION,
        queued_volume=_rounded(WORTH_A_MONTH / queued),
        queued_rate=WORTH_A_MONTH / queued / SECONDS_A_MONTH,
        choreography_volume=_rounded(WORTH_A_MONTH / choreography),
        worth=WORTH_A_MONTH,
        customers=min(TRANSITION_QUOTAS[0] / transitions, START_QUOTAS[0]),
        elsewhere=min(TRANSITION_QUOTAS[1] / transitions, START_QUOTAS[1]),
        transition_quota=TRANSITION_QUOTAS[0],
        transition_elsewhere=TRANSITION_QUOTAS[1],
        start_quota=START_QUOTAS[0],
        start_elsewhere=START_QUOTAS[1],
        per_message=REQUESTS_PER_MESSAGE,
        machine=measurement.machine,
        memory=" and ".join(map(str, sorted(set(measurement.memory.values())))),
        slower=SLOWER,
        slower_adds=duration * (SLOWER - 1) * MILLION,
        cold_least=min(measurement.cold.values()),
        cold_most=max(measurement.cold.values()),
        cold_cost=cold * MILLION,
        lambdas_bytes=LAMBDAS_BYTES,
        history_bytes=HISTORY_EVENT_BYTES,
        log_event_bytes=LOG_EVENT_BYTES,
        traces=A_MILLION_TRACES,
        fixed=_table(("what", "a month"), ((what, f"{amount:.2f}") for what, amount in monthly().items())),
        pollers=POLLERS,
        poll_seconds=POLL_SECONDS,
        prices="\n".join(_prices()),
    )


def _bill(measurement: Measurement) -> str:
    rows = []
    for kind in KINDS:
        registration = measurement.of(kind.name)
        billed = units(registration, measurement)
        amounts = [*dollars(billed).values(), total(billed)]
        rows.append((kind.title, sum(registration.transitions.values()), *_millions(amounts)))
    return _table(("registration", "transitions", *SERVICES, "all"), rows)


def _counted(measurement: Measurement) -> str:
    shown = [unit for unit in Unit if unit not in {Unit.EXPRESS_REQUEST, Unit.EXPRESS_GB_SECOND, Unit.API_REQUEST}]
    rows = []
    for kind in KINDS:
        billed = units(measurement.of(kind.name), measurement)
        rows.append((kind.title, *(_number(billed.get(unit, 0)) for unit in shown)))
    return _table(("registration", *(f"{unit}s" for unit in shown)), rows)


def _states(measurement: Measurement) -> str:
    registration = measurement.of(THREE_SYSTEMS.name)
    work = works(registration)
    rows = []
    for name, state in _definition()["States"].items():
        number = registration.transitions.get(name, 0)
        if not number:
            continue
        called = _called(state)
        other = _native(state, registration)
        if called in work:
            mails = {Unit.MAIL: registration.mails if called == SEND else 0}
            other = added(function_units(called, work[called], measurement), mails)
        parts = (dollars({Unit.TRANSITION: number})["Step Functions"], total(other))
        rows.append((name, number, _what(state), *_millions(parts), *_millions([sum(parts)])))
    return _table(("state", "transitions", "calls", "transitions'", "what it calls", "together"), rows)


def _others(measurement: Measurement) -> str:
    registration = measurement.of(THREE_SYSTEMS.name)
    rows = []
    for name in (REGISTER, START, *sorted(CONSUMERS)):
        work = works(registration)[name]
        messages = registration.messages.get(name, 0)
        request = {Unit.API_REQUEST: 1.0} if name == REGISTER else {}
        billed = added(
            function_units(name, work, measurement),
            {Unit.SQS_REQUEST: messages * REQUESTS_PER_MESSAGE},
            request,
        )
        amounts = _millions([total(billed)])
        rows.append((_snake(name), _number(work.invocations), _number(work.writes), _number(work.reads), *amounts))
    return _table(("function", "invocations", "write units", "read units", "with its queue"), rows)


def _ways(measurement: Measurement) -> str:
    rows = []
    for kind in KINDS:
        each = bills(measurement.of(kind.name), measurement).values()
        rows.append((kind.title, *("impossible" if one is None else _millions([total(one)])[0] for one in each)))
    return _table(("registration", *(alternative.name for alternative in ALTERNATIVES)), rows)


def _assumptions() -> Iterator[str]:
    for alternative in ALTERNATIVES:
        yield f"**{alternative.name}**\n\n{alternative.assumptions}"


def _saved(saved_by: Mapping[str, float]) -> str:
    rows = [
        (f"{volume:,}", f"{volume / SECONDS_A_MONTH:.3g}", *(f"{saved * volume:,.0f}" for saved in saved_by.values()))
        for volume in VOLUMES
    ]
    reached = (_rounded(WORTH_A_MONTH / saved) for saved in saved_by.values())
    rows.append((f"**{WORTH_A_MONTH:,} are saved from**", "", *reached))
    return _table(("registrations a month", "a second", *saved_by), rows)


def _prices() -> Iterator[str]:
    for unit, price in PRICES.items():
        per = {1: "one", 1_000: "1,000", MILLION: "a million", GIBIBYTE: "a GB"}[int(price.per)]
        yield f"| {unit} | {price.dollars:.10f}".rstrip("0").rstrip(".") + f" for {per} | <{price.source}> |"


def _definition() -> dict[str, Any]:
    return dict(yaml.safe_load(DEFINITION.read_text(encoding="utf-8")))


def _inner(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The task that a Map runs; any other state itself."""
    if "ItemProcessor" not in state:
        return state
    machine = state["ItemProcessor"]
    return dict(machine["States"][machine["StartAt"]])


def _called(state: Mapping[str, Any]) -> str:
    """The logical id of the function that a state calls; empty where it calls none."""
    name = _inner(state).get("Arguments", {}).get("FunctionName", "")
    return str(name).removeprefix("${").removesuffix("Arn}")


def _what(state: Mapping[str, Any]) -> str:
    if called := _called(state):
        return _snake(called)
    return str(state["Resource"]).partition(":::")[2] if "Resource" in state else "nothing"


def _native(state: Mapping[str, Any], registration: Registration) -> Units:
    match _what(state):
        case "events:putEvents":
            return {Unit.EVENT: 1, Unit.ARCHIVED_BYTE: registration.bytes_published / registration.events}
        case "dynamodb:updateItem":
            return {Unit.WRITE: 1}
    return {}


def _snake(logical_id: str) -> str:
    """The folder of a function."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", logical_id.removesuffix("Function")).lower()


def _millions(amounts: Iterable[float]) -> list[str]:
    return [f"{amount * MILLION:,.2f}" for amount in amounts]


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 or number == round(number) else f"{number:,.2f}"  # noqa: PLR2004


def _rounded(number: float) -> str:
    """Two digits: more would be pretended."""
    return f"{float(f'{number:.2g}'):,.0f}"


def _table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    names = list(headings)
    lines = ["| " + " | ".join(names) + " |", "|---" + "|---:" * (len(names) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])
