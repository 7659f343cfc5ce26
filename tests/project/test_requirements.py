"""Whether the pinned requirements can be what `make requirements` makes. To make them anew needs the network."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli import PROJECT

FUNCTIONS = PROJECT / "functions" / "requirements.in"
DEVELOPMENT = PROJECT / "requirements-dev.in"
SCAN = PROJECT / "requirements-scan.in"


def asked_for(path: Path) -> dict[str, Requirement]:
    """The requirements of a `.in` file, and of those that it includes, by name."""
    requirements: dict[str, Requirement] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            requirements.update(asked_for(path.parent / line.removeprefix("-r ")))
        elif line and not line.startswith("#"):
            requirement = Requirement(line)
            requirements[str(canonicalize_name(requirement.name))] = requirement
    return requirements


def pinned(path: Path) -> dict[str, str]:
    """The pins of a `.txt` file, each as its version and its hashes, by name."""
    blocks = re.findall(
        r"^([a-z0-9-]+)==(.+(?:\n    --hash=.+)*)", path.with_suffix(".txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    return dict(blocks)


@pytest.mark.parametrize("path", [FUNCTIONS, DEVELOPMENT, SCAN], ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_requirement_is_pinned_with_its_hashes(path: Path) -> None:
    pins = pinned(path)

    assert asked_for(path).keys() <= pins.keys(), "run `make requirements`"
    for name, requirement in asked_for(path).items():
        version = pins[name].split(maxsplit=1)[0]
        assert requirement.specifier.contains(version), f"{requirement}, but {version} is pinned"
    assert [name for name, pin in pins.items() if "--hash=sha256:" not in pin] == []


def test_what_runs_in_lambda_is_what_is_developed_with() -> None:
    assert pinned(FUNCTIONS).items() <= pinned(DEVELOPMENT).items(), "run `make requirements`"


def test_the_runtime_brings_boto3() -> None:
    assert pinned(FUNCTIONS).keys().isdisjoint({"boto3", "botocore", "s3transfer"})


@pytest.mark.parametrize("path", [FUNCTIONS, DEVELOPMENT, SCAN], ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_requirement_names_where_it_comes_from(path: Path) -> None:
    text = path.read_text(encoding="utf-8") + path.with_suffix(".txt").read_text(encoding="utf-8")

    assert not re.search(r"://|^--?(i|f|index|extra-index|find-links|trusted-host)\b", text, re.MULTILINE)
