"""What was spent, over several attempts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.support import cost_meter as meter
from bench.support.cost_meter import Meter

CPU = torch.device("cpu")


def test_one_attempt() -> None:
    counted = Meter(CPU)
    sum(range(200_000))
    found = counted.read()
    assert found["attempts"] == 1
    assert found["seconds"] > 0
    assert found["cpu_seconds"] > 0
    json.dumps(found, allow_nan=False)


def test_attempts_add_up_and_the_larger_peak_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "host_peak_bytes", lambda: 500)
    monkeypatch.setattr(meter, "_joules", lambda device: 7.0)
    before = {
        "seconds": 100.0, "cpu_seconds": 50.0, "attempts": 2, "peak_host_bytes": 900,
        "energy_joules": 5.0,
    }  # fmt: skip
    found = Meter(CPU, before).read()
    assert found["attempts"] == 3
    assert 100 <= found["seconds"] < 200
    assert found["cpu_seconds"] >= 50
    assert found["peak_host_bytes"] == 900
    assert found["energy_joules"] == 5.0
    assert Meter(CPU, {**before, "peak_host_bytes": 100}).read()["peak_host_bytes"] == 500


def test_energy_that_was_measured_in_part_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_joules", lambda device: 7.0)
    assert "energy_joules" in Meter(CPU).read()
    assert "energy_joules" not in Meter(CPU, {"seconds": 1.0, "attempts": 1}).read()


def test_a_counter_that_wrapped_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([9.0, 2.0])
    monkeypatch.setattr(meter, "_joules", lambda device: next(values))
    assert "energy_joules" not in Meter(CPU).read()


def test_packages_are_summed_and_their_parts_are_not(tmp_path: Path) -> None:
    for name, value in {
        "intel-rapl:0": 2_000_000,
        "intel-rapl:0:1": 9,
        "intel-rapl:1": 1_000_000,
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{value}\n")
    assert meter._cpu_joules(tmp_path) == 3.0
    assert meter._cpu_joules(tmp_path / "absent") is None


@pytest.mark.skipif(meter.host_peak_bytes() is None, reason="needs Linux's /proc")
def test_the_peak_is_this_attempts_own() -> None:
    # In a process of its own: here, tests before this one left free memory behind.
    script = """
import torch
from bench.support.cost_meter import Meter
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
