"""Rates of a device: what they say of work, and how long they are kept."""

from __future__ import annotations

import time

import pytest
import torch

from bench.grid import measured_rates
from bench.grid.measured_rates import device_rates
from bench.grid.rates import Rates
from bench.grid.work import Work

CPU = torch.device("cpu")


@pytest.fixture
def measured(own_cache, monkeypatch) -> list[Rates]:
    """Return the rates that were measured, of a machine without a cache."""
    made: list[Rates] = []

    def measure(_device: torch.device) -> Rates:
        made.append(Rates({"conv float32": 1e9}, {"float32": 1e9}, 1e6))
        return made[-1]

    monkeypatch.setattr(measured_rates, "measure_rates", measure)
    return made


def test_times_of_all_kinds_add_up() -> None:
    device = Rates({"conv float32": 10.0, "matmul float32": 5.0}, {"float32": 4.0}, 2.0)
    assert device.seconds(Work({"conv float32": 20.0}, {"float32": 8.0}, 6.0)) == 2 + 2 + 3
    assert device.seconds(Work({"conv float64": 20.0})) == 4, "an unknown kind goes slowest"
    assert device.seconds(Work()) == 0


def test_a_device_is_measured_once(measured) -> None:
    assert device_rates(CPU) == device_rates(CPU) == measured[0]
    assert len(measured) == 1


def test_old_rates_are_measured_again(measured, monkeypatch) -> None:
    device_rates(CPU)
    later = time.time() + 31 * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    device_rates(CPU)
    assert len(measured) == 2


@pytest.mark.parametrize("what", ["torch.get_num_threads", "torch.__version__"])
def test_rates_of_another_setting_are_measured_again(measured, monkeypatch, what: str) -> None:
    device_rates(CPU)
    other = torch.get_num_threads() + 1
    monkeypatch.setattr(what, "9.9" if "version" in what else lambda: other)
    device_rates(CPU)
    assert len(measured) == 2


def test_another_processor_is_measured_again(measured, monkeypatch) -> None:
    device_rates(CPU)
    monkeypatch.setattr(measured_rates, "device_model", lambda _device: "another")
    device_rates(CPU)
    assert len(measured) == 2


@pytest.mark.parametrize("content", [b"", b"[]", b'{"flops": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_cache_is_measured_again(measured, tmp_path, content: bytes) -> None:
    device_rates(CPU)
    (path,) = tmp_path.rglob("rates-cpu.json")
    path.write_bytes(content)
    device_rates(CPU)
    assert len(measured) == 2


def test_a_measurement_has_every_kind() -> None:
    made = measured_rates.measure_rates(CPU)
    kinds = {f"{kind} {dtype}" for kind in ("conv", "matmul") for dtype in ("float32", "bfloat16")}
    assert set(made.flops) == kinds
    assert set(made.bytes) == {"float32", "bfloat16"}
    assert all(rate > 0 for rate in (*made.flops.values(), *made.bytes.values(), made.calls))
