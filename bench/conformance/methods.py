"""What every method must keep.

Methods run their ``smoke`` profile for a few steps on a small made-up dataset, so that the suite
takes seconds.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.conformance.place import place
from bench.conformance.state import global_state_kept
from bench.datasets.real_set import RealSet
from bench.datasets.spec import DatasetSpec
from bench.distillation.context import Context, Start
from bench.distillation.method import Method, Task
from bench.distillation.profiles import PROFILES, resolve_profile
from bench.distillation.tasks import task_of
from bench.distilled.base import DistilledSet
from bench.distilled.io import load, save
from bench.distilled.unit_check import describe_wrong_units
from bench.ledger.state_file import load_state, save_state
from bench.registry.names import check_plugin_name
from bench.registry.params import describe
from bench.support.process_state import kept
from bench.support.seeds import make_generator

MethodCheck = Callable[[type[Method]], None]

_STEPS = 4
_IPC = 2
_ARCH = "convnet2(width=8)"


def method_checks() -> list[MethodCheck]:
    """Return every check of a method, in order."""
    return [
        check_declaration,
        check_determinism,
        check_resume,
        check_global_state,
        check_process_state,
        check_scalars,
        check_result,
        check_units,
        check_round_trip,
    ]


def small_real_set() -> RealSet:
    """Return a made-up dataset: 3 classes of 20 grey 16×16 images, each class a noisy pattern."""
    spec = DatasetSpec("small", 3, 1, 16, 16, (0.5,), (0.25,), flip=False)
    generator = make_generator(1)
    labels = torch.arange(3).repeat_interleave(20)
    patterns = torch.randint(0, 200, (3, 1, 16, 16), generator=generator)
    noise = torch.randint(0, 56, (60, 1, 16, 16), generator=generator)
    images = (patterns[labels] + noise).to(torch.uint8)
    return RealSet(spec, images.to(place()), labels.to(place()), "0" * 64)


@dataclasses.dataclass
class Trial:
    """A method set up on the small dataset, with its context."""

    method: Method
    ctx: Context
    task: Task

    def run(self, start: int = 0, stop: int = _STEPS) -> None:
        """Do steps ``start`` to ``stop``, or as many as there are."""
        for i in range(start, min(stop, self.method.steps())):
            self.method.step(i)


def begin(cls: type[Method], seed: int = 7) -> Trial:
    """Set a method up; what it starts from is made first, with a few steps."""
    real, ipc = small_real_set(), None if cls.ipc_agnostic else _IPC
    params = resolve_profile(cls, "smoke", {}, ipc)
    counts = tuple(len(i) for i in real.class_indices)
    task = Task(real.spec, counts, ipc, _ARCH if cls.uses_arch else None, params)
    ctx = Context(real, seed, start=_start(cls, task, seed))
    return Trial(cls(task, ctx), ctx, task)


def check_declaration(cls: type[Method]) -> None:
    """Names, profiles and texts are complete, and every profile resolves."""
    check_plugin_name("method", cls.name)
    assert cls.version >= 1, "version counts from 1"
    settings = getattr(cls.Params, "__dataclass_params__", None)
    assert settings is not None and settings.frozen, "Params must be a frozen dataclass"
    for name in PROFILES:
        resolve_profile(cls, name, {}, None if cls.ipc_agnostic else 10)
    for name, profile in cls.profiles.items():
        assert name in PROFILES, f"profile '{name}' is not one of {PROFILES}"
        assert not profile.overrides or profile.gives_up, f"say what '{name}' gives up"
    for info in describe(cls.Params):
        assert info.help, f"parameter '{info.name}' needs help"
    if cls.inner_loop:
        repeated = getattr(resolve_profile(cls, "smoke", {}, _IPC), cls.inner_loop, None)
        assert isinstance(repeated, int), f"inner_loop '{cls.inner_loop}' is no parameter of counts"


def check_determinism(cls: type[Method]) -> None:
    """The same seed gives the same distilled set, bit by bit."""
    first, second = _finished(cls), _finished(cls)
    _assert_equal(first.tensors(), second.tensors(), "two runs with one seed")


def check_resume(cls: type[Method]) -> None:
    """Stopping after any step and continuing in a fresh object changes nothing."""
    expected = _finished(cls).tensors()
    before = begin(cls)
    total = min(_STEPS, before.method.steps())
    checkpoints = []
    for step in range(total + 1):
        state = before.method.state_dict(), before.ctx.state_dict()
        checkpoints.append([_through_a_file(part) for part in state])
        before.run(step, min(step + 1, total))
    _assert_equal(expected, before.method.result().tensors(), "with checkpoints")
    # What went on after a checkpoint must not have reached into it.
    for stop, (state, draws) in enumerate(checkpoints):
        after = begin(cls)
        after.method.load_state_dict(state)
        after.ctx.load_state_dict(draws)
        after.run(stop, total)
        actual = after.method.result().tensors()
        _assert_equal(expected, actual, f"resumed after step {stop}")


def check_global_state(cls: type[Method]) -> None:
    """No draw is taken from a global generator, and none is left seeded."""
    with global_state_kept():
        _finished(cls)


def check_process_state(cls: type[Method]) -> None:
    """The real set, and what the whole process shares, are as they were before."""
    with kept() as changes:
        trial = begin(cls)
        trial.run()
        trial.method.result()
    assert not changes, f"it changed {', '.join(changes)}"
    real, untouched = trial.ctx.real, small_real_set()
    same = torch.equal(real.images, untouched.images) and torch.equal(real.labels, untouched.labels)
    assert same, "it wrote into the real set: work on a copy"


def check_scalars(cls: type[Method]) -> None:
    """A step returns detached, finite 0-d tensors."""
    trial = begin(cls)
    assert trial.method.steps() >= 1, "a method has at least one step"
    for name, value in trial.method.step(0).items():
        assert isinstance(value, Tensor) and value.ndim == 0, f"scalar '{name}' is no 0-d tensor"
        assert not value.requires_grad, f"scalar '{name}' is not detached"
        assert bool(value.isfinite()), f"scalar '{name}' is not finite"


def check_result(cls: type[Method]) -> None:
    """The distilled set has the right classes, shapes, ranges and modes."""
    trial, real = begin(cls), small_real_set()
    trial.run()
    distilled, shown = trial.method.result(), cls.shown_per_stored(trial.task.params)
    assert distilled.modes == cls.modes, f"modes {cls.modes} declared, {distilled.modes} made"
    kind, labels_are = distilled.kind, "hard" if distilled.label_kind == "hard" else "soft"
    assert kind == cls.artefact, f"artefact '{cls.artefact}' declared, '{kind}' made"
    assert labels_are == cls.label_kind, (
        f"label_kind '{cls.label_kind}' declared, the labels are {labels_are}"
    )
    assert distilled.storage_bytes > 0, "a distilled set stores something"
    ipc = None if cls.own_size else _IPC
    for mode in cls.modes:
        source = distilled.source(mode, ipc, make_generator(3, place()))
        images, labels = source.epoch(make_generator(4, place()))
        images = images[:]
        assert images.dtype == torch.float32, f"{mode}: images are {images.dtype}"
        assert images.shape == (source.images_per_epoch, *real.spec.shape), f"{mode}: wrong shape"
        assert bool(images.isfinite().all()), f"{mode}: images are not finite"
        if ipc is not None and labels.ndim == 1:
            counts = torch.bincount(labels, minlength=real.spec.num_classes).tolist()
            expected = [ipc * shown] * real.spec.num_classes
            assert counts == expected, f"{mode}: {counts} images per class, not {expected}"
    preview = distilled.preview(1, make_generator(5, place()))
    assert preview.min() >= 0 and preview.max() <= 1, "a preview lies in [0, 1]"


def check_units(cls: type[Method]) -> None:
    """The images have the moments of normalised images, and not those of another unit."""
    wrong = describe_wrong_units(_finished(cls), small_real_set())
    assert wrong is None, wrong


def check_round_trip(cls: type[Method]) -> None:
    """Saved and loaded, the set is unchanged."""
    distilled = _finished(cls)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "artefact.safetensors"
        save(distilled, path)
        loaded = load(path)
    assert loaded.kind == distilled.kind and loaded.spec == distilled.spec, "header changed"
    assert loaded.config() == distilled.config(), "configuration changed"
    _assert_equal(distilled.tensors(), loaded.tensors(), "saved and loaded")


def _finished(cls: type[Method]) -> DistilledSet:
    trial = begin(cls)
    trial.run()
    return trial.method.result()


def _start(cls: type[Method], task: Task, seed: int) -> Start | None:
    wanted = cls.prerequisite(task)
    if wanted is None:
        return None
    other, first = task_of(wanted, task)
    ctx = Context(small_real_set(), seed + 1, start=_start(other, first, seed + 1))
    before = other(first, ctx)
    before.step(0)
    return Start(before.result(), before.byproducts())


def _through_a_file(state: Any) -> Any:
    """Return a state as a checkpoint gives it back, refusing what such a file cannot hold."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        save_state(state, path)
        return load_state(path, place())


def _assert_equal(first: dict[str, Tensor], second: dict[str, Tensor], what: str) -> None:
    assert first.keys() == second.keys(), f"{what}: tensors {set(first) ^ set(second)} differ"
    for name, value in first.items():
        assert torch.equal(value.cpu(), second[name].cpu()), f"{what}: '{name}' differs"
