"""The functions: their handlers, what they read of their environment, what they raise."""

from __future__ import annotations

import inspect
import re

import pytest
from aws_lambda_powertools.shared import constants
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig

from cli import PROJECT
from tests import invocations
from tests.wiring import definition, functions, template
from tests.wiring.definition import INVOKE
from tests.wiring.functions import Function

FUNCTIONS = list(functions.deployed().values())
CALLED = {state["Arguments"]["FunctionName"] for _, state in definition.tasks(definition.rendered(), INVOKE)}
TASK_FUNCTIONS = [function for function in FUNCTIONS if function.arn in CALLED]
REDRIVE_SECONDS = 14 * 24 * 60 * 60


def test_every_handler_in_the_code_is_deployed() -> None:
    assert {path.parent.name for path in functions.CODE.glob("*/app.py")} == set(map(str, FUNCTIONS))


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
class TestAFunction:
    def test_has_a_handler_that_takes_an_event_and_a_context(self, function: Function) -> None:
        with functions.imported(function) as module:
            handler = getattr(module, function.handler_name)
            parameters = inspect.signature(handler).parameters

        assert len(parameters) == 2

    def test_is_given_the_variables_that_it_reads_and_no_others(self, function: Function) -> None:
        assert functions.environment_reads(function) == function.environment.keys()

    def test_has_sample_invocations(self, function: Function) -> None:
        assert list((invocations.SAMPLES / function.package).glob("*.json"))

    def test_is_traced(self, function: Function) -> None:
        assert template.resources("AWS::Lambda::Function")[function.logical_id]["TracingConfig"] == {"Mode": "Active"}

    def test_publishes_a_change_of_its_environment(self, function: Function) -> None:
        properties = template.written_resources("AWS::Serverless::Function")[function.logical_id]

        assert properties["AutoPublishAliasAllProperties"] is True

    def test_finds_the_key_and_the_expiry_of_its_records_in_the_table(self, function: Function) -> None:
        tables = {template.name_of(name): it for name, it in template.resources("AWS::DynamoDB::Table").items()}
        with functions.imported(function) as module:
            layers = [it for it in vars(module).values() if isinstance(it, DynamoDBPersistenceLayer)]

        assert len(layers) == ("IDEMPOTENCY_TABLE" in function.environment)
        for layer in layers:
            table = tables[layer.table_name]
            assert table["KeySchema"] == [{"AttributeName": layer.key_attr, "KeyType": "HASH"}]
            assert table["TimeToLiveSpecification"] == {"AttributeName": layer.expiry_attr, "Enabled": True}


@pytest.mark.parametrize("function", TASK_FUNCTIONS, ids=str)
class TestAFunctionOfATask:
    def test_says_which_business_errors_it_raises(self, function: Function) -> None:
        raised = functions.raised_errors(function) & functions.business_errors().keys()

        assert functions.expected_errors(function) & functions.business_errors().keys() == raised

    def test_raises_what_it_says(self, function: Function) -> None:
        for error in functions.expected_errors(function):
            assert error in functions.raised_errors(function) or functions.library_raises(function, error)

    def test_remembers_what_it_did_for_as_long_as_the_execution_may_be_redriven(self, function: Function) -> None:
        with functions.imported(function) as module:
            configurations = [it for it in vars(module).values() if isinstance(it, IdempotencyConfig)]

        for configuration in configurations:
            longest = REDRIVE_SECONDS + definition.rendered()["TimeoutSeconds"]
            assert configuration.expires_after_seconds >= longest


def test_the_environment_is_read_in_one_place() -> None:
    reading = re.compile(r"\b(environb?|getenv)\b")
    readers = {path.name for path in functions.CODE.rglob("*.py") if reading.search(path.read_text(encoding="utf-8"))}

    assert readers == {"environment.py"}


def test_no_business_error_inherits_from_another() -> None:
    # Step Functions matches the class's own name: a base class in the definition would never match.
    for error in functions.business_errors().values():
        assert error.__bases__ == (Exception,)


def test_the_variables_of_all_functions_are_powertools_own() -> None:
    common = template.written()["Globals"]["Function"]["Environment"]["Variables"]
    known = {value for value in vars(constants).values() if isinstance(value, str)}

    assert common.keys() <= known


def test_every_function_s_code_is_the_one_package() -> None:
    assert PROJECT / template.written()["Globals"]["Function"]["CodeUri"] == functions.CODE
    for properties in template.written_resources("AWS::Serverless::Function").values():
        assert "CodeUri" not in properties
