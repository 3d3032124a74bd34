"""What the harness hands to a running method: pixels, randomness, networks, shared work."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bench.distillation.shared_work import Clock, LongWork
from bench.networks.architecture import build_network
from bench.support.attempt import SharedResult, SharedResults
from bench.support.failure_reasons import UnfitStateError, fitting
from bench.support.seeds import derive_seed, global_seed, make_generator
from bench.support.stopping import Stop
from bench.support.untrusted import Limit

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
        precision: ``fp32``, ``tf32`` or ``bf16``.
        stop: asks running work to end; long steps may ask it in between.
        work: what this context's own shared work offers its states to (see :meth:`shared`).
        rehearsal: only the work of a few steps is wanted, and what they compute is thrown away:
            a method may stand in for long shared work with anything of the same shape.
        clock: counts what the work in this context costs; paused while shared work is made or
            waited for, which has a cost of its own.
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
    clock: Clock = field(default_factory=LongWork)
    _generators: dict[str, torch.Generator] = field(default_factory=dict)
    _charged: dict[str, float] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the real set and everything else lives."""
        return self.real.device

    @property
    def shared_seconds(self) -> float:
        """What all :meth:`shared` results that were asked for took to make, each counted once.

        What they were made from counts too. It is the same whether this context made them, another
        cell did, or an interrupted attempt began them.
        """
        return math.fsum(self._charged.values())  # in any order the same

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
            with self.clock.paused():
                found = self._make_once(full, make)
        self._charge({**found.parts, _id_of(text): found.seconds})
        return {k: v.to(self.device) for k, v in found.tensors.items()}

    def _make_once(
        self, full: Mapping[str, Any], make: Callable[[Context], dict[str, Tensor]]
    ) -> SharedResult:
        """Make shared work, or wait for another process that makes it."""
        if self.cache is None:
            return self._make(full, make)
        with self.cache.making(full, self.stop):
            found = self.cache.get(full)  # another process may have made it meanwhile
            if found is None:
                found = self._make(full, make)
                self.cache.put(full, found)
                self.cache.checkpoint(full).remove()
        return found

    def _make(
        self, full: Mapping[str, Any], make: Callable[[Context], dict[str, Tensor]]
    ) -> SharedResult:
        """Make shared work and count its time, without that of shared work it asks for."""
        clock, charged = self.clock, self._charged
        self._charged = {}
        try:
            inner = self._begin(full)
            try:
                made = make(inner)
            except UnfitStateError as error:
                inner.work.refuse(error)
                inner = self._begin(full)
                made = make(inner)
            tensors = {k: v.detach().cpu().contiguous() for k, v in made.items()}
            parts = {**inner.shared_costs(), **self._charged}
            return SharedResult(tensors, inner.work.seconds, parts)
        finally:
            self.clock, self._charged = clock, charged

    def _begin(self, full: Mapping[str, Any]) -> Context:
        """Return the context of shared work, whose clock runs from now on."""
        inner = self._inner(full)
        self.clock = inner.clock = inner.work
        return inner

    def _charge(self, costs: Mapping[str, float]) -> None:
        """Count shared results that have not been counted."""
        for name, seconds in costs.items():
            self._charged.setdefault(name, seconds)

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

    def shared_costs(self) -> dict[str, float]:
        """Return the seconds of every shared result that was counted, by an id of its key."""
        return dict(self._charged)

    def load_shared_costs(self, kept: Mapping[str, Any]) -> None:
        """Count as :meth:`shared_costs` did, so that a pause does not change what work cost.

        Raises:
            UnfitStateError: it does not hold costs.
        """
        with fitting():
            for name, seconds in kept.items():
                if type(seconds) is not float or not 0 <= seconds < Limit.AMOUNT:
                    raise ValueError(f"shared work {name!r:.50} took {seconds!r:.50} seconds")
            self._charged |= kept

    def _start_of(self, key: str) -> int:
        return derive_seed(self.seed, key)


def _id_of(text: str) -> str:
    """Return a short name of the key of shared work."""
    return hashlib.sha256(text.encode()).hexdigest()[:20]
