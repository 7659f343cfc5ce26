"""The page of a trace, from a full history of Step Functions: what the text says, nothing personal."""

import html
import json
import re
from datetime import timedelta
from typing import Any

import pytest

from cli.operate.page import page
from cli.operate.trace import Trace, _rows, redactor, visits
from tests.unit.test_trace import START, history, scheduled

TYPED = {"firstName": "Zephyrine", "lastName": "Quartermain", "email": "zephyrine@example.com"}
SCRIPT = "<script>alert(1)</script>"


def caused(error: str, message: str) -> tuple[str, dict[str, Any]]:
    return "TaskFailed", {"error": error, "cause": json.dumps({"errorType": error, "errorMessage": message})}


@pytest.fixture
def traced() -> Trace:
    """An onboarding with two failed attempts: one system's answer is a script, another error quotes the customer."""
    personal = json.dumps(TYPED)
    refused = "DownstreamRefused", json.dumps({"system": "crm", "answer": "HTTP 422"})
    events = history(
        (0, "TaskStateEntered", {"name": "PublishCustomerRegistered", "input": personal}),
        (1, *scheduled(**TYPED)),
        (2, "TaskFailed", {"error": "States.TaskFailed", "cause": f"no <b>{TYPED['email']}</b>"}),
        (3, *scheduled(**TYPED)),
        (4, "TaskSucceeded", {"output": personal}),
        (5, "TaskStateExited", {"name": "PublishCustomerRegistered", "output": personal}),
        (6, "MapStateEntered", {"name": "ProvisionAccounts", "input": personal}),
        (7, "TaskStateEntered", {"name": "ProvisionAccount", "input": personal}),
        (8, *scheduled(system="crm", **TYPED)),
        (9, *caused("DownstreamUnavailable", SCRIPT)),
        (10, *scheduled(system="crm", **TYPED)),
        (11, *caused(*refused)),
        (7, "TaskStateEntered", {"name": "ProvisionAccount", "input": personal}),
        (13, *scheduled(system="ledger", **TYPED)),
        (14, "TaskSucceeded", {"output": json.dumps({"Payload": {"system": "ledger", "status": "PROVISIONED"}})}),
        (15, "ExecutionFailed", {"error": "DownstreamFailed", "cause": "refused by crm"}),
    )
    return Trace(
        customer_id="ada",
        correlation_id="c-1",
        status="FAILED",
        outcome="DownstreamFailed",
        email="NOT_SENT",
        started=START,
        redrives=1,
        visits=visits(events, {"PublishCustomerRegistered": "published CustomerRegistered"}, redactor(TYPED)),
    )


def test_page_says_what_the_text_says(traced: Trace) -> None:
    written = page(traced)
    said = html.unescape(" ".join(re.sub(r"<[^>]*>", " ", written).split()))

    cells = {str(cell) for row in _rows(traced) for cell in row if not str(cell).isdigit()}
    assert [cell for cell in {*cells, traced.ending, traced.email, "c-1"} if " ".join(cell.split()) not in said] == []
    assert "DownstreamRefused: crm: HTTP 422" in cells
    assert {"published CustomerRegistered", "ledger PROVISIONED", "ProvisionAccount (crm)"} <= cells
    assert "A downstream system refuses this account for good." in said


def test_hours_are_shown_as_such(traced: Trace) -> None:
    later = START + timedelta(hours=4, seconds=12)

    assert traced.times(later, later + timedelta(milliseconds=7)) == ("+4:00:12", "7 ms")


def test_page_shows_nothing_typed_and_escapes(traced: Trace) -> None:
    written = page(traced)

    assert [value for value in TYPED.values() if value.lower() in written.lower()] == []
    assert html.escape(SCRIPT) in written
    assert "no &lt;b&gt;…&lt;/b&gt;" in written
    assert not re.search("<(script|b)>", written)
