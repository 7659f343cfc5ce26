"""What was counted and measured, and the file that keeps it: measurement.json, written by `make cost`."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict

MEASUREMENT = Path(__file__).with_name("measurement.json")


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Work(_Document):
    """What one function does for one registration.

    `seconds` are those of all its invocations, warm. `log_bytes` are its own lines; Lambda adds to each invocation.
    `writes` and `reads` are DynamoDB's units.
    """

    invocations: float = 0
    seconds: float = 0
    log_lines: float = 0
    log_bytes: float = 0
    writes: float = 0
    reads: float = 0


class Registration(_Document):
    """The mean of one kind of registration.

    `transitions` are by state, `functions` by the function's logical id in the template. `messages` are those that
    queues of the template hand to a function, by function; `commands` what is sent to queues of others. `seconds` is
    what the execution takes, `bytes_published` the size of the `events`, `native_writes` what the workflow writes to
    DynamoDB by itself.
    """

    kind: str
    transitions: dict[str, int]
    history_events: float
    seconds: float
    functions: dict[str, Work]
    messages: dict[str, float]
    commands: float
    events: float
    bytes_published: float
    native_writes: float
    mails: float


class Measurement(_Document):
    """All kinds, and on which machine. `memory` is in MB, `cold` the seconds of each function's first invocation."""

    measured: date
    machine: str
    repetitions: int
    memory: dict[str, int]
    cold: dict[str, float]
    status_request: Work
    registrations: list[Registration]

    def of(self, kind: str) -> Registration:
        """The registration of that kind. Raises `KeyError`."""
        return {registration.kind: registration for registration in self.registrations}[kind]


def load(path: Path = MEASUREMENT) -> Measurement:
    """Raises `pydantic.ValidationError` where the file is not of this form."""
    return Measurement.model_validate_json(path.read_text(encoding="utf-8"))


def save(measurement: Measurement, path: Path = MEASUREMENT) -> None:
    path.write_text(measurement.model_dump_json(indent=2) + "\n", encoding="utf-8")
