"""The work of a cell, counted without doing it, and kept between runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
import torch

from bench.datasets.data_folder import DatasetInfo
from bench.distilled.base import DistilledSet
from bench.grid.distillation_work import begun, count_distillation
from bench.grid.evaluation_work import EvaluationWork, images_and_epochs
from bench.grid.step_work import counted
from bench.grid.work import CountedWork, Work
from bench.ledger.cell import Cell, DistilCell, EvaluateCell
from bench.networks.cpu_kernels import kernels_are_expected
from bench.support.user_cache import read_cached, write_cached

# Raised when work is counted otherwise, so that what was kept before is not used.
_COUNTING = 3
_FILE, _MOST_KEPT = "counted-work", 5000


class _Kept(msgspec.Struct):
    """What the user's cache has.

    Attributes:
        counted: by kind of cell.
        parts: the same for kinds whose counting took too long: the part that there was time for.
        pieces: of evaluations.
    """

    counted: dict[str, CountedWork] = {}
    parts: dict[str, CountedWork] = {}
    pieces: dict[str, Work] = {}


@dataclass
class WorkCounter:
    """Counts the work of cells, each kind once on this machine.

    Attributes:
        find: returns the facts of a dataset by its name.
    """

    find: Callable[[str], DatasetInfo]
    _kept: _Kept = field(init=False)
    _computed_by: list[object] = field(init=False)
    _is_new: bool = field(init=False, default=False)
    _evaluations: EvaluationWork = field(init=False)
    _sets: dict[str, DistilledSet] = field(init=False, default_factory=dict)
    _keys: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._kept = read_cached(_FILE, _Kept) or _Kept()
        # Asked for once: kernels may fail to compile in the meantime.
        self._computed_by = [str(torch.__version__), kernels_are_expected()]
        self._evaluations = EvaluationWork(self._kept.pieces, self._set_of, self._computed_by)

    def known(self, cell: Cell) -> CountedWork | None:
        """Return the work of a cell if its kind has been counted before."""
        return self._kept.counted.get(self._key(cell))

    def count(self, cell: Cell) -> CountedWork:
        """Return the work of a cell.

        Raises:
            Exception: its code does not run on stand-ins, or fails anyway; or what a limit raises
                if not even one operation was counted before.
        """
        key = self._key(cell)
        if key not in self._kept.counted:
            info = self.find(cell.dataset)
            self._is_new = True
            made = (
                self._evaluations.count(cell, info)
                if isinstance(cell, EvaluateCell)
                else count_distillation(cell, info)
            )
            part = self._kept.parts.pop(key, None)
            if made.is_partial:
                # At the end, so that others are tried again before it.
                longest = max(made, part or made, key=lambda each: each.unit.calls)
                self._kept.parts[key] = longest
                return longest
            self._kept.counted[key] = made
        return self._kept.counted[key]

    def part(self, cell: Cell) -> CountedWork | None:
        """Return the part of a cell's work that was counted when all of it took too long."""
        return self._kept.parts.get(self._key(cell))

    def tried(self, cell: Cell) -> int | None:
        """Return the place of a cell among those with a part, the one tried last at the end."""
        with suppress(Exception):  # its dataset cannot be read
            return list(self._kept.parts).index(self._key(cell))
        return None

    def size(self, cell: Cell) -> tuple[float, Work]:
        """Return what the times of similar cells grow with, as far as that is known.

        Returns:
            Images, and what the network that they go through does to test some: those that an
            evaluation trains on; one of each class for a distillation.
        """
        info = self.find(cell.dataset)
        count = info.spec.num_classes
        if isinstance(cell, EvaluateCell):
            images, epochs = images_and_epochs(cell, info)
            count = images * epochs * cell.nets
        if cell.arch is None:
            return float(count), Work(bytes={"float32": float(info.spec.pixels)})
        return float(count), self._evaluations.test(cell, cell.arch, info)

    def save(self) -> None:
        """Keep what was counted for later runs."""
        if self._is_new:
            kept = (self._kept.counted, self._kept.parts, self._kept.pieces)
            write_cached(_FILE, _Kept(*(dict([*each.items()][-_MOST_KEPT:]) for each in kept)))

    def _set_of(self, cell: DistilCell) -> DistilledSet:
        """Return what a distillation makes, untrained; made once for all of its evaluations."""
        key = self._key(cell)
        if key not in self._sets:
            with counted():
                self._sets[key] = begun(cell, self.find(cell.dataset)).result()
        return self._sets[key]

    def _key(self, cell: Cell) -> str:
        """Return what cells have in common that do the same work: all but their seeds."""
        if cell.id not in self._keys:
            self._keys[cell.id] = self._new_key(cell)
        return self._keys[cell.id]

    def _new_key(self, cell: Cell) -> str:
        info = self.find(cell.dataset)
        distil = cell.distil if isinstance(cell, EvaluateCell) else cell
        whole = {"seed": 0, "prerequisite": None, "sha256": None, "percent": None}
        identity = {**distil.identity, **whole}
        facts: list[object] = [
            _COUNTING,
            *self._computed_by,
            info.spec.shape,
            info.class_counts,
            dict(cell.sources),
        ]
        if isinstance(cell, EvaluateCell):
            facts += [{**cell.identity, "seed": 0, "distil": ""}, info.n_test]
        text = json.dumps([identity, facts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]
