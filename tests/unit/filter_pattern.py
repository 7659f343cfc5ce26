"""CloudWatch's filter patterns for JSON lines, as far as the template uses them: alternatives of equality.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/matching-terms-json-log-events.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def matches(pattern: str, line: Mapping[str, Any]) -> bool:
    """Whether the line is counted: `{ $.a = "text" || ($.b.c = "prefix*") }`, where `*` stands for any characters."""
    alternatives = re.fullmatch(r"\{ (.+) \}", pattern)
    assert alternatives, pattern
    return any(_holds(term, line) for term in alternatives[1].split(" || "))


def _holds(term: str, line: Mapping[str, Any]) -> bool:
    equality = re.fullmatch(r'\(?\$\.([\w.]+) = "([^"]+)"\)?', term)
    assert equality, f"{term}: this syntax isn't read here"
    value: Any = line
    for key in equality[1].split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    text = ".*".join(map(re.escape, equality[2].split("*")))
    return isinstance(value, str) and re.fullmatch(text, value, re.DOTALL) is not None
