"""The functions: their settings, their records, how they are deployed."""

import re

from aws_lambda_powertools.shared import constants
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

from tests.in_process import functions, template
from tests.invocations import SAMPLES
from tests.wiring import report

REDRIVE_SECONDS = 14 * 24 * 60 * 60


def test_each_handler_is_deployed() -> None:
    packages = {path.parent.name for path in functions.CODE.glob("*/app.py")}
    deployed = set(map(str, functions.deployed().values()))

    report.none_of(f"template.yaml: no function has the Handler {name}.app.handler" for name in packages - deployed)
    report.none_of(f"functions/{name}/app.py is missing" for name in deployed - packages)


def test_each_function_has_all_its_parts() -> None:
    filters = template.written_resources("AWS::Logs::MetricFilter").values()
    all_alarms = template.written_resources("AWS::CloudWatch::Alarm").items()
    problems = []
    for name, it in template.written_resources("AWS::Serverless::Function").items():
        log = it.get("LoggingConfig", {}).get("LogGroup")
        builds = template.written()["Resources"][name].get("Metadata", {}).get("BuildMethod")
        counted = {each["MetricTransformations"][0]["MetricName"] for each in filters if each["LogGroupName"] == log}
        alarms = [each["Ref"] for each in it["DeploymentPreference"]["Alarms"]["Fn::If"][1]]
        watched = {alarm["MetricName"] for key, alarm in all_alarms if key in alarms}
        lacks = {
            "LoggingConfig with a LogGroup": not log,
            "AWS::Logs::MetricFilter on its LogGroup": not counted,
            "alarm on that filter in its DeploymentPreference": not watched & counted,
            # Another method needs the functions' Python on the machine that builds.
            "BuildMethod: python-uv": builds != "python-uv",
            "<<: *release": "AutoPublishCodeSha256" not in it,
        }
        problems += [f"template.yaml: {name} has no {part}" for part, missing in lacks.items() if missing]
        own = {"CodeUri", "Tracing", "AutoPublishAlias"} & it.keys()
        problems += [f"template.yaml: {name} has a {key} of its own: leave it to Globals" for key in own]
        folder = SAMPLES / it["Handler"].partition(".")[0]
        problems += [] if list(folder.glob("*.json")) else [f"events/{folder.name}: no sample invocation"]
    report.none_of(problems)
    common = template.written()["Globals"]["Function"]
    assert common["Tracing"] == "Active"
    assert "Alarms" not in common["DeploymentPreference"]


def test_each_function_gets_the_variables_it_reads() -> None:
    problems = []
    for function in functions.deployed().values():
        try:
            settings = getattr(functions.modules()[function.package], "settings", None)
        except LookupError as error:
            problems.append(str(error))
            continue
        read = {str(field.alias) for field in type(settings).model_fields.values()} if settings else set()
        unread, unset = function.environment.keys() - read, read - function.environment.keys()
        problems += [f"template.yaml: {function.logical_id} has no {name} in its Environment" for name in unset]
        problems += [f"functions/{function}/app.py: Settings has no {name}; template.yaml has" for name in unread]
    report.none_of(problems)


def test_records_have_the_key_of_their_table() -> None:
    tables = {template.name_of(name): it for name, it in template.resources("AWS::DynamoDB::Table").items()}
    for function in functions.deployed().values():
        module = functions.modules()[function.package]
        for layer in (it for it in vars(module).values() if isinstance(it, DynamoDBPersistenceLayer)):
            table = tables[layer.table_name]
            assert table["KeySchema"] == [{"AttributeName": layer.key_attr, "KeyType": "HASH"}]
            assert table["TimeToLiveSpecification"] == {"AttributeName": layer.expiry_attr, "Enabled": True}


def test_environment_is_read_in_one_place() -> None:
    reading = re.compile(r"\b(environb?|getenv)\b")
    readers = {path.name for path in functions.CODE.rglob("*.py") if reading.search(path.read_text(encoding="utf-8"))}
    common = template.written()["Globals"]["Function"]["Environment"]["Variables"]

    assert readers == {"environment.py"}
    # The variables that all functions get are Powertools' own.
    assert common.keys() <= {value for value in vars(constants).values() if isinstance(value, str)}


def test_no_business_error_inherits_from_another() -> None:
    # Step Functions matches the class's own name: a base class in the definition would never match.
    for error in functions.business_errors().values():
        assert error.__bases__ == (Exception,), f"functions/onboarding/domain/errors.py: {error.__name__}"
