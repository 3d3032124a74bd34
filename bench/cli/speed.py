"""``bench speed``: how fast this machine does each stage of the work."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from pathlib import Path

import click

from bench.cli.options import CommaList, examples, load_plugins, plugin_option


@click.command(
    epilog=examples(
        "bench speed",
        "bench speed --device cuda --json",
    )
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--precision", type=CommaList(), default="fp32,bf16", show_default=True,
              help="How networks compute.")  # fmt: skip
@click.option("--stage", type=CommaList(), help="Some stages only, by name.  [default: all]")
@click.option(
    "--repeats", type=int, metavar="N", default=5, show_default=True, help="Timed runs, 5 or more."
)
@click.option("--seconds", type=float, metavar="NUMBER", default=3.0, show_default=True,
              help="About how long each run takes; one unit of work at least.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False),
              help="Write the tables to a Markdown file too.")  # fmt: skip
@plugin_option
def speed(
    device: str, precision: list[str], stage: list[str] | None, repeats: int, seconds: float,
    as_json: bool, output: Path | None, plugins: tuple[Path, ...],
) -> None:  # fmt: skip
    """Measure each stage of the work in images per second.

    Each is compared with the best that this device does. It takes about five minutes, and the
    figures hold on a quiet machine only. In a checkout of bench, tests/speed/compare.py compares
    with plain loops as the papers' code has them.
    """
    load_plugins(plugins)
    from bench.speed.machine import busy_warning, load_average
    from bench.speed.session import Plan, measure
    from bench.speed.stages import STAGES
    from bench.support.machine import pick_device

    plan = Plan(pick_device(device), precision, stage or tuple(STAGES), repeats, seconds)
    if output is not None:
        _check_writable(output)
    warning = busy_warning(load_average())
    if warning:
        click.secho(f"warning: {warning}", fg="yellow", err=True)
    record = measure(plan, _command(), lambda text: click.echo(text, err=True))
    if output is not None:
        from bench.speed.report import speed_section
        from bench.support.atomic_files import replacing, writing
        from bench.support.markdown import markdown

        with writing(output), replacing(output) as temporary:
            temporary.write_text(markdown([speed_section(record)]), encoding="utf-8")
        click.echo(f"written: {output}", err=True)
    if as_json:
        click.echo(json.dumps(record, indent=2))
        return
    from rich.console import Console

    from bench.speed.report import print_speed

    print_speed(record, Console())


def _check_writable(path: Path) -> None:
    """Find out before ten minutes of measuring whether a file can be written.

    Raises:
        BenchError: if it cannot.
    """
    from bench.support.atomic_files import writing

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()


def _command() -> str:
    """Return the command as it was typed."""
    return shlex.join(["bench", *sys.argv[1:]])
