"""Freed memory is kept for the next tensor."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource, torch
from bench.support.glibc_memory import keep_freed_memory
def faults(n=20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(n):
        torch.ones(16_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
many = faults()
print(keep_freed_memory())
faults()
print(faults() < 1000 < many)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc can be asked")
def test_large_tensors_reuse_memory():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() in (["True"] * 2, ["False"] * 2)


def test_elsewhere_nothing_happens(monkeypatch):
    from bench.support import glibc_memory as memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.keep_freed_memory() is False
