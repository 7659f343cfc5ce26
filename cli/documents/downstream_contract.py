"""The OpenAPI document that a downstream system implements, from the model of what it is sent."""

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from cli.documents.schemas import NoNulls, as_text
from onboarding.adapters.downstream.http import ApiKey
from onboarding.domain.models import CustomerId
from onboarding.domain.tasks import Account

DESCRIPTION = """\
Customer onboarding creates each customer's account in every downstream system, or in none. A system that implements \
this document is one of them once it is configured; no code of the onboarding changes.

**Both operations are idempotent.** A request that got no answer, or one that says so below, comes again with the same \
`Idempotency-Key` and the same body, perhaps after minutes, perhaps while the first is still in work. It must have the \
effect of one.

**A deletion is final.** It may overtake the creation that it undoes. So keep the `customerId` of each deletion, also \
where there was no account to delete, and answer every creation after it 410; the personal data itself can go. A \
customer who registers again has another `customerId`.

**Time.** A request that isn't answered within the configured time (5 seconds unless told otherwise) has failed and \
comes again. 429 and 503 may say in `Retry-After` when; there are growing pauses between attempts otherwise.

Nothing of a customer but the `customerId` is in a URL. Ignore fields that you don't know: there may be more of them. \
The body of an answer is not read.\
"""

UNDONE = "A refusal: it is not tried again, and the account is deleted in every downstream system, this one too."
AGAIN = "Tried again; when the attempts are used up, it counts as failed, and the account is deleted in every system."
LONGER = "It is tried again, for longer than a creation is, and then as after a refusal."
STOPS = "The onboarding stops here, and an operator takes it up again once the cause is mended."
CREATING = {
    "201": "The account was created. The onboarding goes on.",
    "200": "This request had created the account before. The onboarding goes on.",
    "400": f"The request can't be read, or has no Idempotency-Key. {UNDONE}",
    "401": f"The credentials or the token are not valid. Both are fetched anew and tried at once. {AGAIN}",
    "404": f"There is no such resource. {UNDONE}",
    "409": f"A request with another Idempotency-Key created the account; one still in work is answered 503. {UNDONE}",
    "410": f"The account was deleted, or barred before there was one. {UNDONE}",
    "422": f"The account is refused, or the Idempotency-Key was used with another request. {UNDONE}",
    "429": f"Too many requests. Retry-After is waited for where it is short. {AGAIN}",
    "5XX": f"The system fails, or is out of service; 503 may have Retry-After. {AGAIN}",
}
DELETING = {
    "204": "There is no such account, and there never will be. The compensation goes on.",
    "404": "There was no such account. The same as 204; creations must be answered 410 from now on.",
    "410": "The account was deleted before. The same as 204.",
    "400": f"The request can't be read, or has no Idempotency-Key. {STOPS}",
    "401": f"The credentials or the token are not valid. Both are fetched anew and tried at once. {LONGER}",
    "422": f"The deletion is refused. {STOPS}",
    "429": f"Too many requests. {LONGER}",
    "5XX": f"The system fails, or is out of service. {LONGER}",
}
WITH_CHALLENGE = {"401"}
WITH_RETRY_AFTER = {"429", "5XX"}


def downstream_contract() -> str:
    """The document as JSON."""
    return as_text(_document())


def _document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Downstream system of the customer onboarding",
            "version": "1.0.0",
            "summary": "What a system implements in which each customer gets an account.",
            "description": DESCRIPTION,
            "license": {"name": "MIT No Attribution", "identifier": "MIT-0"},
        },
        "servers": [
            {
                "url": "https://{host}",
                "description": "The base URL is the setting `url` of the system, with a path if you like.",
                "variables": {"host": {"default": "crm.example.com"}},
            }
        ],
        "security": [{"apiKey": []}, {"clientCredentials": []}],
        "paths": {
            "/accounts/{customerId}": {
                "parameters": [_customer_id()],
                "put": _create_account(),
                "delete": _delete_account(),
            }
        },
        "components": {"securitySchemes": _security_schemes(), "schemas": _schemas()},
    }


def _create_account() -> dict[str, Any]:
    return {
        "operationId": "createAccount",
        "summary": "Create a customer's account",
        "parameters": [_idempotency_key("provision")],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Account"},
                    "example": {
                        "accountId": "0b9a1f5e-7a0d-4a1e-8f57-6a0c2f1d9e33",
                        "firstName": "Ada",
                        "lastName": "Lovelace",
                        "email": "ada@example.com",
                        "phone": "+442079460958",
                        "address": {
                            "street": "12 St James's Square",
                            "city": "London",
                            "postalCode": "SW1Y 4JH",
                            "country": "GB",
                        },
                    },
                }
            },
        },
        "responses": _responses(CREATING.items())
        | {"default": {"description": f"408 and 425 are the same as 503. Whatever else: {UNDONE}"}},
    }


def _delete_account() -> dict[str, Any]:
    return {
        "operationId": "deleteAccount",
        "summary": "Delete a customer's account, for good",
        "description": "Comes to every system when the account could not be created in one of them, whether or not the "
        "creation has come, succeeded, or is still on its way.",
        "parameters": [_idempotency_key("deprovision")],
        "responses": _responses(DELETING.items())
        | {"default": {"description": f"Any other 2xx is the same as 204; 408 and 425 the same as 503. Else: {STOPS}"}},
    }


def _customer_id() -> dict[str, Any]:
    return {
        "name": "customerId",
        "in": "path",
        "required": True,
        "description": "Names the customer in all systems, and says nothing of them.",
        "schema": TypeAdapter(CustomerId).json_schema(),
        "example": "4f7c0c5e-2a55-4a58-9d5c-7a8f3d0a1b6e",
    }


def _idempotency_key(action: str) -> dict[str, Any]:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": f"`{{customerId}}:{action}`, the same each time that this request comes.",
        "schema": {"type": "string", "pattern": f"^[0-9A-Za-z_-]{{1,80}}:{action}$"},
        "example": f"4f7c0c5e-2a55-4a58-9d5c-7a8f3d0a1b6e:{action}",
    }


def _responses(statuses: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {status: _response(status, description) for status, description in statuses}


def _response(status: str, description: str) -> dict[str, Any]:
    response: dict[str, Any] = {"description": description}
    if not status.startswith("2"):
        problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
        response["content"] = {"application/problem+json": problem}
    headers = {}
    if status in WITH_CHALLENGE:
        headers["WWW-Authenticate"] = {"description": "RFC 9110, 11.6.1.", "schema": {"type": "string"}}
    if status in WITH_RETRY_AFTER:
        headers["Retry-After"] = {
            "description": "Seconds, or a date (RFC 9110, 10.2.3).",
            "schema": {"type": "string"},
        }
    return response | ({"headers": headers} if headers else {})


def _security_schemes() -> dict[str, Any]:
    return {
        "apiKey": {
            "type": "apiKey",
            "in": "header",
            "name": ApiKey.model_fields["header"].default,
            "description": "The header's name is a setting.",
        },
        "clientCredentials": {
            "type": "oauth2",
            "description": "The client authenticates by HTTP Basic (RFC 6749, 2.3.1). A token is used again "
            "until it is about to expire, which is 30 seconds before `expires_in`.",
            "flows": {
                "clientCredentials": {
                    "tokenUrl": "https://auth.example.com/token",
                    "scopes": {},
                }
            },
        },
    }


def _schemas() -> dict[str, Any]:
    _, definitions = models_json_schema(
        [(Account, "validation")],
        ref_template="#/components/schemas/{model}",
        schema_generator=NoNulls,
    )
    schemas: dict[str, Any] = definitions["$defs"]
    # The models also take what a customer typed; by now it was validated and normalised.
    schemas["Account"]["properties"]["phone"]["description"] = "E.164"
    schemas["Address"]["description"] = "A postal address."
    schemas["Address"]["required"] = list(schemas["Address"]["properties"])
    return schemas | {"Problem": _problem()}


def _problem() -> dict[str, Any]:
    """RFC 9457's document, of which a system may give what it likes."""
    return {
        "type": "object",
        "description": "A problem document (RFC 9457). It may be left out.",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
    }
