"""The commands of docs/runbook.md."""
