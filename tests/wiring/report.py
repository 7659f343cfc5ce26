"""A test of the wiring fails with every problem, one a line."""

from collections.abc import Iterable

import pytest


def none_of(problems: Iterable[str]) -> None:
    """Fail if there are problems. Each names the file to edit and what is missing in it."""
    found = sorted(set(problems))
    if found:
        pytest.fail("\n".join(found), pytrace=False)
