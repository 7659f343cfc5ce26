"""Valid customers for tests, each with another e-mail address."""

from typing import Any
from uuid import uuid4


def a_customer(**changes: Any) -> dict[str, Any]:
    """A customer as the API accepts one, with a unique e-mail address; None leaves a field out."""
    customer = {"firstName": "Ada", "lastName": "Lovelace", "email": an_address()} | changes
    return {field: value for field, value in customer.items() if value is not None}


def an_address() -> str:
    """A unique e-mail address."""
    return f"ada.{uuid4().hex}@example.com"
