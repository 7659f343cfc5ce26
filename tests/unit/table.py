"""A DynamoDB table of the template."""

from typing import Any

from tests.in_process.template import reference_to
from tests.unit.deployment import RESOURCES


class Table:
    """The table with this logical id, made in the AWS that the client calls."""

    def __init__(self, logical_id: str, dynamodb: Any) -> None:
        self._dynamodb = dynamodb
        self.name = reference_to(logical_id)
        properties = RESOURCES[logical_id]["Properties"]
        self._key = [key["AttributeName"] for key in properties["KeySchema"]]
        dynamodb.create_table(
            TableName=self.name,
            **{name: properties[name] for name in ("AttributeDefinitions", "KeySchema", "BillingMode")},
        )

    @property
    def items(self) -> dict[str, dict[str, Any]]:
        """The items by their key, its parts joined by a space, in DynamoDB's JSON."""
        found = self._dynamodb.scan(TableName=self.name)["Items"]
        return {" ".join(item[part]["S"] for part in self._key): item for item in found}

    def forget(self) -> None:
        """Delete all items."""
        for item in self.items.values():
            self._dynamodb.delete_item(TableName=self.name, Key={part: item[part] for part in self._key})
