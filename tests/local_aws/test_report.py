"""The report: the API's numbers as a chart."""

from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import boto3
import pytest

from cli import NotPossible
from cli.report.picture import draw
from cli.report.source import fetch
from onboarding.domain.analytics import Analytics

STAGES = {
    "registered": 17,
    "validated": 14,
    "emailConfirmed": 12,
    "accountCreated": 12,
    "emailSent": 11,
    "onboarded": 12,
    "rejected": 4,
    "expired": 1,
    "suspected": 1,
}
COUNTS: dict[str, Any] = {
    **STAGES,
    "rejectionReasons": {"EMAIL_TAKEN": 1, "email_invalid": 3},
    "failureReasons": {"UNDELIVERABLE": 1},
    "timeToOnboard": {"median": 2.3, "p95": 9.7},
}
NOBODY: dict[str, Any] = {**dict.fromkeys(STAGES, 0), "rejectionReasons": {}, "failureReasons": {}}
DAYS = [{"date": "2026-11-22", **NOBODY}, {"date": "2026-11-23", **COUNTS}]
ANALYTICS = Analytics.model_validate({"from": "2026-11-22", "to": "2026-11-23", "total": COUNTS, "days": DAYS})


@pytest.mark.parametrize("analytics", [ANALYTICS, ANALYTICS.model_copy(update={"days": []})])
def test_same_numbers_draw_the_same_chart(analytics: Analytics, tmp_path: Path) -> None:
    one, other, png = (tmp_path / name for name in ("one.svg", "other.svg", "report.png"))
    for path in (one, other, png):
        draw(analytics, path)

    assert ET.parse(one).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - we drew it
    assert one.read_bytes() == other.read_bytes()
    assert png.read_bytes().startswith(b"\x89PNG")


def test_unreachable_api_is_reported() -> None:
    with pytest.raises(NotPossible, match="Can't reach"):
        fetch(boto3.Session("key", "secret", region_name="us-east-1"), "http://127.0.0.1:9", date(2026, 11, 23))
