from collections.abc import Callable
from pathlib import Path

import pytest

from cli import PROJECT
from cli.documents.generate import GENERATED
from cli.documents.workflow_picture import mermaid


@pytest.mark.parametrize(
    ("path", "render"), GENERATED.items(), ids=[str(path.relative_to(PROJECT)) for path in GENERATED]
)
def test_a_generated_file_is_up_to_date(path: Path, render: Callable[[], str]) -> None:
    assert path.read_text(encoding="utf-8") == render(), "run `make docs`"


def test_the_picture_shows_every_way_out_of_a_state() -> None:
    definition = """
        StartAt: Ask
        States:
          Ask:
            Type: Task
            Retry:
              - {ErrorEquals: [Refused], MaxAttempts: 0}
              - {ErrorEquals: [Busy]}
            Catch:
              - {ErrorEquals: [Refused, Gone], Next: Give Up}
              - {ErrorEquals: [States.ALL], Next: Give Up}
            Next: Decide
          Decide:
            Type: Choice
            Choices:
              - {Condition: "{% $n > 0 %}", Next: Each}
              - {Condition: "{% $n < 0 %}", Comment: fewer than none, Next: Give Up}
            Default: Done
          Each:
            Type: Map
            ItemProcessor: {StartAt: Work, States: {Work: {Type: Pass, End: true}}}
            Next: Done
          Done: {Type: Succeed}
          Give Up: {Type: Fail}
    """

    picture = {line.strip() for line in mermaid(definition).splitlines()}

    assert picture >= {
        "start --> Ask",
        'Ask["Ask<br><small>↻ 3: Busy</small>"]:::task',
        'Ask -.->|"Refused, Gone"| Give_Up',
        'Ask -.->|"any other error"| Give_Up',
        "Ask --> Decide",
        'Decide{"Decide"}:::choice',
        'Decide -->|"$n > 0"| Each',
        'Decide -->|"fewer than none"| Give_Up',
        'Decide -->|"otherwise"| Done',
        'subgraph Each["Map: Each"]',
        'Work["Work"]',
        "Each --> Done",
        'Done(["Done"]):::succeed',
        'Give_Up(["Give Up"]):::fail',
        "linkStyle 2,3 stroke:#bc4c00,color:#bc4c00",
    }
