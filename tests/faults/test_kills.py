"""Killed at any instant, again and again, a grid ends as if nothing had happened.

``pytest -m slow tests/faults/test_kills.py -s`` runs the experiment with a hundred kills and prints
what it saw; ``BENCH_KILLS_SEED`` repeats one, as far as instants can be repeated.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from processes.bench_processes import BenchProcess, BenchProcesses
from processes.event_log import EventLog
from store_contents import (
    read_contents,
    temporary_files,
    unexpected_files,
    unfinished_cells,
)

# One shot; slow steps; with by-products too; a prerequisite and its generator; shared work.
METHODS = {
    "random": (),
    "toy-drift": (),
    "toy-byproducts": (),
    "gan": ("width=4", "max_steps=4", "batch=8"),
    "dim": (
        "gan_width=4", "gan_max_steps=4", "gan_batch=8", "max_steps=3", "net_steps=1", "batch=8",
        "pool=convnet1(width=4)",
    ),
    "herding": ("embedding_epochs=2",),
}  # fmt: skip
PAUSE = 0.03
# How often a kill waits for a file that is being written.
WRITING = 0.4
# One of so many kills is of a toy that is held in this step, with the checkpoint of those before.
HELD_EVERY, HELD_STEP = 4, 3


@dataclass
class Experiment:
    """Runs a grid into one store after another, killing most of the processes.

    Args:
        processes: starts processes.
        folder: for the stores.
        seed: of the instants.
        methods: of the grid; each with its settings of ``METHODS``.
        fresh_every: of so many kills one is of a fresh process; 0 for none.
    """

    processes: BenchProcesses
    folder: Path
    seed: int
    methods: Sequence[str] = tuple(METHODS)
    fresh_every: int = 5
    kills: int = 0
    kills_of_fresh: int = 0
    kills_in_writing: int = 0
    rounds: int = 0
    met: int = 0
    continued: int = 0
    left_in_shared: int = 0
    differences: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._log = EventLog(self.folder / "log")
        self._log.pause(PAUSE)
        self._last: dict[bool, float] = {}
        self._last_steps: dict[str, int] = {}  # of the toys in the store of this round
        found = []
        for fresh in (True, False) if self.fresh_every else (False,):
            store = self.folder / f"uninterrupted{fresh:d}"
            started = time.monotonic()
            assert self._start(store, fresh).wait(600).code == 0
            self._last[fresh] = time.monotonic() - started
            found.append(_contents(store))
        self._wanted = found[0]
        assert found[-1] == self._wanted

    def run(self, kills: int) -> None:
        """Go on until enough processes were killed and the last store is complete."""
        while not self._is_enough(kills):
            store = self.folder / f"round{self.rounds}"
            self._last_steps = {}
            while not self._once(store, kills):
                pass
            self._compare(store)
            self.rounds += 1

    def _is_enough(self, kills: int) -> bool:
        # On a busy machine, many files are written before a kill that was meant for them arrives.
        return self.kills >= kills and self.kills_in_writing >= kills // 20

    def report(self) -> str:
        return (
            f"seed {self.seed}: {self.kills} kills ({self.kills_of_fresh} of fresh processes, "
            f"{self.kills_in_writing} in the middle of writing a file) over {self.rounds} stores "
            f"of {len(self._wanted)} results; {self.met} starts met checkpoints, "
            f"{self.continued} runs continued a toy from one; {self.left_in_shared} "
            f"temporary files left in shared/; {len(self.differences)} differences"
        )

    def _once(self, store: Path, kills: int) -> bool:
        """Start the grid and kill it, at some instant or in a held step.

        Returns:
            Whether the grid was complete before.
        """
        self.met += bool(unfinished_cells(store))
        files, steps = set(temporary_files(store)), len(self._log.steps_in_order())
        fresh = bool(self.fresh_every) and self.kills % self.fresh_every == 0
        kill = not self._is_enough(kills)
        held = kill and self.kills % HELD_EVERY == 1
        if held:
            self._log.hold(f"step {HELD_STEP}")
        run = self._start(store, fresh)
        if held:
            self._await_held_step(run, steps)
        elif kill and not run.ends_within(self._instant(fresh)) and self._random.random() < WRITING:
            _await_writing(run, store, files)
        kill = kill and not run.ends_within(0)
        if kill:
            run.kill()
            self.kills += 1
            self.kills_of_fresh += fresh
            self.kills_in_writing += bool(set(temporary_files(store)) - files)
            assert _orphans(self.processes) == {}
        self._log.release()
        if not kill:
            ended = run.wait(600)
            assert ended.code == 0, ended.err
        self._check_steps(store, self._log.steps_in_order()[steps:])
        return not kill

    def _await_held_step(self, run: BenchProcess, before: int) -> None:
        """Wait until a toy is held; if all are done in this store, until the run ends."""
        while not run.ends_within(0.02):
            if any(i == HELD_STEP for _, i in self._log.steps_in_order()[before:]):
                return

    def _check_steps(self, store: Path, steps: Sequence[tuple[str, int]]) -> None:
        """Note every toy that a run did not continue where the run before was killed.

        A step is done once its checkpoint is written, and perhaps the next has not begun.
        """
        first = dict(reversed(steps))
        for toy, step in first.items():
            last = self._last_steps.get(toy)
            if last is not None and step not in (last, last + 1):
                self.differences.append(f"{store.name}: {toy} went on at step {step}, not {last}")
            self.continued += last is not None and step > 0
        self._last_steps.update(steps)

    def _instant(self, fresh: bool) -> float:
        # Short spans too, so that one cell is interrupted more than once.
        span = self._last[fresh] / self._random.choice((1, 3))
        return self._random.uniform(0.0, span)

    def _start(self, store: Path, fresh: bool) -> BenchProcess:
        settings = [
            part for m in self.methods for value in METHODS[m] for part in ("--set", f"{m}.{value}")
        ]
        arguments = self.processes.grid(
            store, ",".join(self.methods), "--checkpoint-every", "0", "--json", *settings
        )
        return self.processes.start(*arguments, fresh=fresh, **self._log.env())

    def _compare(self, store: Path) -> None:
        """Note every difference from the uninterrupted run, and whatever should not be there."""
        found = _contents(store)
        for key in self._wanted.keys() | found.keys():
            if found.get(key) != self._wanted.get(key):
                self.differences.append(f"{store.name}: {key}")
        assert unexpected_files(store) == []
        self.left_in_shared += len(temporary_files(store))


def _contents(store: Path) -> dict[str, Any]:
    """Return what a store holds without the diagnostics, which forked processes leave out."""
    contents = read_contents(store)
    for content in contents.values():
        content.get("result", {}).pop("diagnostics", None)
    return contents


def _await_writing(run: BenchProcess, store: Path, before: set[Path]) -> None:
    """Wait until a file is being written, for at most a second."""
    until = time.monotonic() + 1.0
    while time.monotonic() < until and not run.ends_within(0.001):
        if set(temporary_files(store)) - before:
            return


def _orphans(processes: BenchProcesses) -> dict[int, str]:
    """Return what still runs though its parent is gone; children may take a moment to notice."""
    until = time.monotonic() + 120.0
    while processes.alive() and time.monotonic() < until:
        time.sleep(0.05)
    return processes.alive()


def _seed() -> int:
    return int(os.environ.get("BENCH_KILLS_SEED", "0")) or random.SystemRandom().randrange(10**6)


def test_a_few_kills(processes: BenchProcesses, tmp_path: Path) -> None:
    experiment = Experiment(
        processes, tmp_path, _seed(), ("toy-byproducts", "herding"), fresh_every=0
    )
    experiment.run(kills=3)
    print(experiment.report())
    assert experiment.differences == []
    assert experiment.continued >= 1


@pytest.mark.slow
def test_a_hundred_kills(
    processes: BenchProcesses, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = Experiment(processes, tmp_path, _seed())
    experiment.run(kills=100)
    with capsys.disabled():
        print(f"\n{experiment.report()}")
    assert experiment.differences == []
    assert experiment.kills >= 100
    assert experiment.kills_of_fresh >= 20
    assert experiment.kills_in_writing >= 5
    assert experiment.continued >= 25  # one for each kill of a held toy
