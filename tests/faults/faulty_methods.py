"""A plugin file for tests from outside: slow work, and methods that break in every place.

What is begun is written to the file that ``FAULT_DIARY`` names, a line each, so that tests can
count it across processes. ``FAULT_HANG`` names lines, with commas between them: who has written one
waits there until there is a file of that name, ``DIARY LINE``. So a test can do something in the
middle of a step, however slow or fast the machine is. ``FAULT_PAUSE`` is how many seconds a slow
step takes.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bench.plugin import (
    Architecture,
    DatasetSpec,
    ImageSet,
    Method,
    param,
    register,
)

TOO_MUCH = 2**42  # 4 TiB
# Seconds after which who waits gives up: the test has failed.
PATIENCE = 600
_net_steps = itertools.count()


def note(what: str) -> None:
    """Add a line to the diary, and wait there if the test says so."""
    diary = os.environ.get("FAULT_DIARY")
    if diary:
        # One write, so that lines of several processes do not mix.
        with open(diary, "a", encoding="utf-8") as file:
            file.write(f"{what}\n")
        if what in os.environ.get("FAULT_HANG", "").split(","):
            wait_for(Path(f"{diary} {what}"))


def wait_for(gate: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not gate.exists():
        if time.monotonic() > until:
            raise TimeoutError(f"nobody made '{gate}'")
        time.sleep(0.005)


def pause() -> None:
    time.sleep(float(os.environ.get("FAULT_PAUSE", "0")))


@register("method")
class Slow(Method):
    """Pulls images towards others by Adam, a slow step at a time, with noise of two generators."""

    name = "fault-slow"
    uses_arch = False

    @dataclass(frozen=True)
    class Params:
        iterations: int = param(8, help="steps", min=1)

    state = ("images", "adam")

    def setup(self) -> None:
        real = self.ctx.real
        first = torch.cat([index[: self.ipc] for index in real.class_indices])
        self.images = real.gather(first).requires_grad_()
        self.labels = real.labels[first]
        self.adam = torch.optim.Adam([self.images], lr=0.05)

    def step(self, i: int) -> Mapping[str, Tensor]:
        pause()
        note(f"{self.name} {self.ipc} step {i}")
        noise = torch.randn(self.images.shape, generator=self.ctx.generator("noise"))
        target = self.ctx.real.gather(torch.tensor([self.ctx.draw_int(100, "target")]))
        loss = (self.images + 0.1 * noise - target).square().mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return {"loss": loss.detach()}

    def result(self) -> ImageSet:
        note(f"{self.name} {self.ipc} done")
        return ImageSet(self.spec, self.images.detach(), self.labels, {})


@register("method")
class Twin(Slow):
    """Another slow one, which leaves by-products."""

    name = "fault-twin"

    def byproducts(self) -> dict[str, Tensor]:
        return {"twice": 2 * self.images.detach()}


@register("method")
class InSetup(Slow):
    """Raises in ``setup``."""

    name = "fault-setup"

    def setup(self) -> None:
        raise KeyError("no such key")


@register("method")
class InStep(Slow):
    """Raises in the third step, in several lines."""

    name = "fault-step"

    def step(self, i: int) -> Mapping[str, Tensor]:
        if i == 2:
            raise ValueError("the first line\n  the second line\n\n\x1b[31mthe last line")
        return super().step(i)


@register("method")
class InState(Slow):
    """Cannot be kept: its state holds what no file can."""

    name = "fault-state"

    def state_dict(self) -> dict[str, Any]:
        return {"images": object()}


@register("method")
class InLoad(Slow):
    """Cannot be continued; it ends its first attempt in the fourth step."""

    name = "fault-load"

    def step(self, i: int) -> Mapping[str, Tensor]:
        if i == 3 and "FAULT_STOP" in os.environ:
            raise RuntimeError("stopped here")
        return super().step(i)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        raise KeyError("written by an older version of this plugin")


@register("method")
class InResult(Slow):
    """Raises when all steps are done."""

    name = "fault-result"

    def result(self) -> ImageSet:
        raise AssertionError


@register("method")
class Exits(Slow):
    """Tries to end the process."""

    name = "fault-exit"

    def step(self, i: int) -> Mapping[str, Tensor]:
        raise SystemExit("I have had enough")


@register("method")
class Diverges(Slow):
    """Its loss is NaN from the sixth step on."""

    name = "fault-nan"
    value: ClassVar[float] = float("nan")

    def step(self, i: int) -> Mapping[str, Tensor]:
        loss = super().step(i)["loss"]
        return {"loss": loss * self.value if i >= 5 else loss}


@register("method")
class Explodes(Diverges):
    """Its loss is infinite from the sixth step on."""

    name = "fault-inf"
    value = float("inf")


@register("method")
class TorchMemory(Slow):
    """Asks torch for more memory than there is."""

    name = "fault-torch-memory"

    def step(self, i: int) -> Mapping[str, Tensor]:
        return {"loss": torch.empty(TOO_MUCH, dtype=torch.uint8).sum()}


@register("method")
class NumpyMemory(Slow):
    """Asks numpy for more memory than there is."""

    name = "fault-numpy-memory"

    def step(self, i: int) -> Mapping[str, Tensor]:
        return {"loss": torch.tensor(float(np.ones(TOO_MUCH, dtype=np.uint8).sum()))}


class _SlowNet(nn.Module):
    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__()
        pixels = spec.channels * spec.height * spec.width
        self.hidden, self.classifier = nn.Linear(pixels, 8), nn.Linear(8, spec.num_classes)

    def embed(self, x: Tensor) -> Tensor:
        if self.training:
            pause()
            note(f"fault-net step {next(_net_steps)}")
        return self.hidden(x.flatten(1)).relu()

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.embed(x))


@register("architecture")
class SlowNet(Architecture):
    """A small network that takes its time in training; a process counts the steps of all."""

    name = "fault-net"
    members = {"fault-net": {}}

    @classmethod
    def build(cls, spec: DatasetSpec, params: Any) -> nn.Module:
        return _SlowNet(spec)

    @classmethod
    def per_sample(cls, params: Any) -> bool:
        return False
