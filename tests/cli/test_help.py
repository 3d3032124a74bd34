"""The help of every command: options in groups, and examples that the command accepts."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from click.testing import CliRunner

from bench.cli import main

GROUPED = ("run", "reproduce", "retry", "evaluate")


def commands() -> dict[str, click.Command]:
    """Return every command by what is typed after ``bench``."""
    context = click.Context(main)
    found = {}
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}": each for sub, each in command.commands.items()}
    return found


COMMANDS = commands()


def help_of(name: str) -> str:
    result = CliRunner().invoke(main, [*name.split(), "--help"])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_examples_that_the_command_accepts(name: str) -> None:
    _, _, end = help_of(name).partition("\n  Examples:\n")
    lines = [line.strip() for line in end.strip().splitlines()]
    assert lines
    for line in lines:
        assert line.startswith(f"bench {name}"), line
        words = shlex.split(line)[1:]
        command, label = COMMANDS[name], name
        if isinstance(command, click.Group):
            label = " ".join(words[:2])
            command = COMMANDS[label]
        # Parsing refuses unknown options, wrong values and missing arguments; nothing runs.
        command.make_context(label, words[len(label.split()) :])


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_what_click_must_not_wrap_is_marked_out_of_sight(name: str) -> None:
    text = help_of(name)
    assert "\\b" not in text
    assert "\b" not in text


def test_the_first_run_stands_on_a_line_of_its_own() -> None:
    command = "bench run -m random,dm,gan,dim -d digits --ipc 1,10,50 --profile smoke"
    assert f"\n      {command}\n" in help_of("")


@pytest.mark.parametrize("name", GROUPED)
def test_every_option_is_shown_in_one_group(name: str) -> None:
    shown = re.findall(r"^  (-[\w-]+)(?:, (--[\w-]+))?", help_of(name), flags=re.MULTILINE)
    flags = [flag for pair in shown for flag in pair if flag]
    for param in COMMANDS[name].params:
        if isinstance(param, click.Option):
            assert [flags.count(flag) for flag in param.opts] == [1] * len(param.opts), param.name


def test_run_has_its_groups_in_order() -> None:
    text = help_of("run")
    titles = ["Options:", "What to compute:", "Where:", "How:", "Executors:", "Examples:"]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    for option, title, after in (
        ("--ipc", "What to compute:", "Where:"),
        ("--store", "Where:", "How:"),
        ("--time-budget", "How:", "Executors:"),
        ("--workers", "Executors:", "Examples:"),
    ):
        assert text.index(title) < text.index(f"  {option} ") < text.index(after)


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_a_screen_of_80_columns(name: str) -> None:
    result = CliRunner(env={"COLUMNS": "80"}).invoke(main, [*name.split(), "--help"])
    assert [line for line in result.output.splitlines() if len(line) > 80] == []
    # What click calls types says nothing to a newcomer.
    for word in (" RANGE", "x<=None", "``", "\n  SOURCE\n", "\n  [NAME]\n"):
        assert word not in result.output, word


def test_a_recipe_has_its_own_numbers_of_seeds_and_networks() -> None:
    text = " ".join(help_of("reproduce").split())
    for option in ("--seeds N", "--eval-nets N", "--protocol NAME"):
        assert "[default: the recipe's]" in text[text.index(option) :][:140], option
