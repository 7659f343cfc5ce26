"""What a customer typed, and whether it is in a text."""

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Any

from onboarding.domain.events import SOURCE

# Shorter values, such as a country's code, appear in any text by chance.
SHORTEST = 3


def typed(event: dict[str, Any]) -> set[str]:
    """The personal values in an invocation: a request, queued messages, or a task."""
    if "httpMethod" in event:
        body = event["body"] or ""
        documents = [_parsed(b64decode(body).decode(errors="replace") if event["isBase64Encoded"] else body)]
    elif "Records" in event:
        messages = [_parsed(record["body"]) for record in event["Records"]]
        documents = [_personal(message) if isinstance(message, dict) else message for message in messages]
    else:
        account = {name: value for name, value in event.get("account", {}).items() if name != "accountId"}
        documents = [account, *(event.get(field) for field in ("customerData", "firstName", "email"))]
    return {value for value in map(str.strip, _texts(documents)) if len(value) >= SHORTEST}


def found(values: Iterable[str], text: str) -> set[str]:
    """The values that the text contains, as they are or as JSON or Python writes them."""
    return {value for value in values if any(form in text for form in _forms(value))}


def _personal(message: dict[str, Any]) -> list[Any]:
    """The personal parts of a registration, of one of our events, and of SES's feedback."""
    detail = message.get("detail") or {}
    if message.get("source") == SOURCE:
        return [detail.get(field) for field in ("customerData", "email", "name", "firstName", "lastName")]
    if message.get("source") == "aws.ses":
        return [detail.get("mail", {}).get("destination")]
    return [message.get("data")]


def _forms(value: str) -> tuple[str, ...]:
    return value, json.dumps(value)[1:-1], repr(value)[1:-1]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _texts(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        for part in document:
            yield from _texts(part)
    elif isinstance(document, str):
        yield document
