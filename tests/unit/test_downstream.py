"""How the functions of the downstream systems find a system's settings, credentials and adapter."""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from onboarding.adapters import downstream
from onboarding.adapters.downstream import Systems, UnknownKind
from onboarding.adapters.downstream.http import HttpSystem
from onboarding.runtime import aws
from tests.unit.deployment import REGION
from tests.unit.systems import API_KEY, PREFIX, by_api_key

SETTINGS = by_api_key("https://crm.example.com")


class Aws:
    """Parameter Store and Secrets Manager: the document of each name, and what was asked. No other service."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.asked: list[str] = []

    def client(self, service: str) -> Any:
        return self if service in {"ssm", "secretsmanager"} else None

    def get_parameter(self, *, Name: str) -> Any:  # noqa: N803 - AWS's name
        self.asked.append(Name)
        return {"Parameter": {"Value": json.dumps(self.settings)}}

    def get_secret_value(self, *, SecretId: str) -> Any:  # noqa: N803 - AWS's name
        self.asked.append(f"secret {SecretId}")
        return {"SecretString": json.dumps({"apiKey": API_KEY})}


def connect(systems: Systems, name: str = "crm") -> Any:
    return systems.connect(name, remaining=lambda: 30)


def test_each_kind_is_a_module_that_makes_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    modules = {path.stem for path in Path(downstream.__path__[0]).glob("*.py")} - {"__init__"}
    for kind in modules:
        assert import_module(f"{downstream.__name__}.{kind}").client(aws.client)

    assert modules == downstream.kinds()


def test_settings_are_cached_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Aws(SETTINGS)
    systems = Systems(PREFIX, asked.client)

    for _ in range(2):
        assert isinstance(connect(systems), HttpSystem)
    assert asked.asked == [f"{PREFIX}crm"]

    assert 0 < downstream.CACHE_SECONDS <= 15 * 60
    later = time.time() + downstream.CACHE_SECONDS
    monkeypatch.setattr(downstream, "time", SimpleNamespace(time=lambda: later))
    connect(systems)
    assert asked.asked == [f"{PREFIX}crm"] * 2


def test_credentials_are_fetched_when_needed_and_cached() -> None:
    asked = Aws(SETTINGS)
    system = connect(Systems(PREFIX, asked.client))
    assert asked.asked == [f"{PREFIX}crm"]

    for _ in range(2):
        assert system._credentials() == {"apiKey": API_KEY}
    assert asked.asked[1:] == [f"secret {PREFIX}crm"]

    assert system._credentials(fresh=True) == {"apiKey": API_KEY}
    assert asked.asked[1:] == [f"secret {PREFIX}crm"] * 2


def test_systems_of_one_kind_share_a_client() -> None:
    systems = Systems(PREFIX, Aws(SETTINGS).client)

    assert connect(systems, "crm")._client is connect(systems, "erp")._client


@pytest.mark.parametrize(
    "kind", ["soap", "HTTP", "", "__init__", "..models", "onboarding.runtime.aws", "os", "../http"]
)
def test_only_a_module_among_the_adapters_is_a_kind(kind: str) -> None:
    before = set(sys.modules)

    with pytest.raises(UnknownKind):
        connect(Systems(PREFIX, Aws(SETTINGS | {"kind": kind}).client))

    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"url": "https://crm.example.com"}, "kind"),
        ({"kind": ["http"]}, "kind"),
        (SETTINGS | {"url": "ftp://crm.example.com"}, "url"),
    ],
    ids=["no kind", "no text", "no HTTP URL"],
)
def test_malformed_settings_name_only_the_field(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field) as raised:
        connect(Systems(PREFIX, Aws(settings).client))

    assert "crm.example.com" not in str(raised.value)
