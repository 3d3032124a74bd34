"""The silent onlooker takes every event that a run tells."""

from __future__ import annotations

import inspect

import pytest

from bench.grid.reporter import Reporter

EVENTS = [name for name, _ in inspect.getmembers(Reporter, inspect.isfunction) if name[0] != "_"]


def test_the_events() -> None:
    assert sorted(EVENTS) == ["begin", "end", "finish", "note", "progress", "start"]


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_may_be_ignored(event: str, capsys: pytest.CaptureFixture[str]) -> None:
    method = getattr(Reporter(), event)
    assert method(*[None] * len(inspect.signature(method).parameters)) is None
    assert capsys.readouterr() == ("", "")
