"""The template is valid and builds without its consumers."""

from pathlib import Path

from cli import PROJECT
from cli.machine.build import build_functions
from cli.machine.sam import sam
from tests.wiring.test_consumers import BLOCKS, TEMPLATE


def test_template_without_consumers_builds(tmp_path: Path) -> None:
    template = TEMPLATE
    for block in BLOCKS.values():
        template = template.replace(block, "")
    (tmp_path / "template.yaml").write_text(template, encoding="utf-8")
    for part in ("functions", "statemachine", "registry.template.json", "samconfig.toml"):
        (tmp_path / part).symlink_to(PROJECT / part)

    sam("validate", "--lint", "--region", "us-east-1", directory=tmp_path, environment={})
    build_functions(tmp_path / "template.yaml", tmp_path / "built")

    built = (tmp_path / "built" / "template.yaml").read_text(encoding="utf-8")
    assert "start_onboarding.app.handler" in built
    assert [name for name in BLOCKS if f"{name}.app.handler" in built] == []
