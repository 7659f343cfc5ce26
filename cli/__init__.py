"""The tools: AWS on this machine, the demo, the report, the runbook's commands, and what writes the documents."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
# What may be kept from one run to the next: the build, SAM's caches, the state of `up`.
WORKSPACE = PROJECT / ".local"


class NotPossible(RuntimeError):
    """A command can't be carried out; the message says why, and what to do instead."""
