"""Kernels are compiled once; without a compiler, the reason is given."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

import pytest
from run_digits import run_digits

from bench.networks.cpu_kernels import compiler, library
from bench.support.time_limit import TimeLimitError, time_limit


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of stored kernels, empty, and no switches."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.delenv("BENCH_NATIVE", raising=False)
    return tmp_path / "cache/distillation-bench/native"


needs_compiler = pytest.mark.skipif(
    compiler.choose_compiler() is None, reason="no C++ compiler here"
)


@pytest.fixture(scope="module")
def compiles_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiler that gives again what it made before: compiling takes three seconds."""
    path = tmp_path_factory.mktemp("compiler") / "c++"
    path.write_text(
        f"""#!/bin/sh
[ "$1" = --version ] && exec {compiler.choose_compiler()} --version
for output; do :; done
made={path}-$(basename "$output")
[ -f "$made" ] || {{ {compiler.choose_compiler()} "$@" && cp "$output" "$made"; }} || exit 1
cp "$made" "$output"
"""
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def counted(compiles_once: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Use that compiler; return a list that gets an item for each use in this process."""
    monkeypatch.setenv("CXX", os.fspath(compiles_once))
    uses: list[str] = []
    compile_kernels = library.compile_kernels

    def count(command: list[str]) -> bytes:
        uses.append(command[0])
        return compile_kernels(command)

    monkeypatch.setattr(library, "compile_kernels", count)
    return uses


@needs_compiler
def test_compiled_once_and_made_again_when_damaged(
    folder: Path, tmp_path: Path, counted: list[str]
) -> None:
    first = library.load_library()
    assert first.kernels is not None, first.reason
    [stored] = folder.iterdir()
    stamp = stored.stat().st_mtime_ns
    assert library.load_library().kernels is not None
    assert stored.stat().st_mtime_ns == stamp

    assert len(counted) == 1

    os.truncate(stored, 20_000)
    again = library.load_library()
    assert again.kernels is not None
    assert again.remarks[0].startswith(f"the compiled kernels '{stored}' are not used")
    assert library.load_library().remarks == ()
    assert len(counted) == 2
    assert not list((tmp_path / "temporary").iterdir()), "nothing half-made is left"


@needs_compiler
@pytest.mark.usefixtures("counted")
def test_opened_kernels_do_not_depend_on_their_file(folder: Path) -> None:
    opened = library.load_library().kernels
    assert opened is not None
    [stored] = folder.iterdir()
    os.truncate(stored, 0)
    assert opened.block_forward_float32


def test_the_name_depends_on_all_that_goes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    name = compiler.choose_compiler()
    if name is None:
        pytest.skip("no C++ compiler here")
    command = compiler.compiler_command(name)
    here = compiler.fingerprint(command)
    assert compiler.fingerprint(compiler.compiler_command(f"{name} -g")) != here
    monkeypatch.setattr(compiler, "processor_features", lambda: "flags: none")
    assert compiler.fingerprint(command) != here


def test_no_compiler_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert library.load_library() == library.Library(None, "no C++ compiler found")


BROKEN = {
    "fails": ("echo no such luck >&2; exit 1", "no such luck"),
    "prints what is not UTF-8": (r"printf '\377 no' >&2; exit 1", "\ufffd no"),
    "writes nothing": ("exit 0", "kernels.so"),
    "writes an empty file": ('for last; do :; done; : > "$last"', "too short"),
    "writes no library": ('for last; do :; done; echo "a long text" > "$last"', "kernels.so"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_compiler_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path, how: str
) -> None:
    script, reason = BROKEN[how]
    broken = tmp_path / "c++"
    broken.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit 0\n{script}\n')
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", os.fspath(broken))
    broken_one = library.load_library()
    assert broken_one.kernels is None
    assert reason in broken_one.reason
    assert not list(folder.iterdir()), "nothing that cannot be opened is stored"


@pytest.mark.parametrize("name", ["no-such-compiler", "c++ 'unbalanced", " ", "/dev/null", "false"])
def test_a_compiler_that_cannot_be_started_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("CXX", name)
    result = library.load_library()
    assert result.kernels is None
    assert result.reason


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_NATIVE", "0")
    assert library.load_library() == library.Library(None, "BENCH_NATIVE=0")


def test_each_source_is_compiled_by_itself_and_all_are_linked(tmp_path: Path) -> None:
    log = tmp_path / "commands"
    logging = tmp_path / "c++"
    logging.write_text(
        f'#!/bin/sh\necho "$*" >> {log}\nfor output; do :; done\necho made > "$output"\n'
    )
    logging.chmod(0o755)
    assert compiler.compile_kernels([os.fspath(logging), "-O1"]) == b"made\n"
    *compiled, linked = [line.split() for line in log.read_text().splitlines()]
    sources = sorted(Path(compiler.__file__).parent.glob("*.cpp"))
    assert sorted(words[words.index("-c") + 1] for words in compiled) == list(map(str, sources))
    assert {words[-1] for words in compiled} <= set(linked)
    assert "-shared" in linked
    assert all("-O1" in words for words in [*compiled, linked])


def test_kernels_are_expected_before_they_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    @cache
    def compiled() -> library.Library:
        return library.Library(None, "it failed")

    monkeypatch.setattr(library, "loaded_once", compiled)
    monkeypatch.setenv("CXX", "some-compiler")
    assert library.kernels_are_expected()
    assert not compiled.cache_info().currsize, "nothing was compiled to find out"
    monkeypatch.setenv("BENCH_NATIVE", "0")
    assert not library.kernels_are_expected()
    monkeypatch.delenv("BENCH_NATIVE")
    compiled()
    assert not library.kernels_are_expected()
    monkeypatch.setattr(library, "loaded_once", cache(library.load_library))
    monkeypatch.setattr(library, "choose_compiler", lambda: None)
    assert not library.kernels_are_expected()


def test_records_say_what_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = library.Library(None, "no C++ compiler found")
    monkeypatch.setattr(library, "library", lambda: missing)
    assert library.describe_kernels() == "torch (no C++ compiler found)"
    monkeypatch.setattr(library, "library", lambda: library.Library(ctypes.CDLL(None)))
    assert library.describe_kernels() == "native"


def test_a_run_says_once_what_is_wrong_with_stored_kernels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data_dir: Path
) -> None:
    monkeypatch.setattr("bench.grid.compute.kernel_remarks", lambda: ("the file is no good",))
    _, reporter = run_digits(tmp_path / "store", data_dir, "random", [1, 2])
    assert reporter.notes.count("the file is no good") == 1


@needs_compiler
@pytest.mark.usefixtures("counted")
def test_bench_env_says_what_is_wrong_with_stored_kernels(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-m", "bench", "env", "--json", "--store", str(tmp_path / "store")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["kernels"] == "native"
    assert f"'{folder}': others can write to it (its mode is 0777)" in done.stderr


def test_a_time_limit_ends_the_waiting_for_kernels_and_not_their_compiling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []
    began = threading.Event()

    @cache
    def slow() -> library.Library:
        calls.append(threading.current_thread().name)
        began.set()
        time.sleep(1.5)
        return library.Library(None, "slow")

    monkeypatch.setattr(library, "loaded_once", slow)
    library.prepare_kernels()
    assert began.wait(30)
    with pytest.raises(TimeLimitError), time_limit(0.1):
        library.library()
    assert library.library().reason == "slow"
    library.prepare_kernels()  # there is nothing left to prepare
    assert calls == ["kernels"]
