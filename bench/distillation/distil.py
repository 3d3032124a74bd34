"""The first of the two functions: distil a real set into a small one.

``distil`` knows no store: what it may resume from, and who watches, comes in one optional
:class:`~bench.support.attempt.Attempt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from bench.datasets.real_set import RealSet
from bench.distillation.context import Context, Start
from bench.distillation.loop import Loop, NotFiniteError
from bench.distillation.method import Method, Task
from bench.distillation.tasks import load_method, make_task, prerequisite_task
from bench.distilled.base import DistilledSet
from bench.distilled.unit_check import describe_wrong_units
from bench.networks.architecture import canonical_name
from bench.networks.precision import float32_mode
from bench.registry.params import as_dict
from bench.support.arguments import check_argument, check_count
from bench.support.attempt import Attempt, State
from bench.support.cost_meter import Meter
from bench.support.errors import BenchError
from bench.support.failure_reasons import UnfitStateError
from bench.support.outcomes import DistilBudget, DistilCost, DistilResult
from bench.support.seeds import distillation_seed


@dataclass(frozen=True)
class Distillation:
    """A distilled set, with what it took to make.

    Attributes:
        distilled: the set, on the device of the real set.
        byproducts: tensors for methods that start from this one, such as a discriminator; they
            are not part of the distilled set.
        result: steps and last scalars.
        budget: stored bytes.
        cost: time, memory, energy, and the cost of everything that the set depends on.
    """

    distilled: DistilledSet
    byproducts: Mapping[str, Tensor]
    result: DistilResult
    budget: DistilBudget
    cost: DistilCost

    def as_start(self) -> Start:
        """Return the set as the start of a method that continues from it."""
        seconds, steps = self.cost.total_seconds, self.cost.total_steps
        return Start(self.distilled, dict(self.byproducts), seconds, steps)


def distil(
    method: str | type[Method],
    real: RealSet,
    *,
    ipc: int | None = None,
    arch: str = "convnet3",
    seed: int = 0,
    params: Mapping[str, Any] | None = None,
    profile: str = "paper",
    precision: str = "fp32",
    start: Start | None = None,
    attempt: Attempt | None = None,
    percent: int | None = None,
) -> Distillation:
    """Distil a real training set.

    Args:
        method: a registered name, or a method's class.
        real: the real training set; everything is computed on its device.
        ipc: images per class; not used by a method that serves every IPC, such as ``dim``.
        arch: the architecture to distil with; not used by a method that uses none.
        seed: the seed index; with the method, dataset, IPC and architecture it determines every
            random number, so that equal arguments give equal tensors.
        params: parameters by name that differ from those of the profile.
        profile: ``paper``, ``day``, ``lite`` or ``smoke``.
        precision: ``fp32``, ``tf32`` or ``bf16``.
        start: the distilled set that the method starts from; distilled first if it needs one and
            none is given.
        attempt: checkpoint, stop, progress and shared results; empty by default.
        percent: return the set as it is after this percentage of the steps, 1 to 99, rounded
            down to a step; ``None`` after all of them. Schedules are those of all steps.

    Raises:
        BenchError: for an unknown name, a parameter that is not allowed, or a task that the method
            does not apply to.
        NotFiniteError: a scalar that the method reports, or a value of the distilled set, is NaN or
            infinite; the checkpoint is that of an earlier step.
        Interrupted: ``attempt.stop`` asked for it; the checkpoint is that of the last step.

    Examples:
        >>> import bench
        >>> real = bench.load_dataset("digits")
        >>> made = bench.distil("random", real.train, ipc=2)
        >>> tuple(made.distilled.images.shape), made.budget.stored_bytes
        ((20, 1, 16, 16), 5120)
    """
    check_argument("real", real, RealSet, "a real set: bench.load_dataset(NAME).train")
    check_argument("arch", arch, str, "a text")
    check_count("seed", seed, least=0)
    cls = load_method(method)
    task = make_task(cls, real, ipc, canonical_name(arch), params or {}, profile)
    if reason := cls.skip(task):
        raise BenchError(f"{cls.name} does not apply to {real.spec.name}: {reason}")
    attempt = attempt or Attempt()
    if start is None:
        start = _prerequisite(cls, task, real, seed, precision, attempt)
    number = attempt.checkpoint.count_attempt()
    job = _Job(cls, task, real, seed, precision, start, attempt, number, percent)
    with float32_mode(real.device, precision):
        try:
            return job.run(attempt.checkpoint.load(real.device) or {})
        except UnfitStateError as error:
            attempt.checkpoint.set_aside(str(error))
            return job.run({})


def _prerequisite(
    cls: type[Method], task: Task, real: RealSet, seed: int, precision: str, attempt: Attempt
) -> Start | None:
    """Distil the set that a method starts from, if it starts from one, without a checkpoint."""
    needed = prerequisite_task(cls, task)
    if needed is None:
        return None
    other, other_task = needed
    watched = Attempt(stop=attempt.stop, shared=attempt.shared)
    made = distil(
        other, real, ipc=other_task.ipc, arch=other_task.arch or "convnet3", seed=seed,
        params=as_dict(other_task.params), precision=precision, attempt=watched,
    )  # fmt: skip
    return made.as_start()


def _check_result(distilled: DistilledSet, cls: type[Method]) -> None:
    """Refuse what cannot be evaluated.

    Raises:
        TypeError: it is no distilled set.
        NotFiniteError: a value is NaN or infinite.
    """
    if not isinstance(distilled, DistilledSet):
        raise TypeError(f"result() of {cls.name} returned {type(distilled).__name__}, no set")
    for name, tensor in distilled.tensors().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            count = int((~tensor.isfinite()).sum())
            raise NotFiniteError(f"{count} of {tensor.numel()} values of its {name} are not finite")


@dataclass(frozen=True)
class _Job:
    """One distillation, ready to run."""

    cls: type[Method]
    task: Task
    real: RealSet
    seed: int
    precision: str
    start: Start | None
    attempt: Attempt
    number: int
    percent: int | None

    def run(self, state: State) -> Distillation:
        """Run the method from a saved state, or from the beginning if it is empty.

        Raises:
            UnfitStateError: the method refuses the state.
        """
        meter = Meter(self.real.device, state.get("cost"), self.number)
        random_seed = self._random_seed()
        ctx = Context(
            self.real, random_seed, self.seed, self.start, self.attempt.shared, self.precision,
            self.attempt.stop, clock=meter,
        )  # fmt: skip
        method = self.cls(self.task, ctx)
        loop = Loop(method, ctx, self.attempt, meter)
        if state:
            loop.load_state_dict(state)
        scalars = loop.run(self.percent)
        distilled = method.result()
        _check_result(distilled, self.cls)
        distilled.provenance = {**self._provenance(), "random_seed": random_seed}
        steps, wrong = loop.done, describe_wrong_units(distilled, self.real)
        return Distillation(
            distilled,
            method.byproducts(),
            DistilResult(
                kind=distilled.kind,
                steps=steps,
                scalars=scalars,
                warnings=None if wrong is None else (wrong,),
            ),
            DistilBudget(stored_bytes=distilled.storage_bytes),
            self._cost(ctx, meter, steps),
        )

    def _cost(self, ctx: Context, meter: Meter, steps: int) -> DistilCost:
        own = meter.read()
        before = (self.start.seconds, self.start.steps) if self.start is not None else (0.0, 0)
        return DistilCost(
            **own,
            shared_seconds=ctx.shared_seconds,
            total_seconds=own["seconds"] + ctx.shared_seconds + before[0],
            total_steps=steps + before[1],
        )

    def _random_seed(self) -> int:
        name, task = self.real.spec.name, self.task
        return distillation_seed(self.cls.name, name, task.ipc, task.arch, self.seed)

    def _provenance(self) -> dict[str, Any]:
        return {
            "method": self.cls.name,
            "method_version": self.cls.version,
            "params": as_dict(self.task.params),
            "dataset": self.real.spec.name,
            "sha256": self.real.sha256,
            "ipc": self.task.ipc,
            "arch": self.task.arch,
            "seed": self.seed,
            "precision": self.precision,
        }
