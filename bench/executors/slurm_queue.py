"""SLURM's own commands, without accounting: what is queued, and what to do about it.

``sacct`` is never called: many clusters keep no accounting. ``squeue`` and ``scontrol`` know a job
from its submission to some minutes after its end, and the store knows the rest.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bench.executors.process_deaths import how_it_died
from bench.support.errors import BenchError

_OVER = frozenset((
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "GONE", "NODE_FAIL",
    "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT",
))  # fmt: skip
# Ends that say nothing against the cell: it only has to be submitted again.
_BLAMELESS = frozenset(("BOOT_FAIL", "NODE_FAIL", "PREEMPTED", "REVOKED"))
_FIELDS = "Name:64,ArrayJobID:20,ArrayTaskID:20,State:24,exit_code:20,RestartCnt:12,Reason:80"
_PATIENCE = 60.0


class QueueSilentError(BenchError):
    """SLURM does not answer now; what is queued is not known."""


@dataclass(frozen=True)
class TaskState:
    """What SLURM says of one job of an array.

    Attributes:
        state: as SLURM calls it: ``PENDING``, ``RUNNING``, ``CANCELLED``, ...; ``GONE`` if it no
            longer knows the job.
        reason: why it waits or ended, as SLURM calls it.
        exit_code: of its script, a signal's number, negative, if that ended it; 0 while it runs.
        restarts: how often it was requeued.
    """

    state: str
    reason: str = ""
    exit_code: int = 0
    restarts: int = 0

    @property
    def over(self) -> bool:
        """Whether it has ended for good."""
        return self.state in _OVER

    @property
    def blameless(self) -> bool:
        """Whether it ended for no fault of its cell."""
        return self.state in _BLAMELESS or (
            self.state == "FAILED" and self.exit_code == -signal.SIGTERM
        )

    def death(self, times: int = 1) -> str:
        """Return in words how it ended.

        Args:
            times: how often in a row.
        """
        if self.state == "FAILED" and self.exit_code:
            return how_it_died(self.exit_code, times)
        often = f" on each of {times} attempts" if times > 1 else ""
        return f"its SLURM job ended{often}: {self.state.lower().replace('_', ' ')}"


GONE = TaskState("GONE")


def tasks(names: Iterable[str]) -> dict[tuple[str, int], TaskState]:
    """Return what SLURM knows of the jobs with these names, by name and index in their array.

    Raises:
        QueueSilentError: SLURM does not answer.
    """
    wanted = ",".join(names)
    if not wanted:
        return {}
    try:
        lines = _run("squeue", "--noheader", "--array", "--states=all", f"--name={wanted}",
                     f"--Format={_FIELDS}").splitlines()  # fmt: skip
    except BenchError as error:
        raise QueueSilentError(str(error)) from error
    found = {}
    for line in lines:
        words = line.split(maxsplit=6)
        if len(words) >= 6:
            name, _, index, state, code, restarts, *reason = words
            found[name, int(index) if index.isdigit() else 0] = TaskState(
                state, reason[0].strip() if reason else "", _exit_code(code), int(restarts)
            )
    return found


def state_of(job: str) -> str:
    """Return the state of one job, from inside it; a job that is ending is ``COMPLETING``."""
    found = re.search(r"\bJobState=(\w+)", _run("scontrol", "show", "job", job))
    return found[1] if found else ""


def requeue(job: str) -> None:
    """Put a running job back into the queue; SLURM then ends it."""
    _run("scontrol", "requeue", job)


def wait_for(jobs: str, needed: str) -> None:
    """Let queued jobs start only when another has ended, however it ended."""
    _run("scontrol", "update", f"JobId={jobs}", f"Dependency=afterany:{needed}")


def release(job: str) -> None:
    """Let the jobs of a held array start."""
    _run("scontrol", "release", job)


def start_soon(job: str) -> None:
    """Drop the two minutes that SLURM makes a requeued job wait; it may have started by now."""
    with suppress(BenchError):
        _run("scontrol", "update", f"JobId={job}", "StartTime=now")


def cancel(jobs: Sequence[str]) -> None:
    """Cancel jobs by id; those that have ended by now do not matter."""
    if jobs:
        with suppress(BenchError):
            _run("scancel", *jobs)


def cancel_named(name: str) -> None:
    """Cancel every job of a name; there may be none."""
    with suppress(BenchError):
        _run("scancel", f"--name={name}")


def largest_array() -> int:
    """Return how many jobs an array may have; SLURM's default if it does not say."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _run("scontrol", "show", "config"), re.M)
    return max(1, int(found[1])) if found else 1001


def _run(*command: str) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False, env=environment
        )
    except FileNotFoundError as error:
        raise BenchError(
            f"'{command[0]}' is not on this machine: run where SLURM's commands are"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"SLURM's {command[0]} did not answer in {_PATIENCE:.0f} s") from error
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise BenchError(f"SLURM's {command[0]} failed: {said}")
    return done.stdout


def _exit_code(text: str) -> int:
    # A wait status, as wait(2) gives it, of a shell, which adds 128 to the signal of what it ran.
    code = os.waitstatus_to_exitcode(int(text)) if text.isdigit() else 0
    return 128 - code if code > 128 else code
