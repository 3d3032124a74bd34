"""Which executor computes a run, from the options that a user gave."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

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
    """What a user said about where cells are computed; ``None`` and the like for nothing.

    Attributes:
        executor: ``local``, ``ray`` or ``slurm``.
        workers: processes of ``local``; 0 computes in this one.
        threads: of each process that computes.
        address: of a running Ray cluster.
        gpus_per_cell: of Ray's, fractions allowed.
        cpus_per_cell: of Ray's.
        slurm: ``KEY=VALUE`` texts.
        detach: submit to SLURM and return.
    """

    executor: str = "local"
    workers: int | None = None
    threads: int | None = None
    address: str | None = None
    gpus_per_cell: float | None = None
    cpus_per_cell: float | None = None
    slurm: tuple[str, ...] = ()
    detach: bool = False

    @property
    def is_here(self) -> bool:
        """Whether this machine computes, and may be measured first."""
        return self.executor == "local"

    def check(self) -> None:
        """Refuse an executor that does not exist, and options of another one.

        Raises:
            BenchError: naming it.
        """
        if self.executor not in EXECUTORS:
            raise UnknownNameError("executor", self.executor, EXECUTORS)
        for name, options in EXECUTORS.items():
            for option in options:
                value = getattr(self, option)
                given = value not in (None, ()) and value is not False  # 0 workers are some
                if name != self.executor and given:
                    flag = option.replace("_", "-")
                    raise BenchError(
                        f"--{flag} goes with --executor {name}, not with {self.executor}"
                    )

    def execution(self) -> Execute:
        """Return what makes the executor of a run.

        Raises:
            BenchError: for an option that is not allowed, or an extra that is not installed.
        """
        self.check()
        if self.executor == "ray":
            from bench.executors.ray import ray_execution

            return ray_execution(
                self.address, gpus_per_cell=self.gpus_per_cell, cpus_per_cell=self.cpus_per_cell
            )
        if self.executor == "slurm":
            from bench.executors.slurm import slurm_execution

            return slurm_execution(self.slurm, detach=self.detach)
        from bench.executors.local import local_execution

        return local_execution(self.workers)


def take_options(given: dict[str, Any]) -> ExecutorOptions:
    """Take the options out of those of a command."""
    return ExecutorOptions(**{f.name: given.pop(f.name) for f in fields(ExecutorOptions)})
