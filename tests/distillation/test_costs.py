"""A cost says what a distilled set takes from nothing, whatever the history of its store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import tiny_context, tiny_real_set
from torch import Tensor

from bench.distillation.context import Context
from bench.distillation.distil import Distillation, distil
from bench.ledger.checkpoint import Checkpoint
from bench.ledger.shared import SharedFolder
from bench.plugin import Method
from bench.support.attempt import Attempt
from bench.support.stopping import Interrupted, Stop

REAL = tiny_real_set()


class Clock:
    """A clock that stands still, except when work says how long it took."""

    def __init__(self) -> None:
        self.now = 0.0
        self.at: Callable[[str], None] = lambda event: None

    def spend(self, seconds: float, event: str) -> None:
        self.now += seconds
        self.at(event)


CLOCK = Clock()


class Costly(Method):
    """Trains a shared embedding for 2 + 20 seconds, then takes 3 steps of 1 second."""

    name = "costly"
    uses_arch = False

    def __init__(self, task: Any, ctx: Context) -> None:
        super().__init__(task, ctx)
        ctx.shared({"what": "embedding"}, self._embed)

    def _embed(self, inner: Context) -> dict[str, Tensor]:
        parts = self.ctx.shared({"what": "part"}, self._part)
        done = inner.work.resume(lambda state: int(state["done"]))
        for i in range(done, 4):
            CLOCK.spend(5.0, f"embed {i}")
            inner.work.offer(lambda i=i: {"done": i + 1})
        return {"w": parts["w"] + 1}

    def _part(self, inner: Context) -> dict[str, Tensor]:
        CLOCK.spend(2.0, "part")
        return {"w": torch.zeros(1)}

    def steps(self) -> int:
        return 3

    def step(self, i: int) -> Mapping[str, Tensor]:
        CLOCK.spend(1.0, f"step {i}")
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass

    def result(self) -> Any:
        from bench.plugin import ImageSet

        real = self.ctx.real
        first = torch.stack([index[0] for index in real.class_indices])
        return ImageSet(real.spec, real.gather(first), real.labels[first], {})


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    CLOCK.__init__()  # type: ignore[misc]
    monkeypatch.setattr(time, "perf_counter", lambda: CLOCK.now)
    return CLOCK


def run(store: Path, stop: Stop | None = None, cell: str = "cell") -> Distillation:
    """Distil in a store, with a checkpoint after every step, as one attempt at a cell."""
    checkpoint = Checkpoint(store / cell / "checkpoint.safetensors", cell, 0.0, pytest.fail)
    shared = SharedFolder(store, 0.0, pytest.fail)
    made = distil(Costly, REAL, ipc=1, attempt=Attempt(checkpoint, stop or Stop(), shared=shared))
    checkpoint.remove()
    return made


def costs(made: Distillation) -> tuple[float, float, float]:
    return made.cost.seconds, made.cost.shared_seconds, made.cost.total_seconds


def test_a_warm_store_changes_no_cost(tmp_path: Path) -> None:
    assert costs(run(tmp_path)) == (3.0, 22.0, 25.0)
    assert costs(run(tmp_path, cell="other")) == (3.0, 22.0, 25.0)


def test_without_a_store_the_cost_is_the_same() -> None:
    assert costs(distil(Costly, REAL, ipc=1)) == (3.0, 22.0, 25.0)


EVENTS = ["part", "embed 2", "embed 3", "step 0", "step 1", "step 2"]


@pytest.mark.parametrize("event", EVENTS)
def test_an_interruption_changes_no_cost(event: str, tmp_path: Path, clock: Clock) -> None:
    stop = Stop()
    clock.at = lambda now: stop.request("SIGTERM", 143) if now == event else None
    with pytest.raises(Interrupted):
        run(tmp_path, stop)
    clock.now += 1000.0  # between two attempts
    made = run(tmp_path)
    assert costs(made) == (3.0, 22.0, 25.0)
    assert made.cost.attempts == 2


def test_many_interruptions_are_all_counted(tmp_path: Path, clock: Clock) -> None:
    for event in EVENTS:
        stop = Stop()
        clock.at = lambda now, event=event, stop=stop: (  # type: ignore[misc]
            stop.request("SIGTERM", 143) if now == event else None
        )
        with pytest.raises(Interrupted):
            run(tmp_path, stop)
    clock.at = lambda event: None
    made = run(tmp_path)
    assert costs(made) == (3.0, 22.0, 25.0)
    assert made.cost.attempts == len(EVENTS) + 1


@pytest.mark.parametrize("event", ["part", "embed 2", "step 0", "step 2"])
def test_a_death_is_an_attempt_too(event: str, tmp_path: Path, clock: Clock) -> None:
    class DeathError(BaseException):
        pass

    def die(now: str) -> None:
        if now == event:
            raise DeathError

    for attempt in (2, 3):
        clock.at = die
        with pytest.raises(DeathError):
            run(tmp_path)
        clock.at = lambda event: None
        if attempt == 3:
            assert run(tmp_path).cost.attempts == 3
    assert run(tmp_path, cell="other").cost.attempts == 1
    assert run(tmp_path).cost.attempts == 1  # it was done: another computation


def test_two_workers_make_shared_work_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits, and both are charged the same."""
    monkeypatch.setattr("bench.ledger.shared.POLL_SECONDS", 0.01)
    waits, made, charges = threading.Event(), list[str](), list[float]()

    def make(name: str) -> Callable[[Context], dict[str, Tensor]]:
        def work(inner: Context) -> dict[str, Tensor]:
            made.append(name)
            assert waits.wait(60), "no worker waited for the other"
            CLOCK.now += 5.0
            return {"w": torch.ones(1)}

        return work

    def worker(name: str) -> None:
        cache = SharedFolder(tmp_path, note=lambda _: waits.set())
        ctx = tiny_context(cache=cache)
        ctx.shared({"what": "embedding"}, make(name))
        charges.append(ctx.shared_seconds)

    workers = [threading.Thread(target=worker, args=(name,)) for name in "ab"]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert len(made) == 1
    assert charges == [5.0, 5.0]
