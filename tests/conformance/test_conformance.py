"""Everything registered passes the conformance suite, and the suite catches what it should."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from processes.bench_processes import unregister_toys
from toy_plugin import ToyDrift, ToyFirst

from bench.conformance import architecture_checks, dataset_checks, method_checks
from bench.conformance.architectures import check_training
from bench.conformance.place import on_device
from bench.plugin import Prerequisite, Profile, Task
from bench.plugin.sets import GeneratorSet
from bench.registry.param_values import resolve
from bench.registry.params import as_dict
from bench.registry.registry import ARCHITECTURES, DATASETS, METHODS

# Imported for their classes, not as a plugin: nothing else should see them.
unregister_toys()

# A family whose members are not listed (timm) has its own tests.
LISTED = [name for name in ARCHITECTURES.names() if ARCHITECTURES.get(name).members]


# Trained at full width in the slow run only; test_kernel_agreement trains them with few channels.
DEEP = ("densenet121", "resnet34", "resnet34_ap", "resnet50", "resnet50_ap")


def _slow(name: str, check: Any) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if name in DEEP and check is check_training else []


@pytest.mark.parametrize("check", method_checks(), ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", METHODS.names())
def test_methods(name: str, check: Any) -> None:
    check(METHODS.get(name))


@pytest.mark.parametrize(
    ("name", "check"),
    [
        pytest.param(name, check, id=f"{name}-{check.__name__}", marks=_slow(name, check))
        for name in LISTED
        for check in architecture_checks()
    ],
)
def test_architectures(name: str, check: Any) -> None:
    check(name)


@pytest.mark.gpu
@pytest.mark.parametrize("name", METHODS.names())
def test_methods_on_a_gpu(name: str) -> None:
    with on_device(torch.device("cuda")):
        for check in method_checks():
            check(METHODS.get(name))


@pytest.mark.gpu
@pytest.mark.parametrize("name", LISTED)
def test_architectures_on_a_gpu(name: str) -> None:
    with on_device(torch.device("cuda")):
        for check in architecture_checks():
            check(name)


@pytest.mark.parametrize("check", dataset_checks(), ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", DATASETS.names())
def test_datasets(name: str, check: Any) -> None:
    check(DATASETS.get(name))


class StartsFromDiM(ToyFirst):
    """Goes on where something goes on that starts from something else."""

    name = "starts-from-dim"

    @classmethod
    def prerequisite(cls, task: Task) -> Prerequisite:
        few = {"gan_width": 3, "gan_noise_dim": 14, "batch": 5, "pool": ("convnet1(width=4)",)}
        return Prerequisite("dim", as_dict(resolve(METHODS.get("dim").Params, few, owner="dim")))

    def setup(self) -> None:
        assert self.ctx.start is not None
        assert isinstance(self.ctx.start.distilled, GeneratorSet)


@pytest.mark.parametrize("check", method_checks(), ids=lambda c: c.__name__)
def test_a_chain_of_prerequisites(check: Any) -> None:
    check(StartsFromDiM)


class DrawsGlobally(ToyDrift):
    def step(self, i: int) -> Any:
        self.images = self.images + torch.randn(self.images.shape)
        return {}


class ForgetsItsState(ToyDrift):
    state = ()


class MakesTooFew(ToyFirst):
    def select(self) -> torch.Tensor:
        return super().select()[:-1]


class SaysGenerator(ToyFirst):
    artefact = "generator"


class SaysSoft(ToyFirst):
    label_kind = "soft"


class KeepsGradients(ToyDrift):
    def step(self, i: int) -> Any:
        return {"loss": torch.ones((), requires_grad=True)}


class SaysNothing(ToyDrift):
    profiles = {"smoke": Profile({"iterations": 2}, "")}


class NamesNoLoop(ToyDrift):
    inner_loop = "rounds"


class WritesIntoTheRealSet(ToyFirst):
    def select(self) -> torch.Tensor:
        chosen = super().select()
        self.ctx.real.images[-1] += 1
        return chosen


class ChangesTheThreads(ToyFirst):
    def select(self) -> torch.Tensor:
        torch.set_num_threads(torch.get_num_threads() + 1)
        return super().select()


@pytest.mark.parametrize(
    ("method", "caught_by"),
    [
        (
            DrawsGlobally,
            {"check_determinism", "check_resume", "check_global_state", "check_process_state"},
        ),
        (WritesIntoTheRealSet, {"check_process_state"}),
        (ChangesTheThreads, {"check_process_state"}),
        (ForgetsItsState, {"check_resume"}),
        (MakesTooFew, {"check_result"}),
        (SaysGenerator, {"check_result"}),
        (SaysSoft, {"check_result"}),
        (KeepsGradients, {"check_scalars"}),
        (SaysNothing, {"check_declaration"}),
        (NamesNoLoop, {"check_declaration"}),
    ],
)
def test_the_suite_catches(method: Any, caught_by: set[str]) -> None:
    failed = set()
    for check in method_checks():
        try:
            check(method)
        except (AssertionError, ValueError):
            failed.add(check.__name__)
    assert failed == caught_by
