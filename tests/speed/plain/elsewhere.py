"""A plain loop in a process of its own, with the C library's memory as it is by default."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import torch

from bench.speed.machine import page_faults
from bench.speed.measuring import Observation, Observer
from bench.speed.stages import made_up_set
from bench.support.errors import BenchError
from plain.stages import PLAIN


@contextmanager
def plain_elsewhere(stage: str, device: torch.device, threads: int) -> Iterator[Observer]:
    """Provide the plain loop of a stage in a fresh process; it waits while others work.

    Args:
        stage: its name.
        device: where it computes.
        threads: torch's, of operations.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, stage, str(device), threads), daemon=True)
    process.start()
    there.close()

    def observe(units: int) -> Observation:
        try:
            here.send(units)
            seen: Observation = here.recv()
        except (EOFError, BrokenPipeError):
            raise BenchError(f"the process of the plain loop of '{stage}' ended early") from None
        return seen

    try:
        yield observe
    finally:
        here.close()  # ends the process
        process.join()


def _serve(pipe: Connection, stage: str, device: str, threads: int) -> None:
    torch.set_num_threads(threads)
    run = PLAIN[stage](made_up_set(torch.device(device)))
    while True:
        try:
            units = pipe.recv()
        except EOFError:
            return
        before = page_faults()
        seconds = run(units)
        pipe.send(Observation(seconds, page_faults() - before))
