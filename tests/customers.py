"""Customers for tests: sound, and each one of their own."""

from __future__ import annotations

from typing import Any
from uuid import uuid4


def a_customer(**changes: Any) -> dict[str, Any]:
    """A customer as the API takes one, with an e-mail address that no other has; None leaves a field out."""
    customer = {"firstName": "Ada", "lastName": "Lovelace", "email": an_address()} | changes
    return {field: value for field, value in customer.items() if value is not None}


def an_address() -> str:
    """An e-mail address that nobody has."""
    return f"ada.{uuid4().hex}@example.com"
