"""Which device, and what made a number."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest
import torch

from bench.support.errors import BenchError
from bench.support.machine import describe_environment, pick_device


def pretend(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted"),
    [(1, False, "cuda"), (2, True, "cuda"), (0, True, "mps"), (0, False, "cpu")],
)
def test_auto_takes_the_fastest(
    monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, wanted: str
) -> None:
    pretend(monkeypatch, cuda, mps)
    assert pick_device("auto") == torch.device(wanted)


@pytest.mark.parametrize("name", ["cpu", "cpu:0", "cuda", "cuda:0", "cuda:1", "mps"])
def test_a_device_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend(monkeypatch, 2, True)
    assert pick_device(name) == torch.device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "cpu:7"])
def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend(monkeypatch, 0, False)
    with pytest.raises(BenchError, match=f"device '{name}' is not available on this machine"):
        pick_device(name)


def test_a_gpu_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 2, False)
    with pytest.raises(BenchError, match="device 'cuda:2' is not available"):
        pick_device("cuda:2")


@pytest.mark.parametrize(
    "name", ["", "gpu0", "CPU", "cpu:x", "cpu:", "cuda:x", "auto:0", "xpu", "meta", "cuda:-1"]
)
def test_what_is_no_device(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend(monkeypatch, 1, True)
    with pytest.raises(BenchError, match=f"unknown device '{name}'.*Known: auto, cpu, cuda, mps"):
        pick_device(name)


def test_the_environment_is_plain_json_and_true() -> None:
    found = describe_environment(torch.device("cpu"))
    assert json.loads(json.dumps(found)) == found
    assert found["device"] == "cpu"
    assert found["device_name"]
    assert found["packages"]["torch"] == version("torch")
    assert found["packages"]["distillation-bench"] == version("distillation-bench")
    assert found["threads"] == torch.get_num_threads()
    assert found["kernels"].startswith(("native", "torch ("))


def test_a_package_that_is_not_installed_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.support.machine._PACKAGES", ("bench-absent-package",))
    monkeypatch.setattr("bench.support.machine._EXTRAS", ())
    found = describe_environment(torch.device("cpu"))
    assert found["packages"] == {"bench-absent-package": "unknown"}


def test_an_extra_is_recorded_where_it_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.support.machine._EXTRAS", ("pytest", "bench_unused_extra"))
    packages = describe_environment(torch.device("cpu"))["packages"]
    assert packages["pytest"] == version("pytest")
    assert "bench_unused_extra" not in packages


@pytest.mark.gpu
def test_the_environment_of_a_gpu() -> None:
    found = describe_environment(pick_device("cuda"))
    assert found["device"] == "cuda"
    assert found["device_name"] == torch.cuda.get_device_name()
