"""The functions: their settings, their records, how they are deployed."""

from __future__ import annotations

import re

from aws_lambda_powertools.shared import constants
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig

from tests.in_process import functions, template
from tests.wiring import definition, report

REDRIVE_SECONDS = 14 * 24 * 60 * 60


def test_each_handler_in_the_code_is_deployed() -> None:
    packages = {path.parent.name for path in functions.CODE.glob("*/app.py")}

    assert packages == set(map(str, functions.deployed().values())), "template.yaml: a function for each folder"


def test_each_function_is_given_the_variables_that_it_reads() -> None:
    problems = []
    for function in functions.deployed().values():
        settings = getattr(functions.modules()[function.package], "settings", None)
        read = {str(field.alias) for field in type(settings).model_fields.values()} if settings else set()
        for name in read ^ function.environment.keys():
            lacking = (
                f"template.yaml: {function.logical_id}" if name in read else f"functions/{function}/app.py: Settings"
            )
            problems.append(f"{lacking} lacks {name}")
    report.none_of(problems)


def test_each_function_is_traced_published_and_of_one_package() -> None:
    common = template.written()["Globals"]["Function"]

    assert common["Tracing"] == "Active"
    assert "Alarms" not in common["DeploymentPreference"]
    for name, properties in template.written_resources("AWS::Serverless::Function").items():
        # It builds for a Python that the machine need not have.
        assert template.written()["Resources"][name]["Metadata"]["BuildMethod"] == "python-uv", name
        assert properties["AutoPublishAliasAllProperties"] is True, name  # a change of the environment is published
        assert not {"CodeUri", "Tracing", "AutoPublishAlias"} & properties.keys(), name


def test_records_have_the_key_and_expiry_of_their_table() -> None:
    tables = {template.name_of(name): it for name, it in template.resources("AWS::DynamoDB::Table").items()}
    for function in functions.deployed().values():
        module = functions.modules()[function.package]
        layers = [it for it in vars(module).values() if isinstance(it, DynamoDBPersistenceLayer)]
        assert len(layers) == ("IDEMPOTENCY_TABLE" in function.environment), function
        for layer in layers:
            table = tables[layer.table_name]
            assert table["KeySchema"] == [{"AttributeName": layer.key_attr, "KeyType": "HASH"}]
            assert table["TimeToLiveSpecification"] == {"AttributeName": layer.expiry_attr, "Enabled": True}


def test_a_task_s_record_lasts_while_it_may_be_redriven() -> None:
    longest = REDRIVE_SECONDS + definition.rendered()["TimeoutSeconds"]
    configurations = [
        it
        for _, state in definition.tasks(definition.rendered(), definition.INVOKE)
        for it in vars(functions.modules()[functions.deployed()[state["Arguments"]["FunctionName"]].package]).values()
        if isinstance(it, IdempotencyConfig)
    ]

    assert configurations
    assert all(configuration.expires_after_seconds >= longest for configuration in configurations)


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

    assert common.keys() <= {value for value in vars(constants).values() if isinstance(value, str)}
