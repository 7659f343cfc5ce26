"""How the functions of the downstream systems find a system's settings, credentials and adapter."""

import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pydantic import ValidationError

from onboarding.adapters import downstream
from onboarding.adapters.downstream.http import HttpSystem
from onboarding.domain.errors import DownstreamUnavailable
from tests.unit.faults import OUT_OF_REACH, failing, refusing
from tests.unit.systems import API_KEY, PREFIX, Systems, by_api_key, make_client

SETTINGS = by_api_key("https://crm.example.com")
Connect = Callable[[str], Any]


@pytest.fixture
def connect(systems: Systems) -> Connect:
    """Connects to a system that is configured."""
    configured = downstream.Systems(PREFIX, make_client)
    return lambda system: configured.connect(system, remaining=lambda: 30)


def test_settings_are_cached_for_a_while(connect: Connect, systems: Systems, monkeypatch: pytest.MonkeyPatch) -> None:
    systems.configure("crm", SETTINGS)
    assert isinstance(connect("crm"), HttpSystem)
    systems.configure("crm", SETTINGS | {"url": "https://moved.example.com"})

    assert connect("crm")._settings.url == SETTINGS["url"]

    assert 0 < downstream.CACHE_SECONDS <= 15 * 60
    later = time.time() + downstream.CACHE_SECONDS
    monkeypatch.setattr(downstream, "time", SimpleNamespace(time=lambda: later))
    assert connect("crm")._settings.url == "https://moved.example.com"


def test_credentials_are_fetched_late_and_cached(connect: Connect, systems: Systems) -> None:
    systems.configure("crm", SETTINGS)
    system = connect("crm")
    systems.configure("crm", SETTINGS, {"apiKey": API_KEY})
    assert system._credentials() == {"apiKey": API_KEY}

    systems.rotate("crm", {"apiKey": "n3w-k3y"})

    assert system._credentials() == {"apiKey": API_KEY}
    assert system._credentials(fresh=True) == {"apiKey": "n3w-k3y"}
    assert system._credentials() == {"apiKey": "n3w-k3y"}


def test_throttled_settings_are_served_stale(
    connect: Connect, systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    systems.configure("crm", SETTINGS)
    connect("crm")
    later = time.time() + downstream.CACHE_SECONDS
    monkeypatch.setattr(downstream, "CACHE_SECONDS", 0)
    monkeypatch.setattr(downstream, "time", SimpleNamespace(time=lambda: later))

    with refusing(make_client("ssm"), "get_parameter", "ThrottlingException", Message="Rate exceeded"):
        assert connect("crm")._settings.url == SETTINGS["url"]
    with (
        refusing(make_client("ssm"), "get_parameter", "AccessDeniedException", Message="No"),
        pytest.raises(ClientError, match="AccessDenied"),
    ):
        connect("crm")


@pytest.mark.parametrize("fresh", [False, True])
def test_secret_out_of_reach_is_an_outage(connect: Connect, systems: Systems, *, fresh: bool) -> None:
    systems.configure("crm", SETTINGS, {"apiKey": API_KEY})
    system = connect("crm")
    if fresh:  # the cached one was just refused
        system._credentials()
    (lost, *_) = OUT_OF_REACH

    with (
        failing(make_client("secretsmanager"), "GetSecretValue", lost),
        pytest.raises(DownstreamUnavailable, match=f"^{type(lost).__name__}$"),
    ):
        system._credentials(fresh=fresh)
    with (
        refusing(make_client("secretsmanager"), "get_secret_value", "InternalServiceError", status=500),
        pytest.raises(DownstreamUnavailable, match=r"^InternalServiceError$"),
    ):
        system._credentials(fresh=fresh)


def test_systems_of_one_kind_share_a_client(connect: Connect, systems: Systems) -> None:
    for name in ("crm", "erp"):
        systems.configure(name, SETTINGS)

    assert connect("crm")._client is connect("erp")._client


@pytest.mark.parametrize("kind", ["soap", "HTTP", "__init__", "onboarding.runtime.aws", "os", "../http"])
def test_unknown_kind_is_not_imported(kind: str, connect: Connect, systems: Systems) -> None:
    systems.configure("crm", SETTINGS | {"kind": kind})
    before = set(sys.modules)

    with pytest.raises(downstream.UnknownKind):
        connect("crm")

    assert set(sys.modules) == before


def test_malformed_kind_shows_no_value(connect: Connect, systems: Systems) -> None:
    systems.configure("crm", SETTINGS | {"kind": ["http"]})

    with pytest.raises(ValidationError, match="kind") as raised:
        connect("crm")

    assert "crm.example.com" not in str(raised.value)
