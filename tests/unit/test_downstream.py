"""How the functions of the downstream systems find a system's settings, credentials and adapter."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from onboarding.adapters import downstream
from onboarding.adapters.downstream import Systems
from onboarding.adapters.downstream.http import HttpSystem
from onboarding.runtime import aws
from tests.unit.deployment import REGION
from tests.unit.systems import API_KEY, PREFIX, by_api_key

SETTINGS = by_api_key("https://crm.example.com")


class Aws:
    """Parameter Store and Secrets Manager: the document of each name, and what was asked. No other service."""

    def __init__(self, settings: Any, secret: Any = None) -> None:
        self.settings = settings
        self.secret = secret
        self.asked: list[str] = []

    def client(self, service: str) -> Any:
        return self if service in {"ssm", "secretsmanager"} else f"client of {service}"

    def get_parameter(self, *, Name: str) -> Any:  # noqa: N803 - AWS's name
        self.asked.append(Name)
        return {"Parameter": {"Value": json.dumps(self.settings)}}

    def get_secret_value(self, *, SecretId: str) -> Any:  # noqa: N803 - AWS's name
        self.asked.append(f"secret {SecretId}")
        return {"SecretString": json.dumps(self.secret)}


def connect(settings: Any, secret: Any = None) -> Any:
    """Connect to a system with these settings."""
    return Systems(PREFIX, Aws(settings, secret).client).connect("crm", remaining=lambda: 30)


def test_each_kind_is_a_module_that_makes_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    modules = {path.stem for path in Path(downstream.__path__[0]).glob("*.py")} - {"__init__"}
    for kind in modules:
        assert import_module(f"{downstream.__name__}.{kind}").client(aws.client)

    assert modules == downstream.kinds()


def test_a_system_is_found_by_its_name_and_its_settings_are_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Aws(SETTINGS)
    systems = Systems(PREFIX, asked.client)

    for _ in range(2):
        assert isinstance(systems.connect("crm", remaining=lambda: 30), HttpSystem)
    assert asked.asked == [f"{PREFIX}crm"]

    assert 0 < downstream.CACHE_SECONDS <= 15 * 60
    later = time.time() + downstream.CACHE_SECONDS
    monkeypatch.setattr(downstream, "time", SimpleNamespace(time=lambda: later))
    systems.connect("crm", remaining=lambda: 30)
    assert asked.asked == [f"{PREFIX}crm"] * 2


def test_credentials_are_fetched_when_they_are_needed_cached_or_anew() -> None:
    asked = Aws(SETTINGS, {"apiKey": API_KEY})
    system: Any = Systems(PREFIX, asked.client).connect("crm", remaining=lambda: 30)
    assert asked.asked == [f"{PREFIX}crm"]

    for _ in range(2):
        assert system._credentials() == {"apiKey": API_KEY}
    assert asked.asked[1:] == [f"secret {PREFIX}crm"]

    assert system._credentials(fresh=True) == {"apiKey": API_KEY}
    assert asked.asked[1:] == [f"secret {PREFIX}crm"] * 2


def test_calls_of_one_kind_share_a_client() -> None:
    systems = Systems(PREFIX, Aws(SETTINGS).client)
    one, other = (cast("HttpSystem", systems.connect(name, remaining=lambda: 30)) for name in ("crm", "erp"))

    assert one._client is other._client


@pytest.mark.parametrize(
    "kind",
    ["soap", "HTTP", "", "__init__", "http.client", "..models", "onboarding.runtime.aws", "os", "../http", "http "],
)
def test_only_a_module_among_the_adapters_is_a_kind(kind: str) -> None:
    before = set(sys.modules)

    with pytest.raises(downstream.UnknownKind):
        connect({"kind": kind, "url": "https://crm.example.com"})

    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"url": "https://crm.example.com"}, "kind"),
        ({"kind": ["http"]}, "kind"),
        (SETTINGS | {"url": "ftp://crm.example.com"}, "url"),
        (SETTINGS | {"readTimeoutSeconds": "crm.example.com"}, "readTimeoutSeconds"),
    ],
    ids=["no kind", "no text", "no HTTP URL", "no number"],
)
def test_settings_that_are_malformed_name_the_field_and_no_value(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field) as raised:
        connect(settings)

    assert "crm.example.com" not in str(raised.value)


@pytest.fixture
def add_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Adds a module to the adapters, as if it stood beside the others: by its name and code."""
    monkeypatch.setattr(downstream, "__path__", [*downstream.__path__, str(tmp_path)])
    added = []

    def add(kind: str, code: str) -> None:
        (tmp_path / f"{kind}.py").write_text(dedent(code), encoding="utf-8")
        added.append(kind)

    yield add
    for kind in added:
        sys.modules.pop(f"{downstream.__name__}.{kind}", None)
        vars(downstream).pop(kind, None)


def test_a_new_kind_is_one_module_and_no_change_elsewhere(add_kind: Callable[[str, str], None]) -> None:
    add_kind(
        "mainframe",
        """
        def client(make_client):
            return make_client("m2")

        def adapter(settings, credentials, remaining, client):
            return settings["terminal"], credentials(), remaining(), client
        """,
    )

    connected = connect({"kind": "mainframe", "terminal": "3270"}, {"operator": "ada"})

    assert connected == ("3270", {"operator": "ada"}, 30, "client of m2")
