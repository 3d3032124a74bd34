"""The command line: one file per group of commands, each loaded only when it is called."""

from __future__ import annotations

import atexit
import gc
import importlib
import signal
import sys
from typing import Any

import click

from bench import __version__
from bench.cli.output import complete_output
from bench.support.errors import BenchError
from bench.support.safe_text import printable
from bench.support.untrusted import Limit

# Command -> (module, attribute, one line); modules are imported when their command is called.
_COMMANDS = {
    "run": ("bench.cli.run", "run", "Distil, evaluate and tabulate a grid."),
    "reproduce": (
        "bench.cli.reproduce",
        "reproduce",
        "Compute and print a paper's table from its recipe.",
    ),
    "evaluate": ("bench.cli.evaluate", "evaluate", "Evaluate a distilled set made elsewhere."),
    "export": (
        "bench.cli.export",
        "export",
        "Write a distilled set for others, with a card.",
    ),
    "table": ("bench.cli.table", "table", "Print the table of what a store holds."),
    "published": (
        "bench.cli.published",
        "published",
        "Print the numbers of papers, each with its source.",
    ),
    "compare": ("bench.cli.compare", "compare", "Compare methods, with intervals and ranks."),
    "plot": ("bench.cli.plot", "plot", "Draw the plots of what a store holds."),
    "report": ("bench.cli.report", "report", "Write what a store holds as one page."),
    "status": ("bench.cli.status", "status", "Say what is done, running, failed and left."),
    "retry": ("bench.cli.retry", "retry", "Run again what failed, stopped or was never reached."),
    "clean": ("bench.cli.clean", "clean", "Remove what a store does not need; asks first."),
    "archive": ("bench.cli.archive", "archive", "Bundle records and artefacts in one file."),
    "merge": ("bench.cli.merge", "merge", "Put the stores of several machines into one."),
    "verify": ("bench.cli.verify", "verify", "Check a store's records and artefacts by hash."),
    "list": ("bench.cli.listing", "list_", "List methods, architectures, datasets, protocols."),
    "show": ("bench.cli.show", "show", "Show one plugin: parameters, profiles, reference."),
    "data": ("bench.cli.data", "data", "Fetch, import, list and verify datasets."),
    "speed": ("bench.cli.speed", "speed", "Measure how fast this machine does each stage."),
    "env": ("bench.cli.env", "env", "Show versions, devices, threads, commit and folders."),
    "new": ("bench.cli.new", "new", "Write a package for a plugin of your own."),
    "conform": ("bench.cli.conform", "conform", "Check that a plugin keeps the contract."),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported on use, so that help needs nothing heavy."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS:
            from bench.support.errors import UnknownNameError

            raise UnknownNameError("command", args[0], _COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])

    def main(self, *args: Any, **extra: Any) -> Any:
        # What click prints of a wrong command line takes three lines in another style than ours.
        is_standalone = extra.pop("standalone_mode", True)
        # At its end Python would collect garbage, which takes a second among the objects of torch.
        atexit.register(gc.freeze)
        with complete_output():
            try:
                result = super().main(*args, **{**extra, "standalone_mode": False})
            except click.UsageError as error:
                if not is_standalone:
                    raise
                sys.exit(_print_usage_error(error))
            except click.Abort:
                if not is_standalone:
                    raise
                click.echo("stopped: nothing was confirmed", err=True)
                sys.exit(1)
        if is_standalone:
            sys.exit(result if isinstance(result, int) else 0)
        return result

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BenchError as error:
            click.secho(
                f"error: {printable(str(error))[: Limit.ERROR_LETTERS]}", fg="red", err=True
            )
            sys.exit(2)
        except KeyboardInterrupt as stop:
            name = str(stop) or "SIGINT"  # a second signal says which, see bench.support.stopping
            click.echo(f"stopped at once by {name}", err=True)
            number = signal.Signals.__members__.get(name, signal.SIGINT)
            sys.exit(128 + number)


def _print_usage_error(error: click.UsageError) -> int:
    """Print what is wrong with a command line, in one line; return the exit code."""
    from bench.cli.usage_errors import describe_usage_error

    text = printable(describe_usage_error(error))[: Limit.ERROR_LETTERS]
    click.secho(f"error: {text}", fg="red", err=True)
    return 2


_HELP = """Compare dataset distillation methods, fairly.

A first run, on data that comes with the package:

\b
    bench run -m random,dm,gan,dim -d digits --ipc 1,10,50 --profile smoke

`bench COMMAND --help` ends with examples. docs/running.md has a line for each shell that lets TAB
complete names.
"""


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, help=_HELP)
@click.version_option(__version__, prog_name="bench")
def main() -> None:
    """Compare dataset distillation methods, fairly."""
