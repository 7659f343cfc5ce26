"""The commands in the runbook are ones that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import botocore.session
import pytest
from botocore import xform_name

from cli import PROJECT
from cli.__main__ import commands as onboarding
from tests.wiring import template

PAGES = ("docs/runbook.md", "docs/replay.md")
# What `aws` has for every command. https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-options.html
GLOBAL = {"query", "output", "region", "profile"}
# What `aws` calls a service by, where it isn't the API's name.
SERVICES = {"deploy": "codedeploy"}
# Commands of `aws` itself, which stand for no single operation.
CUSTOM = {("logs", "tail"): {"since", "filter-pattern", "follow", "format"}}
OPERATORS = {"|", "||", "&&", ";", "(", ")", "{", "}"}
SUBSTITUTED = "substituted"


def page_of(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def commands() -> Iterator[tuple[str, ...]]:
    """The commands in the pages' code blocks, and in their substitutions, as the shell takes them apart."""
    for page in PAGES:
        blocks = "\n".join(re.findall(r"```sh\n(.*?)```", page_of(page), re.DOTALL)).replace("\\\n", " ")
        for line in blocks.splitlines():
            yield from commands_in(line)


def commands_in(line: str) -> Iterator[tuple[str, ...]]:
    while found := re.search(r"\$\(([^()]*)\)", line):  # the innermost one
        yield from commands_in(found[1])
        line = line.replace(found[0], SUBSTITUTED)
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split, command = True, list[str]()
    for word in [*words, ";"]:
        if word in OPERATORS:
            if command:
                yield tuple(command)
            command = []
        else:
            command.append(word)


COMMANDS = sorted({*commands()})
AWS = [command for command in COMMANDS if command[0] == "aws"]
OURS = [command for command in COMMANDS if command[0] == ".venv/bin/onboarding"]
# The commands for this machine alone.
HERE = {"up", "down", "demo", "report"}


@pytest.mark.parametrize("command", AWS, ids=" ".join)
def test_a_command_of_aws_is_in_its_api_and_has_all_that_it_needs(command: tuple[str, ...]) -> None:
    _, service, operation, *rest = command
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
    assert given >= {xform_name(name, "-") for name in shape.required_members}


@pytest.mark.parametrize("command", OURS, ids=" ".join)
def test_a_command_of_ours_is_one_that_there_is(command: tuple[str, ...]) -> None:
    _, name, *arguments = command

    onboarding.commands[name].make_context(name, arguments)  # raises click.UsageError


def test_each_command_of_ours_is_in_the_runbook() -> None:
    assert {name for _, name, *_ in OURS} == onboarding.commands.keys() - HERE
    assert len(AWS) > 15


def test_the_resources_that_are_asked_for_are_in_the_template() -> None:
    asked = {command[1] for command in COMMANDS if command[0] == "resource"}
    queues = {re.search(r"dead-letters (\w+)", it)[1] for it in map(" ".join, OURS) if "dead-letters " in it}  # type: ignore[index]
    own = {name for name in asked if name.isidentifier()}

    assert len(own) > 3
    assert own | {f"{name}DeadLetterQueue" for name in queues} <= set(template.deployed()["Resources"])
