"""What was spent, over several attempts."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.support import cost_meter as meter
from bench.support.cost_meter import Meter, describe_energy

CPU = torch.device("cpu")


def test_one_attempt() -> None:
    counted = Meter(CPU)
    sum(range(200_000))
    found = counted.read()
    assert found["attempts"] == 1
    assert found["seconds"] > 0
    assert found["cpu_seconds"] > 0
    json.dumps(found, allow_nan=False)


@pytest.fixture
def count_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Returns a function that sets the counters of CPU packages and their parts, in microjoules."""
    monkeypatch.setattr(meter, "POWERCAP", tmp_path)

    def count(*packages: int, part: int = 0) -> None:
        counters = {f"intel-rapl:{i}": value for i, value in enumerate(packages)}
        for name, value in {**counters, "intel-rapl:0:1": part}.items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "energy_uj").write_text(f"{value}\n")

    return count


def test_attempts_add_up_and_the_larger_peak_counts(
    monkeypatch: pytest.MonkeyPatch, count_energy: Callable[..., None]
) -> None:
    monkeypatch.setattr(meter, "host_peak_bytes", lambda: 500)
    before = {
        "seconds": 100.0, "cpu_seconds": 50.0, "attempts": 2, "peak_host_bytes": 900,
        "energy_joules": 5.0,
    }  # fmt: skip
    count_energy(7_000_000)
    found = Meter(CPU, before).read()
    assert found["attempts"] == 3
    assert 100 <= found["seconds"] < 200
    assert found["cpu_seconds"] >= 50
    assert found["peak_host_bytes"] == 900
    assert found["energy_joules"] == 5.0
    assert Meter(CPU, {**before, "peak_host_bytes": 100}).read()["peak_host_bytes"] == 500


def test_energy_that_was_measured_in_part_is_left_out(count_energy: Callable[..., None]) -> None:
    count_energy(7_000_000)
    assert "energy_joules" in Meter(CPU).read()
    assert "energy_joules" not in Meter(CPU, {"seconds": 1.0, "attempts": 1}).read()


def test_a_counter_that_wrapped_says_nothing(count_energy: Callable[..., None]) -> None:
    count_energy(9_000_000)
    counted = Meter(CPU)
    count_energy(2_000_000)
    assert "energy_joules" not in counted.read()


def test_a_pause_is_left_out(
    count_energy: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(meter.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(meter.time, "process_time", lambda: 2 * now[0])
    count_energy(1_000_000)
    counted = Meter(CPU)
    now[0] = 3.0
    with counted.paused():
        now[0] = 50.0
        count_energy(8_000_000)
    now[0] = 51.0
    count_energy(8_500_000)
    found = counted.read()
    assert (found["seconds"], found["cpu_seconds"], found["energy_joules"]) == (4.0, 8.0, 0.5)


def test_a_counter_that_wrapped_in_a_pause_says_nothing(count_energy: Callable[..., None]) -> None:
    count_energy(5_000_000)
    counted = Meter(CPU)
    with counted.paused():
        count_energy(1_000_000)
    count_energy(9_000_000)
    assert "energy_joules" not in counted.read()


def test_packages_are_summed_and_their_parts_are_not(count_energy: Callable[..., None]) -> None:
    count_energy(2_000_000, 1_000_000, part=9)
    counted = Meter(CPU)
    count_energy(4_000_000, 2_500_000, part=900_000)
    assert counted.read()["energy_joules"] == pytest.approx(3.5)


def test_energy_is_unknown_where_the_kernel_does_not_count_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "POWERCAP", tmp_path / "absent")
    assert "energy_joules" not in Meter(CPU).read()


@pytest.mark.skipif(meter.host_peak_bytes() is None, reason="needs Linux's /proc")
def test_the_peak_is_this_attempts_own() -> None:
    # In a process of its own: here, tests before this one left free memory behind.
    script = """
import torch
from bench.support.cost_meter import Meter, describe_energy
held = torch.ones(50_000_000)
del held
before = Meter(torch.device("cpu")).read()["peak_host_bytes"]
counted = Meter(torch.device("cpu"))
held = torch.ones(75_000_000)
print(counted.read()["peak_host_bytes"] - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert 290_000_000 < int(done.stdout) < 350_000_000


def test_what_is_measured_is_said(
    count_energy: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    count_energy(1)
    assert describe_energy(CPU) == "measured"
    monkeypatch.setattr(meter, "POWERCAP", tmp_path / "absent")
    assert describe_energy(CPU).startswith("not measured: the device counts none")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    assert "pip install 'distillation-bench[energy]'" in describe_energy(torch.device("cuda"))


def test_the_energy_of_gpus_has_an_extra() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert any(line.startswith("nvidia-ml-py") for line in extras["energy"])
