"""The pinned requirements fit those that are asked for. To pin them again needs the network."""

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli import PROJECT

FUNCTIONS, DEVELOPMENT = "functions/requirements", "requirements-dev"
ALL = [FUNCTIONS, *(path.stem for path in PROJECT.glob("requirements-*.in"))]


def asked_for(name: str) -> list[Requirement]:
    """What a `.in` file lists itself."""
    lines = (PROJECT / f"{name}.in").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-r "))]


def pinned(name: str) -> dict[str, str]:
    """The pins of a `.txt` file, each as its version and its hashes, by package."""
    text = (PROJECT / f"{name}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(.+(?:\n    --hash=.+)*)", text, re.MULTILINE))


@pytest.mark.parametrize("name", ALL)
def test_every_requirement_is_pinned_with_hashes(name: str) -> None:
    pins = pinned(name)
    versions = {package: pin.split(maxsplit=1)[0] for package, pin in pins.items()}

    for requirement in asked_for(name):
        version = versions.get(canonicalize_name(requirement.name))
        assert version, f"{name}.txt doesn't pin {requirement}: run `make requirements`"
        assert requirement.specifier.contains(version), (
            f"{name}.txt pins {version}, but {name}.in asks for {requirement}"
        )
    assert [package for package, pin in pins.items() if "--hash=sha256:" not in pin] == []


def test_lambda_runs_what_is_developed_with() -> None:
    others = [package for package, pin in pinned(FUNCTIONS).items() if pinned(DEVELOPMENT).get(package) != pin]

    assert others == [], f"pinned otherwise in {DEVELOPMENT}.txt: run `make requirements`"


def test_runtime_brings_boto3() -> None:
    assert pinned(FUNCTIONS).keys().isdisjoint({"boto3", "botocore", "s3transfer"})
