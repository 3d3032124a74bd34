"""Who may ask running work to end, and how the signals do."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from bench.support.stopping import Interrupted, Stop


def test_no_request() -> None:
    stop = Stop()
    assert not stop.requested
    assert stop.seconds_left() is None
    stop.check()


def test_the_first_reason_counts() -> None:
    stop = Stop()
    stop.request("SIGTERM", 143)
    stop.request("SIGINT", 130)
    with pytest.raises(Interrupted, match="SIGTERM") as caught:
        stop.check()
    assert caught.value.exit_code == 143


def test_a_budget_that_is_spent_ends_work_without_an_error_code() -> None:
    assert not Stop(3600).requested
    stop = Stop(0)
    assert stop.seconds_left() == 0
    with pytest.raises(Interrupted, match="time budget") as caught:
        stop.check()
    assert caught.value.exit_code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_asks_and_a_second_one_ends_at_once(number: signal.Signals, code: int) -> None:
    stop, told = Stop(), []
    before = signal.getsignal(number)
    with stop.catching(told.append):
        os.kill(os.getpid(), number)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    with pytest.raises(Interrupted, match=number.name) as caught:
        stop.check()
    assert caught.value.exit_code == code
    assert len(told) == 1
    assert number.name in told[0]
    assert signal.getsignal(number) is before


def test_the_first_signal_after_a_spent_budget_asks_as_well() -> None:
    stop, told = Stop(0), []
    with stop.catching(told.append):
        os.kill(os.getpid(), signal.SIGTERM)
        assert len(told) == 1
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_in_another_thread_the_block_runs_as_it_is() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with Stop().catching():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
