"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Iterator


def back_off(seconds: float) -> Iterator[None]:
    """Yield at once, then after ever longer pauses of at most 0.25 s, until the time is up."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    while time.monotonic() < deadline:
        yield
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
