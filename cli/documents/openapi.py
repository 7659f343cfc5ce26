"""The API's OpenAPI document, from the models that the API parses and answers with."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from cli.documents.schemas import NoTitles, as_text
from onboarding.domain.analytics import Analytics
from onboarding.domain.models import Address, CustomerData, CustomerId
from onboarding.domain.registration import Accepted
from onboarding.domain.status import Onboarding
from onboarding.runtime.api import IDEMPOTENCY_KEY, MAX_BODY_BYTES, MAX_DAYS, Problem

Refusals = Mapping[HTTPStatus, str]

NOT_REGISTERED: Refusals = {
    HTTPStatus.BAD_REQUEST: "The registration is not valid; `errors` names each wrong field.",
    HTTPStatus.CONFLICT: "The first request with this Idempotency-Key is in progress.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"The body is larger than {MAX_BODY_BYTES} bytes.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The Content-Type isn't application/json.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The Idempotency-Key was used with another registration.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests.",
    HTTPStatus.SERVICE_UNAVAILABLE: "It is not known whether the registration was accepted.",
}
NO_STATUS: Refusals = {
    HTTPStatus.NOT_FOUND: "There is no such onboarding, or it was accepted just now and nothing is known of it yet.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The status can't be told at present.",
}
NO_ANALYTICS: Refusals = {
    HTTPStatus.BAD_REQUEST: "The period is not valid; `errors` names each wrong parameter.",
    HTTPStatus.FORBIDDEN: "The signature is not valid, or its signer is not allowed to read the analytics.",
    HTTPStatus.NOT_FOUND: "The request is not signed: to whom doesn't sign, there are no analytics.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The analytics can't be read at present.",
}
TRY_AGAIN = frozenset(
    {
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
RETRY_AFTER = {"description": "Seconds after which to try again.", "schema": {"type": "integer", "minimum": 1}}
POLL_AFTER = RETRY_AFTER | {"description": "Seconds after which to ask again; absent once the onboarding has ended."}
ETAG = {"description": "Changes with the answer.", "schema": {"type": "string", "pattern": '^"[!#-~]+"$'}}
STRICT = (CustomerData.__name__, Address.__name__)


def openapi() -> str:
    """The document as JSON."""
    return as_text(_document())


def _document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Customer onboarding",
            "version": "1.0.0",
            "summary": "Registers customers. A registration is accepted at once and onboarded in the background.",
            "license": {"name": "MIT No Attribution", "identifier": "MIT-0"},
        },
        "servers": [
            {
                "url": "https://{apiId}.execute-api.{region}.amazonaws.com/v1",
                "variables": {"apiId": {"default": "api"}, "region": {"default": "us-east-1"}},
            }
        ],
        "security": [],
        "paths": {
            "/api/customers": {"post": _register_customer()},
            "/api/customers/{customerId}/onboarding": {"get": _get_onboarding()},
            "/api/analytics/onboarding": {"get": _get_analytics()},
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-authtype.html
                "sigv4": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "description": "AWS Signature Version 4, for execute-api",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                }
            },
        },
    }


def _register_customer() -> dict[str, Any]:
    return {
        "operationId": "registerCustomer",
        "summary": "Register a customer",
        "description": "Checks shape, types and sizes. The business rules are checked in the background.",
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Unique to this registration, a UUID for example. Sent again within 24 hours, with the "
                "same registration, it gets the same answer and registers nobody twice.",
                "schema": {
                    "type": "string",
                    "pattern": IDEMPOTENCY_KEY,
                    "examples": ["b7c2f7a4-6f0e-4d1c-9d0b-3f5a8c1e2d4f"],
                },
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/CustomerData"},
                    "example": {
                        "firstName": "Ada",
                        "lastName": "Lovelace",
                        "email": "ada@example.com",
                        "phone": "020 7946 0958",
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
        "responses": {
            str(HTTPStatus.ACCEPTED.value): {
                "description": "The registration is accepted.",
                "headers": {
                    "Location": {
                        "description": "Where the onboarding's status is, relative to this URL.",
                        "schema": {"type": "string", "format": "uri-reference"},
                    }
                },
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Accepted"}}},
                "links": {
                    "status": {
                        "operationId": "getOnboarding",
                        "parameters": {"customerId": "$response.body#/customerId"},
                    }
                },
            },
            **_refusals(NOT_REGISTERED),
        },
    }


def _get_onboarding() -> dict[str, Any]:
    return {
        "operationId": "getOnboarding",
        "summary": "Tell how far an onboarding has come",
        "description": "To be polled: after the seconds that Retry-After says while the onboarding goes on, and with "
        "the answer's ETag. It holds no personal data, and tells why a customer was rejected only if it is the data.",
        "parameters": [
            {
                "name": "customerId",
                "in": "path",
                "required": True,
                "schema": TypeAdapter(CustomerId).json_schema()
                | {"examples": ["0d9f2f0a-3a9e-4f8e-8f43-5f2f1f3c9b10"]},
            },
            {
                "name": "If-None-Match",
                "in": "header",
                "description": "ETags of the answers that are known.",
                "schema": {"type": "string"},
            },
        ],
        "responses": {
            str(HTTPStatus.OK.value): {
                "description": "The onboarding.",
                "headers": {"ETag": ETAG, "Retry-After": POLL_AFTER},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Onboarding"}}},
            },
            str(HTTPStatus.NOT_MODIFIED.value): {
                "description": "The onboarding is as it was.",
                "headers": {"ETag": ETAG, "Retry-After": POLL_AFTER},
            },
            **_refusals(NO_STATUS),
        },
    }


def _get_analytics() -> dict[str, Any]:
    def day(name: str, description: str) -> dict[str, Any]:
        return {"name": name, "in": "query", "description": description, "schema": {"type": "string", "format": "date"}}

    return {
        "operationId": "getAnalytics",
        "summary": "Tell the funnel, the reasons and the times of each day of a period",
        "description": f"At most {MAX_DAYS} days, in UTC; a customer counts for the day of the registration. For "
        "whom IAM allows it alone: the request is signed with AWS Signature Version 4.",
        "security": [{"sigv4": []}],
        "parameters": [
            day("from", "The first day; seven days up to the last one if absent"),
            day("to", "The last day; today if absent"),
        ],
        "responses": {
            str(HTTPStatus.OK.value): {
                "description": "The analytics.",
                "headers": {"ETag": ETAG},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Analytics"}}},
            },
            str(HTTPStatus.NOT_MODIFIED.value): {"description": "They are as they were.", "headers": {"ETag": ETAG}},
            **_refusals(NO_ANALYTICS, try_again=TRY_AGAIN - {HTTPStatus.NOT_FOUND}),
        },
    }


def _refusals(refusals: Refusals, try_again: frozenset[HTTPStatus] = TRY_AGAIN) -> dict[str, Any]:
    return {
        str(status.value): {
            "description": description,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            **({"headers": {"Retry-After": RETRY_AFTER}} if status in try_again else {}),
        }
        for status, description in refusals.items()
    }


def _schemas() -> dict[str, Any]:
    taken: JsonSchemaMode = "validation"
    given: JsonSchemaMode = "serialization"
    _, definitions = models_json_schema(
        [(CustomerData, taken), (Accepted, given), (Onboarding, given), (Analytics, given), (Problem, given)],
        ref_template="#/components/schemas/{model}",
        schema_generator=NoTitles,
    )
    schemas: dict[str, Any] = definitions["$defs"]
    for name in STRICT:  # the API refuses what it doesn't know
        schemas[name]["additionalProperties"] = False
    # API Gateway's own refusals say it in the status line alone.
    schemas[Problem.__name__]["required"].remove("status")
    return schemas
