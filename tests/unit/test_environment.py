"""A function's settings, from its environment."""

import pytest
from pydantic import ValidationError

from onboarding.runtime import environment


class Settings(environment.Settings):
    a_table: str
    a_threshold: int


def test_settings_are_read_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TABLE", "customers")
    monkeypatch.setenv("A_THRESHOLD", "60")

    assert Settings.read().model_dump() == {"a_table": "customers", "a_threshold": 60}


def test_error_names_each_wrong_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TABLE", "")
    monkeypatch.setenv("A_THRESHOLD", "high")

    with pytest.raises(ValidationError) as raised:
        Settings.read()

    assert [error["loc"] for error in raised.value.errors()] == [("A_TABLE",), ("A_THRESHOLD",)]
    assert "high" not in str(raised.value)
