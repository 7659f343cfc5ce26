"""All rules, by whatever module they are in."""

from importlib import import_module
from pathlib import Path

from tests.wiring.rules.registry import RULES

for _module in sorted(Path(__file__).parent.glob("*.py")):
    if _module != Path(__file__):
        import_module(f"{__name__.rpartition('.')[0]}.{_module.stem}")

__all__ = ["RULES"]
