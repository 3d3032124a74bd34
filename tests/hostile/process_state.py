"""A plugin file for tests: methods that change what the whole process shares."""

from __future__ import annotations

import builtins
import gc
import hashlib
import importlib
import locale
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).parent))
from hostile_methods import behaviour


class Doubled(TorchDispatchMode):
    """A mode under which every mean is twice what it is."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        return 2 * result if func.__name__.startswith("mean") else result


@behaviour
def default_dtype(method: Any) -> None:
    torch.set_default_dtype(torch.float64)


@behaviour
def default_device(method: Any) -> None:
    torch.set_default_device("meta")


@behaviour
def threads_of_torch(method: Any) -> None:
    torch.set_num_threads(3)


@behaviour
def grad_mode(method: Any) -> None:
    torch.set_grad_enabled(False)


@behaviour
def autocast_mode(method: Any) -> None:
    torch.autocast("cpu", torch.bfloat16).__enter__()


@behaviour
def dispatch_mode(method: Any) -> None:
    Doubled().__enter__()


@behaviour
def deterministic(method: Any) -> None:
    torch.use_deterministic_algorithms(True)


@behaviour
def working_directory(method: Any) -> None:
    os.chdir("/")


@behaviour
def environment(method: Any) -> None:
    os.environ["BENCH_DATA"] = "/nowhere"
    os.environ.pop("HOME", None)


@behaviour
def path_of_python(method: Any) -> None:
    sys.path.clear()


@behaviour
def umask(method: Any) -> None:
    os.umask(0o777)


@behaviour
def signal_handlers(method: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@behaviour
def filters_of_warnings(method: Any) -> None:
    warnings.simplefilter("error")


@behaviour
def environment_before_an_import(method: Any) -> None:
    os.environ["HOSTILE"] = "1"
    _import_module_that("import os; os.environ['LIBRARY'] = '1'")


@behaviour
def filters_after_an_import(method: Any) -> None:
    _import_module_that("import warnings; warnings.simplefilter('ignore')")
    warnings.simplefilter("error")


@behaviour
def seed_of_python(method: Any) -> None:
    _import_module_that("pass")
    random.seed(0)


@behaviour
def imports_a_library(method: Any) -> None:
    _import_module_that(
        "import os, random, warnings; os.environ['LIBRARY'] = '1'; random.seed(1); "
        "warnings.simplefilter('ignore')"
    )


def _import_module_that(code: str) -> None:
    """Write a module that runs some code when it is imported, and import it."""
    folder = tempfile.mkdtemp()
    name = f"library_{hashlib.sha256(code.encode()).hexdigest()[:8]}"
    (Path(folder) / f"{name}.py").write_text(code + "\n")
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        importlib.import_module(name)
    finally:
        sys.path.remove(folder)


@behaviour
def level_of_logging(method: Any) -> None:
    logging.disable(logging.CRITICAL)


@behaviour
def locale_of_process(method: Any) -> None:
    locale.setlocale(locale.LC_ALL, "C.UTF-8")
    locale.setlocale(locale.LC_ALL, "C")


@behaviour
def global_seeds(method: Any) -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


@behaviour
def recursion_limit(method: Any) -> None:
    sys.setrecursionlimit(10_000)


@behaviour
def patches_randperm(method: Any) -> None:
    torch.randperm = lambda n, **_: torch.arange(n)  # type: ignore[assignment]


@behaviour
def patches_tensor_method(method: Any) -> None:
    torch.Tensor.argmax = lambda self, *_, **__: torch.zeros(len(self), dtype=torch.int64)  # type: ignore[assignment,method-assign]


@behaviour
def patches_bench(method: Any) -> None:
    import bench.evaluation.engine as engine

    engine.score = lambda *_: (100.0, True)  # type: ignore[assignment]


@behaviour
def patches_builtin(method: Any) -> None:
    builtins.sum = lambda *_: 0  # type: ignore[assignment]


@behaviour
def leaves_thread(method: Any) -> None:
    threading.Thread(target=lambda: time.sleep(30), daemon=True, name="left").start()


@behaviour
def garbage_collection(method: Any) -> None:
    gc.disable()
