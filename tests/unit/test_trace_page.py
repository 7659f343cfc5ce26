"""The page of a trace, from a full history of Step Functions: what the text says, nothing personal, for everybody."""

import html
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser

from cli.operate.page import page
from cli.operate.trace import WAITING, Trace, Try, Visit, _rows, redactor, visits
from tests.unit.test_trace import START, history, scheduled

TYPED = {"firstName": "Zephyrine", "lastName": "Quartermain", "email": "zephyrine@example.com"}
SCRIPT = "<script>alert(1)</script>"
FOCUSED = "[document.activeElement.tagName, document.activeElement.textContent]"


def caused(error: str, message: str) -> tuple[str, dict[str, Any]]:
    return "TaskFailed", {"error": error, "cause": json.dumps({"errorType": error, "errorMessage": message})}


@pytest.fixture
def traced() -> Trace:
    """An onboarding with two failed attempts: one system's answer is a script, another error quotes the customer."""
    personal = json.dumps(TYPED)
    refusal = json.dumps({"system": "crm", "answer": "HTTP 422"})
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
        (11, *caused("DownstreamRefused", refusal)),
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
    assert traced.times(START, START + timedelta(hours=4, seconds=12)) == ("+0.000 s", "4:00:12")


def test_page_shows_nothing_typed_and_escapes(traced: Trace) -> None:
    written = page(traced)

    assert [value for value in TYPED.values() if value.lower() in written.lower()] == []
    assert html.escape(SCRIPT) in written
    assert "no &lt;b&gt;…&lt;/b&gt;" in written
    assert not re.search("<(script|b)>", written)


def test_page_shows_a_wait_as_a_wait(traced: Trace) -> None:
    waiting = Visit("RequestConfirmation", START, tries=[Try(START)], result=WAITING)

    written = page(replace(traced, status="RUNNING", visits=[waiting], started=START))

    assert re.findall(r'<i class="(\w+)" style="--from: 0.0%; --for: 100.0%">', written) == ["waits"]
    assert "so far" in written


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_for_eyes_keyboard_and_ears(scheme: Any, traced: Trace, chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "ada.html"
    file.write_text(page(traced), encoding="utf-8")
    window, requests = chromium.new_page(color_scheme=scheme), list[str]()
    window.on("request", lambda request: requests.append(request.url))

    window.goto(file.as_uri())

    light = window.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (scheme == "light")
    assert Axe().run(window).response["violations"] == []
    for summary in window.locator("summary").all():
        window.keyboard.press("Tab")
        assert window.evaluate(FOCUSED) == ["SUMMARY", summary.text_content()]
        window.keyboard.press("Enter")
    assert window.locator("summary").count() == 2
    assert window.locator("details[open]").count() == 0  # those with failed attempts were open
    assert requests == [file.as_uri()]
