"""How the functions of the downstream systems find a system's settings, credentials and adapter."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from pydantic import ValidationError

from onboarding.adapters import downstream
from onboarding.adapters.downstream.http import HttpSystem
from onboarding.runtime import aws
from tests.unit.deployment import REGION
from tests.unit.systems import API_KEY, PREFIX, by_api_key
from tests.wiring import systems as wiring

SETTINGS = by_api_key("https://crm.example.com")


class Store:
    """Parameters, or secrets: the document of each name, and what was asked."""

    def __init__(self, **documents: Any) -> None:
        self.documents = {f"{PREFIX}{system}": document for system, document in documents.items()}
        self.asked: list[tuple[str, int | None, bool]] = []

    def get(self, name: str, max_age: int | None, transform: str, *, force_fetch: bool) -> Any:
        assert transform == "json"
        self.asked.append((name, max_age, force_fetch))
        return self.documents[name]


def connect(settings: Any, secrets: Store | None = None, system: str = "crm") -> Any:
    """Connect to a system with these settings."""
    store = settings if isinstance(settings, Store) else Store(**{system: settings})
    return downstream.connect(
        system, PREFIX, settings=store, secrets=secrets or Store(), client=aws.client, remaining=lambda: 30
    )


def test_each_kind_is_a_module_that_gets_the_client_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    modules = {path.stem for path in Path(downstream.__path__[0]).glob("*.py")} - {"__init__"}
    for kind in modules:
        service = getattr(import_module(f"{downstream.__name__}.{kind}"), "SERVICE", None)
        assert service is None or aws.client(service).meta.service_model.service_name == service

    assert modules == downstream.kinds()
    assert {it["kind"] for it in wiring.SETTINGS.values()} == downstream.kinds()  # whose permissions are tested


def test_a_system_is_found_by_its_name_and_its_settings_are_cached() -> None:
    settings = Store(crm=SETTINGS)

    assert isinstance(connect(settings), HttpSystem)

    assert settings.asked == [(f"{PREFIX}crm", downstream.CACHE_SECONDS, False)]
    assert 0 < downstream.CACHE_SECONDS <= 15 * 60


def test_credentials_are_fetched_when_they_are_needed_cached_or_anew() -> None:
    secrets = Store(crm={"apiKey": API_KEY})
    system = connect(SETTINGS, secrets)
    assert secrets.asked == []

    assert system._credentials() == {"apiKey": API_KEY}
    assert system._credentials(anew=True) == {"apiKey": API_KEY}

    assert secrets.asked == [
        (f"{PREFIX}crm", downstream.CACHE_SECONDS, False),
        (f"{PREFIX}crm", downstream.CACHE_SECONDS, True),
    ]


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
        SERVICE = "m2"

        def adapter(settings, credentials, remaining, client):
            return settings["terminal"], credentials(), remaining(), client
        """,
    )
    settings = {"kind": "mainframe", "terminal": "3270"}

    connected: Any = downstream.connect(
        "crm",
        PREFIX,
        settings=Store(crm=settings),
        secrets=Store(crm={"operator": "ada"}),
        client=lambda service: f"client of {service}",
        remaining=lambda: 30,
    )

    assert connected == ("3270", {"operator": "ada"}, 30, "client of m2")
