"""Bad input: exit code 2, one clear message, no traceback, nothing half-written."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from processes.bench_processes import Ended

from bench.cli import main

BASE = {"--method": "random", "--dataset": "digits", "--ipc": "1", "--profile": "smoke"}
Bench = Callable[..., Ended]


@pytest.fixture
def bench(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Call bench in an empty folder, and in this process: a new one imports torch for seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_DATA", str(data_dir))
    return in_this_process


def in_this_process(*arguments: str) -> Ended:
    result = CliRunner().invoke(main, arguments)
    error = result.exception
    unhandled = [] if isinstance(error, SystemExit | None) else traceback.format_exception(error)
    return Ended(result.exit_code, result.stdout, result.stderr + "".join(unhandled))


def in_new_process(*arguments: str) -> Ended:
    command = [sys.executable, "-m", "bench", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return Ended(done.returncode, done.stdout, done.stderr)


def run_arguments(**changes: str) -> list[str]:
    options = {**BASE, **{f"--{k.replace('_', '-')}": v for k, v in changes.items()}}
    return ["run", *(part for pair in options.items() for part in pair)]


def assert_clean_error(result: Ended, *words: str) -> None:
    assert result.code == 2, result.out + result.err
    assert "Traceback" not in result.err + result.out
    for word in words:
        assert word in result.err, result.err
    assert len(result.err.strip().splitlines()) <= 6, result.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ipc", "1"], "name at least one --method: cafe"),
        (["--dataset", "digits"], "name at least one --method: cafe"),
        (["--method", "random"], "name at least one --dataset"),
    ],
)
def test_what_must_be_named_is_missing(options: list[str], words: str, bench: Bench) -> None:
    assert_clean_error(bench("run", *options), words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "dmi"}, ["unknown method 'dmi'", "Did you mean"]),
        ({"dataset": "digit"}, ["unknown dataset 'digit'", "Did you mean 'digits'?"]),
        ({"arch": "convnet33"}, ["unknown architecture 'convnet33'", "convnet3"]),
        ({"eval_arch": "resnet19"}, ["unknown architecture 'resnet19'"]),
        ({"protocol": "quik"}, ["unknown protocol 'quik'", "Did you mean 'quick'?"]),
        ({"ipc": "0"}, ["IPC 0"]),
        ({"ipc": "-1"}, ["IPC -1"]),
        ({"ipc": "ten"}, ["IPC 'ten'"]),
        ({"set": "random.x=1"}, ["'x'", "random"]),
        ({"set": "nonsense"}, ["METHOD.KEY=VALUE"]),
        ({"method": "dm", "set": "dm.iterations=-4"}, ["dm.iterations", "at least"]),
        ({"method": "dm", "set": "dm.iterations=many"}, ["dm.iterations", "whole number"]),
        ({"method": "dm", "set": "dm.dsa=colour"}, ["dm.dsa", "Did you mean 'color'?"]),
        ({"checkpoint_every": "nan"}, ["--checkpoint-every", "'nan' is not a finite number"]),
        ({"checkpoint_every": "inf"}, ["--checkpoint-every", "'inf' is not a finite number"]),
        ({"gpus_per_cell": "nan"}, ["--gpus-per-cell", "'nan' is not a finite number"]),
        ({"device": "tpu"}, ["unknown device 'tpu'"]),
        ({"plugin": "missing.py"}, ["missing.py", "does not exist"]),
        ({"config": "missing.toml"}, ["missing.toml"]),
    ],
    ids=lambda value: next(iter(value.items())).__repr__() if isinstance(value, dict) else "",
)
def test_wrong_options(
    changes: dict[str, str], words: list[str], bench: Bench, tmp_path: Path
) -> None:
    result = bench(*run_arguments(**changes))
    assert_clean_error(result, *words)
    assert not list(tmp_path.glob("results/runs/cells/*"))


def test_a_setting_that_is_given_twice(bench: Bench) -> None:
    twice = [*run_arguments(method="dm", set="dm.iterations=1"), "--set", "dm.iterations=2"]
    assert_clean_error(bench(*twice), "--set gives dm.iterations twice: 1 and 2")


@pytest.mark.parametrize("call", [in_this_process, in_new_process])
def test_unknown_command(call: Bench) -> None:
    assert_clean_error(call("rum"), "unknown command", "'run'")


def test_a_new_process_ends_as_cleanly(bench: Bench) -> None:
    arguments = run_arguments(method="dmi")
    result = in_new_process(*arguments)
    assert_clean_error(result, "unknown method 'dmi'")
    assert result == bench(*arguments)


def test_store_that_is_a_file(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("not a folder")
    result = bench(*run_arguments(store="store"))
    assert_clean_error(result, "store' cannot be used: File exists")
    result = bench("table", "--store", "store")
    assert_clean_error(result, "no store at 'store'")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nowhere_to_be_found", ["does not import", "nowhere_to_be_found"]),
        ("def broken(:", ["does not import", "SyntaxError"]),
        ("raise ValueError('no luck')", ["does not import", "no luck"]),
    ],
)
def test_plugin_that_does_not_import(
    text: str, words: list[str], bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(text)
    result = bench(*run_arguments(plugin="mine.py"))
    assert_clean_error(result, "mine.py", *words)


def test_file_that_is_no_dataset(bench: Bench, tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"this is no archive")
    result = bench("data", "import", "mine", "x.npz")
    assert_clean_error(result, "x.npz")
    assert not (data_dir / "mine.safetensors").exists()


def test_no_network_says_how_to_import(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    result = bench(*run_arguments(dataset="mnist"))
    assert_clean_error(result, "mnist", "bench data import")


def test_config_with_unknown_key(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text('methd = "random"\n')
    result = bench(*run_arguments(config="grid.toml"))
    assert_clean_error(result, "methd", "Did you mean 'method'?", "seeds, set, slurm, store,")
