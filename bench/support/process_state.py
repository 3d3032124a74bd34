"""Process-wide state that a plugin can change: read before its cell, restored after it.

Every change is named, so that it can be reported against the plugin that made it.
"""

from __future__ import annotations

import gc
import io
import logging
import os
import random
import signal
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn

# Modules and classes whose functions a plugin could replace, beside all of bench.
_PATCHABLE = (
    "torch", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.optim", "torch.linalg",
    "torch.autograd", "numpy", "random", "os", "time", "builtins", "hashlib", "json",
)  # fmt: skip
_PATCHABLE_CLASSES = ("torch.Tensor", "torch.nn.Module", "torch.Generator")
# What libraries change when they are first imported: restored, but named only where no module was.
_BY_IMPORTS = ("environment variables", "the filters of warnings", "Python's random state")
_CODE = (types.FunctionType, types.BuiltinFunctionType, type, staticmethod, classmethod, property)


@dataclass(frozen=True)
class Setting:
    """One process-wide setting.

    Attributes:
        name: as a report says it.
        read: returns its value, comparable by ``==``.
        restore: sets a value that was read.
    """

    name: str
    read: Callable[[], Any]
    restore: Callable[[Any], object]


def settings() -> list[Setting]:
    """Return every setting that is watched; those of torch only if it is imported."""
    watched = [
        Setting("the working directory", _folder, os.chdir),
        Setting("environment variables", lambda: dict(os.environ), _set_environment),
        Setting("sys.path", lambda: list(sys.path), lambda v: sys.path.__setitem__(slice(None), v)),
        Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
        Setting("the umask", _umask, os.umask),
        Setting("signal handlers", _handlers, _set_handlers),
        Setting("the filters of warnings", lambda: list(warnings.filters), _set_filters),
        Setting("the level of logging", _logging_levels, _set_logging),
        Setting("the locale", _locale, _set_locale),
        Setting("garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
        Setting("Python's random state", random.getstate, random.setstate),
    ]
    return watched + (_torch_settings() if "torch" in sys.modules else [])


@contextmanager
def kept() -> Iterator[list[str]]:
    """Restore all process-wide state after the block.

    What is printed to standard output inside goes to standard error, which no program reads.

    Yields:
        A list that is filled when the block ends, also by an exception: what had been changed.
    """
    changes: list[str] = []
    with _streams_kept():
        before = [(each, each.read()) for each in settings()]
        with _no_exit():
            code, threads, modules = _code(), set(threading.enumerate()), len(sys.modules)
            try:
                yield changes
            finally:
                for setting, value in before:
                    if setting.read() != value:
                        setting.restore(value)
                        if setting.name not in _BY_IMPORTS or len(sys.modules) == modules:
                            changes.append(setting.name)
                changes += _restore_code(code)
                if left := [t for t in threading.enumerate() if t not in threads and _own(t)]:
                    changes.append(f"threads that still run ({', '.join(t.name for t in left)})")


def _torch_settings() -> list[Setting]:
    import torch

    cudnn = torch.backends.cudnn

    def set_deterministic(value: tuple[bool, bool]) -> None:
        torch.use_deterministic_algorithms(value[0], warn_only=value[1])

    def set_cudnn(value: tuple[bool, bool, bool, bool]) -> None:
        cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32 = value

    def set_device(value: torch.device) -> None:
        # Naming a device costs every call; the CPU is what torch uses without one.
        torch.set_default_device(None if value.type == "cpu" else value)

    return [
        Setting("torch's threads", torch.get_num_threads, torch.set_num_threads),
        Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
        Setting("torch's default device", torch.get_default_device, set_device),
        Setting("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
        Setting(
            "torch's anomaly detection", torch.is_anomaly_enabled,
            lambda value: torch.autograd.set_detect_anomaly(value),
        ),
        Setting(
            "torch's deterministic mode",
            lambda: (
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
            ),
            set_deterministic,
        ),
        Setting(
            "the settings of cuDNN",
            lambda: (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32),
            set_cudnn,
        ),
        Setting(
            "torch's matmul precision", torch.get_float32_matmul_precision,
            torch.set_float32_matmul_precision,
        ),
        Setting("torch's random state", _torch_state, _set_torch_state),
        Setting("NumPy's random state", _numpy_state, _set_numpy_state),
    ]  # fmt: skip


def _torch_state() -> bytes:
    import torch

    state: bytes = torch.get_rng_state().numpy().tobytes()
    return state


def _set_torch_state(state: bytes) -> None:
    import torch

    torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


def _numpy_state() -> tuple[Any, ...]:
    import numpy as np

    name, keys, *rest = np.random.get_state(legacy=True)
    return (name, np.asarray(keys).tobytes(), *rest)


def _set_numpy_state(state: tuple[Any, ...]) -> None:
    import numpy as np

    np.random.set_state((state[0], np.frombuffer(state[1], dtype=np.uint32), *state[2:]))


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""


def _set_environment(before: dict[str, str]) -> None:
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _set_handlers(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        # Only the main thread can, and some signals have no handler.
        if handler is not None and signal.getsignal(number) != handler:
            with suppress(OSError, ValueError):
                signal.signal(number, handler)


def _set_filters(before: list[Any]) -> None:
    with warnings.catch_warnings():
        pass  # forgets which warnings were shown
    warnings.filters[:] = before  # type: ignore[index]


def _logging_levels() -> tuple[Any, ...]:
    root = logging.getLogger()
    return (root.level, logging.root.manager.disable, tuple(root.handlers))


def _set_logging(before: tuple[Any, ...]) -> None:
    root = logging.getLogger()
    root.level, logging.root.manager.disable, handlers = before
    root.handlers[:] = handlers


def _locale() -> str:
    import locale

    return locale.setlocale(locale.LC_ALL)


def _set_locale(before: str) -> None:
    import locale

    locale.setlocale(locale.LC_ALL, before)


def _own(thread: threading.Thread) -> bool:
    """Return whether a plugin started a thread, and not the live view or the engine."""
    return thread.is_alive() and not type(thread).__module__.startswith(("rich", "bench", "tqdm"))


def _holders() -> Iterator[tuple[str, Any]]:
    """Yield the modules and classes whose code is watched, with their names."""
    for name, module in list(sys.modules.items()):
        if name in _PATCHABLE or name.split(".")[0] in ("bench", "methods", "architectures"):
            yield name, module
            for key, value in list(vars(module).items()):
                own = isinstance(value, type) and value.__module__ == name
                if own and name.startswith("bench."):
                    yield f"{name}.{key}", value
    for path in _PATCHABLE_CLASSES:
        module_name, _, key = path.rpartition(".")
        if module_name in sys.modules:
            yield path, getattr(sys.modules[module_name], key)


def _code() -> dict[str, tuple[Any, dict[str, Any]]]:
    """Return the functions, classes and properties of every holder."""
    return {
        name: (holder, {k: v for k, v in vars(holder).items() if isinstance(v, _CODE)})
        for name, holder in _holders()
    }


def _restore_code(before: dict[str, tuple[Any, dict[str, Any]]]) -> list[str]:
    """Put back what was replaced; return what it was."""
    changes = []
    for name, (holder, members) in before.items():
        now = vars(holder)
        for key, value in members.items():
            if now.get(key) is not value and not _is_torchs_own(now.get(key), key):
                setattr(holder, key, value)
                changes.append(f"{name}.{key}")
        if isinstance(holder, type) and name in _PATCHABLE_CLASSES:
            # A function that a base class has is replaced by one of the class's own.
            for key in [k for k, v in now.items() if k not in members and isinstance(v, _CODE)]:
                delattr(holder, key)
                changes.append(f"{name}.{key}")
    return changes


def _is_torchs_own(value: Any, name: str) -> bool:
    """Return whether torch itself replaced a function, by a wrapper of the same name."""
    module = str(getattr(value, "__module__", ""))
    return module.split(".")[0] == "torch" and getattr(value, "__name__", "") == name


@contextmanager
def _no_exit() -> Iterator[None]:
    """Let ``os._exit`` raise SystemExit in this process, so that it ends a cell and not a run."""
    leave, process = os._exit, os.getpid()

    def refuse(code: int) -> NoReturn:
        if os.getpid() != process:  # a forked child ends this way
            leave(code)
        raise SystemExit(f"os._exit({code})")

    os._exit = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = leave


@contextmanager
def _streams_kept() -> Iterator[None]:
    """Send standard output to standard error inside the block; open again what it closed."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    _flush()
    saved = {}
    for number in (1, 2):
        with suppress(OSError):  # a daemon may have none
            saved[number] = os.dup(number)
    if len(saved) == 2:
        os.dup2(2, 1)
    sys.stdout = _Aside()
    try:
        yield
    finally:
        _flush()
        for number, copy in saved.items():
            os.dup2(copy, number)
            os.close(copy)
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, "r" if number == 0 else "w", closefd=False)  # noqa: SIM115
            if stream is not None and stream.closed else stream
            for number, stream in enumerate(streams)
        )  # fmt: skip


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


class _Aside(io.TextIOBase):
    """Text that goes to standard error; closing it closes nothing."""

    def write(self, text: str) -> int:
        """Write it to what standard error is now."""
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text)
        return len(text)

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def fileno(self) -> int:
        """Return the descriptor that programs are given."""
        return 2
