"""The stack that a command is about: what `make up` left running on this machine, or one on AWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3

from cli import background
from cli.machine.deploy import STACK_NAME


class NotPossible(RuntimeError):
    """What was asked for can't be done; the message says why, and what to do instead."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack. `api_url` is where its API answers."""

    session: boto3.Session
    name: str
    api_url: str

    @property
    def outputs(self) -> dict[str, str]:
        """The template's outputs, by name."""
        return {output["OutputKey"]: output["OutputValue"] for output in self._described.get("Outputs", [])}

    @property
    def systems(self) -> list[str]:
        """The names of the downstream systems in which each customer gets an account."""
        parameters = {it["ParameterKey"]: it["ParameterValue"] for it in self._described.get("Parameters", [])}
        return [name for name in parameters.get("DownstreamSystems", "").split(",") if name]

    def resource(self, logical_id: str) -> str:
        """What a resource of the template is on AWS: a queue's URL, a table's or a function's name."""
        cloudformation = self.session.client("cloudformation")
        resource = cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return resource["StackResourceDetail"]["PhysicalResourceId"]

    def resources(self, resource_type: str) -> Iterator[tuple[str, str]]:
        """The resources of one type: the logical id, and what it is on AWS."""
        pages = self.session.client("cloudformation").get_paginator("list_stack_resources")
        for page in pages.paginate(StackName=self.name):
            for resource in page["StackResourceSummaries"]:
                if resource["ResourceType"] == resource_type:
                    yield resource["LogicalResourceId"], resource["PhysicalResourceId"]

    @cached_property
    def _described(self) -> Mapping[str, Any]:
        (described,) = self.session.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return described


def find(name: str | None) -> Stack:
    """Return the stack of this name on AWS, with the credentials that one is signed in with; of none, the local one.

    Raises:
        NotPossible: nothing is up on this machine, or the stack on AWS is not one of this template.
        botocore.exceptions.ClientError, BotoCoreError: AWS refused, or is out of reach.
    """
    if name is None:
        running = background.running()
        if running is None:
            raise NotPossible("Nothing is up. Run `make up` first, or name a stack on AWS: STACK=…")
        return Stack(running.stack.session, STACK_NAME, running.stack.api_url)
    session = boto3.Session()
    outputs = Stack(session, name, "").outputs
    if "ApiUrl" not in outputs:
        raise NotPossible(f"The stack {name} has no output ApiUrl")
    return Stack(session, name, outputs["ApiUrl"])
