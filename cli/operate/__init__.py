"""What whoever is on call does: docs/runbook.md says when. On this machine and on AWS alike."""
