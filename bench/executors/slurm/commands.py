"""SLURM's commands, without accounting: what is queued, and how to change it.

``sacct`` is never called, because many clusters keep no accounting. ``squeue`` and ``scontrol``
know a job from its submission until some minutes after its end; the store has the rest.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from bench.support.errors import BenchError
from bench.support.failure_reasons import describe_death

_ENDED = frozenset((
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "GONE", "NODE_FAIL",
    "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT",
))  # fmt: skip
# End states that are not the cell's fault: it only has to be submitted again.
_NO_FAULT = frozenset(("BOOT_FAIL", "NODE_FAIL", "PREEMPTED", "REVOKED"))
_FIELDS = "JobArrayID:40,State:24,exit_code:20,Reason:80"
# Seconds that a command has to answer.
_PATIENCE = 60.0


@dataclass(frozen=True)
class JobState:
    """The state of a job.

    Attributes:
        state: SLURM's name of it: ``PENDING``, ``RUNNING``, ``CANCELLED``, ...; ``GONE`` if SLURM
            no longer knows the job.
        reason: why it waits or ended, in SLURM's words.
        exit_code: of its script; the negative number of a signal, if one ended it; 0 while it runs.
    """

    state: str
    reason: str = ""
    exit_code: int = 0

    @property
    def ended(self) -> bool:
        """Whether the job has ended and will not be requeued."""
        return self.state in _ENDED

    @property
    def is_death(self) -> bool:
        """Whether the end of the job counts as a failed attempt at its cell."""
        stopped = self.state == "FAILED" and self.exit_code == -signal.SIGTERM
        return self.state not in _NO_FAULT and not stopped

    def describe(self) -> str:
        """Return in words how the job ended."""
        if self.state == "FAILED" and self.exit_code:
            return describe_death(self.exit_code)
        return f"its SLURM job ended: {self.state.lower().replace('_', ' ')}"


GONE = JobState("GONE")


def job_states(names: Iterable[str]) -> dict[str, JobState]:
    """Return the state of each job of the arrays with these names, by the job's id.

    Raises:
        BenchError: SLURM does not answer.
    """
    joined = ",".join(names)
    if not joined:
        return {}
    answer = run("squeue", "--noheader", "--array", "--states=all", f"--name={joined}",
                 f"--Format={_FIELDS}")  # fmt: skip
    states = {}
    for line in answer.splitlines():
        job, state, code, *reason = line.split(maxsplit=3)
        states[job] = JobState(state, "".join(reason).strip(), _exit_code(code))
    return states


def largest_array() -> int:
    """Return how many jobs an array can have; SLURM's default if it does not say."""
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", run("scontrol", "show", "config"), re.M)
    return max(1, int(match[1])) if match else 1001


def run(*command: str) -> str:
    """Run one of SLURM's commands and return what it prints.

    Raises:
        BenchError: the command is absent, fails, or does not answer.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False, env=environment
        )
    except FileNotFoundError as error:
        raise BenchError(
            f"'{command[0]}' is not on this machine: run where SLURM's commands are"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"SLURM's {command[0]} did not answer in {_PATIENCE:.0f} s") from error
    if result.returncode:
        message = " ".join(result.stderr.split()) or f"exit code {result.returncode}"
        raise BenchError(f"SLURM's {command[0]} failed: {message}")
    return result.stdout


def cancel(job: str) -> None:
    """Cancel a job, or all jobs of ``--name=NAME``; they can have ended by themselves."""
    with suppress(BenchError):
        run("scancel", job)


def _exit_code(text: str) -> int:
    # A wait status, as wait(2) gives it, of a shell, which adds 128 to the signal of its command.
    code = os.waitstatus_to_exitcode(int(text)) if text.isdigit() else 0
    return 128 - code if code > 128 else code
