"""CloudWatch's filter patterns for JSON lines, the part that the template uses.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/matching-terms-json-log-events.html
"""

import re
from collections.abc import Mapping
from typing import Any


def matches(pattern: str, line: Mapping[str, Any]) -> bool:
    """Whether the line is counted: `{ ($.a = "text" && $.b NOT EXISTS) || ($.c.d = "prefix*") }`."""
    alternatives = re.fullmatch(r"\{ (.+) \}", pattern)
    assert alternatives, pattern
    return any(
        all(_holds(term, line) for term in alternative.removeprefix("(").removesuffix(")").split(" && "))
        for alternative in alternatives[1].split(" || ")
    )


def _holds(term: str, line: Mapping[str, Any]) -> bool:
    read = re.fullmatch(r'\$\.(?P<path>[\w.]+) (?:= "(?P<text>[^"]+)"|NOT EXISTS)', term)
    assert read, f"tests/unit/filter_pattern.py: add the syntax of {term}"
    value: Any = line
    for key in read["path"].split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if read["text"] is None:
        return value is None
    text = ".*".join(map(re.escape, read["text"].split("*")))
    return isinstance(value, str) and re.fullmatch(text, value, re.DOTALL) is not None
