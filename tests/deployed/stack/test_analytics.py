"""The analytics, as the deployed stack answers them."""

from datetime import UTC, datetime

from cli.machine.polling import back_off
from cli.report.source import fetch
from tests.customers import a_customer
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings

STAGES = ("registered", "validated", "account_created", "email_sent", "onboarded")


def test_onboarded_customer_is_in_every_stage(onboardings: Onboardings) -> None:
    stack = onboardings.stack
    today = datetime.now(UTC).date()
    before = fetch(stack.session, stack.api_url, today, today).total
    onboardings.onboard(a_customer())

    after = before
    for _ in back_off(PATIENCE_SECONDS):
        after = fetch(stack.session, stack.api_url).total
        if all(getattr(after, stage) > getattr(before, stage) for stage in STAGES):
            break

    for stage in STAGES:  # the events come in any order
        assert getattr(after, stage) > getattr(before, stage)
    assert after.time_to_onboard
    assert 0 < after.time_to_onboard.median <= after.time_to_onboard.p95
