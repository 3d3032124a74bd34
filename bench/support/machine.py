"""The machine and the code that compute a number: devices, threads, memory, versions, commit."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.support.errors import BenchError, unknown_message
from bench.support.untrusted import Limit

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")
PACKAGES = ("distillation-bench", "torch", "torchvision", "kornia", "numpy")
# Optional packages whose version can change a number; recorded only where they are imported.
EXTRAS = ("timm",)
_GIT_SECONDS = 10


def pick_device(name: str) -> torch.device:
    """Return the device that ``name`` means; ``auto`` takes cuda, else mps, else cpu.

    Raises:
        BenchError: for a device that is unknown or not present here.
    """
    import torch

    kind = str(name).split(":")[0]
    counts = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    if name == "auto":
        return torch.device(next(k for k, count in counts.items() if count))
    try:
        device = torch.device(name) if kind in counts else None
    except RuntimeError:  # torch cannot parse the name: "cpu:x"
        device = None
    if device is None:
        raise BenchError(unknown_message("device", name, DEVICES))
    if (device.index or 0) >= counts[kind]:
        raise BenchError(f"device '{name}' is not available on this machine; try --device cpu")
    return device


def visible_gpus(device: torch.device) -> list[str]:
    """Return the names that ``CUDA_VISIBLE_DEVICES`` has for the GPUs of a device.

    ``cuda`` means all GPUs that this process sees, ``cuda:1`` one of them, other devices none.
    """
    import torch

    if device.type != "cuda":
        return []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = chosen.split(",") if chosen else list(map(str, range(torch.cuda.device_count())))
    return names if device.index is None else [names[device.index]]


def usable_cpus() -> int:
    """Return how many processors this process may use; in a container, often fewer than exist."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model(path: Path = Path("/proc/cpuinfo")) -> str:
    """Return the CPU's model name, with family and model numbers; empty where unknown."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    found: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    name, numbers = found.get("model name", ""), (found.get("cpu family"), found.get("model"))
    return f"{name} (family {numbers[0]}, model {numbers[1]})" if name and all(numbers) else name


def device_model(device: torch.device) -> str:
    """Return the model of a GPU, or of the processor; empty where unknown."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_model() or platform.processor() or platform.machine()


def use_threads(count: int) -> None:
    """Let torch compute with ``count`` threads in this process.

    Raises:
        BenchError: if ``count`` is less than one, or more than any machine has.
    """
    import torch

    if not 1 <= count <= Limit.THREADS:
        raise BenchError(
            f"{count} threads are not allowed: it must be a whole number from 1 to {Limit.THREADS}"
        )
    torch.set_num_threads(count)


def use_deterministic_algorithms() -> None:
    """Let torch use only operations that give the same bits in every run; slower on a GPU.

    Must be called before the first work on a GPU, because cuBLAS reads its setting when it starts.
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def describe_environment(
    device: torch.device, *, kernels: Callable[[], str], command: str | None = None
) -> dict[str, Any]:
    """Return what a record says of the machine and the code, as plain JSON values.

    Args:
        device: what computes.
        kernels: returns what a CPU computes networks with; called for a CPU only, because it may
            compile the kernels.
        command: the command line that asked for the work; ``None`` for that of this process.

    Returns:
        Versions, device, threads, the commit of the code and whether files differ from it (both
        ``None`` where bench is not a checkout), and the command line.
    """
    import torch

    name = platform.processor() or platform.machine()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    commit, dirty = git_state() or (None, None)
    return {
        "python": platform.python_version(),
        "packages": {p: _version(p) for p in (*PACKAGES, *_imported_extras())},
        "system": platform.system(),
        "device": device.type,
        "device_name": name,
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "git_commit": commit,
        "git_dirty": dirty,
        "command": command_line() if command is None else command,
        **({"kernels": kernels()} if device.type == "cpu" else {}),
    }


def command_line() -> str:
    """Return the command line of this process, as one would type it in a shell."""
    program = Path(sys.argv[0])
    is_bench = program.name == "bench" or program == Path(__file__).parents[1] / "__main__.py"
    return shlex.join(["bench" if is_bench else sys.argv[0], *sys.argv[1:]])


@cache
def git_state() -> tuple[str, bool] | None:
    """Return the commit that bench runs from and whether files differ from it.

    ``None`` where bench is not a checkout of its own repository (installed from a package, for
    example), or git does not answer. Git is called once per process.
    """
    return git_state_of(Path(__file__).parents[2])


def git_state_of(root: Path) -> tuple[str, bool] | None:
    """Return a checkout's commit and whether tracked files differ from it, or ``None``."""
    if not (root / ".git").exists():
        return None
    # One call gives both answers. It must not take the lock that a commit in another terminal
    # needs, hence GIT_OPTIONAL_LOCKS.
    command = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch",
               "--untracked-files=no"]  # fmt: skip
    try:
        status = subprocess.run(
            command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    lines = status.stdout.splitlines()
    commits = [line.split()[2] for line in lines if line.startswith("# branch.oid ")]
    if not commits or commits[0] == "(initial)":
        return None
    return commits[0], any(not line.startswith("#") for line in lines)


def _imported_extras() -> list[str]:
    return [package for package in EXTRAS if package in sys.modules]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
