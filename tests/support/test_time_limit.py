"""Limits on the time of code that does not ask whether it should end."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from bench.support.time_limit import TimeLimitError, can_limit_time, time_limit


def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(TimeLimitError), time_limit(0.05):
        time.sleep(60)


def test_what_is_done_in_time_is_not_disturbed() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(60):
        pass
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] < 1 or before is not signal.SIG_DFL


def test_another_thread_has_no_limit() -> None:
    answers: list[bool] = []

    def work() -> None:
        with time_limit(0.001):
            time.sleep(0.02)
        answers.append(can_limit_time())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [False]
