"""Each way is walked on LocalStack's TestState, and a broken definition is found."""

import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from cli import PROJECT
from cli.machine.environment import HOST
from tests.conftest import SUMMARY
from tests.rehearsal import ways
from tests.rehearsal.__main__ import main
from tests.rehearsal.walker import DifferenceFound, Engine
from tests.wiring.definition import MACHINES, ONBOARDING, changed, rendered

pytestmark = pytest.mark.xdist_group("rehearsal")

ENVIRONMENT = ".local/rehearsal"
DEFECTS = [
    ("a state is skipped", "PublishCustomerValidated/Next", "ProvisionAccounts"),
    ("a Catch leads elsewhere", "SendWelcomeEmail/Catch/0/Next", "PublishWelcomeEmailUnconfirmed"),
    ("a caught error is misspelt", "CreateAccount/Catch/0/ErrorEquals", ["EmailAlreadyRegisterd"]),
    ("a refusal is retried", "ProvisionAccounts/ItemProcessor/States/ProvisionAccount/Retry/0/MaxAttempts", 3),
    ("a report is waited for too long", "SendWelcomeEmail/Retry/1/BackoffRate", 2),
    ("the output lacks the account", "PublishWelcomeEmailSent/Output/accountId", None),
    ("an event lacks the customer", "PublishWelcomeEmailFailed/Arguments/Entries/0/Detail/customerId", None),
    ("a variable has another value", "CreateAccount/Assign/accountId", "{% $customerId %}"),
    ("a Map has other items", "DeprovisionAccounts/Items", "{% [$refusedBy] %}"),
    ("an optional field is read", "SendWelcomeEmail/Arguments/Payload/locale", "{% $customer.locale %}"),
]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of LocalStack's TestState."""
    subprocess.run(["make", "--silent", "--old-file=setup", f"{ENVIRONMENT}/.ready"], cwd=PROJECT, check=True)
    command, pipe = [f"{ENVIRONMENT}/bin/python", "tests/rehearsal/engine.py"], subprocess.PIPE
    with subprocess.Popen(command, cwd=PROJECT, encoding="utf-8", stdin=pipe, stdout=pipe) as engine:
        assert engine.stdout
        port = int(engine.stdout.readline())
        config = Config(inject_host_prefix=False)
        yield boto3.Session().client("stepfunctions", endpoint_url=f"http://{HOST}:{port}", config=config)
        engine.communicate()


def test_engine_takes_each_expected_way(
    client: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SFN", client.meta.endpoint_url)
    monkeypatch.setenv("AWS_DISABLE_HOST_PREFIX_INJECTION", "true")

    with pytest.raises(SystemExit) as ended:
        main()

    printed = capsys.readouterr().out
    counts = [[int(number) for number in row.split()] for row in re.findall(r"\.yaml +([\d ]+)", printed)]
    assert ended.value.code == 0, printed
    assert [walked for walked, *_ in counts] == [len(ways.ways(name)) for name in MACHINES]
    walked, asked, *_ = map(sum, zip(*counts, strict=True))
    record_property(SUMMARY, f"Rehearsal: {walked} ways, {asked} questions")


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda it: it[0])
def test_defect_of_definition_is_found(defect: tuple[str, str, Any], client: Any) -> None:
    _, place, value = defect
    machine = changed(rendered(), place, value)

    # Those that concern the state first: the others find it too, later.
    chosen = sorted(ways.ways(ONBOARDING), key=lambda way: way[0].task.name not in place)

    problems = (problem for _, problem in ways.rehearse(Engine(client, machine), machine, chosen))
    assert any(isinstance(problem, DifferenceFound) for problem in problems)


def test_way_that_cannot_be_walked_is_listed(
    client: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = changed(rendered(), "ActivateAccount/Resource", "arn:aws:states:::sqs:sendMessage")
    onboarded = ways.ways(ONBOARDING)[-1:]
    monkeypatch.setattr(ways, "MACHINES", [ONBOARDING])
    monkeypatch.setattr(ways, "rendered", lambda _: machine)
    monkeypatch.setattr(ways, "ways", lambda _: onboarded)

    assert ways.show(client)

    assert "not walked: nobody has said what" in capsys.readouterr().out


def test_without_credentials_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(SystemExit, match="Unable to locate credentials"):
        main()
