"""How much memory this process can have: of the machine, of its container, of its own limit."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.support.untrusted import host_memory

if TYPE_CHECKING:
    import torch

_PAGE = os.sysconf("SC_PAGE_SIZE")


def memory_for(device: torch.device, root: Path = Path("/")) -> int:
    """Return how many bytes this process can have on a device, those that it has included.

    On a CPU that is what the system can still give, swap included, within the limits of the
    container (cgroups) and of the process (``ulimit -v``). Unknown limits are left out.

    Args:
        device: where tensors lie.
        root: the folder that has ``proc`` and ``sys``.
    """
    if device.type == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device)
    return memory_of_process(root)


def memory_of_process(root: Path = Path("/")) -> int:
    """Return how many bytes this process can have on a CPU, see :func:`memory_for`."""
    limits = [host_memory(), *_of_system(root), *_of_container(root)]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        limits.append(limit)
    return min(limits)


def _of_system(root: Path) -> list[int]:
    facts = _numbers(root / "proc/meminfo")  # in KiB
    if "MemAvailable:" not in facts:
        return []
    free = facts["MemAvailable:"] + facts.get("SwapFree:", 0)
    return [1024 * free + _resident(root)]


def _of_container(root: Path) -> list[int]:
    """Return what the limits of this process's control group leave it, version 2."""
    folder = root / "sys/fs/cgroup"
    try:
        limit = int((folder / "memory.max").read_text())
        used = int((folder / "memory.current").read_text())
    except (OSError, ValueError):  # no such limit: "max"
        return []
    cached = _numbers(folder / "memory.stat").get("inactive_file", 0)
    return [max(0, limit - used + cached) + _resident(root)]


def _resident(root: Path) -> int:
    """Return the bytes that this process has now; 0 where unknown."""
    try:
        return int((root / "proc/self/statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _numbers(path: Path) -> dict[str, int]:
    """Return the first number behind the first word of each line."""
    numbers: dict[str, int] = {}
    with suppress(OSError):
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) > 1 and words[1].isdigit():
                numbers[words[0]] = int(words[1])
    return numbers
