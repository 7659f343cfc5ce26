"""The report: the API's numbers, as a table and as a picture."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import boto3
import pytest
from rich.console import Console

from cli.report.picture import draw
from cli.report.source import NoAnalytics, fetch
from cli.report.table import funnel_table, reasons
from onboarding.domain.analytics import Analytics

COUNTS: dict[str, Any] = {
    "registered": 17,
    "validated": 14,
    "accountCreated": 12,
    "emailSent": 11,
    "onboarded": 12,
    "rejected": 4,
    "suspected": 1,
    "rejectionReasons": {"EMAIL_TAKEN": 1, "email_invalid": 3},
    "failureReasons": {"UNDELIVERABLE": 1},
    "timeToOnboard": {"median": 2.3, "p95": 9.7},
}
COUNTERS = [name for name in COUNTS if name != "timeToOnboard"]
NONE: dict[str, Any] = {name: 0 if isinstance(COUNTS[name], int) else {} for name in COUNTERS}
ANALYTICS = Analytics.model_validate(
    {
        "from": "2026-11-22",
        "to": "2026-11-23",
        "total": COUNTS,
        "days": [{"date": "2026-11-22"} | NONE, {"date": "2026-11-23"} | COUNTS],
    }
)


def test_the_table_has_a_line_for_each_day_with_customers_and_one_for_all() -> None:
    console = Console(file=io.StringIO(), width=100)

    console.print(funnel_table(ANALYTICS))

    assert isinstance(console.file, io.StringIO)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    numbers = ["17", "14", "12", "11", "12", "4", "1", "2.3", "s", "9.7", "s"]
    assert [line for line in lines if "17" in line] == [["2026-11-23", *numbers], ["all", *numbers]]
    assert not any("2026-11-22" in line and "0" in line for line in lines)
    assert "…" not in console.file.getvalue()


def test_each_reason_has_a_line() -> None:
    assert list(reasons(ANALYTICS.total)) == [
        "rejected: EMAIL_TAKEN x 1",
        "rejected: email_invalid x 3",
        "failed: UNDELIVERABLE x 1",
    ]


@pytest.mark.parametrize("analytics", [ANALYTICS, ANALYTICS.model_copy(update={"days": []})])
def test_the_picture_of_the_same_numbers_is_the_same(analytics: Analytics, tmp_path: Path) -> None:
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"

    draw(analytics, one)
    draw(analytics, other)

    assert ET.parse(one).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - we drew it
    assert one.read_bytes() == other.read_bytes()


def test_the_picture_may_be_a_png(tmp_path: Path) -> None:
    draw(ANALYTICS, tmp_path / "report.png")

    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


def test_an_api_that_is_out_of_reach_is_told_so() -> None:
    with pytest.raises(NoAnalytics, match="out of reach"):
        fetch(boto3.Session("key", "secret", region_name="us-east-1"), "http://127.0.0.1:9", date(2026, 11, 23))
