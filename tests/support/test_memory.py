"""How much memory a process can have, from what the system says."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.support.memory import memory_for
from bench.support.untrusted import host_memory

CPU = torch.device("cpu")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The files of a system with 3000 KiB free, 1000 of them swap; this process has 10 pages."""
    for name, text in {
        "proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 2000 kB\nSwapFree: 1000 kB\n",
        "proc/self/statm": "100 10 5 1 0 20 0\n",
        "sys/fs/cgroup/memory.max": "max\n",
        "sys/fs/cgroup/memory.current": "500000\n",
        "sys/fs/cgroup/memory.stat": "anon 400000\ninactive_file 100000\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


OWN = 10 * resource.getpagesize()


def test_what_the_system_can_give_and_the_process_has(root: Path) -> None:
    assert memory_for(CPU, root) == 3000 * 1024 + OWN


def test_the_limit_of_a_container(root: Path) -> None:
    (root / "sys/fs/cgroup/memory.max").write_text("1000000\n")
    assert memory_for(CPU, root) == 600_000 + OWN


def test_a_container_that_is_over_its_limit(root: Path) -> None:
    (root / "sys/fs/cgroup/memory.max").write_text("100\n")
    assert memory_for(CPU, root) == OWN


@pytest.mark.parametrize("name", ["proc/meminfo", "proc/self/statm", "sys/fs/cgroup/memory.max"])
@pytest.mark.parametrize("text", ["", "nonsense\n", "\0", "MemAvailable: much kB\n"])
def test_what_cannot_be_read_limits_nothing(root: Path, name: str, text: str) -> None:
    (root / name).write_text(text)
    assert 0 < memory_for(CPU, root) <= host_memory()


def test_a_system_without_such_files(tmp_path: Path) -> None:
    assert memory_for(CPU, tmp_path) == host_memory()


def test_the_limit_of_the_process() -> None:
    limit = 6 * 2**30 + 1
    code = (
        "import resource, torch; from bench.support.memory import memory_for;"
        f"resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}));"
        "print(memory_for(torch.device('cpu')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= limit
