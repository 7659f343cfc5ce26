"""Customers' histories: what no order of steps, deliveries, faults and commands may break."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from functools import partial
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cli import NotPossible
from cli.operate import customers, execution
from onboarding.adapters.accounts import email_key
from onboarding.adapters.workflow import execution_arn
from onboarding.domain.confirmation import Resent
from onboarding.domain.meanings import meaning_of
from onboarding.runtime.aws import FAILURES
from tests import invocations
from tests.histories.world import FAULTS, OVERTAKEN, REFUSED, Crashed, Fault, Mail, World
from tests.in_process import aws, functions, template
from tests.wiring.execution import REDRIVABLE, Execution

ANY = [*HealthCheck]
SETTINGS = settings(max_examples=40, stateful_step_count=10, database=None, deadline=None, suppress_health_check=ANY)
QUICKLY = settings(SETTINGS, phases=[Phase.generate])  # `make explore` looks for the shortest history too
# Three have one address, which is written in two ways.
ADDRESSES = {"Ada": "q7@example.com", "Bea": "Q7@EXAMPLE.com", REFUSED: "q7@example.com", "Zoe": "x9@example.com"}
# Where an execution is left for a while, or meets a fault.
STATES = ["RequestConfirmation", "RequestConfirmation", "RemindCustomer", "ExpireConfirmation"]
STATES += ["CreateAccount", "ProvisionAccounts", "ActivateAccount", *(3 * ["SendWelcomeEmail"])]
STATES += ["DeprovisionAccounts", "CancelAccount", "EraseCustomer", "the end", "the end", "the end"]
ANSWERS = [["the code"], ["the code"], ["the code"], ["the code", "the code"], ["a wrong code"], ["resend"]]
LATE = ["a message", "a message, not for the last time", "all messages", "the archive", "sent", "bounce"]
COUNTED = ["CustomerRegistered", "CustomerValidated", "CustomerEmailConfirmed", "CustomerRegistrationExpired"]
COUNTED += ["CustomerAccountCreated", "WelcomeEmailSent"]
RESENT = Resent().model_dump_json()  # to anybody
# What a table may have of an erased customer.
TOMBSTONE = {"pk", "sk", "id", "eventId", "customerId", "status", "erased", "expired", "expiresAt", "expiration"}
STACK: Any = SimpleNamespace(
    session=SimpleNamespace(client=aws.client),
    outputs={name: template.resolve(it["Value"]) for name, it in template.written()["Outputs"].items()},
    systems=[*aws.SYSTEMS],
    resources=lambda kind: [(name, template.reference_to(name)) for name in template.resources(kind)],
)
# In the order in which an operator tries them.
COMMANDS: dict[str, Callable[[Any, str], Any]] = {
    "erase": partial(customers.erase, force=True, deadline=0),  # and waits no longer
    "redrive": lambda stack, it: execution.redrive(stack, execution.describe(stack, it), aborted=True, dry_run=False),
    "complete": customers.complete,
    "release": partial(customers.release, force=True),
    "reregister": customers.reregister,
    "redrive in the console": lambda _, it: aws.client("stepfunctions").redrive_execution(executionArn=_arn(it)),
    "stop in the console": lambda _, it: aws.client("stepfunctions").stop_execution(executionArn=_arn(it)),
}
_name = st.sampled_from([*ADDRESSES])
_which = st.integers(0, 9)
_some_fault = st.builds(Fault, st.sampled_from(FAULTS), st.sampled_from([0, 0, 1, 1, 1, 2]), st.booleans())
_fault = st.one_of(st.none(), _some_fault, _some_fault)
_race = st.builds(Fault, st.just(OVERTAKEN), st.integers(0, 4), st.just(value=False))
# At which wait all answer in the end, if they do; what they write; the wait may end just before the task is completed.
_ending = st.tuples(
    st.sampled_from(["RequestConfirmation", "RemindCustomer", "none"]),
    st.sampled_from([["the code"], [*(3 * ["resend"]), "the code"]]),
    st.sampled_from([None, Fault(OVERTAKEN, at=2, lasting=False)]),
)


class Histories(RuleBasedStateMachine):
    """One history: first what may happen, then what holds."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.keys: dict[str, set[str]] = {}
        self.used: set[str] = set()  # whose right code was used
        self.confirmed: set[str] = set()  # and accepted
        self.erasing: set[str] = set()  # those that an operator erased, perhaps in part
        self.running = ExitStack()
        self.clock = self.running.enter_context(self.world.running())

    @initialize(first=_name, second=_name, asks=st.booleans(), ending=_ending, last=_which)
    def begin(self, first: str, second: str, ending: Any, last: int, *, asks: bool) -> None:
        """Two register, or one twice; in the end they all answer, perhaps late, or nobody does; one is erased last."""
        (self.wait, self.answers, self.late), self.last = ending, last
        self.register(first, None, key=False, asks=asks)
        self.register(second, None, key=True, asks=asks)
        self.catch_up()

    @precondition(lambda self: len(self.world.people) < 4)
    @rule(name=_name, fault=_fault, key=st.booleans(), asks=st.booleans())
    def register(self, name: str, fault: Fault | None, *, key: bool, asks: bool) -> None:
        """Somebody registers, perhaps again, perhaps with the same key as before; from now on, the workflow `asks`."""
        self.world.onboardings.confirmation = "required" if asks else "none"
        self.world.say(f"{name} registers{' with a key' * key}{', and is asked to confirm' * asks}")
        self.world.plan(fault)
        known = {*self.world.people}
        customer = {"firstName": name, "lastName": "Quinn", "email": ADDRESSES[name]}
        request = invocations.an_api_request(customer, idempotency_key=f"key-of-{name}" if key else None)
        with suppress(Crashed):
            answer = functions.invoke("register_customer", request)
            assert fault or answer["statusCode"] in {202, 409}, answer["body"]
            if answer["statusCode"] == 202:
                assert json.loads(answer["body"])["customerId"] in self.world.people, f"{name} is accepted, and lost"
        if key:
            self.keys.setdefault(name, set()).update(self.world.people.keys() - known)
            assert len(self.keys[name]) < 2, f"one key makes two customers of {name}"
            if fault:  # the client tries again
                self.clock.shift(timedelta(minutes=1))
                self.register(name, None, key=True, asks=asks)

    @precondition(lambda self: self.executions("RUNNING"))
    @rule(which=_which, until=st.sampled_from(STATES), fault=_fault | _race)
    def go_on(self, which: int, until: str, fault: Fault | None) -> None:
        """An execution goes on to a state, after a wait that times out, and does that only if there is a fault."""
        it = _pick(self.executions("RUNNING"), which)
        self.world.say(f"{it.customer_id} goes on to {until}")
        self.go_on_with(it, until)
        if fault and it.is_at_work and it.name == until:
            self.world.step(it, fault, lambda: self.write_all(it.customer_id, "the code"))

    @precondition(lambda self: any(it.code for it in self.world.mails))
    @rule(whats=st.sampled_from(ANSWERS), which=_which, fault=_fault | _race)
    def answer(self, whats: list[str], which: int, fault: Fault | None) -> None:
        """A customer uses the code of any e-mail, or a wrong one, or asks for another e-mail."""
        mail = _pick([it for it in self.world.mails if it.code], which)
        for what, befalls in zip(whats, (fault, None), strict=False):
            self.write(what, mail, befalls)

    @rule(name=st.sampled_from(["erase", *COMMANDS]), which=_which, fault=_fault)
    def operate(self, name: str, which: int, fault: Fault | None) -> None:
        """An operator waits for an onboarding, unless it waits too, and gives a command."""
        it = _pick([*self.world.onboardings.values()], which)
        if not it.until:
            self.go_on_with(it)
        self.command(name, it.customer_id, fault)

    @rule(what=st.sampled_from(LATE), which=_which, fault=_fault)
    def come_late(self, what: str, which: int, fault: Fault | None) -> None:
        """A message, a replay, or what SES reports of an e-mail."""
        match what:
            case "a message" | "a message, not for the last time" if self.waiting():
                queue, number = _pick(self.waiting(), which)
                self.world.deliver(queue, slice(number, number + 1), fault, again=what != "a message")
            case "all messages":
                self.catch_up()
            case "the archive":
                self.world.say("the archive is replayed")
                for event in [*self.world.archive]:
                    self.world.route(event)
            case "sent" | "bounce" if self.world.mails:
                self.world.say(f"SES reports: {what}")
                event = json.loads(invocations.sample(f"publish_email_feedback/{what}")["Records"][0]["body"])
                event["detail"]["mail"]["tags"] = {
                    name: [value] for name, value in _pick(self.world.mails, which).tags.items()
                } | {"ses:configuration-set": [template.name_of("EmailConfigurationSet")]}
                self.world.route(event)

    def executions(self, *statuses: str) -> list[Execution]:
        found = [*self.world.onboardings.values(), *self.world.erasures.values()]
        return [it for it in found if it.status in statuses]

    def waiting(self) -> list[tuple[str, int]]:
        return [(queue, number) for queue, bodies in self.world.queues.items() for number in range(len(bodies))]

    def catch_up(self) -> None:
        """All messages are delivered."""
        while waiting := self.waiting():
            self.world.deliver(waiting[0][0], slice(10))

    def command(self, name: str, customer_id: str, fault: Fault | None = None) -> None:
        """An operator's command, which refuses what is of no use."""
        self.world.say(f"an operator: {name} {customer_id}")
        self.erasing |= {customer_id} if name == "erase" else set()
        self.world.plan(fault)
        try:
            COMMANDS[name](STACK, customer_id)
        except NotPossible as refused:
            self.world.say(f"    refused: {refused}")
        except (Crashed, *FAILURES):
            pass  # the operator sees that AWS fails

    def write(self, what: str, mail: Mail, fault: Fault | None = None) -> None:
        """A customer uses a code, or asks for one; what became of the customer, or a fault, decides on the answer."""
        customer_id = mail.customer_id
        it, code = self.world.onboardings[customer_id], mail.code if what == "the code" else "WRONG"
        asks = invocations.a_resend(customer_id) if what == "resend" else invocations.a_confirmation(customer_id, code)
        self.world.say(f"{customer_id} writes: {what}")
        self.used |= {customer_id} if what == "the code" else set()
        self.world.plan(fault, lambda: self.go_on_with(it) if it.until else None)
        with suppress(Crashed):
            answer = functions.invoke("confirm_email", asks)
            said = answer["statusCode"]
            if said == 204:
                self.confirmed.add(customer_id)
                assert not it.until, f"{customer_id} confirmed, and is waited for"
            over = [404] * (customer_id in self.erasing) + [410] * ("ExpireConfirmation" in it.way.path)
            is_over = self.is_erased(customer_id) or "PublishCustomerRegistrationExpired" in it.way.path
            accepted = {"the code": [204], "a wrong code": [422, 429], "resend": [202]}[what]
            is_right = not is_over or what == "resend" or bool(fault and what == "a wrong code")  # before it was
            due = [*over * (what != "resend"), *accepted * is_right]
            assert said in due or (fault and said >= 500), f"{customer_id} is answered {said}, not {due}"
            assert said != 202 or answer["body"] == RESENT, f"{customer_id} is answered {answer['body']}"

    def write_all(self, customer_id: str, *whats: str, fault: Fault | None = None) -> None:
        """The customer writes, with the oldest code, if there is one; the fault befalls the use of it."""
        for what in whats:
            if mails := [it for it in self.world.mails if it.code and it.customer_id == customer_id]:
                self.write(what, mails[0], fault if what == "the code" else None)

    def go_on_with(self, it: Execution, until: str = "", fault: Fault | None = None) -> None:
        """An execution that waits does so no longer; then it goes on to a state, an error, a wait or its end."""
        if it.until:
            self.world.step(it)
        while it.is_at_work and it.name != until:
            state = it.state
            if self.world.step(it, fault) and it.state is state:
                return

    def go_on_with_all(self) -> None:
        """Everything goes on without a fault, until only operators can do something."""
        for tries in range(100):
            if tries < 2 or not self.executions("RUNNING"):  # consumers may come late, and get many events at once
                self.catch_up()
            if not (running := self.executions("RUNNING")):
                return
            for it in running:
                if it.until and it.customer_id not in self.used | self.erasing:
                    said = self.status_of(it.customer_id)["status"]
                    assert said == "AWAITING_CONFIRMATION", f"{it.customer_id} is waited for, and {said}"
                if it.until and it.name == self.wait:
                    self.write_all(it.customer_id, *self.answers, fault=self.late)
                # First, all get as far as a pending account: of one address, the second comes upon the first one's.
                until, fault = "ProvisionAccounts" * (tries < 2), Fault("", at=-1, lasting=True) if tries > 9 else None
                self.go_on_with(it, until, fault)
        raise AssertionError("it never ends")

    def settle(self) -> None:
        """Everything goes on, and operators try each command on what has failed, the last ones after a fortnight."""
        self.world.say("In the end everything goes on:")
        self.go_on_with_all()
        for command in [*COMMANDS][:-2]:
            half = [it for it in self.world.onboardings.values() if it.output.get("status") == "ERASED"]
            for it in [*self.executions(*execution.UNSUCCESSFUL), *half]:
                if it in half or (command == "erase") == (it.customer_id in self.world.erasures):
                    self.command("erase" if it in half else command, it.customer_id)
            self.go_on_with_all()
            self.clock.shift(REDRIVABLE * (command == "redrive"))

    def erase_last(self) -> None:
        """Erase a customer when all is over; then calls that were given up and had only waited, a replay, and codes."""
        customer_id = _pick([*self.world.people], self.last)
        calls = [it for it in self.world.calls if it[1]["customerId"] == customer_id]
        events = [it for it in self.world.archive if it["detail"]["customerId"] == customer_id]
        self.command("erase", customer_id)
        self.go_on_with_all()
        for call in calls:
            with suppress(Exception):
                functions.invoke(*call)
        for event in events:
            self.world.route(event)
        self.write_all(customer_id, "the code", "resend")
        self.go_on_with_all()

    @invariant()
    def promises_hold(self) -> None:
        """Always, an address and its account have one owner, who confirmed; nobody gets too many e-mails."""
        self.world.plan(None)
        items, people, erasures = self.world.items("CustomersTable"), self.world.people, self.world.erasures
        claims = {it["pk"].removeprefix("EMAIL#"): it["customerId"] for it in items if it["pk"].startswith("EMAIL#")}
        owners = [it["customerId"] for it in items if it.get("status") in {"PENDING", "ACTIVE"}]
        owned = [(email_key(ADDRESSES[people[it]]), it) for it in owners]
        assert {it for it in claims.items() if it[1] not in erasures} == {
            it for it in owned if it[1] not in erasures
        }, f"the addresses are {claims}, the accounts {owned}"
        asked = {it.customer_id for it in self.world.onboardings.values() if it.confirmation == "required"} - self.used
        there = {customer_id for system in self.world.systems.values() for customer_id in system.documents()}
        assert not asked & {*owners, *there}, f"{asked & {*owners, *there}} didn't confirm, and have accounts"
        for customer_id in people:
            mails = [it for it in self.world.mails if it.customer_id == customer_id]
            late = mails and self.is_erased(customer_id) and mails[-1].sent > erasures[customer_id].changed
            assert not late, f"{customer_id} is erased, and gets an e-mail"
            welcomes = [it for it in mails if not it.code]
            assert len(welcomes) < 3, f"{customer_id} gets {len(welcomes)} e-mails"
            assert all(it.is_unknown for it in welcomes[:-1]), f"{customer_id} gets a second e-mail"
        codes = [(it.sent.date(), it.customer_id) for it in self.world.mails if it.code]
        addresses = [(day, email_key(ADDRESSES[people[it]])) for day, it in codes]
        for mailed, most in (codes, 3), (addresses, 5):
            assert max(Counter(mailed).values(), default=0) <= most, f"more than {most} codes on a day: {mailed}"

    def status_of(self, customer_id: str) -> dict[str, Any]:
        answer = functions.invoke("get_onboarding", invocations.a_status_request(customer_id))
        return dict(json.loads(answer["body"]))

    def is_erased(self, customer_id: str) -> bool:
        return customer_id in self.world.erasures and self.world.erasures[customer_id].status == "SUCCEEDED"

    def check(self) -> None:
        """In the end, each customer is all there, or not at all; each event counts once."""
        self.promises_hold()
        for customer_id in self.world.people:
            assert customer_id in self.world.onboardings, f"{customer_id} is accepted, and lost"
            check = self.check_erased if customer_id in self.world.erasures else self.check_customer
            check(customer_id)
        counters = [it for it in self.world.items("AnalyticsTable") if it["pk"].startswith("DAY#")]
        for event in COUNTED:
            happened = {it["detail"]["customerId"] for it in self.world.archive if it["detail-type"] == event}
            counted = sum(int(it.get(str(meaning_of(event, None).stage), 0)) for it in counters)
            kept = happened - self.world.erasures.keys()
            assert len(kept) <= counted <= len(happened), f"{event} is counted {counted} times"

    def check_customer(self, customer_id: str) -> None:
        """The status, the downstream systems and the API agree on the outcome; the address is not lost."""
        is_active = execution.account_status(STACK, customer_id) == "ACTIVE"
        outcome = self.world.onboardings[customer_id].output.get("status", "ONBOARDED" if is_active else "FAILED")
        assert outcome.startswith("ONBOARDED") == is_active, f"{customer_id} ends {outcome}, active: {is_active}"
        there = [name for name, it in self.world.systems.items() if customer_id in it.documents()]
        assert there == [*self.world.systems] * is_active, f"{customer_id} ends {outcome}, and is in {there}"
        mails = [it for it in self.world.mails if it.customer_id == customer_id and not it.code]
        assert mails or outcome != "ONBOARDED", f"{customer_id} gets no e-mail"
        said = self.status_of(customer_id)
        assert said["status"].split("_")[0] == outcome.split("_")[0], f"{customer_id} ends {outcome}, not {said}"
        errors = [it["code"] for it in said.get("errors", [])]
        assert errors == ["not_registrable"] * (outcome == "REJECTED"), f"{customer_id} ends {outcome} for {errors}"
        assert outcome != "EXPIRED" or customer_id not in self.confirmed, f"{customer_id} confirmed, and ends {outcome}"
        name = self.world.people[customer_id]
        same = [it for it, who in self.world.people.items() if email_key(ADDRESSES[who]) == email_key(ADDRESSES[name])]
        done = any(self.is_erased(it) or execution.account_status(STACK, it) == "ACTIVE" for it in same)
        assert done or name == REFUSED or outcome == "EXPIRED", f"{customer_id} did no wrong, and ends with nothing"

    def check_erased(self, customer_id: str) -> None:
        """Nothing but tombstones is left, and for some days the record of the request and the counts of codes."""
        assert self.is_erased(customer_id), f"the erasure of {customer_id} doesn't end"
        for name, system in self.world.systems.items():
            assert customer_id not in system.documents(), f"{customer_id} is erased, and in the {name}"
        mail = f"send_welcome_email#{sha256(json.dumps(customer_id).encode()).hexdigest()}"
        for table in template.resources("AWS::DynamoDB::Table"):
            for item in self.world.items(table):
                text = str(item)
                is_theirs = mail in text or (customer_id in text and "register_customer" not in text)
                is_tombstone = item.keys() <= TOMBSTONE or '"erased":true' in text or "confirmation_emails#" in text
                assert is_tombstone or not is_theirs, f"{customer_id} is erased, and in the {table}: {item}"

    def teardown(self) -> None:
        with self.running:
            if not sys.exc_info()[1]:
                self.settle()
                self.check()
                self.erase_last()
                self.check()


def _arn(customer_id: str) -> str:
    return execution_arn(STACK.outputs["StateMachineArn"], customer_id)


def _pick(found: list[Any], which: int) -> Any:
    return found[which % len(found)]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4))
def test_no_history_breaks_a_promise(number: int) -> None:
    run_state_machine_as_test(seed(number)(Histories), settings=QUICKLY)
