"""Lambda's part: it invokes a function, and logs what that prints and raises."""

import json
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from tests.in_process import functions
from tests.unit.personal_data import found, typed


class Runtime:
    """Invokes functions as Lambda does, and keeps what is logged."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._printed = ""
        self._raised = ""
        self._typed: set[str] = set()

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Return what the function returns; raises what it raises."""
        self._typed |= typed(event)
        try:
            return functions.invoke(function, event)
        except Exception as error:
            self._raised += "".join(traceback.format_exception(error))
            raise

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        return [line for line in self._lines() if "_aws" not in line]

    @property
    def metrics(self) -> dict[str, float]:
        """The sum of each metric."""
        sums: dict[str, float] = {}
        for line, _, name in self._metrics():
            sums[name] = sums.get(name, 0) + sum(line[name])
        return sums

    @property
    def emitted(self) -> set[tuple[str, str, tuple[str, ...]]]:
        """Namespace, name and dimensions of each metric."""
        return {
            (metrics["Namespace"], name, tuple(sorted(keys)))
            for _, metrics, name in self._metrics()
            for keys in metrics["Dimensions"]
        }

    def assert_nothing_personal_was_logged(self) -> None:
        """Nothing that a customer typed is in any line or in an exception, which the Lambda runtime logs."""
        assert found(self._typed, self._read() + self._raised) == set()

    def _metrics(self) -> Iterator[tuple[dict[str, Any], dict[str, Any], str]]:
        """Each metric: the line that it is in, the block in that line, and its name."""
        for line in self._lines():
            for block in line.get("_aws", {}).get("CloudWatchMetrics", []):
                yield from ((line, block, metric["Name"]) for metric in block["Metrics"])

    def _lines(self) -> Iterator[dict[str, Any]]:
        return map(json.loads, self._read().splitlines())

    def _read(self) -> str:
        self._printed += "".join(self._capsys.readouterr())
        return self._printed
