"""`make outages` simulates outages with the definition's own retries."""

import pytest

from benchmarks import outages


def test_outages_undo_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    outages.main()

    printed = capsys.readouterr().out.splitlines()
    for away in outages.AWAY:
        (line,) = (line.removeprefix(f"{away}  ") for line in printed if line.startswith(f"{away}  "))
        assert (line.split()[0], line.split()[-1]) == ("0.0%", "0.0%"), away
