"""Start or join a Ray cluster with its logging, telemetry and signal handlers disabled."""

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
from bench.support.extras import import_extra
from bench.support.machine import usable_cpus

# Results go to the store; Ray's object store holds a few words for each cell.
_OBJECT_STORE_BYTES = 100 * 2**20
# Seconds to wait for the head of a cluster to answer.
_PATIENCE = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def load_ray() -> ModuleType:
    """Import Ray with its usage reports switched off.

    Raises:
        BenchError: Ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    return import_extra("ray", "ray", "the ray executor")


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Make this process part of a Ray cluster inside the block.

    Args:
        address: a running cluster; ``None`` starts one here and ends it afterwards. If this process
            is part of a cluster already, that one is used and stays.

    Raises:
        BenchError: there is no cluster at that address.
    """
    ray = load_ray()
    # Ray prints the death of a process to standard output, which is for results.
    with open(os.devnull, "w", encoding="utf-8") as devnull, redirect_stdout(devnull):
        if ray.is_initialized():
            yield
            return
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        try:
            _start(address)
            if threading.current_thread() is threading.main_thread():
                for number, handler in handlers.items():  # Ray has replaced that of SIGTERM
                    signal.signal(number, handler)
            yield
        finally:
            ray.shutdown()


def _start(address: str | None) -> None:
    ray = load_ray()
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is None:
        # By default, Ray retries without a limit after its own guard has ended a process to free
        # memory.
        os.environ["RAY_task_oom_retries"] = str(RETRIES)  # noqa: SIM112  # Ray's name
        # The processes that a plugin has started end with the process of the task.
        os.environ["RAY_process_group_cleanup_enabled"] = "1"  # noqa: SIM112
        ray.init(
            address="local", num_cpus=usable_cpus(), include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES, **quiet,
        )  # fmt: skip
        return
    try:
        if address != "auto":  # to an address that does not answer, Ray would try for minutes
            socket.create_connection(_split(address), _PATIENCE).close()
        ray.init(address=address, **quiet)
    except (OSError, OverflowError, ValueError, RuntimeError, SystemExit) as error:
        reason = str(error).strip().split("\n")[0]
        raise BenchError(
            f"no Ray cluster at '{address}' ({reason}): name HOST:PORT of its head, on a machine "
            "that is part of it (`ray start --address=HOST:PORT`)"
        ) from error


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()) or "/" in address:
        raise BenchError(f"--address '{address}' is not allowed: it must be HOST:PORT or auto")
    return host.strip("[]"), int(port)
