"""Snapshots save every network's latest state, once each that runs has handed one over."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.evaluation.snapshots import Snapshots
from bench.support.stopping import Interrupted, Stop

CPU = torch.device("cpu")


class Memory:
    """A keeper that is always due, and remembers."""

    def __init__(self, kept: dict[str, Any] | None = None) -> None:
        self.saved: list[dict[str, Any]] = []
        self.kept = kept

    def due(self) -> bool:
        return True

    def save(self, state: dict[str, Any]) -> bool:
        self.saved.append(state)
        return True

    def load(self, device: torch.device) -> dict[str, Any] | None:
        return self.kept

    def remove(self) -> None:
        self.kept = None


def started(*names: str, stop: Stop | None = None) -> tuple[Snapshots, Memory]:
    """Return snapshots whose networks run and have been asked."""
    memory = Memory()
    snapshots = Snapshots(memory, stop or Stop(), CPU)
    for name in names:
        assert snapshots.begin(name) is None
    snapshots.poll()
    return snapshots, memory


def test_written_once_all_have_answered() -> None:
    snapshots, memory = started("a", "b")
    snapshots.after_step("a", lambda: {"step": 1})
    snapshots.poll()
    assert memory.saved == []
    snapshots.after_step("b", lambda: {"step": 2})
    snapshots.poll()
    assert memory.saved == [{"a": {"step": 1}, "b": {"step": 2}}]


def test_a_state_is_a_copy_and_is_made_only_when_asked_for() -> None:
    snapshots, memory = started("a")
    live = torch.zeros(2)
    snapshots.after_step("a", lambda: {"nested": [live]})
    live += 1
    snapshots.after_step("a", lambda: pytest.fail("no state is requested"))
    snapshots.poll()
    assert memory.saved[0]["a"]["nested"][0].tolist() == [0, 0]


def test_an_outcome_is_an_answer() -> None:
    snapshots, memory = started("a", "b")
    snapshots.end("a", {"accuracy": 50.0})
    snapshots.after_step("b", lambda: {"step": 1})
    snapshots.poll()
    assert memory.saved == [{"a": {"accuracy": 50.0}, "b": {"step": 1}}]


def test_one_that_ended_when_it_was_asked_is_not_waited_for() -> None:
    snapshots, memory = started("a", "b")
    snapshots.end("a", {"accuracy": 50.0})  # while its state is requested
    snapshots.after_step("b", lambda: {"step": 1})
    snapshots.poll()
    assert len(memory.saved) == 1


def test_what_was_given_up_is_not_waited_for_nor_kept() -> None:
    snapshots, memory = started("all")
    snapshots.after_step("all", lambda: {"step": 1})
    snapshots.forget("all")
    snapshots.begin("0")
    snapshots.poll()  # nothing to write: the next one is asked for
    snapshots.poll()
    snapshots.after_step("0", lambda: {"step": 1})
    snapshots.poll()
    assert memory.saved == [{"0": {"step": 1}}]


def test_told_to_stop_it_hands_over_and_ends() -> None:
    stop = Stop()
    snapshots, memory = started("a", stop=stop)
    stop.request("SIGTERM", 143)
    with pytest.raises(Interrupted):
        snapshots.after_step("a", lambda: {"step": 7})
    snapshots.save()
    assert memory.saved == [{"a": {"step": 7}}]


def test_what_was_kept_is_given_back_and_kept_again() -> None:
    memory = Memory({"a": {"accuracy": 50.0}})
    snapshots = Snapshots(memory, Stop(), CPU)
    assert snapshots.begin("a") == {"accuracy": 50.0}
    assert snapshots.begin("b") is None
    snapshots.save()
    assert memory.saved == [{"a": {"accuracy": 50.0}}]


def test_what_is_given_back_can_be_changed_by_the_training_that_goes_on_from_it() -> None:
    """An optimiser keeps the tensors that it loads and changes them in place."""
    memory = Memory({"a": {"momentum": [torch.zeros(2)]}})
    snapshots = Snapshots(memory, Stop(), CPU)
    saved = snapshots.begin("a")
    assert saved is not None
    saved["momentum"][0] += 1
    snapshots.save()
    assert memory.saved[0]["a"]["momentum"][0].tolist() == [0, 0]
