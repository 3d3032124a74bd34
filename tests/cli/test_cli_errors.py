"""Bad input: exit code 2, one clear message, no traceback, nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BASE = {"--method": "random", "--dataset": "digits", "--ipc": "1", "--profile": "smoke"}


def bench(*arguments: str, cwd: Path, data: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        capture_output=True, text=True, cwd=cwd, check=False, timeout=120,
        env={**os.environ, "BENCH_DATA": str(data), "NO_COLOR": "1"},
    )  # fmt: skip


def run_arguments(**changes: str) -> list[str]:
    options = {**BASE, **{f"--{k.replace('_', '-')}": v for k, v in changes.items()}}
    return ["run", *(part for pair in options.items() for part in pair)]


def assert_clean_error(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    for word in words:
        assert word in result.stderr, result.stderr
    assert len(result.stderr.strip().splitlines()) <= 6, result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ipc", "1"], "name at least one --method: cafe"),
        (["--dataset", "digits"], "name at least one --method: cafe"),
        (["--method", "random"], "name at least one --dataset"),
    ],
)
def test_what_must_be_named_is_missing(
    options: list[str], words: str, tmp_path: Path, data_dir: Path
) -> None:
    assert_clean_error(bench("run", *options, cwd=tmp_path, data=data_dir), words)


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
    changes: dict[str, str], words: list[str], tmp_path: Path, data_dir: Path
) -> None:
    result = bench(*run_arguments(**changes), cwd=tmp_path, data=data_dir)
    assert_clean_error(result, *words)
    assert not list(tmp_path.glob("results/runs/cells/*"))


def test_a_setting_that_is_given_twice(tmp_path: Path, data_dir: Path) -> None:
    twice = [*run_arguments(method="dm", set="dm.iterations=1"), "--set", "dm.iterations=2"]
    assert_clean_error(
        bench(*twice, cwd=tmp_path, data=data_dir), "--set gives dm.iterations twice: 1 and 2"
    )


def test_unknown_command(tmp_path: Path, data_dir: Path) -> None:
    assert_clean_error(bench("rum", cwd=tmp_path, data=data_dir), "unknown command", "'run'")


def test_store_that_is_a_file(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "store").write_text("not a folder")
    result = bench(*run_arguments(store="store"), cwd=tmp_path, data=data_dir)
    assert_clean_error(result, "store' cannot be used: File exists")
    result = bench("table", "--store", "store", cwd=tmp_path, data=data_dir)
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
    text: str, words: list[str], tmp_path: Path, data_dir: Path
) -> None:
    (tmp_path / "mine.py").write_text(text)
    result = bench(*run_arguments(plugin="mine.py"), cwd=tmp_path, data=data_dir)
    assert_clean_error(result, "mine.py", *words)


def test_file_that_is_no_dataset(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"this is no archive")
    result = bench("data", "import", "mine", "x.npz", cwd=tmp_path, data=data_dir)
    assert_clean_error(result, "x.npz")
    assert not (data_dir / "mine.safetensors").exists()


def test_no_network_says_how_to_import(tmp_path: Path) -> None:
    blocked = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    result = subprocess.run(
        [sys.executable, "-m", "bench", *run_arguments(dataset="mnist")],
        capture_output=True, text=True, cwd=tmp_path, check=False, timeout=300,
        env={**os.environ, **blocked, "BENCH_DATA": str(tmp_path / "data")},
    )  # fmt: skip
    assert_clean_error(result, "mnist", "bench data import")


def test_config_with_unknown_key(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "grid.toml").write_text('methd = "random"\n')
    result = bench(*run_arguments(config="grid.toml"), cwd=tmp_path, data=data_dir)
    assert_clean_error(result, "methd", "Did you mean 'method'?", "seeds, set, stored_as,")
