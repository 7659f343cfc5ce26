"""`python -m cli demo|up|down`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from types import FrameType

from cli import background, terminal
from cli.demo import run as demo
from cli.machine.deploy import FunctionsBroken
from cli.machine.emulator import EmulatorDidNotStart
from cli.machine.sam import SamFailed

WIDTH = 100
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130


class Interrupted(KeyboardInterrupt):
    """Not KeyboardInterrupt: if that passes code that is run from a text, Python ends by SIGINT, caught or not."""


def main() -> int:
    """Run the command; 0 if all went well, 1 if not, 130 if interrupted."""
    parser = argparse.ArgumentParser(prog="python -m cli", description="AWS on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="deploy, onboard the customers of customers.yaml, show it, end")
    commands.add_parser("up", help="deploy, and leave the stack running")
    commands.add_parser("down", help="end the stack that `up` left running")
    command = parser.parse_args().command
    console = terminal.console(WIDTH)
    console.width = min(console.width, WIDTH)
    for number in ENDING_SIGNALS:
        signal.signal(number, _interrupt)
    try:
        match command:
            case "demo":
                return 0 if demo.run(console) else 1
            case "up":
                background.up(console)
            case "down":
                background.down(console)
    except (EmulatorDidNotStart, SamFailed, FunctionsBroken, demo.DemoStuck) as failure:
        console.print(str(failure), markup=False, soft_wrap=True)
        return 1
    except Interrupted:
        console.print("interrupted")
        return INTERRUPTED
    return 0


def _interrupt(*_: int | FrameType | None) -> None:
    """Unwind; at the second time, leave at once. Whatever was started ends by itself."""
    for number in ENDING_SIGNALS:
        signal.signal(number, lambda *_: os._exit(INTERRUPTED))
    raise Interrupted


if __name__ == "__main__":
    sys.exit(main())
