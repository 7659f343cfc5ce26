"""Customers' histories in every order: what no order of steps, deliveries, faults and commands may break."""

import json
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine as Machine
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from cli import NotPossible
from cli.operate import customers, execution
from onboarding.adapters import timelines
from onboarding.adapters.accounts import email_key
from onboarding.domain.events import EVENTS
from onboarding.domain.meanings import TRACKED
from onboarding.runtime.aws import FAILURES
from tests import invocations
from tests.deployed.engine.world import PUBLISHED
from tests.histories.world import FAULTS, REDRIVABLE, REFUSED, STOPPED, Crashed, Execution, Failed, Fault, World
from tests.in_process import aws, template
from tests.wiring.definition import rendered

EXAMPLES = 70
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=20,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # `make explore` looks for the shortest history, for minutes
    suppress_health_check=list(HealthCheck),
)
# Three have one address; the crm refuses Rex; A is invalid.
ADDRESSES = {
    "Ada": "q7@example.com",
    "Zoe": "Q7@EXAMPLE.com",
    "Rex": "q7@example.com",
    "Ben": "x9@example.com",
    "A": "a@b.com",
}
STATES = sorted({*rendered()["States"]} - PUBLISHED.keys() - {"DownstreamFailed", "Rejected"})
COUNTED = {
    "CustomerRegistered": "registered",
    "CustomerValidated": "validated",
    "CustomerAccountCreated": "accountCreated",
}
STACK: Any = SimpleNamespace(
    session=SimpleNamespace(client=aws.client),
    outputs={name: template.resolve(it["Value"]) for name, it in template.written()["Outputs"].items()},
    systems=[*aws.SYSTEMS],
    resources=lambda kind: [(name, template.reference_to(name)) for name in template.resources(kind)],
)
_which = st.integers(0, 6)
_fault = st.builds(Fault, st.sampled_from(FAULTS), st.sampled_from((0, 0, 0, 1, 2)), st.booleans(), _which)
_faults = st.none() | _fault


class Histories(Machine):
    """One history."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.meanwhile = self.meanwhile
        self.busy: list[Execution] = []
        self.running = self.world.running()
        self.running.__enter__()

    # What may happen

    @initialize(name=st.sampled_from(["Ada", "Zoe", "Rex"]))
    def begin(self, name: str) -> None:
        self.register(name, None, None)

    @rule(name=st.sampled_from(["Ada", "Zoe", *ADDRESSES]), key=st.none() | st.just("key"), fault=_faults)
    def register(self, name: str, key: str | None, fault: Fault | None) -> None:
        self.world.say(f"{name} registers{' with an Idempotency-Key' * bool(key)}")
        customer = {"firstName": name, "lastName": "Quinn", "email": ADDRESSES[name]}
        with suppress(Failed):
            request = invocations.an_api_request(customer, idempotency_key=key and f"{key}-of-{name}")
            answer = self.world.invoke("register_customer", request, fault)
            assert fault or answer["statusCode"] in {202, 409}, answer["body"]  # 409: another request is at work
            if answer["statusCode"] == 202:
                assert json.loads(answer["body"])["customerId"] in self.world.people, f"{name} is accepted, and lost"

    @precondition(lambda self: self.waiting())
    @rule(number=st.integers(0, 12), fault=_faults, again=st.booleans())
    def deliver(self, number: int, fault: Fault | None, *, again: bool) -> None:
        queue, place = _pick(self.waiting(), number)
        self.world.deliver(queue, place, fault, again=again)

    @precondition(lambda self: self.executions("RUNNING"))
    @rule(which=_which, number=_which, fault=_faults)
    def step(self, which: int, number: int, fault: Fault | None) -> None:
        self.take(_pick(self.executions("RUNNING"), which), number, fault)

    @precondition(lambda self: self.executions("RUNNING") or self.world.queues["RegistrationQueue"])
    @rule(which=_which, until=st.sampled_from(STATES), number=_which, fault=_fault)
    def go_on(self, which: int, until: str, number: int, fault: Fault) -> None:
        """Without a fault up to a state, or to the end; with one in that state."""
        while self.world.queues["RegistrationQueue"]:
            self.world.deliver("RegistrationQueue", 0)
        it = _pick(self.executions("RUNNING"), which) if self.executions("RUNNING") else None
        while it and it.status == "RUNNING":
            if it.name == until:
                self.take(it, number, fault)
                return
            if self.take(it):
                return

    @precondition(lambda self: self.world.late)
    @rule(which=_which)
    def do_late(self, which: int) -> None:
        self.world.do_late(which % len(self.world.late))

    @precondition(lambda self: self.onboardings("RUNNING"))
    @rule(which=_which)
    def abort(self, which: int) -> None:
        it = _pick(self.onboardings("RUNNING"), which)
        self.world.end(it, "ABORTED")

    @precondition(lambda self: self.onboardings(*STOPPED))
    @rule(which=_which, fault=_faults, name=st.sampled_from(["release", "reregister", "redrive"]))
    def operate(self, which: int, fault: Fault | None, name: str) -> None:
        self.command(name, _pick(self.onboardings(*STOPPED), which).customer_id, fault)

    @precondition(lambda self: self.onboardings("SUCCEEDED", *STOPPED))
    @rule(which=_which, fault=_faults)
    def erase(self, which: int, fault: Fault | None) -> None:
        self.command("erase", _pick(self.onboardings("SUCCEEDED", *STOPPED), which).customer_id, fault)

    @precondition(lambda self: any(it.customer_id in self.world.erasures for it in self.onboardings(*STOPPED)))
    @rule(which=_which)
    def redrive_erased_in_console(self, which: int) -> None:
        erased = [it for it in self.onboardings(*STOPPED) if it.customer_id in self.world.erasures]
        arn = f"{STACK.outputs['StateMachineArn']}:{_pick(erased, which).customer_id}"
        self.world.say(f"redrive {_pick(erased, which).customer_id} in the console")
        sfn = aws.client("stepfunctions")
        with suppress(sfn.exceptions.ExecutionNotRedrivable):
            sfn.redrive_execution(executionArn=arn)

    @precondition(lambda self: self.world.archive)
    @rule(number=st.integers(0, 20))
    def replay(self, number: int) -> None:
        event = _pick(self.world.archive, number)
        self.world.say(f"replay of {event['detail-type']} of {event['detail']['customerId']}")
        self.world.route(event)

    @precondition(lambda self: self.world.mails)
    @rule(which=_which)
    def bounce(self, which: int) -> None:
        customer_id, _, tags = _pick(self.world.mails, which)
        self.world.say(f"the e-mail to {customer_id} bounces")
        event = json.loads(invocations.sample("publish_email_feedback/bounce")["Records"][0]["body"])
        own = {"ses:configuration-set": [template.name_of("EmailConfigurationSet")]}
        event["detail"]["mail"]["tags"] = {name: [value] for name, value in tags.items()} | own
        self.world.route(event)

    @precondition(lambda self: self.executions("RUNNING", *STOPPED))
    @rule()
    def settle(self) -> None:
        """All that can go on goes on, without a fault; operators do what the runbook says."""
        self.world.say("everything goes on")
        tried: Counter[str] = Counter()
        for _ in range(20):
            self.go_on_with_all()
            for customer_id, it in self.world.erasures.items():
                if it.status in STOPPED:
                    self.command("erase", customer_id)
            stopped = [it for it in self.onboardings(*STOPPED) if it.customer_id not in self.world.erasures]
            if not self.executions("RUNNING") and all(tried[it.customer_id] == 2 for it in stopped):
                return
            fresh = [it for it in stopped if not tried[it.customer_id]]
            for it in fresh or [it for it in stopped if tried[it.customer_id] == 1]:
                self.give_up(it) if tried[it.customer_id] else self.command("redrive", it.customer_id)
                tried[it.customer_id] += 1
        raise AssertionError("it doesn't settle")

    # Its parts

    def onboardings(self, *statuses: str) -> list[Execution]:
        return [it for it in self.world.onboardings.values() if it.status in statuses]

    def executions(self, *statuses: str) -> list[Execution]:
        return [*self.onboardings(*statuses), *(it for it in self.world.erasures.values() if it.status in statuses)]

    def waiting(self) -> list[tuple[str, int]]:
        return [(queue, number) for queue, bodies in self.world.queues.items() for number in range(len(bodies))]

    def meanwhile(self, number: int) -> None:
        """Another step than the one that is being taken."""
        others = [it for it in self.executions("RUNNING") if it not in self.busy]
        if number < len(others):
            self.take(others[number])
        elif waiting := self.waiting():
            self.world.deliver(*_pick(waiting, number))

    def take(self, it: Execution, number: int = 0, fault: Fault | None = None) -> str:
        """Take a step; return its error."""
        self.busy.append(it)
        error = self.world.step(it, number, fault)
        self.busy.remove(it)
        if error == "EmailAlreadyRegistered":
            assert email_key(ADDRESSES[self.world.people[it.customer_id]]) in self.addresses("ACTIVE"), (
                "nobody has the address"
            )
        return error

    def command(self, name: str, customer_id: str, fault: Fault | None = None) -> None:
        """An operator's command."""
        self.world.say(f"{name} {customer_id}")
        at = 2 * fault.number + fault.at % 2 if fault else 0  # it makes more calls than a function
        try:
            with self.world.faulty(fault and replace(fault, at=at)):
                if name == "redrive":
                    execution.redrive(STACK, execution.describe(STACK, customer_id), aborted=True, dry_run=False)
                else:
                    getattr(customers, name)(STACK, customer_id, **{"force": True} if name != "reregister" else {})
        except NotPossible as refused:
            self.world.say(f"    refused: {refused}")
        except Crashed:
            pass  # no operator waits
        except FAILURES:
            assert fault

    def give_up(self, it: Execution) -> None:
        """Release an execution that can't be redriven any more, and register the customer again."""
        self.world.now = max(self.world.now, (it.stopped or self.world.now) + REDRIVABLE)
        self.command("release", it.customer_id)
        if self.world.people[it.customer_id] not in REFUSED and self.status_of(it.customer_id) != "ACTIVE":
            self.command("reregister", it.customer_id)

    def go_on_with_all(self) -> None:
        tries: Counter[str] = Counter()
        while self.world.late or self.waiting() or self.executions("RUNNING"):
            while self.world.late:
                self.world.do_late(0)
            while waiting := self.waiting():
                self.world.deliver(*waiting[0])
            for it in self.executions("RUNNING"):
                last = Fault("", 99, lasting=True) if tries[it.customer_id] > 3 else None
                tries[it.customer_id] += bool(self.take(it, 0, last))

    def addresses(self, *statuses: str) -> dict[str, str]:
        """The customers whose accounts have such a status, by their address."""
        items = [it for it in self.world.items("CustomersTable") if it.get("status") in statuses]
        return {email_key(ADDRESSES[self.world.people[it["customerId"]]]): it["customerId"] for it in items}

    # What holds always

    @invariant()
    def promises_hold(self) -> None:
        items, erasures = self.world.items("CustomersTable"), self.world.erasures
        claims = {it["pk"].removeprefix("EMAIL#"): it["customerId"] for it in items if it["pk"].startswith("EMAIL#")}
        owners = self.addresses("PENDING", "ACTIVE")
        assert {address: it for address, it in claims.items() if it not in erasures} == {
            address: it for address, it in owners.items() if it not in erasures
        }, "an account without its address, or an address without its account"
        for customer_id, mails in Counter(mail[0] for mail in self.world.mails).items():
            assert mails <= min(2, 1 + self.world.windows[customer_id]), f"{customer_id} gets {mails} e-mails"
        self.nobody_is_back("CustomersTable")
        for customer_id, sent, _ in self.world.mails:
            assert not self.erased(customer_id) or sent <= (erasures[customer_id].stopped or sent), "mail after erasure"

    def erased(self, customer_id: str) -> bool:
        return customer_id in self.world.erasures and self.world.erasures[customer_id].status == "SUCCEEDED"

    def nobody_is_back(self, *tables: str) -> None:
        """Nothing of an erased customer is in these tables and the downstream systems, but tombstones."""
        left = {*self.world.systems["crm"].documents(), *self.world.systems["ledger"].documents()}
        for item in (item for table in tables for item in self.world.items(table)):
            facts = json.loads(item.get("facts", "{}"))
            if not facts.get("erased") and item.get("status") != "ERASED" and item.get("eventId") != "CustomerErased":
                left.add(facts.get("customerId") or item.get("customerId", ""))
        back = [customer_id for customer_id in left if self.erased(customer_id)]
        assert not back, f"{back} is erased, and back again"

    # What holds in the end

    def check(self) -> None:
        self.nobody_is_back("CustomersTable", "TimelinesTable", "FraudTable", "AnalyticsTable")
        people, erasures = self.world.people, self.world.erasures
        for customer_id in erasures:
            assert self.erased(customer_id), f"the erasure of {customer_id} doesn't end"
        for customer_id in people.keys() - erasures:
            assert customer_id in self.world.onboardings, f"{customer_id} was accepted, and is lost"
            it, status = self.world.onboardings[customer_id], self.status_of(customer_id)
            outcome = (it.output or {}).get("status", "")
            assert (status == "ACTIVE") == outcome.startswith("ONBOARDED"), f"{customer_id} ends {outcome}, {status}"
            there = [name for name, system in self.world.systems.items() if customer_id in system.documents()]
            assert there == [*aws.SYSTEMS] * (status == "ACTIVE"), f"{customer_id} is {status}, and in {there}"
            mails = sum(mail[0] == customer_id for mail in self.world.mails)
            assert mails or outcome != "ONBOARDED", f"{customer_id} gets no e-mail"
            self.check_timeline(customer_id)
        served = {*self.addresses("ACTIVE"), *(email_key(ADDRESSES[people[it]]) for it in erasures)}
        for customer_id, name in people.items():
            assert name in {"A", *REFUSED} or email_key(ADDRESSES[name]) in served, f"{customer_id} ends with nothing"
        counters = [it for it in self.world.items("AnalyticsTable") if it["pk"].startswith("DAY#")]
        for event, name in COUNTED.items():
            happened = {it["detail"]["customerId"] for it in self.world.archive if it["detail-type"] == event}
            counted = sum(int(it.get(name, 0)) for it in counters)
            assert len(happened - erasures.keys()) <= counted <= len(happened), f"{counted} counted for {event}"

    def status_of(self, customer_id: str) -> str | None:
        statuses = [it["status"] for it in self.world.items("CustomersTable") if it["pk"] == f"CUSTOMER#{customer_id}"]
        return statuses[0] if statuses else None

    def check_timeline(self, customer_id: str) -> None:
        """It has each event once, with the time when it was first published."""
        events = [EVENTS[it["detail-type"]].model_validate(it["detail"]) for it in self.world.archive]
        first: dict[str, Any] = {}
        for it in events:
            if it.customer_id == customer_id and isinstance(it, TRACKED):
                at = it.metadata.occurred_at
                first[it.metadata.event_id] = min(at, first.get(it.metadata.event_id, at))
        where = {"dynamodb": aws.client("dynamodb"), "table_name": template.name_of("TimelinesTable")}
        kept = {it.event_id: it.occurred_at for it in timelines.entries_of(customer_id, **where) if it.type in EVENTS}
        assert kept == first, f"the timeline of {customer_id} has {kept}, not {first}"

    def teardown(self) -> None:
        problem: BaseException | None = sys.exc_info()[1]
        try:
            if problem is None:
                self.settle()
                self.check()
        except Exception as failed:
            problem = failed
            raise
        finally:
            self.running.__exit__(None, None, None)
            if isinstance(problem, Exception):
                problem.add_note(self.told())

    def told(self) -> str:
        """The history, each customer with a number."""
        text = "\n".join(["The history:", *self.world.history])
        for number, (customer_id, name) in enumerate(self.world.people.items(), start=1):
            text = text.replace(customer_id, f"customer {number} ({name})")
        return text


def _pick(found: list[Any], which: int) -> Any:
    return found[which % len(found)]


@pytest.mark.slow
def test_no_history_breaks_a_promise() -> None:
    run_state_machine_as_test(Histories, settings=SETTINGS)
