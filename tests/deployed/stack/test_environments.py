"""A newcomer's environment breaks no command: settings for other tools don't matter.

`HOSTILE` is all of these machines in one:

- behind a proxy: a company's network, with the variables in capitals and in small letters, exceptions, and SOCKS
- signed in to AWS: a profile that is not on this machine, an endpoint where nobody listens, settings that are wrong
- without UTF-8: a container without a locale, output to a program that takes ASCII
- without a home, or without a terminal to speak of: a CI job, a cron job, a narrow window

In it run the read-only commands, on the other tests' stack, and a deployment. The checkout's path has a space and an
accent.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cli import PROJECT
from cli.machine.deploy import EmulatorStack, _sam_deploy
from cli.machine.environment import ROOT_OF_THE_EMULATOR
from tests.customers import a_customer
from tests.deployed.onboardings import Onboardings

NOBODY_LISTENS = "http://127.0.0.1:9"
SIGNED_IN = {"AWS_PROFILE": "missing", "AWS_ENDPOINT_URL": NOBODY_LISTENS, "AWS_RETRY_MODE": "wrong"}
HOSTILE = (
    SIGNED_IN
    | dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOBODY_LISTENS)
    | {"ALL_PROXY": "socks5h://127.0.0.1:9", "NO_PROXY": "example.com", "no_proxy": "example.com"}
    | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONWARNDEFAULTENCODING": "1"}
    | {"PYTHONIOENCODING": "ascii", "HOME": "/nonexistent", "TERM": "dumb", "COLUMNS": "40", "CI": "true"}
)
UNIT_TEST = ("-m", "pytest", "-q", f"--rootdir={PROJECT}", str(PROJECT / "tests/unit/test_validate_customer.py"))


@pytest.fixture
def checkout(stack: EmulatorStack, tmp_path: Path) -> Path:
    """A copy of the project, in which the tests' stack is up."""
    folder = tmp_path / "Zoë's own checkout"
    shutil.copytree(PROJECT / "cli", folder / "cli", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".local").mkdir()
    up = {
        "emulator": {"port": stack.emulator.port, "folder": str(stack.emulator.folder)},
        "partners": {},
    }
    (folder / ".local" / "up.json").write_text(json.dumps(up), encoding="utf-8")
    return folder


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The tests' environment before tests/conftest.py changed it, with these variables."""
    own = {name for name in os.environ if name.lower().endswith("_proxy")} | ROOT_OF_THE_EMULATOR.keys()
    return {name: value for name, value in os.environ.items() if name not in own} | dict(variables)


def test_commands_work_in_a_hostile_environment(checkout: Path, onboardings: Onboardings) -> None:
    trace = ("-m", "cli", "trace", onboardings.onboard(a_customer()).output["customerId"])

    for command, variables in ((("-m", "cli", "report"), HOSTILE), (trace, HOSTILE), (UNIT_TEST, SIGNED_IN)):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=checkout,
            env=environment(variables),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

        assert done.returncode == 0, done.stdout + done.stderr
        warnings = [line for line in done.stderr.splitlines() if "Warning" in line and "site-packages" not in line]
        assert warnings == []


def test_deployment_works_in_a_hostile_environment(stack: EmulatorStack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    queue = {"Type": "AWS::SQS::Queue", "Metadata": {"name": "Zoë"}}

    _sam_deploy(stack.emulator, "hostile", {"Resources": {"Queue": queue}}, {})

    described = stack.emulator.session.client("cloudformation").describe_stacks(StackName="hostile")["Stacks"]
    assert [it["StackStatus"] for it in described] == ["CREATE_COMPLETE"]


def test_make_keeps_only_how_packages_are_reached() -> None:
    reached = {
        "PIP_INDEX_URL": "https://pypi.example.com",
        "UV_INDEX_OWN_PASSWORD": "secret",
        "UV_NATIVE_TLS": "1",
        "HTTPS_PROXY": "http://proxy.example.com",
    }
    elsewhere = dict.fromkeys(("PIP_TARGET", "UV_PYTHON", "PYTHONPATH", "PYTHONUTF8"), "/other")

    seen = made("--eval", "show: ; @env", "show", variables={**reached, **elsewhere, "PIP_USER": "1"}, folder=PROJECT)

    lines = dict(line.partition("=")[::2] for line in seen.stdout.splitlines())
    assert reached.items() <= lines.items()
    assert elsewhere.keys().isdisjoint(lines)
    assert lines["PIP_USER"] == "0"


def test_setup_refuses_other_systems_than_linux(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements-dev.txt"):
        shutil.copy(PROJECT / name, tmp_path)
    (uname := tmp_path / "uname").write_text("#!/bin/sh\necho Darwin\n", encoding="utf-8")
    uname.chmod(0o755)

    refused = made("setup", variables={"PATH": f"{tmp_path}:{os.defpath}"}, folder=tmp_path)

    assert refused.returncode != 0
    assert "Linux container or virtual machine" in refused.stderr
    assert not (tmp_path / ".venv").exists()


def made(*arguments: str, variables: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `make` from another directory, without the flags of a make that runs these tests."""
    own = {name: value for name, value in environment(variables).items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", "-C", str(folder), *arguments]
    return subprocess.run(command, cwd="/", env=own, capture_output=True, encoding="utf-8", check=False)
