"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Iterator


def back_off(seconds: float) -> Iterator[None]:
    """Yield at once, then after ever longer pauses of at most 0.25 s, until the time is up.

    `seconds` is when to give up, so it costs nothing to allow far more than a busy machine takes.
    """
    deadline = time.monotonic() + seconds
    pause = 0.01
    yield
    while time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
        yield
