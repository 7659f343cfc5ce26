"""Everything that a customer's onboarding leaves behind, as one value to compare.

What each task does to it, and the ways through the workflow, are written down here a second time, from docs/design.md:
the definition is what is tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

ALL = frozenset({"crm", "billing", "ledger"})

# Where the workflow waits for the customer to confirm the e-mail address.
WAITS = ("RequestConfirmation", "RemindCustomer")

# A Map's task fails in this system.
FAILING_SYSTEM = {"ProvisionAccount": "crm", "DeprovisionAccount": "billing"}

# The detail-type that each task publishes.
PUBLISHED = {
    "PublishCustomerRegistered": "CustomerRegistered",
    "PublishCustomerValidated": "CustomerValidated",
    "PublishCustomerValidationFailed": "CustomerValidationFailed",
    "PublishCustomerEmailConfirmed": "CustomerEmailConfirmed",
    "PublishCustomerRegistrationExpired": "CustomerRegistrationExpired",
    "PublishCustomerAccountCreated": "CustomerAccountCreated",
    "PublishCustomerAccountCreationFailed": "CustomerAccountCreationFailed",
    "PublishDownstreamFailed": "CustomerAccountCreationFailed",
    "PublishWelcomeEmailSent": "WelcomeEmailSent",
    "PublishWelcomeEmailFailed": "WelcomeEmailFailed",
    "PublishWelcomeEmailUnconfirmed": "WelcomeEmailUnconfirmed",
    "PublishCustomerErased": "CustomerErased",
}


@dataclass(frozen=True)
class World:
    """What exists of one customer.

    `account` is the status in the customers table. `address` says who has the e-mail address: "free", "theirs" or
    "another's". `accounts` and `tombstones` are the downstream systems that have one. `events` are the published
    detail-types, each once by its eventId. `asked` says what became of the confirmation, if any: "waiting", "confirmed"
    or "expired".
    """

    account: str | None = None
    address: str = "free"
    accounts: frozenset[str] = frozenset()
    tombstones: frozenset[str] = frozenset()
    events: tuple[str, ...] = ()
    mails: int = 0
    asked: str | None = None

    def after(self, task: str, systems: frozenset[str]) -> World:
        """The world once a task has done its work; a Map's task has done it in `systems`."""
        changes: dict[str, Any] = {}
        match task:
            case "ValidateCustomer":
                pass
            case "RequestConfirmation" | "RemindCustomer":
                changes = {"asked": "waiting"}
            case "ExpireConfirmation":
                changes = {"asked": "expired"}
            case "CreateAccount":
                changes = {"account": "PENDING", "address": "theirs"}
            case "ProvisionAccount":
                changes = {"accounts": self.accounts | systems}
            case "ActivateAccount":
                changes = {"account": "ACTIVE"}
            case "SendWelcomeEmail":
                changes = {"mails": self.mails + 1}
            case "DeprovisionAccount":
                changes = {"accounts": self.accounts - systems, "tombstones": self.tombstones | systems}
            case "CancelAccount":
                changes = {"account": "CANCELLED", "address": "free"}
            case _:
                changes = {"events": (*self.events, PUBLISHED[task])}
        return replace(self, **changes)

    def certain(self, failed_at: str | None) -> World:
        """The same without what is a race on AWS, where a failing task of a Map aborts its siblings.

        The emulator lets them finish. If a task of a Map failed the execution, its own system alone is certain, and
        of a deletion only the tombstone: an earlier refusal has aborted creations too.
        """
        if failed_at is None or failed_at not in FAILING_SYSTEM:
            return self
        own = {FAILING_SYSTEM[failed_at]}
        accounts = self.accounts & own if failed_at == "ProvisionAccount" else frozenset[str]()
        return replace(self, accounts=accounts, tombstones=self.tombstones & own)

    def with_mails(self, more: int) -> World:
        """The world with so many more e-mails."""
        return replace(self, mails=self.mails + more)


@dataclass(frozen=True)
class Way:
    """A way through the workflow: its tasks, up to the state in which it ends.

    `fails` is the task, if any, whose error `by` leads this way. It fails because the customer has the fields
    `customer` or the address is `taken`; otherwise the test plans the fault. Before it, the waits of `timeouts` end
    without the customer; if the customer is `late`, the last of them ends just after the confirmation.
    """

    end: str
    tasks: tuple[str, ...]
    output: Mapping[str, str] = field(default_factory=dict)
    fails: str = ""
    by: str = ""
    customer: Mapping[str, str] = field(default_factory=dict)
    taken: bool = False
    timeouts: tuple[str, ...] = ()
    late: bool = False

    @property
    def asks(self) -> bool:
        """Whether the customer is asked to confirm the e-mail address."""
        return WAITS[0] in self.tasks

    @property
    def faults(self) -> dict[str, list[str]]:
        """The faults to plan for this way, by task."""
        timeouts = {task: ["work, then raise States.Timeout"] for task in self.timeouts}
        if self.late:
            timeouts[self.timeouts[-1]] = ["work, confirm, then raise States.Timeout"]
        by_nature = not self.fails or self.customer or self.taken
        return timeouts if by_nature else timeouts | {in_one_system(self.fails): [f"raise {self.by}"]}

    def leaves(self, failed_at: str | None = None, *, systems: frozenset[str] = ALL, done: bool = False) -> World:
        """What the way leaves behind, up to the task at which the execution failed, if any.

        `done` says whether that task did its work, and only its answer was lost.
        """
        world = World(address="another's" if self.taken else "free")
        for task in self.tasks:
            if done if task == failed_at else task != self.fails:
                world = world.after(task, systems)
            elif task in FAILING_SYSTEM:  # the emulator's siblings finish
                world = world.after(task, systems - {FAILING_SYSTEM[task]})
            if task == failed_at:
                break
            if (task in WAITS and task not in {self.fails, *self.timeouts}) or (
                self.late and task == self.timeouts[-1]
            ):
                world = replace(world, asked="confirmed")
        return world


def in_one_system(task: str) -> str:
    """The name for a task's planned faults: a Map's task fails in one system alone."""
    return f"{task} {FAILING_SYSTEM[task]}" if task in FAILING_SYSTEM else task


_TO_VALIDATION = ("PublishCustomerRegistered", "ValidateCustomer")
_TO_ACCOUNT = (*_TO_VALIDATION, "PublishCustomerValidated", "CreateAccount")
_TO_SYSTEMS = (*_TO_ACCOUNT, "ProvisionAccount")
_TO_EMAIL = (*_TO_SYSTEMS, "ActivateAccount", "PublishCustomerAccountCreated", "SendWelcomeEmail")
_TO_THE_END = (*_TO_EMAIL, "PublishWelcomeEmailSent")
# Up to the wait, CreateAccount does nothing.
_TO_THE_WAIT, _CONFIRMED = _TO_ACCOUNT[:-1], ("PublishCustomerEmailConfirmed", *_TO_THE_END[len(_TO_ACCOUNT) - 1 :])
_TO_THE_LAST = (*_TO_THE_WAIT, *WAITS, "ExpireConfirmation")

ONBOARDED = Way("Onboarded", _TO_THE_END, {"status": "ONBOARDED"})
CONFIRMED = Way("Onboarded", (*_TO_THE_WAIT, WAITS[0], *_CONFIRMED), {"status": "ONBOARDED"})
REMINDED = Way(
    "Onboarded",
    (*_TO_THE_WAIT, *WAITS, *_CONFIRMED),
    {"status": "ONBOARDED"},
    fails="RequestConfirmation",
    by="States.Timeout",
)
EXPIRED = Way(
    "Expired",
    (*_TO_THE_LAST, "PublishCustomerRegistrationExpired"),
    {"status": "EXPIRED"},
    fails="RemindCustomer",
    by="States.Timeout",
    timeouts=WAITS[:1],
)
LATE = Way(
    "Onboarded",
    (*_TO_THE_LAST, *_CONFIRMED),
    {"status": "ONBOARDED"},
    fails="ExpireConfirmation",
    by="DynamoDB.ConditionalCheckFailedException",
    timeouts=WAITS,
    late=True,
)
WITHOUT_EMAIL = Way(
    "OnboardedWithoutEmail",
    (*_TO_EMAIL, "PublishWelcomeEmailFailed"),
    {"status": "ONBOARDED_WITHOUT_EMAIL", "reason": "UNDELIVERABLE"},
    fails="SendWelcomeEmail",
    by="EmailUndeliverable",
)
UNCONFIRMED = Way(
    "OnboardedWithoutEmail",
    (*_TO_EMAIL, "PublishWelcomeEmailUnconfirmed"),
    {"status": "ONBOARDED_WITHOUT_EMAIL", "reason": "UNKNOWN"},
    fails="SendWelcomeEmail",
    by="EmailUnconfirmed",
)
INVALID = Way(
    "Rejected",
    (*_TO_VALIDATION, "PublishCustomerValidationFailed"),
    {"status": "REJECTED", "reason": "INVALID"},
    fails="ValidateCustomer",
    by="CustomerInvalid",
    customer={"firstName": "A"},
)
TAKEN = Way(
    "Rejected",
    (*_TO_ACCOUNT, "PublishCustomerAccountCreationFailed"),
    {"status": "REJECTED", "reason": "EMAIL_TAKEN"},
    fails="CreateAccount",
    by="EmailAlreadyRegistered",
    taken=True,
)
COMPENSATED = Way(
    "DownstreamFailed",
    (*_TO_SYSTEMS, "DeprovisionAccount", "CancelAccount", "PublishDownstreamFailed"),
    fails="ProvisionAccount",
    by="DownstreamRefused",
)
# Where an onboarding meets an erasure.
ERASED = {
    path[-1]: Way("Erased", path, {"status": "ERASED"}, fails=path[-1], by="AccountErased", timeouts=path[3:-1])
    for path in (_TO_ACCOUNT, (*_TO_THE_WAIT, WAITS[0]), (*_TO_THE_WAIT, *WAITS))
}
WAYS: tuple[Way, ...] = (ONBOARDED, WITHOUT_EMAIL, UNCONFIRMED, INVALID, TAKEN, COMPENSATED)
WAYS += (CONFIRMED, REMINDED, EXPIRED, LATE, *ERASED.values())
