"""The README's commands are what CI runs, and every option they name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = re.compile(r"^bench (\w+)(.*)$", re.MULTILINE)
# Those that show commands, by their path.
PAGES = {
    page.relative_to(ROOT).as_posix(): commands
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if (commands := SHOWN.findall(page.read_text(encoding="utf-8")))
}


def command(name: str) -> str:
    found = re.search(rf"<!-- ci:{name} -->\n```bash\n(.*)\n```", README)
    assert found is not None
    return found[1]


def test_one_command_installs_and_runs_the_main_job() -> None:
    text = command("run")
    assert text.startswith("python3 -m venv .venv && . .venv/bin/activate && pip install -e . && ")
    assert "--method random,dm,gan,dim --dataset digits --ipc 1,10,50" in text


def test_one_command_installs_and_tests() -> None:
    ending = "pip install -e '.[test]' && pytest -n auto --dist worksteal"
    assert command("test").endswith(ending)


def test_the_table_is_what_its_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    before, _, after = README.partition("<!-- ci:table -->\n```bash\n")
    words = after.partition("\n```")[0].replace("\\\n", " ").split()
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(main, words[1:])
    assert result.exit_code == 0, result.output
    printed = [line for line in result.stdout.splitlines() if line.startswith("|")]
    assert printed == before.rstrip().splitlines()[-len(printed) :]
    for name in ("MNIST IPC 1", "FashionMNIST", "SVHN", "CIFAR-10 IPC 50"):
        assert name in printed[0]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_shown_exists(page: str) -> None:
    for name, rest in PAGES[page]:
        assert name in main.list_commands(None)
        loaded = main.get_command(None, name)
        known = {o for p in loaded.params for o in p.opts}
        known |= {o for c in getattr(loaded, "commands", {}).values() for p in c.params
                  for o in (*p.opts, *p.secondary_opts)}  # fmt: skip
        for option in re.findall(r"(--[a-z-]+)", rest.split("#")[0].split("&&")[0]):
            assert option in known, f"bench {name} {option}"
