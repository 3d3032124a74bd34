"""A plugin file for tests: methods that are quick, and behave as their names say.

The environment variable ``TOY_FOLDER`` names the folder through which toys and a test talk (see
``processes/event_log.py``); without it, toys do their work and nothing else. In this folder:

- ``events`` has a line for every event, with the process first: ``4711 toy-drift 1 step 3``;
- a toy waits after an event as long as there is a file ``hold EVENT`` or ``hold step 3``;
- ``stopping`` has a line for each process that was asked to stop while it waited;
- ``pause`` holds the seconds that every step takes besides;
- with a file ``fork``, every step forks a child that sleeps; ``children`` has a line for each, with
  the child and its parent.

None of it is part of a cell.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bench.datasets.zca import ZCA
from bench.plugin import (
    Architecture,
    DatasetSpec,
    DistilledSet,
    ImageSet,
    Method,
    Profile,
    SelectionMethod,
    Task,
    param,
    register,
)
from bench.plugin.datasets import denormalise

# A toy that waits longer than this many seconds fails: its test has failed to release it.
_PATIENCE = 900.0
_TOO_MUCH = 2**42  # bytes: 4 TiB


def _folder() -> Path | None:
    return Path(os.environ["TOY_FOLDER"]) if "TOY_FOLDER" in os.environ else None


def _append(path: Path, line: str) -> None:
    # One write, so that lines of several processes do not mix.
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def log(event: str, stop_requested: Callable[[], bool] = lambda: False) -> None:
    """Append an event to the log, wait as long as the test holds it, and pause."""
    folder = _folder()
    if folder is None:
        return
    if "step" in event and (folder / "fork").exists():
        _fork_child(folder)
    _append(folder / "events", f"{os.getpid()} {event}")
    held = [folder / f"hold {event}", folder / f"hold {event[event.find('step') :]}"]
    end, stopping = time.monotonic() + _PATIENCE, False
    while any(path.exists() for path in held):
        assert time.monotonic() < end, f"the test has not released '{event}'"
        if not stopping and stop_requested():
            stopping = True
            _append(folder / "stopping", str(os.getpid()))
        time.sleep(0.01)
    if (folder / "pause").exists():
        time.sleep(float((folder / "pause").read_text()))


def _fork_child(folder: Path) -> None:
    child = os.fork()
    if child == 0:
        time.sleep(_PATIENCE)
        os._exit(0)
    _append(folder / "children", f"{child} {os.getpid()}")


def first_time(what: str) -> bool:
    """Return whether this is asked for the first time in ``TOY_FOLDER``."""
    folder = _folder()
    assert folder is not None, "this toy needs TOY_FOLDER"
    mark = folder / f"once {what}"
    if mark.exists():
        return False
    mark.touch()
    return True


@register("method")
class ToyFirst(SelectionMethod):
    """The first images of each class."""

    name = "toy-first"
    uses_arch = False

    def select(self) -> Tensor:
        return torch.cat([index[: self.ipc] for index in self.ctx.real.class_indices])

    def change(self, images: ImageSet) -> DistilledSet:
        """Return what this toy makes of the first images."""
        return images

    def result(self) -> DistilledSet:
        images = super().result()
        assert isinstance(images, ImageSet)
        return self.change(images)


@register("method")
class ToyWhitened(ToyFirst):
    """The first images of each class, whitened."""

    name = "toy-whitened"

    def change(self, images: ImageSet) -> DistilledSet:
        zca = ZCA.fit(self.ctx.real.images, 0.1)
        return ImageSet(images.spec, zca.whiten(images.images), images.labels, {}, zca=zca)


@register("method")
class ToyPixels(ToyFirst):
    """The first images of each class, as pixels in [0, 1]: the normalisation was forgotten."""

    name = "toy-pixels"

    def change(self, images: ImageSet) -> DistilledSet:
        pixels = denormalise(self.ctx.real.gather(self.select()), images.spec)
        return ImageSet(images.spec, pixels, images.labels, {})


@register("method")
class ToyOwnPace(ToyFirst):
    """The first images of each class, with a learning rate and a number of epochs of their own."""

    name = "toy-own-pace"

    def change(self, images: ImageSet) -> DistilledSet:
        return ImageSet(
            images.spec, images.images, images.labels, {}, learning_rate=0.125, epochs=3
        )


@register("method")
class ToyFlips(ToyFirst):
    """The first images of each class, which claim that they may be flipped."""

    name = "toy-flips"

    def change(self, images: ImageSet) -> DistilledSet:
        return ImageSet(replace(images.spec, flip=True), images.images, images.labels, {})


@register("method")
class ToyFails(ToyFirst):
    """Raises for odd IPC."""

    name = "toy-fails"

    def select(self) -> Tensor:
        if self.ipc % 2:
            raise RuntimeError("the toy broke")
        return super().select()


@register("method")
class ToySkips(ToyFirst):
    """Declines IPC 1."""

    name = "toy-skips"

    @classmethod
    def skip(cls, task: Task) -> str | None:
        return "needs at least two images per class" if task.ipc == 1 else None


Fault = Callable[["ToyDrift", int], None]


@register("method")
class ToyDrift(Method):
    """Pulls images towards others by Adam, with noise of two generators.

    Attributes:
        faults: called at the start of ``setup``, ``step``, ``load`` and ``result``, by these
            names, with the toy and the number of the step (0 outside of steps).
        bad_loss: the loss from step ``bad_from`` on, where that is not negative.
    """

    name = "toy-drift"
    uses_arch = False
    faults: ClassVar[Mapping[str, Fault]] = {}
    bad_loss: ClassVar[float] = float("nan")
    bad_from: ClassVar[int] = -1

    @dataclass(frozen=True)
    class Params:
        iterations: int = param(16, help="steps", min=1)
        nan_at: int = param(-1, help="step from which on the loss is NaN")

    profiles = {"smoke": Profile({"iterations": 8}, "half the steps")}
    state = ("images", "adam")

    def fail(self, where: str, i: int = 0) -> None:
        if where in self.faults:
            self.faults[where](self, i)

    def setup(self) -> None:
        self.fail("setup")
        real = self.ctx.real
        first = torch.cat([index[: self.ipc] for index in real.class_indices])
        self.images = real.gather(first).requires_grad_()
        self.labels = real.labels[first]
        self.adam = torch.optim.Adam([self.images], lr=0.05)

    def step(self, i: int) -> Mapping[str, Tensor]:
        log(f"{self.name} {self.ipc} step {i}", lambda: self.ctx.stop.requested)
        self.fail("step", i)
        noise = torch.randn(self.images.shape, generator=self.ctx.generator("noise"))
        target = self.ctx.real.gather(torch.tensor([self.ctx.draw_int(30, "target")]))
        loss = (self.images + 0.1 * noise - target).square().mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        bad_from = max(self.bad_from, self.params.nan_at)
        return {"loss": loss.detach() * (self.bad_loss if 0 <= bad_from <= i else 1.0)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.fail("load")
        super().load_state_dict(state)

    def result(self) -> ImageSet:
        self.fail("result")
        log(f"{self.name} {self.ipc} done")
        return ImageSet(self.spec, self.images.detach(), self.labels, {})


@register("method")
class ToyByproducts(ToyDrift):
    """Drifts, and leaves by-products."""

    name = "toy-byproducts"

    def byproducts(self) -> dict[str, Tensor]:
        return {"twice": 2 * self.images.detach()}


def _drift(name: str, **behaviour: Any) -> None:
    """Register a drifting toy that behaves otherwise."""
    members = {"name": name, "__doc__": f"Drifts, with {', '.join(behaviour)} of its own."}
    register("method")(type("Toy", (ToyDrift,), {**members, "__module__": __name__, **behaviour}))


def _raises(error: BaseException, step: int = 0) -> Fault:
    def fault(toy: ToyDrift, i: int) -> None:
        if i == step:
            raise error

    return fault


def _dies(toy: ToyDrift, i: int) -> None:
    if i == 1:
        print("these are my last words", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


def _dies_once(toy: ToyDrift, i: int) -> None:
    if i == 2 and first_time(f"{toy.name} {toy.ipc}"):
        os.kill(os.getpid(), signal.SIGKILL)


def _raises_once(toy: ToyDrift, i: int) -> None:
    if i == 3 and first_time(f"{toy.name} {toy.ipc}"):
        raise RuntimeError("stopped here")


_LINES = ValueError("the first line\n  the second line\n\n\x1b[31mthe last line")
_OLDER = KeyError("written by an older version of this plugin")
_drift("toy-setup-error", faults={"setup": _raises(KeyError("no such key"))})
_drift("toy-step-error", faults={"step": _raises(_LINES, step=2)})
_drift("toy-state-error", state_dict=lambda toy: {"images": object()})
_drift("toy-load-error", faults={"load": _raises(_OLDER), "step": _raises_once})
_drift("toy-result-error", faults={"result": _raises(AssertionError())})
_drift("toy-exits", faults={"step": _raises(SystemExit("I have had enough"))})
_drift("toy-nan", bad_from=5)
_drift("toy-inf", bad_from=5, bad_loss=float("inf"))
_drift("toy-torch-memory", faults={"step": lambda *_: torch.ones(_TOO_MUCH, dtype=torch.uint8)})
_drift("toy-numpy-memory", faults={"step": lambda *_: np.ones(_TOO_MUCH, dtype=np.uint8)})
_drift("toy-dies", faults={"step": _dies})
_drift("toy-dies-once", faults={"step": _dies_once})

_net_steps = itertools.count()


class _Net(nn.Module):
    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__()
        pixels = spec.channels * spec.height * spec.width
        self.hidden, self.classifier = nn.Linear(pixels, 8), nn.Linear(8, spec.num_classes)

    def embed(self, x: Tensor) -> Tensor:
        if self.training:
            log(f"toy-net step {next(_net_steps)}")
        return self.hidden(x.flatten(1)).relu()

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.embed(x))


@register("architecture")
class ToyNet(Architecture):
    """A small network that logs its training steps; a process counts those of all its networks."""

    name = "toy-net"
    members = {"toy-net": {}}

    @classmethod
    def build(cls, spec: DatasetSpec, params: Any) -> nn.Module:
        return _Net(spec)

    @classmethod
    def per_sample(cls, params: Any) -> bool:
        return False
