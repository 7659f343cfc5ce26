"""The work behind the commands of docs/runbook.md."""
