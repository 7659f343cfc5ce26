"""The facts about each customer, the counts that they make, and the funnel of a day.

A customer counts for the day, in UTC, on which the API accepted the registration. An event changes the counts only by
the facts that it adds, so repeats and another order don't matter. A simulated customer counts for nothing.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AwareDatetime, Field
from pydantic.alias_generators import to_snake

from onboarding.domain.events import Event
from onboarding.domain.meanings import meaning_of
from onboarding.domain.models import CustomerId, Message

_REJECTION, _FAILURE = "rejection:", "failure:"
_UNKNOWN = "UNKNOWN"  # the reason of an e-mail that is unconfirmed
# A counter with this prefix and so many tenths of a second says how many were onboarded in that time.
TIME = "TIME#"
_TENTHS = 10
# The objective of OnboardingsObjectiveAlarm in template.yaml.
_IN_TIME = timedelta(minutes=15)


class Facts(Message):
    """The facts about one customer's onboarding."""

    customer_id: CustomerId
    registered_at: AwareDatetime | None = None
    validated: bool = False
    seconds_to_confirm: float | None = None
    confirmed_at: AwareDatetime | None = None
    expired: bool = False
    account_created: bool = False
    email_sent_at: AwareDatetime | None = None
    email_failed_at: AwareDatetime | None = None
    email_failure: str | None = None
    email_unconfirmed_at: AwareDatetime | None = None
    rejections: tuple[str, ...] = ()
    rejected_at: AwareDatetime | None = None
    failure: str | None = None
    suspected: bool = False
    simulated: bool = False
    erased: bool = False

    def with_event(self, event: Event) -> Self:
        """Return the facts with those of the event added; no fact is lost. Erased and simulated customers have none."""
        reason = getattr(event, "reason", None)
        stage = meaning_of(type(event).__name__, reason).stage
        at = event.metadata.occurred_at
        said: Any = event  # every event of a stage has the fields that its case reads
        changes: dict[str, Any] = {}
        match stage:
            case "registered":
                changes = {"registered_at": said.registered_at, "simulated": said.customer_data.is_simulated}
            case "validated" | "expired" | "accountCreated" | "suspected":
                changes = {to_snake(stage): True}
            case "rejected":
                rejections = (reason,) if reason else tuple(sorted({it["code"] for it in said.errors}))
                changes = {"rejections": rejections, "rejected_at": min(at, self.rejected_at or at)}
            case "emailConfirmed":
                known = math.inf if self.seconds_to_confirm is None else self.seconds_to_confirm
                waited = min(said.seconds_waited, known)
                changes = {"seconds_to_confirm": waited, "confirmed_at": min(at, self.confirmed_at or at)}
            case "failed":
                changes = {"failure": reason}
            case "emailSent":
                changes = {"email_sent_at": min(at, self.email_sent_at or at)}
            case "emailFailed":
                # Of two events with the same id, the earlier one counts.
                earlier = (self.email_failed_at or at, self.email_failure or reason)
                failed_at, failure = min((at, reason), earlier)
                changes = {"email_failed_at": failed_at, "email_failure": failure}
            case "emailUnconfirmed":
                changes = {"email_unconfirmed_at": min(at, self.email_unconfirmed_at or at)}
        after = self.model_copy(update=changes | {"erased": self.erased or stage == "erased"})
        nothing = type(self)(customer_id=self.customer_id, simulated=after.simulated, erased=after.erased)
        return nothing if after.simulated or after.erased else after

    @property
    def onboarded_at(self) -> datetime | None:
        """When the workflow onboarded the customer, with an e-mail or without."""
        undeliverable_at = self.email_failed_at if self.email_failure == "UNDELIVERABLE" else None
        return self.email_sent_at or self.email_unconfirmed_at or undeliverable_at

    @property
    def seconds_to_onboard(self) -> float | None:
        """From the API's answer to the end of the workflow, without the wait for the customer's confirmation.

        It is never negative, even where clocks differ.
        """
        if not self.registered_at or not self.onboarded_at:
            return None
        return max(0.0, (self.onboarded_at - self.registered_at).total_seconds() - (self.seconds_to_confirm or 0))

    @property
    def answered_in_time(self) -> bool:
        """Whether the workflow onboarded or rejected the customer within 15 minutes of the confirmation."""
        answered_at = self.onboarded_at or self.rejected_at
        if not answered_at or not self.confirmed_at:
            return False
        return answered_at - self.confirmed_at <= _IN_TIME

    @property
    def counts(self) -> Counter[str]:
        """What the customer adds to the counters of a day."""
        return Counter(
            {
                "registered": 1,
                "validated": int(self.validated),
                "emailConfirmed": int(self.seconds_to_confirm is not None),
                "expired": int(self.expired),
                "accountCreated": int(self.account_created),
                "emailSent": int(self.email_sent_at is not None),
                "onboarded": int(self.onboarded_at is not None),
                "rejected": int(bool(self.rejections)),
                "suspected": int(self.suspected),
                **{f"{_REJECTION}{code}": 1 for code in self.rejections},
                **{f"{_FAILURE}{reason}": 1 for reason in (self.failure, self.email_failure) if reason},
                f"{_FAILURE}{_UNKNOWN}": int(self.email_unconfirmed_at is not None),
            }
        )

    @property
    def time_counter(self) -> str | None:
        """The counter of the customer's time to onboard, by rounded tenths of a second."""
        seconds = self.seconds_to_onboard
        return None if seconds is None else f"{TIME}{round(seconds * _TENTHS):08}"


class Measure(NamedTuple):
    """A metric: its name, value and unit, and the reason that it is counted by, if any."""

    name: str
    value: float = 1
    unit: Literal["Count", "Seconds"] = "Count"
    reason: str | None = None


_COUNTED = {
    "CustomerRegistered": "registered_at",
    "CustomerConfirmed": "confirmed_at",
    "CustomerAnsweredInTime": "answered_in_time",
    "CustomerOnboarded": "onboarded_at",
    "CustomerSuspected": "suspected",
}


def measures(before: Facts, after: Facts) -> Iterator[Measure]:
    """A metric for each fact that is new. As in the counters, there are none until the registration is known."""
    if not after.registered_at:
        return
    before = before if before.registered_at else Facts(customer_id=before.customer_id)
    for name, fact in _COUNTED.items():
        if getattr(after, fact) and not getattr(before, fact):
            yield Measure(name)
    if after.seconds_to_onboard is not None and before.seconds_to_onboard is None:
        yield Measure("TimeToOnboard", after.seconds_to_onboard, "Seconds")
    for code in set(after.rejections) - set(before.rejections):
        yield Measure("CustomerRejected", reason=code)
    if after.failure and not before.failure:
        yield Measure("AccountFailed", reason=after.failure)
    if after.email_failure and not before.email_failure:
        yield Measure("WelcomeEmailFailed", reason=after.email_failure)
    if after.email_unconfirmed_at and not before.email_unconfirmed_at:
        yield Measure("WelcomeEmailFailed", reason=_UNKNOWN)


class TimeToOnboard(Message):
    """Seconds from the API's answer to the end of the workflow, to a tenth. Percentiles are by nearest rank.

    The wait for a customer's confirmation doesn't count.
    """

    median: float
    p95: float


class Funnel(Message):
    """How many customers reached each stage."""

    registered: int
    validated: int
    email_confirmed: Annotated[int, Field(description="Only where the stack asks for it")]
    account_created: int
    email_sent: int
    onboarded: Annotated[int, Field(description="With a welcome e-mail or without")]
    rejected: int
    expired: Annotated[int, Field(description="Nobody confirmed the e-mail address in time")]
    suspected: Annotated[int, Field(description="Of fraud; they are in the stages too")]
    rejection_reasons: Annotated[dict[str, int], Field(description="A customer may have several")]
    failure_reasons: dict[str, int]
    time_to_onboard: TimeToOnboard | None = None


class Day(Funnel):
    """The funnel of those who were registered on a day, in UTC."""

    day: Annotated[date, Field(alias="date")]


class Analytics(Message):
    """The funnel of each day of a period, and of all of it."""

    first: Annotated[date, Field(alias="from")]
    last: Annotated[date, Field(alias="to")]
    total: Funnel
    days: list[Day]


def analytics(counters: Mapping[date, Counter[str]]) -> Analytics:
    """Return the analytics of a period from the counters of each of its days, in order."""
    return Analytics(
        first=min(counters),
        last=max(counters),
        total=Funnel.model_validate(_funnel(sum(counters.values(), Counter()))),
        days=[Day.model_validate(_funnel(counts) | {"day": day}) for day, counts in counters.items()],
    )


def _funnel(counters: Counter[str]) -> dict[str, Any]:
    times = {int(name.removeprefix(TIME)): count for name, count in counters.items() if name.startswith(TIME)}
    return {
        **{name: counters[name] for name in ("registered", "validated", "emailConfirmed", "accountCreated")},
        **{name: counters[name] for name in ("emailSent", "onboarded", "rejected", "expired", "suspected")},
        "rejectionReasons": _reasons(counters, _REJECTION),
        "failureReasons": _reasons(counters, _FAILURE),
        "timeToOnboard": _time_to_onboard(sorted(times.items())),
    }


def _reasons(counters: Counter[str], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count
        for name, count in sorted(counters.items())
        if name.startswith(prefix) and count
    }


def _time_to_onboard(times: list[tuple[int, int]]) -> TimeToOnboard | None:
    tenths = [tenths for tenths, count in times for _ in range(count)]
    if not tenths:
        return None
    median, p95 = (tenths[math.ceil(share * len(tenths)) - 1] / _TENTHS for share in (0.5, 0.95))
    return TimeToOnboard(median=median, p95=p95)
