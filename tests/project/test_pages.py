"""The pages' links and paths lead somewhere, and the tour shows the code."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FOLDERS = {path.name for path in PROJECT.iterdir() if path.is_dir()}
PAGES = [
    *PROJECT.glob("*.md"),
    *(page for folder in ("docs", "tests") for page in (PROJECT / folder).rglob("*.md")),
    PROJECT / "examples/consumer/README.md",
]


def anchors(page: Path) -> set[str]:
    """The fragments of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    paths = re.findall(r"`((?:\w[\w.-]*/)+[\w.-]*)`", text)

    wrong = [f"`{path}`" for path in paths if path.partition("/")[0] in FOLDERS and not (PROJECT / path).exists()]
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", text):
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (fragment and fragment not in anchors(file)):
            wrong.append(f"({target})")

    assert not wrong, f"{page.relative_to(PROJECT)} points to nothing with {', '.join(wrong)}"


def test_tour_shows_the_code_as_it_is() -> None:
    tour = (PROJECT / "docs/tour.md").read_text(encoding="utf-8")
    stops = re.findall(r"(?s)\n\[[^\]]+\]\(\.\./([^)]+)\)\n\n```\w+\n(.*?)```", tour)

    differing = [file for file, lines in stops if lines not in (PROJECT / file).read_text(encoding="utf-8")]

    assert len(stops) == tour.count("\n## ") - 1
    assert not differing, f"docs/tour.md shows other lines than {', '.join(differing)}"
