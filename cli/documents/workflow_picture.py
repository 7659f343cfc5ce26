"""Draws a state machine's definition as a Mermaid flowchart.

A solid arrow is a transition, a dotted one a caught error. A Task shows its retries; Succeed and Fail have round ends.
An error that is neither retried nor caught fails the execution, and has no arrow.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

State = Mapping[str, Any]

STYLES = """\
classDef task stroke:#0969da
classDef choice stroke:#8250df
classDef succeed stroke:#1a7f37,stroke-width:2px
classDef fail stroke:#cf222e,stroke-width:2px
"""
DOTTED = "-.->"
CAUGHT = "stroke:#bc4c00,color:#bc4c00"
DEFAULT_MAX_ATTEMPTS = 3


def mermaid(definition: str) -> str:
    """The flowchart of a definition, without the Markdown fence around it."""
    machine = yaml.safe_load(definition)
    arrows = [_arrow("start", machine["StartAt"]), *_arrows(machine)]
    lines = ['start((" "))', *_nodes(machine), *arrows, *STYLES.splitlines()]
    if caught := [str(number) for number, arrow in enumerate(arrows) if f" {DOTTED}" in arrow]:
        lines.append(f"linkStyle {','.join(caught)} {CAUGHT}")
    return "flowchart TD\n" + "".join(f"  {line}\n" for line in lines)


def _nodes(machine: State) -> Iterator[str]:
    """A line for each state; a Map or a Parallel is a subgraph."""
    for name, state in machine["States"].items():
        if inner := inner_machines(state):
            title = f"{state['Type']}: {name}"
            yield f"subgraph {_id(name)}[{_quoted(title)}]"
            for one in inner:
                yield from (f"  {line}" for line in _nodes(one))
            yield "end"
        else:
            yield _id(name) + _shape(name, state)


def _shape(name: str, state: State) -> str:
    match state["Type"]:
        case "Choice":
            return f"{{{_quoted(name)}}}:::choice"
        case "Succeed" | "Fail" as end:
            return f"([{_quoted(name)}]):::{end.lower()}"
        case "Task":
            return f"[{_quoted('<br>'.join([name, *_retries(state)]))}]:::task"
    return f"[{_quoted(name)}]"


def _retries(state: State) -> Iterator[str]:
    """A line for each group of errors, with its number of retries."""
    for retrier in state.get("Retry", []):
        if attempts := retrier.get("MaxAttempts", DEFAULT_MAX_ATTEMPTS):
            yield f"<small>↻ {attempts}: {_errors(retrier, state['Retry'])}</small>"


def _arrows(machine: State) -> Iterator[str]:
    for name, state in machine["States"].items():
        for inner in inner_machines(state):
            yield from _arrows(inner)
        for choice in state.get("Choices", []):
            yield _arrow(name, choice["Next"], _condition(choice))
        if "Default" in state:
            yield _arrow(name, state["Default"], "otherwise")
        if "Next" in state:
            yield _arrow(name, state["Next"])
        for catcher in state.get("Catch", []):
            yield _arrow(name, catcher["Next"], _errors(catcher, state["Catch"]), DOTTED)


def _arrow(source: str, target: str, label: str = "", shaft: str = "-->") -> str:
    words = f"|{_quoted(label)}|" if label else ""
    return f"{_id(source)} {shaft}{words} {_id(target)}"


def inner_machines(state: State) -> list[dict[str, Any]]:
    """The machines that a Map or a Parallel state runs."""
    return [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]


def _errors(rule: State, rules: Sequence[State]) -> str:
    everything = "any error" if rule is rules[0] else "any other error"
    said = {"States.ALL": everything, "States.TaskFailed": f"{everything} but a time-out"}
    return ", ".join(said.get(name, name) for name in rule["ErrorEquals"])


def _condition(choice: State) -> str:
    """The choice's comment or, without one, its JSONata expression."""
    words: str = choice.get("Comment", choice["Condition"])
    return words.removeprefix("{%").removesuffix("%}").strip()


def _id(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "#quot;") + '"'
