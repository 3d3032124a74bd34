"""The stop of a worker process, which its run requests through the pipe."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Pipe
from typing import Any, cast

import pytest

from bench.executors.local.worker import PipeStop
from bench.support.stopping import Interrupted


def test_the_run_requests_a_stop() -> None:
    run, worker = Pipe()
    stop = PipeStop(worker)
    assert not stop.requested
    run.send(("the time budget is spent", 0))
    with pytest.raises(Interrupted, match="the time budget is spent") as stopped:
        stop.check()
    assert stopped.value.exit_code == 0


def test_the_end_of_the_run_is_a_request() -> None:
    run, worker = Pipe()
    stop = PipeStop(worker)
    run.close()
    with pytest.raises(Interrupted, match="the run that started this process is gone"):
        stop.check()


class SlowPipe:
    """A pipe with one message, which a second reader would wait for in vain."""

    def __init__(self) -> None:
        self.messages = [("SIGTERM", 143)]

    def poll(self) -> bool:
        is_there = bool(self.messages)
        time.sleep(0.05)
        return is_there

    def recv(self) -> Any:
        return self.messages.pop()


def test_networks_that_train_side_by_side_ask_at_once() -> None:
    stop = PipeStop(cast("Any", SlowPipe()))
    with ThreadPoolExecutor(4) as threads:
        reasons = list(threads.map(lambda _: stop.reason(), range(4)))
    assert [reason and reason.why for reason in reasons] == ["SIGTERM"] * 4
