"""A long inner loop of a step is counted at a few repetitions, and comes to what all of them do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.distillation.method import Scalars
from bench.grid import distillation_work
from bench.grid.distillation_work import count_distillation
from bench.grid.request import Request
from bench.grid.session import Session, open_session
from bench.grid.site import Site
from bench.grid.work import CountedWork
from bench.registry.registry import METHODS
from bench.support.time_limit import TimeLimitError
from methods.mtt import MTT

LOOPS = {name: METHODS.get(name).inner_loop for name in METHODS.names()}
REPEATED = {name: loop for name, loop in LOOPS.items() if loop}


def session(store: Path, data_dir: Path, method: str, **params: Any) -> Session:
    request = Request(
        methods=[method], datasets=["digits"], ipcs=[2], archs=["convnet1(width=8)"],
        profile="smoke", overrides={method: params},
    )  # fmt: skip
    return open_session(request, Site(str(store), str(data_dir), "cpu"))


def count(store: Path, data_dir: Path, method: str, **params: Any) -> CountedWork:
    made = session(store, data_dir, method, **params)
    (cell,) = made.grid.distil
    return count_distillation(cell, made.runner.site.facts("digits"))


def test_the_longest_methods_name_their_loop() -> None:
    assert REPEATED == {"mtt": "syn_steps", "cafe": "max_epochs", "cafe-dsa": "max_epochs"}


@pytest.mark.parametrize("name", REPEATED)
def test_few_repetitions_tell_what_many_do(
    name: str, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {REPEATED[name]: 11}
    told = count(tmp_path, data_dir, name, **many)
    monkeypatch.setattr(distillation_work, "MANY", 11)
    whole = count(tmp_path, data_dir, name, **many)
    assert told.units == whole.units
    assert told.unit.flops == pytest.approx(whole.unit.flops)
    # Each repetition draws an augmentation, and they differ.
    assert told.unit.calls == pytest.approx(whole.unit.calls, rel=0.1)
    assert told.unit.bytes == pytest.approx(whole.unit.bytes, rel=0.1)
    fewer = count(tmp_path, data_dir, name, **{REPEATED[name]: 6})
    assert sum(fewer.unit.flops.values()) < sum(whole.unit.flops.values())


def test_a_step_that_there_is_no_time_for_is_a_part(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The least that is known is the step with the fewest repetitions."""
    least = count(tmp_path, data_dir, "mtt", syn_steps=2)
    step = MTT.step

    def slow(self: MTT, i: int) -> Scalars:
        if self.params.syn_steps > 2:
            raise TimeLimitError("it was not done in time")
        return step(self, i)

    monkeypatch.setattr(MTT, "step", slow)
    found = count(tmp_path, data_dir, "mtt", syn_steps=40)
    assert found.is_partial
    assert found.unit.flops == least.unit.flops
