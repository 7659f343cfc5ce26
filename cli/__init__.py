"""The tools: AWS on this machine, the demo, the report, the runbook's commands, and the document generators."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
# Kept from one run to the next: the build, SAM's caches, the state of `up`.
WORKSPACE = PROJECT / ".local"


class NotPossible(RuntimeError):
    """The command failed; the message says why and, if it can, what to do instead."""
