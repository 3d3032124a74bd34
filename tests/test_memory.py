"""Freed memory is kept for the next tensor."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource, torch
from bench.memory import keep_freed_memory
agreed = keep_freed_memory()
def faults(n=20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(n):
        torch.ones(16_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(agreed, faults() < 1000)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc can be asked")
def test_large_tensors_reuse_memory():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() in (["True", "True"], ["False", "False"])


def test_elsewhere_nothing_happens(monkeypatch):
    from bench import memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.keep_freed_memory.__wrapped__() is False
