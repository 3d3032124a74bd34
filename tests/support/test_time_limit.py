"""Limits on the time of code that does not ask whether it should end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, is_in_torch_dispatch_mode

from bench.support.time_limit import TimeLimitError, can_limit_time, check_time, time_limit


def wait(check: Callable[[], object] = check_time) -> None:
    """Run for a minute, or until something raises an exception."""
    until = time.perf_counter() + 60
    while time.perf_counter() < until:
        check()
        time.sleep(0.01)


def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(TimeLimitError), time_limit(0.05):
        time.sleep(60)


def test_what_asks_is_ended_where_it_asks() -> None:
    asked: list[str] = []

    def check() -> None:
        try:
            check_time()
        except TimeLimitError:
            asked.append("ended")
            raise

    with pytest.raises(TimeLimitError), time_limit(0.05):
        wait(check)
    assert asked == ["ended"]
    check_time()  # outside of every block there is time


def test_the_limit_of_an_outer_block_holds_in_an_inner_one() -> None:
    with pytest.raises(TimeLimitError), time_limit(0.05), time_limit(60):
        wait()


@pytest.mark.parametrize("wait_for", [check_time, lambda: None], ids=["asks", "does not ask"])
def test_code_that_catches_the_exception_is_ended_all_the_same(
    wait_for: Callable[[], object],
) -> None:
    caught: list[Exception] = []

    def swallow() -> None:
        while len(caught) < 1000:
            try:
                wait_for()
                time.sleep(0.01)
            except Exception as error:
                caught.append(error)
                break  # as code does that then goes on with something else
        wait(wait_for)

    with pytest.raises(TimeLimitError), time_limit(0.05):
        swallow()
    assert len(caught) == 1


def test_what_code_makes_of_the_exception_is_still_the_limit() -> None:
    def fail() -> None:
        try:
            wait()
        except TimeLimitError:
            raise RuntimeError("a step failed") from None

    with pytest.raises(TimeLimitError) as raised, time_limit(0.05):
        fail()
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_an_error_in_time_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="no memory"), time_limit(60):
        raise RuntimeError("no memory for it")


class Mode(TorchDispatchMode):
    """A mode that changes nothing."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def test_settings_that_an_interrupted_block_left_changed_are_restored() -> None:
    """A signal can come within the end of ``with torch.no_grad()``, which then stays in force."""

    def leave_changed() -> None:
        torch.set_grad_enabled(False)
        torch.autocast("cpu", torch.bfloat16).__enter__()
        Mode().__enter__()
        wait(lambda: None)

    with pytest.raises(TimeLimitError), time_limit(0.05):
        leave_changed()
    assert torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")
    assert torch.autocast_increment_nesting() == 1
    torch.autocast_decrement_nesting()
    assert torch.ones(2, requires_grad=True).sum().grad_fn is not None
    assert not is_in_torch_dispatch_mode()


def test_what_is_done_in_time_is_not_disturbed() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(60):
        pass
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] < 1 or before is not signal.SIG_DFL


def test_another_thread_has_no_signals_and_no_limit_but_its_own() -> None:
    answers: list[object] = []

    def work() -> None:
        check_time()  # the limit of the main thread is not this one's
        with time_limit(0.001):
            time.sleep(0.02)
        answers.append(can_limit_time())
        try:
            with time_limit(0.001):
                wait()
        except TimeLimitError:
            answers.append("ended")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [False, "ended"]
