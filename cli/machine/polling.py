"""Polling with growing pauses."""

import time
from collections.abc import Iterator


def back_off(seconds: float) -> Iterator[None]:
    """Yield at once, then after growing pauses of at most 0.25 s, until `seconds` have passed."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    yield
    while time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
        yield
