"""How all tests run: their environment, which of them share a worker, and the summary at the end."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from cli import NotPossible
from cli.machine.environment import forget_aws, no_proxy

# Tests use neither the user's AWS account nor their proxies. This runs before any test module makes a client.
forget_aws()
os.environ.update(no_proxy())

# Otherwise a failed assertion in these helpers shows no values.
pytest.register_assert_rewrite("tests.unit.runtime", "tests.deployed.engine.audit")

DEPLOYED = "tests/deployed"
SUMMARY = "summary"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Playwright's `Browser`; without one on this machine, the test is skipped."""
    from cli.documents.pictures import chromium  # noqa: PLC0415 - Playwright is slow to import

    with ExitStack() as stack:
        try:
            browser = stack.enter_context(chromium())
        except NotPossible as none:
            pytest.skip(str(none))
        yield browser


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the tests of the deployed stack first, on one worker: they take longest."""
    for item in items:
        if item.nodeid.startswith(DEPLOYED):
            item.add_marker(pytest.mark.xdist_group("deployed"))
    items.sort(key=lambda item: not item.nodeid.startswith(DEPLOYED))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded as their summary, on any worker."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == SUMMARY:
                terminalreporter.write_line(str(value))
