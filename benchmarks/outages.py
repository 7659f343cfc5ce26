"""`make outages` prints which share of executions needs an operator after an outage, or is compensated.

An execution reaches a task at any time in the outage, and is lost if its retries are used up before the end. The
retriers are the definition's, and each wait with full jitter is drawn, as Step Functions does. Before the workflow, the
registration queue waits for ten hours.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from math import inf
from random import Random
from typing import Any

import yaml

from cli import terminal
from cli.documents.cost import DEFINITION

State = Mapping[str, Any]

DRAWS = 2000
DEFAULT_MAX_ATTEMPTS = 3
NOT_MATCHED_BY_ALL = frozenset({"States.DataLimitExceeded", "States.Runtime"})
OUTAGES = {"10 s": 10, "2 min": 120, "10 min": 600, "1 h": 3600, "6 h": 21600}
# What is away: the error that its tasks meet, and these tasks, by name or by what they call.
AWAY = {
    "EventBridge": ("EventBridge.InternalException", "events:putEvents"),
    "DynamoDB": ("DynamoDB.InternalServerError", "dynamodb:updateItem"),
    "DynamoDB, behind a function": (
        *("InternalServerError", "CreateAccount", "CancelAccount", "SendWelcomeEmail"),
        *("RequestConfirmation", "RemindCustomer"),
    ),
    "Lambda": ("Lambda.ServiceException", "lambda:invoke", "lambda:invoke.waitForTaskToken"),
    "Lambda throttles": ("Lambda.TooManyRequestsException", "lambda:invoke", "lambda:invoke.waitForTaskToken"),
    "a downstream system, its settings or secret": ("DownstreamUnavailable", "ProvisionAccount", "DeprovisionAccount"),
    "SES": ("EmailServiceUnavailable", "SendWelcomeEmail", "RequestConfirmation", "RemindCustomer"),
}


def matches(error_equals: list[str], error: str) -> bool:
    """Whether an ErrorEquals matches an error.

    https://states-language.net/#error-names
    """
    return (
        error in error_equals
        or ("States.ALL" in error_equals and error not in NOT_MATCHED_BY_ALL)
        or ("States.TaskFailed" in error_equals and error != "States.Timeout")
    )


def retrier_for(state: State, error: str) -> State | None:
    """The retrier that Step Functions takes for an error: the first that matches."""
    return next((retrier for retrier in state.get("Retry", []) if matches(retrier["ErrorEquals"], error)), None)


def attempts_of(retrier: State) -> int:
    """How often a retrier tries again."""
    return int(retrier.get("MaxAttempts", DEFAULT_MAX_ATTEMPTS))


def waits_of(retrier: State) -> list[float]:
    """The longest that each wait of a retrier takes, in seconds: no jitter, up to its cap."""
    first, rate = float(retrier.get("IntervalSeconds", 1)), float(retrier.get("BackoffRate", 2))
    return [
        min(first * rate**attempt, float(retrier.get("MaxDelaySeconds", inf)))
        for attempt in range(attempts_of(retrier))
    ]


def totals_of(retrier: State) -> list[float]:
    """What a retrier's waits take in all, in seconds, for each of DRAWS executions; the shortest first."""
    return _totals(tuple(waits_of(retrier)), jitter=retrier.get("JitterStrategy", "NONE"))


@cache
def _totals(waits: tuple[float, ...], *, jitter: str) -> list[float]:
    chance = Random(1815)  # noqa: S311 - repeatable, and no secret
    shortest = 0 if jitter == "FULL" else 1
    return sorted(sum(chance.uniform(shortest * wait, wait) for wait in waits) for _ in range(DRAWS))


def lost(state: State, error: str, seconds: float) -> float:
    """The share of executions whose retries don't outlast an outage that they reach at any time in it."""
    retrier = retrier_for(state, error)
    return sum(max(0, 1 - total / seconds) for total in totals_of(retrier or {"MaxAttempts": 0})) / DRAWS


def simulate(machine: Mapping[str, Any]) -> Iterator[tuple[str, list[float], bool]]:
    """For each service and each task that meets it: the share lost in each of OUTAGES, and whether that is caught."""
    for name, state in machine["States"].items():
        for task, inner in state.get("ItemProcessor", {}).get("States", {name: state}).items():
            for away, (error, *met_by) in AWAY.items():
                if {task, inner.get("Resource", "").rpartition(":::")[2]} & set(met_by):
                    catchers = [*inner.get("Catch", []), *state.get("Catch", [])]
                    is_caught = any(matches(catcher["ErrorEquals"], error) for catcher in catchers)
                    yield away, [lost(inner, error, seconds) for seconds in OUTAGES.values()], is_caught


def main() -> None:
    found = list(simulate(yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))))
    shown = []
    for away in AWAY:
        worst = [max(shares) for shares in zip(*(shares for name, shares, _ in found if name == away), strict=True)]
        compensated = max(shares[-1] * is_caught for name, shares, is_caught in found if name == away)
        shown.append((away, *(f"{share:.1%}" for share in (*worst, compensated))))
    columns = (*OUTAGES, "compensated")
    title = "Share of executions that an outage leaves to an operator, at its worst task"
    terminal.console().print(terminal.listing("away", *columns, rows=shown, right=columns, title=title))


if __name__ == "__main__":
    main()
