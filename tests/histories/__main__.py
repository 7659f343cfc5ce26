"""Explore histories until time is up: those of `make test`, then random ones. It prints the shortest that breaks."""

import sys
import time
from random import SystemRandom

from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.histories.test_histories import EXAMPLES, SETTINGS, Histories

SHRINKING = settings(SETTINGS, phases=(Phase.generate, Phase.shrink))


def main(seconds: str, chosen: str = "") -> None:
    """Begin with the chosen seed, if one is given. The history is in the error's notes."""
    until, number = time.monotonic() + float(seconds), int(chosen or 0)
    while True:
        sys.stdout.write(f"seed {number}: {EXAMPLES} histories\n")
        machine = seed(number)(Histories) if number else Histories
        run_state_machine_as_test(machine, settings=settings(SHRINKING, derandomize=not number))
        if time.monotonic() > until:
            return
        number = SystemRandom().randrange(1, 2**32)


if __name__ == "__main__":
    main(*sys.argv[1:])
