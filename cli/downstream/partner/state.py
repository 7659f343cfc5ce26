"""What a partner knows: its callers' credentials, its accounts, the faults to come, and what it answered."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Lock
from typing import Any

from cli.downstream.partner.accounts import Accounts
from cli.downstream.partner.authentication import Authentication
from cli.downstream.partner.faults import Fault, Faults

logger = logging.getLogger(__name__)


class State:
    """What the requests of one partner share, each in its own thread. `stopping` is set when the partner is to end."""

    def __init__(self, name: str, file: Path, authentication: Authentication) -> None:
        self.name = name
        self.authentication = authentication
        self.accounts = Accounts(file)
        self.faults = Faults()
        self.stopping = Event()
        self._lock = Lock()
        self._emails: dict[str, str] = {}
        self._answers: dict[str, list[str]] = {}

    def fault(self, customer_id: str, document: Mapping[str, Any], method: str) -> Fault | None:
        """The fault that a request meets, if any."""
        with self._lock:
            email = self._emails.get(customer_id)
            if isinstance(document.get("email"), str):  # a deletion has none, and is known by the creation's
                email = self._emails[customer_id] = document["email"]
        return self.faults.take([customer_id, email] if email else [customer_id], method)

    def note(self, customer_id: str, method: str, answer: str) -> None:
        """Remember an answer."""
        with self._lock:
            self._answers.setdefault(customer_id, []).append(f"{method} {answer}")
        logger.info("%s: %s %s %s", self.name, method, customer_id, answer)

    def answers(self, customer_id: str) -> list[str]:
        """What was answered to each request about a customer, in order, such as "PUT 503", "PUT hang", "DELETE 204"."""
        with self._lock:
            return self._answers.get(customer_id, []).copy()
