"""What a million registrations cost on AWS, for each path through the workflow: the table in docs/cost.md.

Transitions and calls are counted in the definition. docs/cost.md says when the rest was measured or looked up.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from cli import PROJECT

DEFINITION = PROJECT / "statemachine" / "customer_onboarding.asl.yaml"

# US dollars per million.
TRANSITION, EMAIL, EVENT, API_REQUEST = 25.00, 160.00, 1.00, 3.50
MESSAGE = 3 * 0.40  # SQS: send, receive, delete
WRITE, READ = 0.625, 0.125
CALL = 0.20 + 0.029 * 13.3334  # Lambda: the request, and a warm call's GB-seconds (58 ms at 512 MB)
LOGGED = 0.50 * 1_500_000_000 / 2**30  # CloudWatch Logs: about 1,500 bytes per call or transition

# DynamoDB write units; an item in a transaction counts twice.
WRITES = {
    "CreateAccount": 4,
    "RequestConfirmation": 4,
    "RemindCustomer": 4,
    "ExpireConfirmation": 1,
    "ActivateAccount": 1,
    "SendWelcomeEmail": 2,
    "CancelAccount": 4,
}


@dataclass(frozen=True)
class Way:
    """A path through the workflow.

    `turns` has the next state where a Catch or a Choice is taken, the first time that the path comes by. `more` are
    states entered in a Map or in retries.
    """

    name: str
    turns: Mapping[str, str]
    more: tuple[str, ...] = ()

    def path(self, machine: Mapping[str, Any]) -> Iterator[str]:
        """The top-level states, in order."""
        name, turns = machine["StartAt"], dict(self.turns)
        while name:
            yield name
            state = machine["States"][name]
            name = turns.pop(name, state.get("Next", state.get("Default")))


ASKED = {"CreateAccount": "RequestConfirmation"}
REMINDED = ASKED | {"RequestConfirmation": "RemindCustomer"}
WAYS = (
    Way("onboarded", {}),
    Way("onboarded, address confirmed", ASKED),
    Way("onboarded, address confirmed after the reminder", REMINDED),
    Way("onboarded, 3 downstream systems", {}, ("ProvisionAccount",) * 3),
    Way("onboarded, 5 retries of the e-mail", {}, ("SendWelcomeEmail",) * 5),
    Way("onboarded, e-mail undeliverable", {"SendWelcomeEmail": "PublishWelcomeEmailFailed"}),
    Way("onboarded, e-mail unknown", {"SendWelcomeEmail": "PublishWelcomeEmailUnconfirmed"}, ("SendWelcomeEmail",) * 2),
    Way("expired, address not confirmed", REMINDED | {"RemindCustomer": "ExpireConfirmation"}),
    Way("rejected, invalid", {"ValidateCustomer": "PublishCustomerValidationFailed"}),
    Way("rejected, e-mail taken", {"CreateAccount": "PublishCustomerAccountCreationFailed"}),
    Way(
        "compensated, 1 of 3 systems refuses",
        {"ProvisionAccounts": "DeprovisionAccounts"},
        ("ProvisionAccount", "DeprovisionAccount") * 3,
    ),
)


def bill(way: Way, machine: Mapping[str, Any]) -> dict[str, float]:
    """A registration's transitions, and US dollars per million registrations by service."""
    states = dict(machine["States"])
    for state in machine["States"].values():
        states |= state.get("ItemProcessor", {}).get("States", {})
    path = list(way.path(machine))
    entered = [*path, *way.more]
    uses = Counter(states[name].get("Resource", "").rpartition(":::")[2] for name in entered)
    events, validated = uses["events:putEvents"], path.count("PublishCustomerValidated")
    onboarded, failed = path[-1].startswith("Onboarded"), states[path[-1]]["Type"] == "Fail"
    # The workflow sends one e-mail, or two whose outcome is unknown. SES reports each that it sends.
    mails = path.count("PublishWelcomeEmailSent") + 2 * path.count("PublishWelcomeEmailUnconfirmed")
    # So it reports the codes that were mailed. A code comes back by the API, unless nobody confirms.
    codes, confirmed = uses["lambda:invoke.waitForTaskToken"], path.count("PublishCustomerEmailConfirmed")
    # One starts the workflow. track_onboarding and record_analytics read each event, detect_fraud CustomerValidated.
    # track_onboarding also reads a failed execution, publish_email_feedback a report of SES.
    messages = 1 + 2 * events + validated + failed + mails + codes
    # register_customer, the queues' consumers, the states' functions, confirm_email for its page and for the code
    calls = 1 + messages + uses["lambda:invoke"] + codes + 2 * confirmed
    # Per event, track_onboarding writes 1 and record_analytics 4, plus 2 once the customer is onboarded; per report of
    # SES on the welcome e-mail, publish_email_feedback writes 1. An account that isn't created writes nothing.
    writes = sum(WRITES.get(name, 0) for name in entered) + 5 * events + 4 * validated + 2 * onboarded + failed + mails
    writes += confirmed - WRITES["CreateAccount"] * min(codes, 1)
    # Both look for what is known of the customer; so do confirm_email and CreateAccount.
    reads = 2 * events + 2 * validated + 2 * confirmed + min(codes, 1)
    dollars = {
        "Step Functions": TRANSITION * len(entered),
        "SES": EMAIL * (mails + codes),
        "Lambda": CALL * calls,
        "SQS": MESSAGE * messages,
        "EventBridge": EVENT * (events + mails + codes),
        "DynamoDB": WRITE * writes + READ * reads,
        "API": API_REQUEST * (1 + 2 * confirmed),
        "Logs": LOGGED * (calls + len(entered)),
    }
    return {"transitions": len(entered), **dollars, "total": sum(dollars.values())}


def table() -> str:
    """Each path's bill, as a Markdown table."""
    machine = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))
    bills = {way.name: bill(way, machine) for way in WAYS}
    heads = list(bills[WAYS[0].name])
    lines = [f"| registration | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for name, amounts in bills.items():
        *parts, total = (f"{amount:,.0f}" for amount in amounts.values())
        lines.append(f"| {name} | {' | '.join(parts)} | **{total}** |")
    return "\n".join(lines) + "\n"
