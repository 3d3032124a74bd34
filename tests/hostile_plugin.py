"""A plugin file for tests: methods that each do one thing that no plugin should."""

from __future__ import annotations

import builtins
import gc
import hashlib
import importlib
import locale
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bench.plugin import ImageSet, SelectionMethod, register

BEHAVIOURS: dict[str, Callable[[Any], object]] = {}
RESULTS: dict[str, Callable[[Any, ImageSet], object]] = {}


class Doubled(TorchDispatchMode):
    """A mode under which every mean is twice what it is."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        return 2 * result if func.__name__.startswith("mean") else result


def first_images(method: SelectionMethod) -> Tensor:
    return torch.cat([index[: method.ipc] for index in method.ctx.real.class_indices])


def behaviour(act: Callable[[Any], object]) -> Callable[[Any], object]:
    """Register a method that acts so when it is set up."""

    class Hostile(SelectionMethod):
        """Does what its name says, then selects the first images."""

        name = f"hostile-{act.__name__.replace('_', '-')}"
        uses_arch = False

        def select(self) -> Tensor:
            act(self)
            return first_images(self)

    register("method")(Hostile)
    BEHAVIOURS[Hostile.name] = act
    return act


def result_of(make: Callable[[Any, ImageSet], object]) -> Callable[[Any, ImageSet], object]:
    """Register a method that returns what the function makes of the first images."""

    class Hostile(SelectionMethod):
        """Returns what it should not."""

        name = f"hostile-{make.__name__.replace('_', '-')}"
        uses_arch = False

        def select(self) -> Tensor:
            return first_images(self)

        def result(self) -> Any:
            images = super().result()
            assert isinstance(images, ImageSet)
            return make(self, images)

    register("method")(Hostile)
    RESULTS[Hostile.name] = make
    return make


def with_value(images: ImageSet, index: int, value: float) -> Tensor:
    values = images.images.float()
    values[index] = value
    return values


# What it shares with others.


@behaviour
def writes_real_set(method: Any) -> None:
    method.ctx.real.images.zero_()


@behaviour
def writes_real_labels(method: Any) -> None:
    method.ctx.real.labels.copy_(method.ctx.real.labels.flip(0))


@behaviour
def writes_real_set_by_numpy(method: Any) -> None:
    method.ctx.real.images.numpy()[:] = 7


@behaviour
def writes_class_indices(method: Any) -> None:
    for index in method.ctx.real.class_indices:
        index.zero_()


# What the whole process shares.


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


# How it ends.


@behaviour
def raises_keyboard_interrupt(method: Any) -> None:
    raise KeyboardInterrupt("words")


@behaviour
def raises_bare_keyboard_interrupt(method: Any) -> None:
    raise KeyboardInterrupt


@behaviour
def raises_system_exit(method: Any) -> None:
    sys.exit(0)


@behaviour
def raises_generator_exit(method: Any) -> None:
    raise GeneratorExit


@behaviour
def raises_own_base_exception(method: Any) -> None:
    raise type("Odd", (BaseException,), {})("own words")


@behaviour
def leaves_by_os_exit(method: Any) -> None:
    os._exit(0)


@behaviour
def recurses(method: Any) -> None:
    recurses(method)


@behaviour
def memory_error(method: Any) -> None:
    raise MemoryError


@behaviour
def pretends_to_be_stopped(method: Any) -> None:
    from bench.support.stopping import Interrupted

    raise Interrupted("because", 0)


# What it writes.


@behaviour
def prints(method: Any) -> None:
    print("hello from a plugin")
    os.write(1, b"hello from the descriptor\n")
    os.system("echo hello from a child")


@behaviour
def prints_much(method: Any) -> None:
    print("x" * 1_000_000)


@behaviour
def closes_stdout(method: Any) -> None:
    sys.stdout.close()
    os.close(1)


@behaviour
def closes_stderr(method: Any) -> None:
    sys.stderr.close()


@behaviour
def deletes_files(method: Any) -> None:
    for path in Path.cwd().glob("*.victim"):
        path.unlink()
    shutil.rmtree(Path.cwd() / "folder.victim", ignore_errors=True)


# What it returns.


@result_of
def nan_images(method: Any, images: ImageSet) -> object:
    return ImageSet(images.spec, with_value(images, 0, float("nan")), images.labels, {})


@result_of
def infinite_images(method: Any, images: ImageSet) -> object:
    return ImageSet(images.spec, with_value(images, -1, float("inf")), images.labels, {})


@result_of
def no_set(method: Any, images: ImageSet) -> object:
    return (images.images for _ in iter(int, 1))


@result_of
def wrong_shape(method: Any, images: ImageSet) -> object:
    return ImageSet(images.spec, images.images[:, :, :8], images.labels, {})


@result_of
def wrong_dtype(method: Any, images: ImageSet) -> object:
    return ImageSet(images.spec, images.images.double(), images.labels, {})


@result_of
def wrong_device(method: Any, images: ImageSet) -> object:
    return ImageSet(images.spec, images.images.to("meta"), images.labels.to("meta"), {})


@result_of
def wrong_number(method: Any, images: ImageSet) -> object:
    return ImageSet(images.spec, images.images[:-1], images.labels[:-1], {})


@result_of
def gradients(method: Any, images: ImageSet) -> object:
    return ImageSet(images.spec, images.images.float().requires_grad_(), images.labels, {})


@result_of
def memory_of_real_set(method: Any, images: ImageSet) -> object:
    real = method.ctx.real
    real.labels[: len(images.labels)] = images.labels
    return ImageSet(images.spec, images.images, real.labels[: len(images.labels)], {})
