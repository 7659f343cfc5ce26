"""A partner's accounts, under the contract's rules."""

from http import HTTPStatus
from threading import Lock
from typing import Any

from werkzeug.exceptions import Conflict, Gone, UnprocessableEntity


class Accounts:
    """Accounts by customerId, and tombstones of deleted ones."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._documents: dict[str, dict[str, Any]] = {}
        self._tombstones: set[str] = set()
        self._created: dict[str, str] = {}  # the customerId of each Idempotency-Key

    def documents(self) -> dict[str, dict[str, Any]]:
        """The accounts by customerId."""
        with self._lock:
            return self._documents.copy()

    def tombstones(self) -> set[str]:
        """The customerIds that were deleted, with or without an account."""
        with self._lock:
            return self._tombstones.copy()

    def put(self, customer_id: str, key: str, document: dict[str, Any]) -> HTTPStatus:
        """Create the account, or raise the contract's refusal; OK if the same request had already created it."""
        with self._lock:
            if customer_id in self._tombstones:
                raise Gone("The account was deleted and can't be created again")
            if key not in self._created:
                if customer_id in self._documents:
                    raise Conflict("The account was created by a request with another Idempotency-Key")
                self._created[key] = customer_id
                self._documents[customer_id] = document
                return HTTPStatus.CREATED
            if self._created[key] != customer_id or self._documents[customer_id] != document:
                raise UnprocessableEntity("The Idempotency-Key was used with another request")
            return HTTPStatus.OK

    def delete(self, customer_id: str) -> HTTPStatus:
        """Delete the account, if any, and keep a tombstone."""
        with self._lock:
            self._documents.pop(customer_id, None)
            self._tombstones.add(customer_id)
        return HTTPStatus.NO_CONTENT
