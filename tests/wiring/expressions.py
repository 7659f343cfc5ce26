"""The definition's JSONata: where its expressions stand, what they read and call, and what they evaluate to.

Parser and evaluator are the emulator's, which the project pins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from jsonata import Parser, Tokenizer  # type: ignore[import-untyped]
from jsonata.jexception import JException  # type: ignore[import-untyped]
from ministack.services import stepfunctions  # type: ignore[import-untyped]

# https://docs.jsonata.org/2.0.0/overview, without $eval, which Step Functions leaves out.
JSONATA_FUNCTIONS = frozenset(
    """string length substring substringBefore substringAfter uppercase lowercase trim pad contains split join match
    replace base64encode base64decode encodeUrlComponent encodeUrl decodeUrlComponent decodeUrl number abs floor ceil
    round power sqrt random formatNumber formatBase formatInteger parseInteger sum max min average boolean not exists
    count append sort reverse shuffle distinct zip keys lookup spread merge sift each error assert type now millis
    fromMillis toMillis map filter single reduce
    """.split()  # noqa: SIM905 - a list of names is easier to read without quotes
)
# https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
STEP_FUNCTIONS_FUNCTIONS = frozenset({"partition", "range", "hash", "random", "uuid", "parse"})
FUNCTIONS = JSONATA_FUNCTIONS | STEP_FUNCTIONS_FUNCTIONS

# Filters, groups and orders: the parts of a syntax tree's node that stand behind it.
BEHIND = ("predicate", "stages", "group")

# Operators that the parser takes and JSONata 2.0.6 doesn't.
LATER_OPERATORS = frozenset({"??", "?:"})


class Malformed(ValueError):
    """The text is no JSONata expression, or not wholly one."""


class EvaluationFailed(ValueError):
    """The expression has no value."""


@dataclass
class Uses:
    """What an expression takes from outside: workflow variables, `$states` paths and functions, by name.

    `context_free` is False where it reads `$`, `$$` or a bare field, of which Step Functions has none.
    """

    variables: set[str] = field(default_factory=set)
    states: set[tuple[str, ...]] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    operators: set[str] = field(default_factory=set)
    context_free: bool = True


def expressions(node: object) -> Iterator[str]:
    """Every expression under the node, without its delimiters. Raises `Malformed`."""
    match node:
        case str():
            if "{%" in node or "%}" in node:
                yield _undelimited(node)
        case dict():
            for value in node.values():
                yield from expressions(value)
        case list():
            for value in node:
                yield from expressions(value)


def uses_of(node: object) -> Uses:
    """What all expressions under the node use together. Raises `Malformed`."""
    together = Uses()
    for expression in expressions(node):
        one = _uses(expression)
        together.variables |= one.variables
        together.states |= one.states
        together.functions |= one.functions
        together.operators |= one.operators
        together.context_free &= one.context_free
    return together


def evaluate(node: object, given: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
    """The node with the value of each expression in its place; `given` is what `$states` has here.

    Raises `EvaluationFailed`, where an expression has no value too.
    """
    context = {**given.get("context", {}), "variables": dict(variables)}
    try:
        return stepfunctions._apply_jsonata_template(
            node, given.get("input"), context, given.get("result"), given.get("errorOutput")
        )
    except stepfunctions._ExecutionError as error:
        raise EvaluationFailed(error.cause) from None


def _undelimited(text: str) -> str:
    stripped = text.removeprefix("{%").removesuffix("%}")
    if len(stripped) != len(text) - 4 or "{%" in stripped or "%}" in stripped:
        raise Malformed(f"not exactly one expression: {text}")
    return stripped.strip()


@cache
def _uses(expression: str) -> Uses:
    uses = Uses()
    try:
        _Visitor(uses).visit(Parser().parse(expression))
        tokens = Tokenizer(expression)
        while token := tokens.next(False):
            uses.operators |= {str(token.value)} if token.type == "operator" else set()
    except JException as error:
        raise Malformed(f"{expression}: {error}") from None
    return uses


class _Visitor:
    """Walks a syntax tree, and knows of each name whether the expression itself has bound it."""

    def __init__(self, uses: Uses) -> None:
        self._uses = uses

    def visit(self, node: Any, bound: frozenset[str] = frozenset(), *, inside: bool = False) -> None:
        """Visit a node; `inside` is whether it stands behind a step of a path, which is its context there."""
        match node.type:
            case "path":
                self._path(node, bound, inside=inside)
            case "variable":
                self._variable(node, bound, inside=inside)
            case "name" | "wildcard" | "descendant":
                self._uses.context_free &= inside
            case "lambda":
                self.visit(node.body, bound | {str(argument.value) for argument in node.arguments}, inside=inside)
            case "block":
                for expression in node.expressions:
                    self.visit(expression, bound, inside=inside)
                    if expression.type == "bind":
                        bound |= {str(expression.lhs.value)}
                return
            case "bind":
                self.visit(node.rhs, bound | {str(node.lhs.value)}, inside=inside)
            case _:
                for child in _children(node):
                    self.visit(child, bound, inside=inside)
        self._behind(node, bound)

    def _path(self, node: Any, bound: frozenset[str], *, inside: bool) -> None:
        first, *rest = node.steps
        if first.type == "variable" and first.value == "states" and "states" not in bound:
            self._uses.states.add(tuple(str(step.value) for step in rest if step.type == "name"))
            self._behind(first, bound)
        else:
            self.visit(first, bound, inside=inside)
        for step in rest:
            bound |= {str(name) for name in (getattr(step, "focus", None), getattr(step, "index", None)) if name}
            self.visit(step, bound, inside=True)

    def _variable(self, node: Any, bound: frozenset[str], *, inside: bool) -> None:
        name = str(node.value)
        if name in {"", "$"}:
            self._uses.context_free &= inside and name == ""
        elif name == "states" and name not in bound:
            self._uses.states.add(())
        elif name in bound:
            return
        elif name in FUNCTIONS:
            self._uses.functions.add(name)
        else:
            self._uses.variables.add(name)

    def _behind(self, node: Any, bound: frozenset[str]) -> None:
        """In what stands behind a node, the node's own value is the context."""
        for part in BEHIND:
            for child in _symbols(getattr(node, part, None)):
                self.visit(child, bound, inside=True)


def _children(node: Any) -> Iterator[Any]:
    for name, value in vars(node).items():
        if name not in {"_outer_instance", "ancestor", "slot", "seeking_parent", *BEHIND}:
            yield from _symbols(value)


def _symbols(value: Any) -> Iterator[Any]:
    if isinstance(value, Parser.Symbol):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _symbols(item)
