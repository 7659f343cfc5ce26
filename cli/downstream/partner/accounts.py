"""A partner's accounts, and the contract's rules about them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

# An account without a document is a tombstone: all that is left of it is that it shall not come again.
SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
  customer_id TEXT PRIMARY KEY,
  idempotency_key TEXT UNIQUE,
  document TEXT
)
"""
BUSY_SECONDS = 10


@dataclass(frozen=True)
class Accounts:
    """Accounts by customerId, in a file; any process may read it, and threads may write at once."""

    file: Path

    def put(self, customer_id: str, idempotency_key: str, document: dict[str, Any]) -> HTTPStatus:
        """Create the account, unless the answer is another: CREATED and OK alone mean that it is there."""
        written = json.dumps(document, sort_keys=True, ensure_ascii=False)
        with self._transaction() as database:
            used_for = database.execute(
                "SELECT customer_id FROM accounts WHERE idempotency_key = ?", (idempotency_key,)
            ).fetchone()
            existing = database.execute(
                "SELECT idempotency_key, document FROM accounts WHERE customer_id = ?", (customer_id,)
            ).fetchone()
            if existing and existing[1] is None:
                return HTTPStatus.GONE
            if used_for and used_for[0] != customer_id:
                return HTTPStatus.UNPROCESSABLE_ENTITY
            if existing is None:
                database.execute("INSERT INTO accounts VALUES (?, ?, ?)", (customer_id, idempotency_key, written))
                return HTTPStatus.CREATED
            if existing[0] != idempotency_key:
                return HTTPStatus.CONFLICT
            return HTTPStatus.OK if existing[1] == written else HTTPStatus.UNPROCESSABLE_ENTITY

    def delete(self, customer_id: str) -> HTTPStatus:
        """Leave a tombstone, whether there was an account or not."""
        with self._transaction() as database:
            database.execute("INSERT OR REPLACE INTO accounts VALUES (?, NULL, NULL)", (customer_id,))
        return HTTPStatus.NO_CONTENT

    def documents(self) -> dict[str, dict[str, Any]]:
        """The accounts that there are, by customerId."""
        with self._transaction() as database:
            rows = database.execute("SELECT customer_id, document FROM accounts WHERE document IS NOT NULL")
            return {customer_id: json.loads(document) for customer_id, document in rows}

    def tombstones(self) -> set[str]:
        """The customers whose account was deleted."""
        with self._transaction() as database:
            rows = database.execute("SELECT customer_id FROM accounts WHERE document IS NULL")
            return {customer_id for (customer_id,) in rows}

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that has the file to itself, rolled back where it fails."""
        with closing(sqlite3.connect(self.file, timeout=BUSY_SECONDS, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = OFF")  # the file is meant to be lost with the emulator
            database.execute("BEGIN IMMEDIATE")
            database.execute(SCHEMA)
            yield database
            database.execute("COMMIT")
