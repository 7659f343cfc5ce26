"""The API as SAM expands it: its routes, its own answers, who may call it and how often."""

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

import pytest

from cli.documents.openapi import openapi
from onboarding.runtime.api import MAX_BODY_BYTES, status_url, title
from tests import invocations
from tests.in_process import functions, template
from tests.wiring import report


@pytest.fixture(scope="module")
def body() -> dict[str, dict[str, Any]]:
    """The API as SAM defines it, in OpenAPI with Amazon's extensions."""
    (found,) = template.resources("AWS::ApiGateway::RestApi", by_sam=True).values()
    return dict(found["Body"])


def test_sample_requests_match_the_routes(body: dict[str, dict[str, Any]]) -> None:
    routes = set()
    for function in functions.deployed().values():
        for sample in (invocations.SAMPLES / function.package).glob("*.json"):
            event = json.loads(sample.read_text(encoding="utf-8"))
            if "httpMethod" in event:
                routes.add((event["resource"], event["httpMethod"].lower(), f"{function.arn}/invocations"))
    made = {
        (path, method, it[method]["x-amazon-apigateway-integration"]["uri"].partition("/functions/")[2])
        for path, it in body["paths"].items()
        for method in it.keys() - {"options"}
    }

    report.none_of(f"events/: no sample request of {route}" for route in made - routes)
    report.none_of(f"template.yaml: no Events of Type Api make the sample's {route}" for route in routes - made)


def test_each_route_is_throttled_and_traced() -> None:
    (stage,) = template.resources("AWS::ApiGateway::Stage", by_sam=True).values()
    (settings,) = stage["MethodSettings"]
    (plan,) = template.resources("AWS::ApiGateway::UsagePlan").values()
    limits = {name: settings[f"Throttling{name}"] for name in ("RateLimit", "BurstLimit")}

    assert stage["StageName"] == "v1"
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert 0 < limits["RateLimit"] <= limits["BurstLimit"]
    assert plan.get("Throttle") == limits, "template.yaml: UsagePlan: Throttle"
    assert stage["TracingEnabled"] is True


def test_only_our_stage_is_made_and_always_deployed() -> None:
    # A deployment with a StageName makes a stage, which would be public and without throttling.
    for deployment in template.resources("AWS::ApiGateway::Deployment", by_sam=True).values():
        assert "StageName" not in deployment
    # SAM names a deployment after the API's body, in which a parameter is still a reference.
    assert template.written_resources("AWS::Serverless::Api")["Api"]["AlwaysDeploy"] is True


def test_api_gateway_answers_problem_documents(body: dict[str, dict[str, Any]]) -> None:
    responses = body["x-amazon-apigateway-gateway-responses"]

    assert responses.keys() >= {"DEFAULT_4XX", "DEFAULT_5XX"}
    for kind, response in responses.items():
        headers = response["responseParameters"]
        (text,) = response["responseTemplates"].values()
        document = json.loads(text.replace("$context.error.messageString", '"Forbidden"'))
        assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'", kind
        assert headers["gatewayresponse.header.Access-Control-Allow-Origin"] == _origin(), kind
        assert document["title"], kind
        assert document["detail"], kind
        status = response.get("statusCode")
        assert document.get("status") == (int(status) if status else None), kind
        if status:
            assert document["title"] == title(HTTPStatus(int(status))), kind
        if kind == "REQUEST_TOO_LARGE":
            assert str(MAX_BODY_BYTES) in document["detail"]


def test_preflight_allows_what_the_path_takes(body: dict[str, dict[str, Any]]) -> None:
    described = json.loads(openapi())["paths"].values()
    parameters = [it for path in described for operation in path.values() for it in operation.get("parameters", [])]
    sent = {"content-type", "x-api-key", *(it["name"].lower() for it in parameters if it["in"] == "header")}
    # A page that is traced sends them: https://www.w3.org/TR/trace-context/ and https://www.w3.org/TR/baggage/
    sent |= {"traceparent", "tracestate", "baggage"}
    readable = {it.environment.get("ALLOWED_ORIGIN", _origin().strip("'")) for it in functions.deployed().values()}
    assert readable == {_origin().strip("'")}, "template.yaml: a function's ALLOWED_ORIGIN"
    for path, operations in body["paths"].items():
        (answered,) = (it["responseParameters"] for it in _integration(body, path, "options")["responses"].values())
        allowed = {
            name.rpartition("-")[2]: set(value.strip("'").split(","))
            for name, value in answered.items()
            if name.startswith("method.response.header.Access-Control-Allow-")
        }
        assert allowed["Methods"] == {method.upper() for method in operations}, path
        assert {header.lower() for header in allowed["Headers"]} == sent, path
        assert answered["method.response.header.Access-Control-Allow-Origin"] == _origin(), path
        # A browser signs no preflight.
        assert not {"security", "x-amazon-apigateway-auth"} & operations["options"].keys(), path


def test_only_analytics_need_a_signature(body: dict[str, dict[str, Any]]) -> None:
    signed = {path for path, it in body["paths"].items() if any("security" in each for each in it.values())}

    assert signed == {"/api/analytics/onboarding"}


@pytest.mark.parametrize(
    ("key", "confirmation", "page", "is_refused"),
    [
        ("true", "required", "", True),
        ("true", "required", "https://www.example.com/confirm", False),
        ("true", "none", "", False),
        ("", "required", "", False),
    ],
)
def test_api_key_needs_the_companys_page(key: str, confirmation: str, page: str, *, is_refused: bool) -> None:
    # The browser that opens the API's own page has no key.
    with template.given({"ApiKeyRequired": key, "EmailConfirmation": confirmation, "ConfirmationPageUrl": page}):
        (rule,) = template.resolve(list(template.written()["Rules"].values()))

    assert (rule["RuleCondition"] and not all(it["Assert"] for it in rule["Assertions"])) is is_refused


def test_location_header_is_the_status_route(body: dict[str, dict[str, Any]]) -> None:
    path = urljoin("/api/customers", status_url("{customerId}", "/api/customers"))

    assert "function:GetOnboardingFunction:live/" in _integration(body, path, "get")["uri"]


def _integration(body: dict[str, dict[str, Any]], path: str, method: str) -> dict[str, Any]:
    return dict(body["paths"][path][method.lower()]["x-amazon-apigateway-integration"])


def _origin() -> str:
    return f"'{template.reference_to('AllowedOrigin')}'"
