"""Kernels are compiled once; without a compiler, the reason is given."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from bench.networks.cpu_kernels import library


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("BENCH_NATIVE", raising=False)


needs_compiler = pytest.mark.skipif(
    library.default_compiler() is None, reason="no C++ compiler here"
)


@needs_compiler
def test_compiled_once_and_found_again(tmp_path: Path) -> None:
    compiler = library.default_compiler()
    assert compiler is not None
    first = library.compiled(compiler)
    stamp = first.stat().st_mtime_ns
    assert library.compiled(compiler) == first
    assert first.stat().st_mtime_ns == stamp
    assert [p.suffix for p in first.parent.iterdir()] == [".so"], "nothing half-made is left"
    assert tmp_path in first.parents


@needs_compiler
def test_other_options_are_another_library() -> None:
    compiler = library.default_compiler()
    assert compiler is not None
    assert library.compiled(compiler) != library.compiled(f"{compiler} -g")


@needs_compiler
def test_another_processor_is_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = library.default_compiler()
    assert compiler is not None
    here = library.compiled(compiler)
    monkeypatch.setattr(library, "processor_features", lambda: "flags: none")
    assert library.compiled(compiler) != here


def test_no_compiler_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "COMPILERS", ())
    monkeypatch.delenv("CXX", raising=False)
    assert library.load_library() == library.Library(None, "no C++ compiler found")


def test_a_failing_compiler_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "c++"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\necho no such luck >&2\nexit 1\n')
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", os.fspath(broken))
    broken_one = library.load_library()
    assert broken_one.kernels is None
    assert "no such luck" in broken_one.reason


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_NATIVE", "0")
    assert library.load_library() == library.Library(None, "BENCH_NATIVE=0")


def test_records_say_what_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = library.Library(None, "no C++ compiler found")
    monkeypatch.setattr(library, "library", lambda: missing)
    assert library.describe_kernels() == "torch (no C++ compiler found)"
    monkeypatch.setattr(library, "library", lambda: library.Library(ctypes.CDLL(None)))
    assert library.describe_kernels() == "native"
