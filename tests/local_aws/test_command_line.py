"""`onboarding`: its output, its exit status, and requests that the emulator doesn't support."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.stub import Stubber
from click.testing import CliRunner, Result

from cli import background
from cli.__main__ import commands as onboarding
from cli.operate import customers, deployment
from onboarding.adapters import accounts
from onboarding.adapters.workflow import execution_arn

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:onboarding"
QUEUES = {"RegistrationQueue": "https://queue", "RegistrationDeadLetterQueue": "https://dead"}
ARNS = {url: f"arn:aws:sqs:us-east-1:000000000000:{name}" for name, url in QUEUES.items()}


@pytest.fixture(autouse=True)
def nothing_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "STATE", tmp_path / "up.json")


def run(*arguments: str) -> Result:
    return CliRunner(mix_stderr=False).invoke(onboarding, arguments)


def stubbed(service: Any, monkeypatch: pytest.MonkeyPatch) -> Stubber:
    """A stub of a service's client that validates requests by AWS's API model, used by every command."""
    client = boto3.Session("key", "secret", region_name="us-east-1").client(service)
    stack = SimpleNamespace(
        session=SimpleNamespace(client=lambda _: client),
        outputs={"StateMachineArn": MACHINE, "ErasureStateMachineArn": MACHINE, "CustomersTableName": "customers"},
        systems=[],
        resources=lambda _: QUEUES.items(),
        api_url="https://api",
    )
    monkeypatch.setattr("cli.__main__.find", lambda _: stack)
    return Stubber(client)


def test_installed_command_runs_in_any_folder(tmp_path: Path) -> None:
    (tmp_path / "cli.py").write_text("raise ImportError", encoding="utf-8")
    command = Path(sys.executable).with_name("onboarding")

    done = subprocess.run([command, "--help"], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: onboarding [OPTIONS] COMMAND [ARGS]...")


@pytest.mark.parametrize("command", ["trace 5f0c0b4e", "console"])
def test_failure_goes_to_standard_error(command: str) -> None:
    done = run(*command.split())

    assert (done.exit_code, done.stdout, done.stderr.startswith("Error: Nothing is running.")) == (1, "", True)


def test_wrong_usage_exits_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    yesterday = run("redrive", "--since", "yesterday")
    drawing = run("report", "--picture", "report.doc")
    with stubbed("sqs", monkeypatch):
        any_queue = run("dead-letters", "--move")
        no_queue = run("dead-letters", "Nothing", "--move")

    assert (yesterday.exit_code, any_queue.exit_code, no_queue.exit_code) == (2, 2, 1)
    assert "'yesterday' is not a time such as 2026-11-17T09:00" in yesterday.stderr
    assert (drawing.exit_code, "ends neither in .svg nor in .png" in drawing.stderr) == (2, True)
    assert "Name the queue" in any_queue.stderr
    assert "There is no dead-letter queue Nothing. Choose one of: Registration" in no_queue.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("deploy", "Nothing is built. Run `make build` first"),
        ("deploy --env nothing", "samconfig.toml has no environment nothing"),
        ("preflight --env nothing me@example.com", "samconfig.toml has no environment nothing"),
    ],
)
def test_what_a_deployment_lacks_is_named(
    command: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployment, "BUILT", tmp_path)

    done = run(*command.split())

    assert (done.exit_code, done.stderr) == (1, f"Error: {said}\n")


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (NoCredentialsError(), "Sign in to AWS first"),
        (
            ClientError({"Error": {"Message": "Stack with id gone does not exist"}}, "DescribeStacks"),
            "There is no stack",
        ),
    ],
)
def test_stack_out_of_reach_is_named(raised: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3.Session, "client", Mock(side_effect=raised))

    done = run("check", "--stack", "gone")

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {said}")


def test_protected_api_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Mock(return_value=httpx.Response(403))
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", refused)
    with stubbed("apigateway", monkeypatch) as gateway:
        asked = {"apiKey": QUEUES["RegistrationQueue"], "includeValue": True}
        gateway.add_response("get_api_key", {"value": "key"}, asked)

        done = run("check")

    assert done.stderr.startswith("Error: The API is protected: it answered 403 Forbidden.")
    ((request,),) = (call.args for call in refused.call_args_list)  # nothing to erase either
    assert request.headers["X-API-Key"] == "key"


def test_redrive_skips_a_running_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = datetime(2026, 11, 17, 9, tzinfo=UTC)
    monkeypatch.setattr(accounts, "status_of", lambda *_, **__: None)
    with stubbed("stepfunctions", monkeypatch) as sfn:
        machine: dict[str, Any] = {"stateMachineArn": MACHINE, "startDate": ended, "stopDate": ended}
        failed = [
            machine | {"executionArn": f"{MACHINE}:{name}", "name": name, "status": "FAILED"}
            for name in ("first", "second")
        ]
        for status, found in (("FAILED", failed), ("TIMED_OUT", []), ("ABORTED", [])):
            asked = {"stateMachineArn": MACHINE, "statusFilter": status}
            sfn.add_response("list_executions", {"executions": found}, asked)
            for it in found:
                sfn.add_response("describe_execution", it | {"redriveStatus": "REDRIVABLE"})
        sfn.add_client_error("redrive_execution", "ExecutionNotRedrivable", "It is running")
        sfn.add_response("redrive_execution", {"redriveDate": ended}, {"executionArn": f"{MACHINE}:second"})

        done = run("redrive", "--since", "2026-11-01")

        sfn.assert_no_pending_responses()
    _, first, second, summary = (line.rstrip() for line in done.stdout.splitlines())
    assert first.endswith("It is running")
    assert second.endswith("redriven")
    assert summary == "1 of 2 redriven"


def test_failed_erasure_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customers, "_closed", lambda *_, **__: None)
    with stubbed("stepfunctions", monkeypatch) as sfn:
        arn = execution_arn(MACHINE, "ada")
        described = {"executionArn": arn, "stateMachineArn": MACHINE, "startDate": datetime.now(UTC)}
        sfn.add_client_error("start_execution", "ExecutionAlreadyExists")
        sfn.add_response("describe_execution", described | {"status": "FAILED"})
        sfn.add_response("redrive_execution", {"redriveDate": datetime.now(UTC)}, {"executionArn": arn})
        for status in ("RUNNING", "FAILED"):
            sfn.add_response("describe_execution", described | {"status": status, "error": "UnexpectedAnswer"})

        done = run("erase", "ada")

        sfn.assert_no_pending_responses()
    assert "failed with UnexpectedAnswer" in done.stderr


def test_dead_letters_move_back_to_their_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    with stubbed("sqs", monkeypatch) as sqs:
        for url in (QUEUES["RegistrationDeadLetterQueue"], QUEUES["RegistrationQueue"]):
            asked = {"QueueUrl": url, "AttributeNames": ["QueueArn"]}
            sqs.add_response("get_queue_attributes", {"Attributes": {"QueueArn": ARNS[url]}}, asked)
        move = {"SourceArn": ARNS["https://dead"], "DestinationArn": ARNS["https://queue"]}
        sqs.add_response("start_message_move_task", {"TaskHandle": "handle"}, move)

        assert run("dead-letters", "Registration", "--move").stdout == "moving, task handle\n"

        sqs.assert_no_pending_responses()


@pytest.mark.parametrize(("concurrency", "identity"), [(10, "come@mail.example.com"), (1000, "example.com")])
def test_preflight_says_what_to_do(concurrency: int, identity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session, is_new = boto3.Session("key", "secret", region_name="us-east-1"), concurrency == 10
    clients = {name: session.client(name) for name in ("sesv2", "lambda")}
    monkeypatch.setattr("cli.operate.deployment.session", lambda _: SimpleNamespace(client=clients.__getitem__))
    with Stubber(clients["sesv2"]) as mail, Stubber(clients["lambda"]) as functions:
        found = [{"IdentityName": identity, "SendingEnabled": True}]
        mail.add_response("list_email_identities", {"EmailIdentities": found})
        mail.add_response("get_account", {"ProductionAccessEnabled": not is_new})
        functions.add_response("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": concurrency}})

        done = run("preflight", "welcome@mail.example.com")

    to_do = [line.partition(": ")[2].split()[0] for line in done.stdout.splitlines() if ": " in line]
    assert (to_do, done.exit_code) == ((["aws", "ask", "ask"], 1) if is_new else ([], 0))
