"""Waiting for what another process does."""

from cli.machine.polling import back_off


def test_without_any_time_it_looks_once() -> None:
    assert list(back_off(0)) == [None]
