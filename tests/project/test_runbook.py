"""The commands in the runbook and in the README exist, with these options."""

import re
import shlex
from collections.abc import Iterator

import botocore.session
import pytest
from botocore import xform_name

from cli import PROJECT
from cli.__main__ import commands as onboarding
from tests.in_process import template

PAGES = ("README.md", "docs/runbook.md", "docs/replay.md")
# What `aws` has for every command. https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-options.html
GLOBAL = {"query", "output", "region", "profile"}
# The services that have another name in `aws` than in the API.
SERVICES = {"deploy": "codedeploy"}
# Commands of `aws` itself, which are no single operation.
CUSTOM = {("logs", "tail"): {"since", "filter-pattern", "follow", "format"}}
# The commands for AWS on this machine alone.
HERE = {"up", "down", "console", "demo"}
SUBSTITUTED = "substituted"


def commands() -> Iterator[tuple[str, ...]]:
    """The commands in the pages' code blocks, and in their substitutions, as the shell takes them apart."""
    for page in PAGES:
        text = (PROJECT / page).read_text(encoding="utf-8")
        blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
        for line in blocks.splitlines():
            yield from commands_in(line)


def commands_in(line: str) -> Iterator[tuple[str, ...]]:
    while found := re.search(r"\$\(([^()]*)\)", line):  # the innermost one
        yield from commands_in(found[1])
        line = line.replace(found[0], SUBSTITUTED)
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split, command = True, list[str]()
    for word in [*words, ";"]:
        if word not in {"|", "||", "&&", ";", "(", ")", "{", "}"}:
            command.append(word)
        elif command:
            yield tuple(command)
            command = []


COMMANDS = sorted({*commands()})
AWS = [command for command in COMMANDS if command[0] == "aws"]
OURS = [command for command in COMMANDS if command[0] == ".venv/bin/onboarding"]


@pytest.mark.parametrize("command", AWS, ids=" ".join)
def test_aws_command_is_in_its_api(command: tuple[str, ...]) -> None:
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


def test_our_commands_can_be_parsed() -> None:
    for _, name, *arguments in OURS:
        onboarding.commands[name].make_context(name, arguments)  # raises click.UsageError

    assert {name for _, name, *_ in OURS} == onboarding.commands.keys() - HERE
    assert len(AWS) > 15


def test_resources_asked_for_are_in_the_template() -> None:
    asked = {command[1] for command in COMMANDS if command[0] == "resource" and command[1].isidentifier()}
    queues = {queue for _, name, queue, *_ in (it for it in OURS if len(it) > 2) if name == "dead-letters"}

    assert len(asked) > 3
    assert queues
    assert asked | {f"{queue}DeadLetterQueue" for queue in queues} <= template.transformed()["Resources"].keys()
