"""What the harness hands to a running method: pixels, randomness, networks, shared work."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bench.distillation.shared_work import LongWork
from bench.networks.architecture import build_network
from bench.support.attempt import SharedResults
from bench.support.failure_reasons import UnfitStateError
from bench.support.seeds import derive_seed, global_seed, make_generator
from bench.support.stopping import Stop

if TYPE_CHECKING:
    from bench.datasets.real_set import RealSet
    from bench.distilled.base import DistilledSet

# Marks the streams that are drawn on the CPU whatever the device.
_HOST = "host:"


@dataclass
class Start:
    """The artefact that a method starts from.

    Attributes:
        distilled: the distilled set.
        byproducts: tensors that the other method left beside it.
        seconds: that it took from nothing.
        steps: that it took from nothing.
    """

    distilled: DistilledSet
    byproducts: dict[str, Tensor]
    seconds: float = 0.0
    steps: int = 0


@dataclass
class Context:
    """A method's surroundings. All randomness comes from generators it hands out by name.

    Attributes:
        real: the real training set, uint8 on the device. Methods never see the test set.
        seed: derived from the cell's identity.
        seed_index: the grid's seed index, for keys of :meth:`shared` that should vary with it.
        start: the prerequisite's artefact, if the method asked for one.
        cache: where :meth:`shared` keeps its results and checkpoints; ``None`` keeps nothing.
        precision: ``fp32`` or ``bf16``.
        stop: asks running work to end; long steps may ask it in between.
        work: what this context's own shared work offers its states to (see :meth:`shared`).
        rehearsal: only the time of a few steps is wanted, and what they compute is thrown away:
            a method may stand in for long shared work with anything of the same shape.
        shared_seconds: what :meth:`shared` results cost when they were made, each counted once.
        made_seconds: the part of it that this context spent itself.
    """

    real: RealSet
    seed: int
    seed_index: int = 0
    start: Start | None = None
    cache: SharedResults | None = None
    precision: str = "fp32"
    stop: Stop = field(default_factory=Stop)
    work: LongWork = field(default_factory=LongWork)
    rehearsal: bool = False
    shared_seconds: float = 0.0
    made_seconds: float = 0.0
    _generators: dict[str, torch.Generator] = field(default_factory=dict)
    _counted: set[str] = field(default_factory=set)

    @property
    def device(self) -> torch.device:
        """Where the real set and everything else lives."""
        return self.real.device

    def generator(self, name: str, *, host: bool = False) -> torch.Generator:
        """Return the generator called ``name``; the same object every time.

        Args:
            name: a stream of random numbers; different names are independent.
            host: on the CPU even if the device is another (for drawing Python numbers).

        Raises:
            ValueError: if ``name`` starts with ``host:``, which marks the streams of ``host``.
        """
        if name.startswith(_HOST):
            raise ValueError(f"a generator's name must not start with '{_HOST}': '{name}'")
        key = f"{_HOST}{name}" if host else name
        if key not in self._generators:
            device = torch.device("cpu") if host else self.device
            self._generators[key] = make_generator(self._start_of(key), device)
        return self._generators[key]

    def draw_int(self, high: int, name: str) -> int:
        """Draw a Python integer in ``[0, high)`` from the named host generator."""
        return int(torch.randint(high, (), generator=self.generator(name, host=True)))

    def network(self, arch: str, stream: str = "network") -> nn.Module:
        """Build a freshly initialised network on the device; every call draws another one."""
        with global_seed(self.draw_int(2**62, stream), self.device):
            return build_network(arch, self.real.spec).to(self.device)

    def shared(
        self, key: Mapping[str, Any], make: Callable[[Context], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Return tensors that many cells need, made once and kept by content of ``key``.

        Args:
            key: plain JSON values that determine the result, besides the dataset and the
                architecture's code (an embedding's architecture, epochs and seed index, say).
            make: makes them, given a context whose seed depends on ``key`` alone, so that every
                cell would make the same tensors. It can ask for other shared work, whose time
                counts as that work's only. If it takes long, it resumes from ``work.resume`` of
                its context and offers its state to ``work.offer`` after every step.
        """
        full = {**key, "dataset": self.real.spec.name, "sha256": self.real.sha256,
                "precision": self.precision}  # fmt: skip
        # As JSON and back: keys that the cache takes for equal must give equal seeds.
        text = json.dumps(full, sort_keys=True, allow_nan=False)
        full = json.loads(text)
        found = self.cache.get(full) if self.cache is not None else None
        if found is None:
            found = self._make(full, make)
        elif text not in self._counted:
            self.shared_seconds += found[1]
        self._counted.add(text)
        return {k: v.to(self.device) for k, v in found[0].items()}

    def _make(
        self, full: Mapping[str, Any], make: Callable[[Context], dict[str, Tensor]]
    ) -> tuple[dict[str, Tensor], float]:
        """Make shared work and count its time, without that of shared work it asks for."""
        inner, before = self._inner(full), self.made_seconds
        try:
            made = make(inner)
        except UnfitStateError as error:
            inner.work.refuse(error)
            inner = self._inner(full)
            made = make(inner)
        made = {k: v.detach().cpu().contiguous() for k, v in made.items()}
        seconds = inner.work.seconds - (self.made_seconds - before)
        self.made_seconds += seconds
        self.shared_seconds += seconds
        if self.cache is not None:
            self.cache.put(full, made, seconds)
        inner.work.done()
        return made, seconds

    def _inner(self, full: Mapping[str, Any]) -> Context:
        """Return the context of shared work: its seed depends on the key alone."""
        parts = [f"{k}={full[k]!r}" for k in sorted(full)]
        inner = Context(
            self.real, derive_seed("shared", *parts), self.seed_index, precision=self.precision,
            stop=self.stop,
        )  # fmt: skip
        checkpoint = self.cache.checkpoint(full) if self.cache is not None else None
        inner.work = LongWork(checkpoint, self.stop, self.device)
        return inner

    def state_dict(self) -> dict[str, Tensor]:
        """Return every generator's state."""
        return {name: g.get_state() for name, g in self._generators.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put every generator back where :meth:`state_dict` found it.

        One that did not exist then goes back to its start.
        """
        for key in self._generators.keys() - state.keys():
            self._generators[key].manual_seed(self._start_of(key))
        for key, value in state.items():
            name, host = key.removeprefix(_HOST), key.startswith(_HOST)
            self.generator(name, host=host).set_state(value.cpu())

    def shared_costs(self) -> dict[str, Any]:
        """Return what shared work was counted, as plain values."""
        return {
            "shared_seconds": self.shared_seconds,
            "made_seconds": self.made_seconds,
            "counted": sorted(self._counted),
        }

    def load_shared_costs(self, kept: Mapping[str, Any]) -> None:
        """Count as :meth:`shared_costs` did, so that a pause does not change what work cost."""
        self.shared_seconds, self.made_seconds = kept["shared_seconds"], kept["made_seconds"]
        self._counted = set(kept["counted"])

    def _start_of(self, key: str) -> int:
        return derive_seed(self.seed, key)
