"""The API that SAM makes of the template: its routes, what it answers by itself, who may call it how often."""

from __future__ import annotations

import ast
import json
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

import pytest

from onboarding.runtime.api import MAX_BODY_BYTES, onboarding_of, title
from tests import invocations
from tests.wiring import functions, template

(API,) = template.resources("AWS::ApiGateway::RestApi").values()
(STAGE,) = template.resources("AWS::ApiGateway::Stage").values()
PATHS: dict[str, dict[str, Any]] = API["Body"]["paths"]
ROUTES = {
    (path, method): operation["x-amazon-apigateway-integration"]
    for path, operations in PATHS.items()
    for method, operation in operations.items()
    if method != "options"
}
GATEWAY_RESPONSES: dict[str, dict[str, Any]] = API["Body"]["x-amazon-apigateway-gateway-responses"]
ORIGIN = f"'{template.resolve({'Ref': 'AllowedOrigin'})}'"


def test_registrations_are_posted_to_api_customers() -> None:
    assert "/v1" in template.deployed()["Outputs"]["ApiUrl"]["Value"]
    assert STAGE["StageName"] == "v1"
    assert ROUTES["/api/customers", "post"]["type"] == "aws_proxy"
    assert "function:RegisterCustomerFunction:live/" in ROUTES["/api/customers", "post"]["uri"]


def test_every_sample_request_is_for_the_route_of_its_function() -> None:
    for function in functions.deployed().values():
        for sample in (invocations.SAMPLES / function.package).glob("*.json"):
            event = json.loads(sample.read_text(encoding="utf-8"))
            if "httpMethod" in event:
                route = ROUTES[event["resource"], event["httpMethod"].lower()]
                assert f"{function.arn}/invocations" in route["uri"]


def test_every_route_is_throttled_and_traced() -> None:
    (settings,) = STAGE["MethodSettings"]

    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["ThrottlingRateLimit"] > 0
    assert settings["ThrottlingBurstLimit"] >= settings["ThrottlingRateLimit"]
    assert STAGE["TracingEnabled"] is True


def test_there_is_no_stage_but_ours() -> None:
    # A deployment with a StageName makes a stage, which would be public and without throttling.
    for deployment in template.resources("AWS::ApiGateway::Deployment").values():
        assert "StageName" not in deployment


def test_the_api_is_deployed_anew_each_time() -> None:
    # SAM names a deployment after the API's body, in which a parameter is still a reference.
    assert template.written_resources("AWS::Serverless::Api")["Api"]["AlwaysDeploy"] is True


@pytest.mark.parametrize("kind", GATEWAY_RESPONSES)
class TestAGatewayResponse:
    def test_is_a_problem_document(self, kind: str) -> None:
        (document,) = _documents(kind)

        assert GATEWAY_RESPONSES[kind]["responseParameters"]["gatewayresponse.header.Content-Type"] == (
            "'application/problem+json'"
        )
        assert document["title"]
        assert document["detail"]

    def test_says_its_status_where_it_is_one(self, kind: str) -> None:
        (document,) = _documents(kind)
        status = GATEWAY_RESPONSES[kind].get("statusCode")

        assert document.get("status") == (int(status) if status else None)
        if status:
            assert document["title"] == title(HTTPStatus(int(status)))

    def test_can_be_read_by_the_allowed_origin(self, kind: str) -> None:
        headers = GATEWAY_RESPONSES[kind]["responseParameters"]

        assert headers["gatewayresponse.header.Access-Control-Allow-Origin"] == ORIGIN


def test_whatever_api_gateway_answers_by_itself_is_a_problem_document() -> None:
    assert GATEWAY_RESPONSES.keys() >= {"DEFAULT_4XX", "DEFAULT_5XX"}


def test_a_body_too_large_is_told_the_limit_that_the_function_has() -> None:
    (document,) = _documents("REQUEST_TOO_LARGE")

    assert str(MAX_BODY_BYTES) in document["detail"]


@pytest.mark.parametrize("path", PATHS)
def test_a_preflight_is_told_the_methods_and_headers_that_the_path_takes(path: str) -> None:
    integration = PATHS[path]["options"]["x-amazon-apigateway-integration"]
    answered = integration["responses"]["default"]["responseParameters"]
    methods = answered["method.response.header.Access-Control-Allow-Methods"].strip("'").split(",")
    headers = answered["method.response.header.Access-Control-Allow-Headers"].strip("'").lower().split(",")

    assert set(methods) == {method.upper() for method in PATHS[path]}
    assert set(headers) == _headers_read() | {"x-api-key"}  # which API Gateway reads
    assert answered["method.response.header.Access-Control-Allow-Origin"] == ORIGIN


def test_a_preflight_needs_no_signature() -> None:
    # A browser sends none with it.
    for operations in PATHS.values():
        assert "security" not in operations["options"]
        assert "x-amazon-apigateway-auth" not in operations["options"]


def test_the_status_is_asked_for_at_the_location_that_a_registration_is_answered() -> None:
    # A reference is resolved against the path of the registrations.
    path = urljoin("/api/customers", onboarding_of("{customerId}"))

    assert "function:GetOnboardingFunction:live/" in ROUTES[path, "get"]["uri"]


def _documents(kind: str) -> list[dict[str, Any]]:
    """The bodies of a gateway response, with an example of the message that API Gateway puts in, quoted."""
    return [
        json.loads(body.replace("$context.error.messageString", '"Forbidden"'))
        for body in GATEWAY_RESPONSES[kind]["responseTemplates"].values()
    ]


def _headers_read() -> set[str]:
    """The names in `headers.get("…")` of the module that reads requests."""
    tree = ast.parse((functions.CODE / "onboarding" / "runtime" / "api.py").read_text(encoding="utf-8"))
    return {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "headers.get"
        and isinstance(node.args[0], ast.Constant)
    }
