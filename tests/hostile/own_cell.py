"""A plugin file for tests: methods that do in their own cell what no method should."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from torch import Tensor

from bench.plugin import ImageSet

sys.path.insert(0, str(Path(__file__).parent))
from hostile_methods import behaviour, result_of


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
