"""The definition's JSONata: whether Step Functions would accept an expression, and its value.

Parser and evaluator are those of the pinned emulator.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonata import Jsonata, Tokenizer  # type: ignore[import-untyped]
from jsonata.jexception import JException  # type: ignore[import-untyped]
from ministack.services import stepfunctions  # type: ignore[import-untyped]

# https://docs.jsonata.org/2.0.0/overview, without $eval, which Step Functions leaves out, and what it adds:
# https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
ADDED_FUNCTIONS = {"partition", "range", "hash", "uuid", "parse"}
FUNCTIONS = frozenset(Jsonata.static_frame.bindings) - {"clone", "eval"} | ADDED_FUNCTIONS
# Operators that the parser accepts, but JSONata 2.0.6 doesn't have.
LATER_OPERATORS = frozenset({"??", "?:"})
# The definition has the same expressions in each walk.
_parser = Jsonata.get_parser()
_parser.parse = cache(_parser.parse)
# The names that an expression itself binds: `$x := …` and the parameters of `function($x, $y)`.
_BOUND = re.compile(r"\$(\w+)\s*:=|function\s*\(([^)]*)\)")


class EvaluationFailed(ValueError):
    """Step Functions would reject the expression, or it has no value."""


def evaluate(node: object, given: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
    """The node with its expressions replaced by their values; `given` is the state's `$states`.

    Raises `EvaluationFailed`, also if an expression has no value or reads something that doesn't exist.
    """
    for expression in _expressions(node):
        _check(expression, given, variables)
    context = {**given.get("context", {}), "variables": dict(variables)}
    try:
        return stepfunctions._apply_jsonata_template(
            node, given.get("input"), context, given.get("result"), given.get("errorOutput")
        )
    except stepfunctions._ExecutionError as error:
        raise EvaluationFailed(error.cause) from None


def _expressions(node: object) -> Iterator[str]:
    """Every expression under the node, without its delimiters."""
    match node:
        case str() if "{%" in node or "%}" in node:
            inside = node.removeprefix("{%").removesuffix("%}")
            if len(inside) != len(node) - 4 or "{%" in inside or "%}" in inside:
                raise EvaluationFailed(f"not exactly one expression: {node}")
            yield inside.strip()
        case dict():
            for value in node.values():
                yield from _expressions(value)
        case list():
            for value in node:
                yield from _expressions(value)


def _check(expression: str, given: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
    """Check the names that are read: inside an array or a text, an unknown one would silently vanish."""
    bound = {name for found in _BOUND.findall(expression) for name in re.findall(r"\w+", " ".join(found))}
    tokens = _tokens(expression)
    for position, (kind, value) in enumerate(tokens):
        if kind == "operator" and value in LATER_OPERATORS:
            raise EvaluationFailed(f"{value} is not in JSONata 2.0.6: {expression}")
        if kind == "variable" and value == "states":
            part = tokens[position + 2][1] if len(tokens) > position + 2 else ""
            if part not in given:
                raise EvaluationFailed(f"there is no $states.{part} here: {expression}")
        elif kind == "variable" and value not in {"", "$", *variables, *bound, *FUNCTIONS}:
            raise EvaluationFailed(f"${value} is not assigned on this path: {expression}")
        if kind == "variable" and isinstance(variables.get(value), dict) and "exists" not in expression:
            field = tokens[position + 2][1] if tokens[position + 1 : position + 2] == (("operator", "."),) else None
            if field and field not in variables[value]:
                raise EvaluationFailed(f"${value} has no {field} on this path: {expression}")


@cache
def _tokens(expression: str) -> tuple[tuple[str, str], ...]:
    """Type and value of each token."""
    tokens, tokenizer = [], Tokenizer(expression)
    try:
        while token := tokenizer.next(False):
            tokens.append((token.type, str(token.value)))
    except JException as error:
        raise EvaluationFailed(f"{expression}: {error}") from None
    return tuple(tokens)
