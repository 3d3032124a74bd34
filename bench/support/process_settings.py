"""Process-wide settings that a plugin can change: how each is read and restored."""

from __future__ import annotations

import gc
import logging
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


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
        Setting("torch's autocast", _autocast, _set_autocast),
        Setting("torch's dispatch modes", _dispatch_modes, _set_dispatch_modes),
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


def _autocast() -> tuple[bool, Any, int]:
    import torch

    torch.autocast_increment_nesting()
    depth: int = torch.autocast_decrement_nesting()
    return torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), depth


def _set_autocast(before: tuple[bool, Any, int]) -> None:
    import torch

    enabled, dtype, depth = before
    torch.set_autocast_enabled("cpu", enabled)
    torch.set_autocast_dtype("cpu", dtype)
    while _autocast()[2] > depth:  # else weights that were cast would stay when they change
        torch.autocast_decrement_nesting()
    torch.clear_autocast_cache()


def _dispatch_modes() -> list[Any]:
    from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

    return list(_get_current_dispatch_mode_stack())


def _set_dispatch_modes(before: list[Any]) -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    while len(modes := _dispatch_modes()) > len(before):
        # Not what a plugin made of it.
        TorchDispatchMode.__exit__(modes[-1], None, None, None)  # type: ignore[no-untyped-call]


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
