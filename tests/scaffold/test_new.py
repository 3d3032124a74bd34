"""``bench new``: packages that conform, install beside bench, and run by name; refused names."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.cli import main
from bench.registry.names import check_plugin_name
from bench.scaffold.package import KINDS
from bench.support.errors import BenchError

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install one package of each kind into a folder of its own, and return it."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("needs setuptools, to build a package without a network")
    root = tmp_path_factory.mktemp("packages")
    for kind in KINDS:
        result = run("new", kind, f"my-{kind}", "-o", root)
        assert result.exit_code == 0, result.output
    packages = sorted(root.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--target", str(root / "site"), *map(str, packages)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return root


def elsewhere(installed: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that sees the installed packages."""
    path = os.pathsep.join([str(installed / "site"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def test_what_is_written(tmp_path: Path) -> None:
    result = run("new", "method", "two-words", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    root = tmp_path / "bench-two-words"
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert files == {
        "pyproject.toml", "README.md", "bench_two_words/__init__.py", "bench_two_words/py.typed",
        "tests/test_conformance.py",
    }  # fmt: skip
    assert 'two-words = "bench_two_words:TwoWords"' in (root / "pyproject.toml").read_text()
    for path in root.rglob("*"):
        assert not path.is_file() or "$" not in path.read_text(), f"{path.name} has a blank"


def test_the_packages_own_tests_pass(installed: Path) -> None:
    """In one process, which imports torch for seconds; their files have the same name."""
    folders = [str(installed / f"bench-my-{kind}" / "tests") for kind in KINDS]
    done = elsewhere(installed, "pytest", "-v", "-p", "no:cacheprovider",
                     "--import-mode=importlib", "--rootdir", str(installed), *folders)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in KINDS:
        assert re.search(rf"bench-my-{kind}/tests/\S+::.* PASSED", done.stdout), done.stdout


def test_all_three_run_in_a_grid_by_name(installed: Path, tmp_path: Path, data_dir: Path) -> None:
    done = elsewhere(
        installed, "bench", "run", "--method", "random,my-method", "--dataset", "my-dataset",
        "--ipc", "1", "--arch", "my-architecture(width=8)", "--profile", "smoke",
        "--eval-nets", "1", "--store", str(tmp_path / "store"), "--data-dir",
        str(tmp_path / "data"), "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert {row["method"] for row in json.loads(done.stdout)["results"]} == {"random", "my-method"}
    assert data_dir.exists()


def test_what_installed_files_look_like_to_a_linter(installed: Path) -> None:
    files = [str(installed / f"bench-my-{kind}" / f"bench_my_{kind}") for kind in KINDS]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length=100",
         "--select=E,F,W,UP,B", *files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("metod", "x"), "unknown plugin kind 'metod'"),
        (("method", "a,b/../c"), "cannot be asked for"),
        (("method", "all"), "means every method"),
        (("method", "dm"), "exists already"),
        (("method", "Mine"), "lower-case"),
        (("method", "1st"), "a letter first"),
        (("method", "true"), "a word of Python"),
        (("dataset", "cifar10"), "exists already"),
    ],
)
def test_refused_names(tmp_path: Path, arguments: tuple[str, str], words: str) -> None:
    result = run("new", *arguments, "-o", tmp_path)
    assert result.exit_code == 2
    assert words in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_never_overwritten(tmp_path: Path) -> None:
    assert run("new", "method", "mine", "-o", tmp_path).exit_code == 0
    result = run("new", "method", "mine", "-o", tmp_path)
    assert result.exit_code == 2
    assert "exists already" in result.output


@pytest.mark.parametrize("name", ["", "a,b", "a b", "../c", "a.b", "a:b", "a(b)", "-a", None])
def test_names_that_cannot_be_asked_for(name: object) -> None:
    with pytest.raises(BenchError, match="method"):
        check_plugin_name("method", name)


@pytest.mark.parametrize("name", ["dm", "k-means", "resnet18_ap", "3d"])
def test_names_that_can(name: str) -> None:
    check_plugin_name("method", name)
