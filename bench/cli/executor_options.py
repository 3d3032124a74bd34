"""The options that say where cells are computed; every command that computes has them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from bench.cli.options import FiniteRange
from bench.executors.choose import take_options

_WHOLE = click.IntRange(min=0)
_OPTIONS = (
    click.option("--executor", default="local", show_default=True,
                 help="local, ray or slurm: who computes the cells."),
    click.option("--workers", type=_WHOLE, metavar="N",
                 help="local: this many processes; 0 computes in this one.  [default: one, or one "
                 "per GPU; 0 for the smoke profile]"),
    click.option("--threads", type=click.IntRange(min=1), metavar="N",
                 help="Threads of each process that computes; results are bit-identical for the "
                 "same number.  [default: the cores, divided among the processes]"),
    click.option("--address", metavar="HOST:PORT",
                 help="ray: a running cluster, or auto.  [default: one is started here]"),
    click.option("--gpus-per-cell", type=FiniteRange(min=0), metavar="N",
                 help="ray: may be a fraction.  [default: 1 where there are GPUs]"),
    click.option("--cpus-per-cell", type=FiniteRange(min=0, min_open=True), metavar="N",
                 help="ray.  [default: 1]"),
    click.option("--slurm", multiple=True, metavar="KEY=VALUE",
                 help="slurm: time=8h, partition=gpu, cpus_per_task=4, gpus_per_task=1, limit=64, "
                 "or an option of sbatch; repeatable."),
    click.option("--detach", is_flag=True,
                 help="slurm: submit and return; the same command watches."),
)  # fmt: skip


def executor_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as one ``chosen``, an ``ExecutorOptions``.

    Results are bit-identical wherever cells are computed, as long as the kind of machine and the
    threads of a process (``--threads``) stay the same.
    """

    @functools.wraps(command)
    def collected(**given: Any) -> Any:
        chosen = take_options(given)
        chosen.check()
        return command(chosen=chosen, **given)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected
