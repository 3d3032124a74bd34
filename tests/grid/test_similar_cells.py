"""In which order kinds of cells are counted, and what those are worth that there is no time for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from bench.grid import estimator
from bench.grid.cell_work import WorkCounter
from bench.grid.estimator import estimate
from bench.grid.order import plan
from bench.grid.rates import Rates
from bench.grid.request import Request
from bench.grid.session import Session, open_session
from bench.grid.similar_cells import by_novelty
from bench.grid.site import Site
from bench.ledger.cell import Cell, EvaluateCell

ARCHS = ["convnet1(width=4)", "convnet1(width=8)"]


@pytest.fixture(autouse=True)
def rates(own_cache, monkeypatch) -> Rates:
    """Rates that need no measurement, of a machine without a cache."""
    made = Rates({"matmul float32": 1e9}, {"float32": 1e9}, 1e6)
    monkeypatch.setattr("bench.grid.estimator.device_rates", lambda _device: made)
    return made


@pytest.fixture
def opened(tmp_path: Path, data_dir: Path):
    def open_(**changes: Any) -> Session:
        small = {"archs": ARCHS[:1], "eval_nets": 1, "profile": "smoke", "ipcs": [1]}
        request = Request(datasets=["digits"], **{**small, **changes})
        return open_session(request, Site(str(tmp_path / "store"), str(data_dir), "cpu"))

    return open_


def named(cells: list[Cell]) -> list[tuple[str, str | None, int | None]]:
    return [
        ("evaluation" if isinstance(c, EvaluateCell) else c.method, c.arch, c.ipc) for c in cells
    ]


def test_the_first_kinds_say_something_of_all_others(opened) -> None:
    grid = opened(methods=["dm", "dc"], ipcs=[1, 2], archs=ARCHS).grid
    kinds = [[cell] for cell in plan(grid)]
    first, evaluations, networks, datasets, others, retried = by_novelty(kinds, lambda _: None)
    assert sorted(named(first)) == [
        ("dc", ARCHS[0], 1), ("dm", ARCHS[0], 1), ("evaluation", ARCHS[0], 1),
    ]  # fmt: skip
    assert {name for name, *_ in named(evaluations)} == {"evaluation"}
    assert sorted(named(networks)) == [("dc", ARCHS[1], 1), ("dm", ARCHS[1], 1)]
    assert sorted(named(others)) == [(m, a, 2) for m in ("dc", "dm") for a in ARCHS]
    assert datasets == retried == []
    assert sum(map(len, (first, evaluations, networks, others))) == len(kinds)


def test_what_took_too_long_before_comes_last_and_the_latest_at_the_end(opened) -> None:
    grid = opened(methods=["dm", "dc"], ipcs=[1, 2]).grid
    late = [grid.distil[2].id, grid.distil[0].id]

    def tried(cell: Cell) -> int | None:
        return late.index(cell.id) if cell.id in late else None

    *rounds, retried = by_novelty([[cell] for cell in plan(grid)], tried)
    assert [cell.id for cell in retried] == late
    assert not {cell.id for cells in rounds for cell in cells} & set(late)


def test_another_network_is_scaled_by_what_it_does(opened, rates: Rates) -> None:
    made = opened(methods=["dm"])
    known = estimate(made.grid, made.runner, made.missing())
    more = opened(methods=["dm"], archs=ARCHS)
    found = estimate(more.grid, more.runner, more.missing(), seconds=0)
    assert set(found) == {cell.id for cell in plan(more.grid)}
    counter = WorkCounter(more.runner.site.facts)
    for cells in (more.grid.distil, more.grid.evaluate):
        small, large = (next(c for c in cells if c.arch == arch) for arch in ARCHS)
        sizes = [rates.seconds(counter.size(cell)[1]) for cell in (small, large)]
        assert sizes[1] > sizes[0]
        factor = sizes[1] / sizes[0]
        assert found[small.id] == known[small.id]
        assert found[large.id].basis == "similar"
        assert found[large.id].seconds == pytest.approx(factor * known[small.id].seconds)


def slow(self: object, i: int) -> dict[str, Tensor]:
    for _ in range(600):
        time.sleep(0.1)
    return {}


def test_a_kind_that_took_too_long_is_counted_when_there_is_time(opened, monkeypatch) -> None:
    made = opened(methods=["dm"])
    (distil,) = made.grid.distil
    counter = WorkCounter(made.runner.site.facts)
    with monkeypatch.context() as patch:
        patch.setattr("methods.dm.DM.step", slow)
        patch.setattr(estimator, "SECONDS_EACH", 0.4)
        assert made.estimate()[distil.id].basis == "at least"
    kept = WorkCounter(made.runner.site.facts)
    assert counter.tried(distil) is None
    assert kept.tried(distil) == 0
    assert kept.known(distil) is None
    without_time = estimate(made.grid, made.runner, made.missing(), seconds=0)
    assert without_time[distil.id].basis == "at least", "the part is not lost"
    assert made.estimate()[distil.id].basis == "counted"
    assert WorkCounter(made.runner.site.facts).tried(distil) is None


def test_one_slow_kind_does_not_take_the_time_of_others(opened, monkeypatch) -> None:
    monkeypatch.setattr("methods.dm.DM.step", slow)
    made = opened(methods=["dm", "dc"], ipcs=[1, 2])
    estimates = estimate(made.grid, made.runner, made.missing(), seconds=8)
    bases = {estimates[c.id].basis for c in made.grid.distil if c.method == "dc"}
    assert "counted" in bases
    assert "at least" not in bases


def test_a_second_step_that_takes_too_long_leaves_the_first(opened, monkeypatch) -> None:
    made = opened(methods=["dm"])
    (distil,) = made.grid.distil
    step = made.estimate()[distil.id]

    def second_is_slow(self: Any, i: int) -> dict[str, Tensor]:
        return slow(self, i) if i else first(self, i)

    from methods.dm import DM

    first = DM.step
    monkeypatch.setattr(DM, "step", second_is_slow)
    monkeypatch.setattr(estimator, "SECONDS_EACH", 2.0)
    other = opened(methods=["dm"], overrides={"dm": {"lr_img": 2.0}})
    (changed,) = other.grid.distil
    each = other.estimate()[changed.id]
    assert each.basis == "counted"
    assert each.seconds == pytest.approx(step.seconds, rel=0.2)


def test_evaluations_share_their_pieces(opened, monkeypatch) -> None:
    counted: list[object] = []
    from bench.grid import evaluation_work

    count = evaluation_work.counted
    monkeypatch.setattr(evaluation_work, "counted", lambda: counted.append(0) or count())
    made = opened(methods=["random"])
    made.estimate()
    once = len(counted)
    assert once
    opened(methods=["random", "herding", "k-center"]).estimate()
    assert len(counted) == once


def test_where_nothing_is_missing_nothing_is_measured(opened, monkeypatch) -> None:
    def measured(_device: object) -> Rates:
        raise AssertionError("the device was measured")

    made = opened(methods=["random"])
    monkeypatch.setattr("bench.grid.estimator.device_rates", measured)
    assert estimate(made.grid, made.runner, []) == {}


def test_what_fails_when_the_time_is_over_is_scaled_as_well(opened, monkeypatch) -> None:
    made = opened(methods=["dm"])
    made.estimate()
    more = opened(methods=["dm"], ipcs=[1, 2])

    def late(self: Any, cell: Cell) -> None:
        monkeypatch.setattr("bench.grid.estimator.time.perf_counter", lambda: float("inf"))
        raise RuntimeError("no memory for it")

    monkeypatch.setattr(WorkCounter, "count", late)
    found = more.estimate()
    assert {found[cell.id].basis for cell in more.grid.distil if cell.ipc == 2} == {"similar"}
