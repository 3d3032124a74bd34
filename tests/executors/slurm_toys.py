"""A plugin file for tests of the slurm executor: steps that take a while, and a job that dies.

``SLURM_TOY_PAUSE`` is how long a step takes, in seconds; ``SLURM_TOY_DIARY`` names the file that
gets a line for each. Neither is part of a cell, so a quick run elsewhere gives the same cells.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.plugin import Context, DistilledSet, ImageSet, Method, Task, param, register


@register("method")
class Walk(Method):
    """Adds noise to images, step by step."""

    name = "slurm-walk"
    uses_arch = False

    @dataclass(frozen=True)
    class Params:
        iterations: int = param(5, help="steps", min=1)

    def setup(self, task: Task, ctx: Context) -> None:
        self.task, self.ctx = task, ctx
        first = torch.cat([index[: task.ipc] for index in ctx.real.class_indices])
        self.images, self.labels = ctx.real.gather(first), ctx.real.labels[first]

    def steps(self) -> int:
        return self.task.params.iterations

    def step(self, i: int) -> Mapping[str, Tensor]:
        time.sleep(float(os.environ.get("SLURM_TOY_PAUSE", "0")))
        write(f"{self.name} {self.task.ipc} step {i}")
        noise = torch.randn(self.images.shape, generator=self.ctx.generator("noise"))
        self.images = self.images + 0.01 * noise
        return {"loss": self.images.square().mean()}

    def state_dict(self) -> dict[str, Any]:
        return {"images": self.images}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.images = state["images"]

    def result(self) -> DistilledSet:
        return ImageSet(self.task.spec, self.images, self.labels, {})


@register("method")
class WalkOfOtherName(Walk):
    """The same by another name: another cell."""

    name = "slurm-stroll"


@register("method")
class Diverges(Walk):
    """Its second loss is NaN."""

    name = "slurm-nan"

    def step(self, i: int) -> Mapping[str, Tensor]:
        return {"loss": torch.tensor(float("nan") if i == 1 else 1.0)}


@register("method")
class Raises(Walk):
    """Raises in its second step."""

    name = "slurm-raises"

    def step(self, i: int) -> Mapping[str, Tensor]:
        if i == 1:
            raise RuntimeError("the toy broke")
        return super().step(i)


@register("method")
class Dies(Walk):
    """Its process is killed in the second step, every time."""

    name = "slurm-dies"

    def step(self, i: int) -> Mapping[str, Tensor]:
        if i == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(i)


def write(what: str) -> None:
    """Add a line to the diary."""
    diary = os.environ.get("SLURM_TOY_DIARY")
    if diary:
        with open(diary, "a", encoding="utf-8") as file:
            file.write(f"{what}\n")
