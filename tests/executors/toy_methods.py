"""A plugin file for tests of executors: methods that are slow, fail, or take their process along.

The folder ``TOY_FOLDER`` is how toys talk with a test: they leave a file there for every step that
they do. A step lasts as long as there is a file ``hold-STEP``, and who is told to end in that time
leaves ``told-PID``; the file ``pause`` says how many seconds a step takes besides. None of it is
part of a cell.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench.plugin import ImageSet, Method, param, register

# Seconds after which a step fails whose test has failed to let it end.
_HELD_AT_MOST = 900.0


class Toy(Method):
    """Adds noise to the first images of each class, step by step."""

    uses_arch = False

    @dataclass(frozen=True)
    class Params:
        iterations: int = param(4, help="steps", min=1)

    state = ("images",)

    def setup(self) -> None:
        self.folder, real = Path(os.environ["TOY_FOLDER"]), self.ctx.real
        first = torch.cat([index[: self.ipc] for index in real.class_indices])
        self.images, self.labels = real.gather(first), real.labels[first]

    def step(self, i: int) -> Mapping[str, Tensor]:
        (self.folder / f"step-{self.name}-{self.ipc}-{i}-{os.getpid()}").touch()
        self.misbehave(i)
        self.hold(self.folder / f"hold-{i}")
        pause = self.folder / "pause"
        if pause.exists():
            time.sleep(float(pause.read_text()))
        noise = torch.randn(self.images.shape, generator=self.ctx.generator("noise"))
        self.images = self.images + 0.01 * noise
        return {"loss": self.images.square().mean()}

    def misbehave(self, i: int) -> None:
        """Do what the toy is for."""

    def hold(self, gate: Path) -> None:
        end = time.monotonic() + _HELD_AT_MOST
        while gate.exists():
            assert time.monotonic() < end, f"nobody has opened {gate.name}"
            if self.ctx.stop.requested:
                (self.folder / f"told-{os.getpid()}").touch()
            time.sleep(0.02)

    def result(self) -> ImageSet:
        return ImageSet(self.spec, self.images, self.labels, {})


@register("method")
class ToyWalks(Toy):
    """Does nothing wrong."""

    name = "toy-walks"


@register("method")
class ToyRaises(Toy):
    """Raises in its second step."""

    name = "toy-raises"

    def misbehave(self, i: int) -> None:
        if i == 1:
            raise RuntimeError("the toy broke")


@register("method")
class ToyNaN(Toy):
    """Diverges in its second step."""

    name = "toy-nan"

    def step(self, i: int) -> Mapping[str, Tensor]:
        loss = super().step(i)["loss"]
        return {"loss": loss * float("nan") if i == 1 else loss}


@register("method")
class ToyAllocates(Toy):
    """Asks for a petabyte."""

    name = "toy-allocates"

    def misbehave(self, i: int) -> None:
        torch.empty(2**50, dtype=torch.uint8)


@register("method")
class ToyDies(Toy):
    """Kills its process in the second step, always."""

    name = "toy-dies"

    def misbehave(self, i: int) -> None:
        if i == 1:
            print("these are my last words", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)


@register("method")
class ToyDiesOnce(Toy):
    """Kills its process in the third step, the first time that it comes to it."""

    name = "toy-dies-once"

    def misbehave(self, i: int) -> None:
        mark = self.folder / f"died-{self.ipc}"
        if i == 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
