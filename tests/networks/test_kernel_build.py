"""Kernels are compiled once, and whoever cannot compile them is told why."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

import pytest

from bench.networks.cpu_kernels import build


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("BENCH_NATIVE", raising=False)


needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, build._COMPILERS)), reason="no C++ compiler here"
)


@needs_compiler
def test_compiled_once_and_found_again(tmp_path: Path) -> None:
    compiler = next(filter(shutil.which, build._COMPILERS))
    first = build._compiled(compiler)
    stamp = first.stat().st_mtime_ns
    assert build._compiled(compiler) == first
    assert first.stat().st_mtime_ns == stamp
    assert [p.suffix for p in first.parent.iterdir()] == [".so"], "nothing half-made is left"
    assert tmp_path in first.parents


@needs_compiler
def test_other_options_are_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [next(filter(shutil.which, build._COMPILERS))]
    folder = Path(build.__file__).parent
    one = build._fingerprint(folder, command)
    assert one == build._fingerprint(folder, command)
    assert one != build._fingerprint(folder, [*command, "-g"])
    monkeypatch.setattr(build, "_processor", lambda: "flags: none")
    assert one != build._fingerprint(folder, command)


def test_no_compiler_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_COMPILERS", ())
    monkeypatch.delenv("CXX", raising=False)
    assert build._library.__wrapped__() == build.Library(None, "no C++ compiler found")


def test_a_failing_compiler_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "c++"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\necho no such luck >&2\nexit 1\n')
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", os.fspath(broken))
    found = build._library.__wrapped__()
    assert found.kernels is None
    assert "no such luck" in found.reason


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_NATIVE", "0")
    assert build._library.__wrapped__() == build.Library(None, "BENCH_NATIVE=0")


def test_records_say_what_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = build.Library(None, "no C++ compiler found")
    monkeypatch.setattr(build, "_library", lambda: missing)
    assert build.describe_kernels() == "torch (no C++ compiler found)"
    monkeypatch.setattr(build, "_library", lambda: build.Library(ctypes.CDLL(None)))
    assert build.describe_kernels() == "native"
