"""The template without one of its consumers is whole: SAM takes it, and builds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import PROJECT
from local.build import TARGET
from local.sam import sam
from tests.wiring.test_consumers import BLOCKS, without


@pytest.mark.parametrize("name", BLOCKS)
def test_what_is_left_when_a_consumer_is_deleted_is_sound_and_builds(name: str, tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(without(name), encoding="utf-8")
    for part in ("functions", "statemachine", "events", "samconfig.toml"):
        (tmp_path / part).symlink_to(PROJECT / part)
    parameters = [f"{parameter}={value}" for parameter, value in TARGET.items()]

    sam("validate", "--lint", "--region", "us-east-1", directory=tmp_path, environment={})
    sam("build", "--parameter-overrides", *parameters, directory=tmp_path, environment={})

    built = (tmp_path / ".aws-sam" / "build" / "template.yaml").read_text(encoding="utf-8")
    assert "start_onboarding.app.handler" in built
    assert f"{name}.app.handler" not in built
