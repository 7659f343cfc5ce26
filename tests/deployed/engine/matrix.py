"""Each task of the definition, each way in which it fails, and the expected result."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.outages import matches, retrier_for
from tests.deployed.definition import TASKS, Task
from tests.deployed.engine.world import (
    COMPENSATED,
    CONFIRMED,
    ERASED,
    EXPIRED,
    INVALID,
    LATE,
    REMINDED,
    TAKEN,
    UNCONFIRMED,
    WAYS,
    WITHOUT_EMAIL,
    Way,
    World,
    in_one_system,
)
from tests.wiring.rules.retries import OUTCOMES, TRANSIENT

UNEXPECTED = "KeyError"
# The errors of the services behind native tasks; the last of each is permanent.
NATIVE_ERRORS = {
    "events:putEvents": (
        "States.Timeout",
        "EventBridge.FailedEntry",
        "EventBridge.InternalException",
        "EventBridge.ResourceNotFoundException",
    ),
    "dynamodb:updateItem": (
        "States.Timeout",
        "DynamoDB.InternalServerError",
        "DynamoDB.ProvisionedThroughputExceededException",
        "DynamoDB.ConditionalCheckFailedException",
    ),
}
FOR_GOOD = 80  # times: more than any task is tried

# The expected errors and the ways that they lead to; all others fail the execution at the task.
EXPECTED: dict[tuple[str, str], Way] = {
    ("ValidateCustomer", "CustomerInvalid"): INVALID,
    ("CreateAccount", "EmailNotConfirmed"): CONFIRMED,
    ("RequestConfirmation", "States.Timeout"): REMINDED,
    ("RemindCustomer", "States.Timeout"): EXPIRED,
    ("ExpireConfirmation", "DynamoDB.ConditionalCheckFailedException"): LATE,
    ("CreateAccount", "EmailAlreadyRegistered"): TAKEN,
    ("SendWelcomeEmail", "EmailUndeliverable"): WITHOUT_EMAIL,
    ("SendWelcomeEmail", "EmailUnconfirmed"): UNCONFIRMED,
    ("ProvisionAccount", "DownstreamRefused"): COMPENSATED,
} | {(task, "AccountErased"): way for task, way in ERASED.items()}


@dataclass(frozen=True)
class Failure:
    """A way in which a task fails: it meets `faults`, one a try (see faults.py).

    `error` is its last try's, None if a try succeeds in the end. `done` says whether it did its work all the same,
    `repeats` whether that shows more than once in the world; `mails` counts e-mails beyond the first.
    """

    what: str
    faults: tuple[str, ...] = ()
    error: str | None = None
    done: bool = False
    repeats: bool = False
    mails: int = 0


@dataclass(frozen=True)
class Row:
    """A task, a failure, and the expected result."""

    task: Task
    failure: Failure

    def __str__(self) -> str:
        return f"{self.task.name}-{self.failure.what}"

    @property
    def way(self) -> Way:
        """The way that the execution takes, at least up to the task."""
        expected = EXPECTED.get((self.task.name, self.failure.error or ""))
        return expected or next(way for way in WAYS if self.task.name in way.tasks)

    @property
    def failed_at(self) -> Task | None:
        """The task that the execution fails at, if it does."""
        expected = (self.task.name, self.failure.error) in EXPECTED
        return self.task if self.failure.error and not expected else None

    @property
    def is_compensated(self) -> bool:
        """Whether the failure leads to a compensation that succeeds."""
        return self.way is COMPENSATED and self.task.name == COMPENSATED.fails

    @property
    def faults(self) -> dict[str, list[str]]:
        """The faults to plan, by task: those that lead to the task, and its own."""
        own = {} if self._is_the_ways_own else {in_one_system(self.task.name): list(self.failure.faults)}
        return self.way.faults | own

    @property
    def met(self) -> int:
        """How many of the task's planned faults it meets."""
        if self._is_the_ways_own:  # one, unless the customer makes the task fail
            return len(self.way.faults.get(in_one_system(self.task.name), ()))
        return self.task.tries(self.failure.error) if self.failure.error else len(self.failure.faults)

    @property
    def leaves(self) -> World:
        """What exists of the customer afterwards."""
        failed_at = self.failed_at.name if self.failed_at else None
        world = self.way.leaves(failed_at, done=self.failure.done)
        return world.with_mails(self.failure.mails)

    @property
    def _is_the_ways_own(self) -> bool:
        own = (self.way.fails, self.way.by), ("CreateAccount", "EmailNotConfirmed")
        return (self.task.name, self.failure.error) in own


def failures(task: Task) -> Iterator[Failure]:
    """The ways in which a task can fail."""
    yield from _native_failures(task) if task.is_native else _function_failures(task)


def _function_failures(task: Task) -> Iterator[Failure]:
    passing = [
        *TRANSIENT[task.state["Resource"]],
        *(error for error in sorted(task.typed_errors) if task.tries(error) > 1),
    ]
    yield Failure("each passing error once", tuple(f"raise {error}" for error in _retried(task, passing)))
    for error in [*passing, UNEXPECTED]:
        yield Failure(f"{error} until the retries are used up", (f"raise {error}",) * FOR_GOOD, error)
    for error in sorted({*task.typed_errors, *OUTCOMES.get(task.state["Resource"], ())}.difference(passing)):
        yield Failure(error, (f"raise {error}",) * FOR_GOOD, error)
    yield Failure("hang", ("hang",))
    yield Failure("crash before the work", ("exit",))
    yield Failure("crash after the work", ("work, then exit",))
    yield Failure(
        "work done but never reported", ("work, then raise Lambda.Unknown",) * FOR_GOOD, "Lambda.Unknown", done=True
    )
    yield Failure("same input twice", ("work twice",))
    if task.name == "SendWelcomeEmail":
        # The one window that no protocol closes: docs/design.md, rule 5.
        crash = ("exit after onboarding.adapters.mail.send",)
        yield Failure("crash after the mail before it is recorded", crash, mails=1)


def _retried(task: Task, errors: list[str]) -> Iterator[str]:
    """The errors that pass if they come in turn: those with one retrier share its attempts."""
    met = Counter[str]()
    for error in errors:
        met[retrier := str(retrier_for(task.state, error))] += 1
        if met[retrier] < task.tries(error):
            yield error


def _native_failures(task: Task) -> Iterator[Failure]:
    errors = NATIVE_ERRORS.get(task.integration, ())
    yield Failure("each passing error once", tuple(f"raise {error}" for error in errors[:-1]))
    for error in errors:
        yield Failure(f"{error} until the retries are used up", (f"raise {error}",) * FOR_GOOD, error)
    yield Failure("crash after the work", ("work, then exit",), repeats=True)
    yield Failure(
        "work done but never reported",
        ("work, then raise States.Timeout",) * FOR_GOOD,
        "States.Timeout",
        done=True,
        repeats=True,
    )
    yield Failure("same input twice", ("work twice",), repeats=True)


def _alike(row: Row) -> str:
    """The same for rows that end alike: one retrier takes their errors, nothing or one catcher catches them.

    An error that a function expects is like no other.
    """
    state, error = row.task.state, row.failure.error
    if error is None or error in row.task.typed_errors:
        return str(row)
    catcher = next((it for it in state.get("Catch", []) if matches(it["ErrorEquals"], error)), None)
    return str((row.task.name, row.failure.done, retrier_for(state, error), catcher))


MATRIX = [Row(task, failure) for task in TASKS.values() for failure in failures(task)]
# What runs on the emulator: of rows that end alike, the first. The rehearsal walks each one.
DISTINCT = list({_alike(row): row for row in reversed(MATRIX)}.values())[::-1]
