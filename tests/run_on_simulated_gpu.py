"""Runs every method and the engine on a GPU that is not there; prints what was seen, as JSON.

``python run_on_simulated_gpu.py ARCHITECTURE ...``, in a process of its own.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from fake_recorder import FakeRecorder
from fakes import StopAfter
from simulated_gpu import SimulatedGpu, register, simulated_gpu
from torch import Tensor

from bench.conformance import methods as conformance
from bench.conformance.place import on_device
from bench.distillation import passes
from bench.distillation.method import Method
from bench.distilled.image_set import FixedSource
from bench.evaluation import engine
from bench.evaluation.engine import train_and_test
from bench.evaluation.gradients import WholeGradient
from bench.evaluation.net_outcome import TrainedNets
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.evaluation.stacked import StackedNets
from bench.evaluation.training import Networks, OneNetwork, Training
from bench.ledger.checkpoint import Checkpoint
from bench.networks.replay import Outputs, Recording, Replayed
from bench.networks.step_reasons import take_reasons
from bench.registry.registry import METHODS
from bench.support.stopping import Interrupted

_SEEDS = [11, 12]
# Steps until the first network of DiM's pool has been recorded, and a second one too.
_STEPS = 12
_HERE = conformance.small_real_set()


def _made(cls: type[Method]) -> dict[str, Tensor]:
    trial = conformance.begin(cls)
    trial.run()
    return _result(trial.method)


def _result(method: Method) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in method.result().tensors().items()}


def _furthest(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    assert first.keys() == second.keys()
    return max(float((first[k].double() - second[k].double()).abs().max()) for k in first)


def try_method(name: str, device: torch.device) -> dict[str, Any]:
    """Return how far the GPU's distilled sets are from the CPU's, and what steps waited for."""
    cls: type[Method] = METHODS.get(name)
    expected = _made(cls)
    with simulated_gpu() as gpu, on_device(device):
        found = _made(cls)
        trial = conformance.begin(cls)
        trial.run(0, 1)
        gpu.reads.clear(), gpu.copies.clear()
        trial.run(1, 2)
        reads, copies = list(gpu.reads), list(gpu.copies)
        return {
            "failed": _failed_checks(cls),
            "off": _furthest(expected, found),
            "reads": reads,
            "copies": copies,
        }


def _failed_checks(cls: type[Method]) -> dict[str, str]:
    """Return which checks of the conformance suite fail on this device, and why."""
    failed = {}
    for check in conformance.method_checks():
        try:
            check(cls)
        except Exception as error:
            failed[check.__name__] = f"{type(error).__name__}: {error}"
    return failed


def try_engine(arch: str, device: torch.device) -> dict[str, Any]:
    """Return how far networks trained on the GPU are from those trained on the CPU."""
    protocol = dataclasses.replace(get_protocol("default"), epochs=3, nets=2, batch_size=25)
    recipe = Recipe.of(_HERE.spec, arch, protocol)
    cpu = torch.device("cpu")
    expected = [_trained(recipe, [seed], cpu, stacked=False) for seed in _SEEDS]
    with simulated_gpu() as gpu, on_device(device):
        turn = [_trained(recipe, [seed], device, stacked=False, gpu=gpu) for seed in _SEEDS]
        stacked = _trained(recipe, _SEEDS, device, stacked=True, gpu=gpu)
        evaluated = _evaluated(recipe, device)
        continued = [_continued_evaluation(recipe, device, stacked=s) for s in (False, True)]
    there = train_and_test(_source(cpu), recipe, _SEEDS, _HERE)
    return {
        "off": max(abs(a - b) for (a,), (b,) in zip(expected, turn, strict=True)),
        "stacked_off": max(abs(a - b) for (a,), b in zip(expected, stacked, strict=True)),
        "accuracies": evaluated.accuracies,
        "accuracies_on_cpu": there.accuracies,
        "losses": evaluated.final_losses,
        "losses_continued": [nets.final_losses for nets in continued],
    }


def _evaluated(recipe: Recipe, device: torch.device, **more: Any) -> TrainedNets:
    return train_and_test(_source(device), recipe, _SEEDS, conformance.small_real_set(), **more)


def _continued_evaluation(recipe: Recipe, device: torch.device, *, stacked: bool) -> TrainedNets:
    """Evaluate with an end in the middle, and go on from its checkpoint."""
    rule = patch.object(engine, "stacking_pays", lambda *_: stacked)
    with rule, tempfile.TemporaryDirectory() as folder:
        arguments = (Path(folder) / "checkpoint.safetensors", "a cell", 3600.0, print)
        with suppress(Interrupted):
            _evaluated(recipe, device, keeper=Checkpoint(*arguments), stop=StopAfter(5))
            raise AssertionError("it did not end in the middle")
        return _evaluated(recipe, device, keeper=Checkpoint(*arguments))


def _trained(
    recipe: Recipe, seeds: list[int], device: torch.device, *, stacked: bool,
    gpu: SimulatedGpu | None = None,
) -> list[float]:  # fmt: skip
    """Return the last losses."""
    nets = [recipe.initial_network(seed, device) for seed in seeds]
    together: Networks = OneNetwork(nets[0], WholeGradient(nets[0], "fp32"))
    if stacked:
        together = StackedNets(nets)
    training = Training(together, _source(device), recipe, seeds)
    if gpu is not None:
        gpu.reads.clear()
        gpu.copies.clear()
    last = training.run(lambda epochs: None)
    if gpu is not None:
        assert not [*gpu.reads, *gpu.copies], "a step waits for the device"
    return [float(loss) for loss in last.detach().cpu().reshape(-1)]


def _source(device: torch.device) -> FixedSource:
    return FixedSource(_HERE.gather(torch.arange(60)).to(device), _HERE.labels.to(device), 0)


class Capturing(FakeRecorder):
    """Records a step unless it does what the capture of a CUDA graph cannot have."""

    def __init__(self, gpu: SimulatedGpu) -> None:
        super().__init__()
        self._gpu = gpu

    def record(self, step: Callable[[], Outputs]) -> Recording:
        """Record it.

        Raises:
            RuntimeError: it waits for the device, copies from or to it, or draws random numbers.
        """
        seen = self._gpu.reads, self._gpu.copies, self._gpu.draws
        before = [len(each) for each in seen]
        recording = super().record(step)
        found = [what for each, n in zip(seen, before, strict=True) for what in each[n:]]
        if found:
            raise RuntimeError(f"cannot be captured: {', '.join(sorted(set(found)))}")
        return recording


def try_replays(device: torch.device) -> dict[str, dict[str, str]]:
    """Return how the steps of generators and of an evaluation run, and why, where graphs exist."""
    found = {}
    with simulated_gpu() as gpu, on_device(device):
        recorder = Capturing(gpu)
        with patch.object(passes, "recorder_for", lambda _: recorder):
            for name in ("gan", "dim"):
                found[name] = _reasons_of(lambda name=name: _some_steps(METHODS.get(name)))
        with patch.object(engine, "recorder_for", lambda _: recorder):
            for name, stacked in product(("default", "dim", "quick"), (False, True)):
                protocol = dataclasses.replace(
                    get_protocol(name), epochs=5, nets=1, batch_size=25, test_every=None
                )
                recipe = Recipe.of(_HERE.spec, "convnet2(width=8,norm=batch)", protocol)
                with patch.object(engine, "stacking_pays", lambda *_, s=stacked: s):
                    reasons = _reasons_of(lambda r=recipe: _evaluated(r, device))
                found[f"protocol {name}{', stacked' * stacked}"] = reasons
        step = Replayed(
            "toy",
            lambda x: (torch.tensor([1.0, 2.0], device=x.device) * x[x > 0],),
            tuple,
            recorder,
        )
        found["mistake"] = _reasons_of(lambda: [step(torch.ones(2, device=device)) for _ in "1234"])
    return found


def _some_steps(cls: type[Method]) -> None:
    trial = conformance.begin(cls)
    trial.run(0, min(_STEPS, trial.method.steps()))


def _reasons_of(work: Callable[[], object]) -> dict[str, str]:
    take_reasons()
    work()
    return take_reasons()


def try_mistakes(device: torch.device) -> dict[str, str]:
    """Return what each of some mistakes leads to: nothing, if the simulated GPU is too lenient."""
    with simulated_gpu() as gpu:
        far, here = torch.ones(3, device=device), torch.ones(3)
        mistakes: dict[str, Callable[[], object]] = {
            "mixed": lambda: far + here,
            "indexed": lambda: far[torch.tensor([0], device=device)] * here[:1],
            "drawn": lambda: torch.rand(3, generator=torch.Generator(), device=device),
            "drawn_here": lambda: torch.rand(3, generator=torch.Generator(device)),
        }
        found = {name: _error(mistake) for name, mistake in mistakes.items()}
        assert not gpu.reads
        assert float(far.sum() + 1) == 4.0
        assert len(far[far > 0]) == 3
        found["read"] = " ".join(gpu.reads)
    found["outside"] = _error(lambda: far + 1)
    return found


def _error(work: Callable[[], object]) -> str:
    try:
        work()
    except RuntimeError as error:
        return str(error)
    return ""


def main() -> None:
    """Print what all methods and the engine did."""
    device = register()
    methods = {name: try_method(name, device) for name in METHODS.names()}
    engine = {arch: try_engine(arch, device) for arch in sys.argv[1:]}
    seen = {
        "methods": methods,
        "engine": engine,
        "mistakes": try_mistakes(device),
        "replays": try_replays(device),
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
