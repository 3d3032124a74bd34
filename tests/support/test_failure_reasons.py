"""A failure in one line, with what to do about the common ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.support.errors import BenchError
from bench.support.failure_reasons import (
    CellFailedError,
    describe_death,
    explain,
    is_out_of_memory,
)


def test_our_own_errors_speak_for_themselves() -> None:
    assert explain(BenchError("IPC 0 is not allowed")) == "IPC 0 is not allowed"
    assert explain(CellFailedError("it needs 'x'")) == "it needs 'x'"


def test_other_errors_are_named_and_fit_into_a_line() -> None:
    assert explain(RuntimeError("two\n  lines")) == "RuntimeError: two lines"
    assert explain(KeyError()) == "KeyError"


def test_torch_on_a_cpu_says_what_was_asked_for() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert "1.049e+06 TiB were asked for" in explain(caught.value)
    assert "needs less" in explain(caught.value)


def test_numpy_says_what_was_asked_for() -> None:
    with pytest.raises(MemoryError) as caught:
        np.ones((1 << 50,), dtype=np.uint8)
    assert "1.00 PiB were asked for" in explain(caught.value)


def test_a_gpu_says_what_was_asked_for() -> None:
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a")
    assert explain(error).startswith("out of memory, 20.00 GiB were asked for: a smaller batch")


def test_memory_that_says_nothing() -> None:
    assert explain(MemoryError()).startswith("out of memory: a smaller batch")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (3, "its process ended with exit code 3"),
        (-11, "its process was killed by SIGSEGV"),
        (-15, "its process was killed by SIGTERM"),
        (-9, "its process was killed by SIGKILL, as the system does"),
        (-60, "its process was killed by signal 60"),
    ],
)
def test_deaths_in_words(code: int, said: str) -> None:
    assert describe_death(code).startswith(said)
    assert ("memory" in describe_death(code)) == (code == -9)
