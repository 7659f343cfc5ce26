"""The functions' logs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from cli.aws.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef

POLL_SECONDS = 2
# CloudWatch returns a line only seconds after it was logged.
LATE = timedelta(seconds=60)
# The workflow's log has another format; `trace` shows the same.
OF_STEP_FUNCTIONS = "/aws/vendedlogs/"
# Lambda's own lines for each invocation.
PLATFORM = ("START ", "END ", "REPORT ", "INIT_START ")
# Powertools adds these keys to each line; the last two repeat what `exception` says.
# https://docs.aws.amazon.com/powertools/python/latest/core/logger/
ADDED = re.compile(
    r"level|location|message|timestamp|service|cold_start|xray_trace_id|function_\w+|exception_name|stack_trace"
)
STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


@dataclass(frozen=True)
class Line:
    """A line of a function's log; `keys` are its ids, such as customer_id."""

    at: datetime
    function: str
    message: str
    level: str = ""
    keys: tuple[tuple[str, str], ...] = ()

    def text(self) -> Text:
        """The line, formatted for the terminal."""
        keys = " ".join(f"{name}={value}" for name, value in self.keys)
        return Text.assemble(
            (f"{self.at:%H:%M:%S.%f}"[:-3], "dim"),
            f"  {self.function:<22}",
            (f"{self.level:<9}", STYLES.get(self.level, "")),
            f"{self.message}  ",
            (keys, "dim"),
        )


def follow(stack: Stack, customer_id: str | None, since: datetime) -> Iterator[Line]:
    """Yield what `lines` returns, and then new lines as they arrive."""
    shown: set[Line] = set()
    while True:
        asked_at = datetime.now(UTC)
        found = lines(stack, customer_id, since)
        yield from (line for line in found if line not in shown)
        shown, since = set(found), max(since, asked_at - LATE)
        time.sleep(POLL_SECONDS)


def lines(stack: Stack, customer_id: str | None, since: datetime) -> list[Line]:
    """The lines logged since then, in order, of all customers or of one."""
    pages = stack.session.client("logs").get_paginator("filter_log_events")
    pattern = f'"{customer_id}"' if customer_id else ""
    start = int(since.timestamp() * 1000)
    found = [
        _line(logical_id.removesuffix("LogGroup"), event)
        for logical_id, group in stack.resources("AWS::Logs::LogGroup")
        if not group.startswith(OF_STEP_FUNCTIONS)
        for page in pages.paginate(logGroupName=group, filterPattern=pattern, startTime=start)
        for event in page["events"]
    ]
    return sorted(filter(None, found), key=lambda line: line.at)


def _line(function: str, event: FilteredLogEventTypeDef) -> Line | None:
    """The parsed line, or None for metrics and for Lambda's own line on a successful invocation."""
    at, message = datetime.fromtimestamp(event["timestamp"] / 1000, UTC), event["message"].rstrip()
    try:
        logged = json.loads(message)
    except ValueError:
        logged = None
    match logged:
        case {"errorType": error}:  # the runtime's line for an exception
            return Line(at, function, f"{error}: {logged.get('errorMessage')}", "ERROR")
        case {"_aws": _}:  # metrics, in CloudWatch's embedded metric format
            return None
        case {"level": level}:  # Powertools' line; a value may be a list
            keys = tuple((name, str(it)) for name, it in logged.items() if not ADDED.fullmatch(name))
            return Line(at, function, str(logged.get("message")), str(level), keys)
        case {"type": str(kind), "record": dict(record)} if kind.startswith("platform."):
            return None if record.get("status", "success") == "success" else Line(at, function, message)
    return None if logged is None and message.startswith(PLATFORM) else Line(at, function, message)
