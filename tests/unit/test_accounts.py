"""The form in which an e-mail address is unique."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboarding.adapters.accounts import email_key


@pytest.mark.parametrize("address", ["ada@example.com", "Ada@Example.COM", "ａｄａ＠example．com"])
def test_address_key_ignores_case_and_width(address: str) -> None:
    assert email_key(address) == "ada@example.com"


def test_different_addresses_differ() -> None:
    assert email_key("ada@example.com") != email_key("ada+1@example.com") != email_key("ada@example.org")


@pytest.mark.slow
@given(st.emails() | st.text())
def test_address_key_is_its_own_key(address: str) -> None:
    assert email_key(email_key(address)) == email_key(address)
