"""Freed memory is kept for the next tensor, and given back again where that is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource, torch
from bench.support.glibc_memory import keep_freed_memory, return_freed_memory
def faults(n=20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(n):
        torch.ones(16_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
for _ in range(2):
    agreed = keep_freed_memory()
    faults()
    few, held = faults() < 1000, resident()
    given = return_freed_memory()
    print(agreed, few, given, held - resident() > 50e6)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc can be asked")
def test_large_tensors_reuse_memory_until_it_is_given_back():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        assert line.split() in (["True"] * 4, ["False"] * 4)
    assert len(done.stdout.splitlines()) == 2


def test_elsewhere_nothing_happens(monkeypatch):
    from bench.support import glibc_memory as memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.keep_freed_memory() is False
    assert memory.return_freed_memory() is False
