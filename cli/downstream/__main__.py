"""`python -m cli.downstream FOLDER` runs the two partners until the emulator of this folder ends.

It prints the JSON list of their configurations.
"""

import dataclasses
import json
import logging
import os
import sys
from pathlib import Path

from cli.downstream.systems import partners
from cli.machine.supervised_process import await_end


def main(folder: Path) -> None:
    logging.basicConfig(
        filename=folder / "partners.log", encoding="utf-8", level=logging.INFO, format="%(asctime)s %(message)s"
    )
    with partners() as started:
        print(json.dumps([dataclasses.asdict(partner.configuration) for partner in started]), flush=True)
        os.close(sys.stdout.fileno())
        await_end(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
