"""The commands in the runbook are ones that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import botocore.session
import pytest
from botocore import xform_name

from local import PROJECT
from operations.__main__ import _parser

PAGES = ("docs/runbook.md", "docs/replay.md")
# What `aws` has for every command. https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-options.html
GLOBAL = {"query", "output", "region", "profile"}
# What `aws` calls a service by, where it isn't the API's name.
SERVICES = {"deploy": "codedeploy"}
# Commands of `aws` itself, which stand for no single operation.
CUSTOM = {("logs", "tail"): {"since", "filter-pattern", "follow", "format"}}


def commands(start: str) -> Iterator[str]:
    """The commands that begin so, in the pages' code blocks; a line that ends in a backslash goes on."""
    for page in PAGES:
        text = (PROJECT / page).read_text(encoding="utf-8")
        blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
        for line in blocks.splitlines():
            yield from (found[0].strip() for found in re.finditer(rf"\b{start} (?:[^|)#]|\|\|)*", line))


AWS = sorted({*commands("aws")})
OPERATE = sorted({*commands("make operate")})


@pytest.mark.parametrize("command", AWS)
def test_a_command_of_aws_is_in_its_api(command: str) -> None:
    _, service, operation, *rest = re.sub(r'"?\$\(.*', "", command).split()
    given = {found[1] for word in rest if (found := re.fullmatch(r"--([a-z-]+)", word))} - GLOBAL
    if (service, operation) in CUSTOM:
        assert given <= CUSTOM[service, operation]
        return
    model = botocore.session.get_session().get_service_model(SERVICES.get(service, service))
    operations = {xform_name(name, "-"): name for name in model.operation_names}

    assert operation in operations
    shape = model.operation_model(operations[operation]).input_shape
    assert shape
    assert given <= {xform_name(name, "-") for name in shape.members}


@pytest.mark.parametrize("command", OPERATE)
def test_a_command_of_ours_is_one_that_there_is(command: str) -> None:
    (do,) = re.findall(r'DO="([^"]+)"', command)

    assert _parser().parse_args(shlex.split(do)).command


def test_there_are_commands_to_look_at() -> None:
    assert len(AWS) > 10
    assert {shlex.split(command)[2].split("=")[1].split()[0] for command in OPERATE} == {
        "redrive",
        "register-anew",
        "release",
        "dead-letters",
        "erase",
    }
