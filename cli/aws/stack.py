"""A deployed stack, as CloudFormation describes it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Self

import boto3
from botocore.exceptions import ClientError

from cli import NotPossible

RECENT_LOGS = timedelta(minutes=10)


@dataclass(frozen=True)
class Stack:
    """A deployed stack: its name, and a session in its account."""

    session: boto3.Session
    name: str

    @classmethod
    def on_aws(cls, name: str) -> Self:
        """The stack with this name on AWS, using the environment's credentials.

        Raises:
            NotPossible: there is no such stack that was deployed from this template.
        """
        stack = cls(boto3.Session(), name)
        try:
            outputs = stack.outputs
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            raise NotPossible(f"There is no stack {name} in this account and region") from error
        if "ApiUrl" not in outputs:
            raise NotPossible(f"The stack {name} has no output ApiUrl")
        return stack

    @property
    def api_url(self) -> str:
        """The base URL of the API."""
        return self.outputs["ApiUrl"]

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The template's outputs, by name."""
        return {output["OutputKey"]: output["OutputValue"] for output in self._described.get("Outputs", [])}

    @property
    def recent(self) -> datetime:
        """Since when its logs are shown unless a time is given."""
        return datetime.now(UTC) - RECENT_LOGS

    @property
    def parameters(self) -> Mapping[str, str]:
        """The template's parameters as last deployed, by name."""
        return {it["ParameterKey"]: it["ParameterValue"] for it in self._described.get("Parameters", [])}

    @property
    def systems(self) -> list[str]:
        """The names of the downstream systems."""
        return [name for name in self.parameters.get("DownstreamSystems", "").split(",") if name]

    def resources(self, resource_type: str) -> Iterator[tuple[str, str]]:
        """The logical and the physical id (a queue's URL, a table's name) of each resource of one type."""
        pages = self.session.client("cloudformation").get_paginator("list_stack_resources")
        for page in pages.paginate(StackName=self.name):
            for resource in page["StackResourceSummaries"]:
                if resource["ResourceType"] == resource_type:
                    yield resource["LogicalResourceId"], resource["PhysicalResourceId"]

    @cached_property
    def _described(self) -> Mapping[str, Any]:
        (described,) = self.session.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return described
