"""How rivals take turns, and what becomes of their times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from replay import small_real_set

from bench.distillation.method import Prerequisite
from bench.evaluation.protocols import get_protocol
from bench.grid.rehearsal import Stepper, begin_method, training_seconds
from bench.networks.precision import PRECISIONS
from bench.registry.registry import METHODS
from bench.speed.machine import busy_warning
from bench.speed.measuring import Observation, Side, Spread, alternate, observer
from bench.speed.peak import measure_peak
from bench.speed.session import Plan
from bench.support.cost_meter import host_peak_bytes
from bench.support.errors import BenchError, UnknownNameError
from bench.support.machine import cpu_model

CPU = torch.device("cpu")


def pretend(name: str, seconds_per_unit: float, calls: list) -> Side:
    def observe(units: int) -> Observation:
        calls.append((name, units))
        return Observation(units * seconds_per_unit, 7)

    return Side(name, "fp32", observe)


def test_sides_take_turns_for_about_the_time_asked() -> None:
    calls: list = []
    sides = [pretend("plain", 0.5, calls), pretend("ours", 0.1, calls)]
    said: list[str] = []
    plain, ours = alternate(sides, 3, 1.0, said.append)
    assert (plain.units, ours.units) == (2, 10)
    warm = [("plain", 1), ("plain", 1), ("ours", 1), ("ours", 1), ("ours", 10)]
    assert calls == warm + [("plain", 1), ("plain", 2), ("ours", 1), ("ours", 10)] * 3
    assert plain.rates == pytest.approx([2.0] * 3)
    assert ours.rates == pytest.approx([10.0] * 3)
    assert said[-1] == "ours fp32: 3 of 3"


def test_a_unit_longer_than_the_time_is_done_once() -> None:
    (timing,) = alternate([pretend("plain", 9.0, [])], 2, 1.0, lambda text: None)
    assert timing.units == 1


def test_what_precedes_every_run_is_not_taken_for_work() -> None:
    """A unit of a millisecond after a set-up of 0.1 s: a second holds 900 of them, not 10."""
    side = Side("ours", "fp32", lambda units: Observation(0.1 + units * 0.001, 0))
    (timing,) = alternate([side], 2, 1.0, lambda text: None)
    assert 800 <= timing.units <= 1000


def test_a_run_computes_float32_as_its_precision_says(monkeypatch) -> None:
    asked = []

    @contextmanager
    def mode(device: torch.device, precision: str) -> Iterator[None]:
        asked.append((device.type, precision))
        yield
        asked.append("end")

    monkeypatch.setattr("bench.speed.measuring.float32_mode", mode)
    observer(lambda units: asked.append(units) or 1.0, 1, torch.device("cuda"), "tf32")(3)
    assert asked == [("cuda", "tf32"), 3, "end"]


def test_spread() -> None:
    assert Spread.of([3.0, 1.0, 2.0, 9.0, 2.5]) == Spread(2.5, 1.0, 9.0)


def test_an_observer_sets_threads_and_keeps_memory(monkeypatch) -> None:
    done = []
    monkeypatch.setattr("bench.speed.measuring.keep_freed_memory", lambda: done.append("keep"))
    before = torch.get_num_threads()
    torch.set_num_threads(2)

    def run(units: int) -> float:
        done.append((units, torch.get_num_threads()))
        return 4.0

    try:
        seen = observer(run, 1, CPU, "fp32")(3)
    finally:
        torch.set_num_threads(before)
    assert done == ["keep", (3, 1)]
    assert seen.seconds == 4.0
    assert seen.page_faults >= 0


def test_peak_is_the_best_of_all(monkeypatch) -> None:
    monkeypatch.setattr("bench.speed.peak.MATRIX_SIDES", {"cpu": 32})
    monkeypatch.setattr("bench.speed.peak.CONVOLUTIONS", {"cpu": ((1, 4, 8),)})
    monkeypatch.setattr("bench.networks.precision.check_precision", lambda *_: None)
    for precision in PRECISIONS:  # tf32 too, which is a GPU's
        peak = measure_peak(CPU, precision, 0.0)
        assert len(peak.all) == 3
        assert peak.flops_per_second == peak.all[peak.operation] == max(peak.all.values())


def test_steps_go_on_where_they_were() -> None:
    seen = []

    class Counted:
        def steps(self) -> int:
            return 3

        def step(self, i: int) -> None:
            seen.append(i)
            time.sleep(0.001)

    steps = Stepper(Counted(), CPU)
    assert steps.run(2) >= 0.002
    steps.run(3)
    assert seen == [0, 1, 2, 2, 2]


def test_a_method_begins_with_what_it_starts_from() -> None:
    real = small_real_set()
    params = {"gan_width": 3, "gan_noise_dim": 14, "batch": 5, "pool": ("convnet1(width=4)",),
              "net_steps": 1}  # fmt: skip
    method = begin_method("dim", params, real, ipc=10, arch="convnet3")
    assert method.step(0)["generator_loss"].isfinite()


def test_what_is_done_in_one_step_is_done_before_a_method_begins_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = Prerequisite("random", {})
    monkeypatch.setattr(METHODS.get("k-means"), "prerequisite", lambda _: wanted)
    starts = []
    setup = METHODS.get("k-means").setup
    monkeypatch.setattr(
        METHODS.get("k-means"), "setup",
        lambda self: (starts.append(self.ctx.start), setup(self)),
    )  # fmt: skip
    begin_method("k-means", {}, small_real_set(), ipc=2, arch="convnet1(width=4)")
    (start,) = starts
    assert len(start.distilled.labels) == 2 * small_real_set().spec.num_classes


def test_training_is_timed_without_testing() -> None:
    real = small_real_set()
    seconds = training_seconds(
        torch.arange(9), real, "convnet1(width=4)", get_protocol("plain"),
        nets=2, epochs=1, precision="fp32",
    )  # fmt: skip
    assert seconds > 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"repeats": 4}, "4 repeats are too few: at least 5"),
        ({"stages": ["gam"]}, "unknown stage 'gam'. Did you mean 'gan'?"),
        ({"precisions": ["fp8"]}, "unknown precision 'fp8'"),
        ({"precisions": []}, "name at least one precision"),
        ({"seconds": -1}, "cannot take -1 seconds"),
    ],
)
def test_plans_that_cannot_be(wrong: dict, message: str) -> None:
    with pytest.raises(BenchError, match=message.replace("?", r"\?")) as error:
        Plan(CPU, **wrong)
    assert isinstance(error.value, UnknownNameError) == message.startswith("unknown")


def test_a_busy_machine_is_told() -> None:
    assert busy_warning(None) is None
    assert busy_warning(0.2) is None
    assert "load average 1.50" in str(busy_warning(1.5))


def test_a_cpu_has_a_name(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\ncpu family : 25\nmodel : 17\nmodel name : Some CPU\n\n")
    assert cpu_model(info) == "Some CPU (family 25, model 17)"
    assert cpu_model(tmp_path / "missing") == ""


def test_a_process_knows_its_peak() -> None:
    peak = host_peak_bytes()
    assert peak is None or peak > 50e6
