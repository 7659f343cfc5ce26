"""`make explore`: try random histories until time is up, and print the shortest that breaks a promise."""

import sys
import time
from random import SystemRandom

from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.histories.test_histories import SETTINGS, Histories


def main(seconds: str, chosen: str = "") -> None:
    """Begin with the chosen seed, if there is one; exit with 1 if a history breaks a promise."""
    if not all(it.isdecimal() for it in (seconds, chosen) if it):
        sys.exit("SECONDS and SEED must be whole numbers.")
    until, number = time.monotonic() + float(seconds), int(chosen or 0)
    shrinking = settings(SETTINGS, phases=[Phase.generate, Phase.shrink])
    while time.monotonic() < until:
        number = number or SystemRandom().randrange(1, 2**32)
        sys.stdout.write(f"SEED={number}: {SETTINGS.max_examples} histories\n")
        try:
            run_state_machine_as_test(seed(number)(Histories), settings=shrinking)
        except Exception as broken:  # noqa: BLE001 - a promise, or an error in the code
            words = [it for it in broken.__notes__ if not it.startswith("state")]
            sys.exit("\n".join([*words, f"{type(broken).__name__}: {broken}"]))
        number = 0
    sys.stdout.write("No history broke a promise.\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
