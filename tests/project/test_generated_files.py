from cli import PROJECT
from cli.documents.generate import GENERATED
from cli.documents.workflow_picture import mermaid


def test_generated_files_are_up_to_date() -> None:
    stale = {path for path, render in GENERATED.items() if not path.exists() or path.read_text("utf-8") != render()}

    assert sorted(str(path.relative_to(PROJECT)) for path in stale) == [], "run `make docs`"


def test_picture_shows_every_way_out_of_a_state() -> None:
    definition = """
        StartAt: Ask
        States:
          Ask:
            Type: Task
            Retry: [{ErrorEquals: [Refused], MaxAttempts: 0}, {ErrorEquals: [Busy]}]
            Catch:
              - {ErrorEquals: [Refused, Gone], Next: Give Up}
              - {ErrorEquals: [States.ALL], Next: Give Up}
            Next: Decide
          Decide:
            Type: Choice
            Choices:
              - {Condition: "{% $n > 0 %}", Next: Each}
              - {Condition: "{% $n < 0 %}", Comment: fewer than none, Next: Give Up}
            Default: Give Up
          Each: {Type: Map, ItemProcessor: {StartAt: Work, States: {Work: {Type: Pass, End: true}}}, End: true}
          Give Up: {Type: Fail}
    """

    picture = {line.strip() for line in mermaid(definition).splitlines()}

    assert picture >= {
        "start --> Ask",
        'Ask["Ask<br><small>↻ 3: Busy</small>"]:::task',
        'Ask -.->|"Refused, Gone"| Give_Up',
        'Ask -.->|"any other error"| Give_Up',
        "Ask --> Decide",
        'Decide -->|"$n > 0"| Each',
        'Decide -->|"fewer than none"| Give_Up',
        'Decide -->|"otherwise"| Give_Up',
        'subgraph Each["Map: Each"]',
        'Work["Work"]',
        'Give_Up(["Give Up"]):::fail',
        "linkStyle 2,3 stroke:#bc4c00,color:#bc4c00",
    }
