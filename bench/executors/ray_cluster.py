"""Ray, started here or joined: quiet, without a word to the outside, and without its signals."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import ModuleType

from bench.executors.base import RETRIES
from bench.support.errors import BenchError
from bench.support.machine import usable_cpus

# Cells leave their results in the store; Ray's own memory holds a few words for each.
_OBJECT_STORE_BYTES = 100 * 2**20
# Seconds to wait for the head of a cluster to answer.
_PATIENCE = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def load_ray() -> ModuleType:
    """Import Ray, so that it reports nothing to its makers.

    Raises:
        BenchError: it is not installed, or this is its client.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise BenchError(
            "the ray executor needs Ray: pip install 'distillation-bench[ray]'"
        ) from error
    module: ModuleType = ray
    return module


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be part of a Ray cluster inside the block.

    Args:
        address: of a running one; ``None`` starts one here and ends it afterwards. If this process
            is part of one already, that is used and left as it is.

    Raises:
        BenchError: there is no cluster at that address.
    """
    ray = load_ray()
    # Ray prints every death of a process to standard output, which is for results.
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        if ray.is_initialized():
            yield
            return
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        try:
            _start(address)
            if threading.current_thread() is threading.main_thread():
                for number, handler in before.items():  # Ray takes SIGTERM for itself
                    signal.signal(number, handler)
            yield
        finally:
            ray.shutdown()


def _start(address: str | None) -> None:
    ray = load_ray()
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is None:
        # Ray would try again forever where its own guard ends a process for want of memory.
        os.environ["RAY_task_oom_retries"] = str(RETRIES)  # noqa: SIM112  # Ray's name
        ray.init(
            address="local", num_cpus=usable_cpus(), include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES, **quiet,
        )  # fmt: skip
        return
    _find(address)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError, SystemExit) as error:
        raise _absent(address, str(error)) from error


def _find(address: str) -> None:
    """Refuse an address where nobody listens: Ray would try for minutes, and end the process."""
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit()) or "/" in address:
        raise BenchError(f"--address '{address}' is not allowed: it must be HOST:PORT or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise _absent(address, str(error)) from error


def _absent(address: str, why: str) -> BenchError:
    first = why.strip().split("\n")[0]
    return BenchError(
        f"no Ray cluster at '{address}' ({first}): name HOST:PORT of its head, on a machine that "
        "is part of it (`ray start --address=HOST:PORT`)"
    )
