from cli import PROJECT
from cli.documents.generate import GENERATED


def test_generated_files_are_up_to_date() -> None:
    stale = {path for path, render in GENERATED.items() if not path.exists() or path.read_text("utf-8") != render()}

    assert sorted(str(path.relative_to(PROJECT)) for path in stale) == [], "run `make docs`"
