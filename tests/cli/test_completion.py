"""Shell completion, as a shell asks for it: names of plugins, without torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import main
from bench.registry.registry import ARCHITECTURES, METHODS
from bench.report.recipes.read import built_in_recipes

ROOT = Path(__file__).parents[2]


def complete(line: str, **environment: str) -> list[str]:
    """Return what a shell would offer for the last word of a command line."""
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    result = CliRunner().invoke(
        main,
        [],
        prog_name="bench",
        env={**asked, "_BENCH_COMPLETE": "bash_complete", **environment},
    )
    return [offered.removeprefix("plain,") for offered in result.output.split()]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("bench run -m dm,d", ["dm,dc", "dm,dim", "dm,dsa"]),
        ("bench run -m dm,nothing", []),
        ("bench run --eval-arch vgg", ["vgg11"]),
        ("bench run --profile ", ["paper", "day", "lite", "smoke"]),
        ("bench run --protocol qu", ["quick", "quick-v1"]),
        ("bench run --recompute di", ["dim"]),
        ("bench run --mode ", ["stream", "frozen"]),
        ("bench table --method herd", ["herding"]),
        ("bench plot accuracy --protocol smoke-", ["smoke-v1"]),
        ("bench evaluate x.pt --dataset dig", ["digits"]),
        ("bench show plain", ["plain", "plain-v1"]),
        ("bench conform gan", ["gan"]),
        ("bench reproduce ", [recipe.name for recipe in built_in_recipes()]),
        ("bench list prot", ["protocols"]),
        ("bench data verify dig", ["digits"]),
        ("bench ver", ["verify"]),
    ],
)  # fmt: skip
def test_names(line: str, names: list[str]) -> None:
    assert complete(line) == names


def test_every_registered_name_is_offered() -> None:
    assert complete("bench run --method ") == METHODS.names()
    others = [name for name in ARCHITECTURES.names() if name != "convnet3"]
    assert complete("bench run --arch convnet3,") == [f"convnet3,{name}" for name in others]


def test_a_dataset_of_the_data_folder_is_offered(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "my-pets.safetensors").symlink_to(data_dir / "digits.safetensors")
    assert complete("bench run -d my", BENCH_DATA=str(tmp_path)) == ["my-pets"]
    assert complete(f"bench run --data-dir {tmp_path} -d my") == ["my-pets"]
    assert complete("bench run -d my", BENCH_DATA=str(data_dir)) == []


def test_completion_never_imports_torch() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from bench.cli import main\n"
        "main(prog_name='bench')\n"
    )
    for line in ("bench run --method ran", "bench run --arch ml", "bench run -d dig"):
        asked = {"COMP_WORDS": line, "COMP_CWORD": "3", "_BENCH_COMPLETE": "bash_complete"}
        result = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True,
            text=True, check=False, timeout=60,
        )  # fmt: skip
        assert result.stdout.startswith("plain,"), result.stderr


@pytest.mark.parametrize("option", ["--plugin", "--store", "--data-dir", "--config"])
def test_the_shell_completes_paths(option: str) -> None:
    (offered,) = complete(f"bench run {option} gri")
    assert offered in ("file,gri", "dir,gri")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_real_bash_takes_the_line_that_the_docs_give(tmp_path: Path) -> None:
    line = 'eval "$(_BENCH_COMPLETE=bash_source bench)"'
    assert line in (ROOT / "docs/running.md").read_text()
    command = tmp_path / "bench"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bench "$@"\n')
    command.chmod(0o755)
    script = (
        f"{line}\nCOMP_WORDS=(bench run -m dm,ra)\nCOMP_CWORD=3\n"
        '$(complete -p bench | sed "s/.*-F \\([^ ]*\\) .*/\\1/") bench\n'
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    # The command that completes runs in this shell, or its answer would be lost.
    script = script.replace("$(complete", "eval $(complete")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env={**os.environ, "PATH": path},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout.split() == ["dm,random"], done.stderr


@pytest.mark.parametrize(
    ("shell", "begins"),
    [("bash", "_bench_completion() {"), ("zsh", "#compdef bench"), ("fish", "function _bench_")],
)
def test_each_shell_of_the_docs_gets_its_script(shell: str, begins: str) -> None:
    assert f"_BENCH_COMPLETE={shell}_source bench" in (ROOT / "docs/running.md").read_text()
    result = CliRunner().invoke(
        main, [], prog_name="bench", env={"_BENCH_COMPLETE": f"{shell}_source"}
    )
    assert result.exit_code == 0, result.output
    assert begins in result.output
