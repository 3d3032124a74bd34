"""The executor of a run, chosen by the options that a user gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.grid.option import option
from bench.support.errors import BenchError, UnknownNameError

if TYPE_CHECKING:
    from bench.grid.runner import Execute

# Each executor with the options that are its own.
EXECUTORS: dict[str, tuple[str, ...]] = {
    "local": ("workers",),
    "ray": ("address", "gpus_per_cell", "cpus_per_cell"),
    "slurm": ("slurm", "detach"),
}


@dataclass(frozen=True)
class ExecutorOptions:
    """Which executor computes the cells, and how.

    Results are bit-identical wherever cells are computed, as long as the kind of machine and the
    threads of a process (``--threads``) stay the same.
    """

    executor: str = option(
        "--executor", "local, ray or slurm: what computes the cells.", default="local"
    )
    workers: int | None = option(
        "--workers", "local: this many processes; 0 computes in this one.", default=None, min=0,
        metavar="N", otherwise="one, or one per GPU; 0 for the smoke profile",
    )  # fmt: skip
    address: str | None = option(
        "--address", "ray: a running cluster, or auto.", default=None, metavar="HOST:PORT",
        otherwise="one is started here",
    )  # fmt: skip
    gpus_per_cell: float | None = option(
        "--gpus-per-cell", "ray: GPUs of a cell; may be a fraction.", default=None, min=0,
        metavar="N", otherwise="1 where there are GPUs",
    )  # fmt: skip
    cpus_per_cell: float | None = option(
        "--cpus-per-cell", "ray: cores of a cell.", default=None, min=0, above_min=True,
        metavar="N", otherwise="1",
    )  # fmt: skip
    slurm: tuple[str, ...] = option(
        "--slurm", "slurm: time=8h, partition=gpu, cpus_per_task=4, gpus_per_task=1, limit=64, or "
        "an option of sbatch; repeatable.", default=(), metavar="KEY=VALUE",
    )  # fmt: skip
    detach: bool = option(
        "--detach", "slurm: submit and return; the same command watches.", default=False
    )

    @property
    def is_here(self) -> bool:
        """Whether this machine computes, and may be measured first; a Ray without an address is."""
        return self.executor == "local" or (self.executor == "ray" and self.address is None)

    def check(self) -> None:
        """Refuse an executor that does not exist, and options of another one.

        Raises:
            BenchError: naming it.
        """
        if self.executor not in EXECUTORS:
            raise UnknownNameError("executor", self.executor, EXECUTORS)
        for name, options in EXECUTORS.items():
            for each in options if name != self.executor else ():
                if getattr(self, each) != getattr(ExecutorOptions, each):  # its default
                    flag, own = f"--{each.replace('_', '-')}", self.executor
                    raise BenchError(f"{flag} goes with --executor {name}, not with {own}")

    def execution(self) -> Execute:
        """Return what has the cells of a run computed.

        Raises:
            BenchError: for an option that is not allowed, or an extra that is not installed.
        """
        self.check()
        if self.executor == "ray":
            from bench.executors.ray.executor import RayExecutor

            return RayExecutor(self.address, self.gpus_per_cell, self.cpus_per_cell)
        if self.executor == "slurm":
            from bench.executors.slurm.executor import SlurmExecutor

            return SlurmExecutor(self.slurm, detach=self.detach)
        from bench.executors.local.executor import LocalExecutor

        return LocalExecutor(self.workers)
