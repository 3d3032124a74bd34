"""The work of a cell, counted from one of its steps without doing it, and kept between runs.

It is counted on made-up data of the dataset's shape. Shared work, such as training experts, and
methods of one step count nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
import torch
from torch import Tensor

from bench.datasets.data_folder import DatasetInfo
from bench.datasets.real_set import RealSet
from bench.distillation.method import Method
from bench.distillation.tasks import load_method, make_task
from bench.distilled.base import DistilledSet
from bench.distilled.image_set import FixedSource
from bench.evaluation.gradients import WholeGradient, number_of_slices
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.evaluation.score import images_per_pass, score
from bench.evaluation.training import OneNetwork, Training
from bench.grid.rehearsal import begin_method
from bench.grid.step_work import counted
from bench.grid.work import CountedWork, Work
from bench.ledger.cell import Cell, DistilCell, EvaluateCell
from bench.networks.architecture import is_per_sample
from bench.support.seeds import make_generator
from bench.support.time_limit import TimeLimitError
from bench.support.user_cache import read_cached, write_cached

_CPU = torch.device("cpu")
# After a first step that was counted so quickly, the second one is counted in its place: the first
# may prepare what later ones use.
_QUICK = 1.0
_FILE, _MOST_KEPT = "counted-work", 5000


class _Kept(msgspec.Struct):
    counted: dict[str, CountedWork] = {}


@dataclass
class WorkCounter:
    """Counts the work of cells, each kind once on this machine.

    Attributes:
        find: returns the facts of a dataset by its name.
    """

    find: Callable[[str], DatasetInfo]
    _kept: _Kept = field(init=False)
    _is_new: bool = field(init=False, default=False)
    _sets: dict[str, DistilledSet] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._kept = read_cached(_FILE, _Kept) or _Kept()

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
            made = (
                _evaluation(cell, info, self._set_of)
                if isinstance(cell, EvaluateCell)
                else _distillation(cell, info)
            )
            if made.is_partial:
                return made
            self._kept.counted[key], self._is_new = made, True
        return self._kept.counted[key]

    def size(self, cell: Cell) -> float:
        """Return what the times of similar cells grow with: images to train on, or 1 if unknown."""
        if isinstance(cell, EvaluateCell):
            with suppress(Exception):  # a plugin's
                images, epochs = _images_and_epochs(cell, self.find(cell.dataset))
                return float(max(1, images * epochs * cell.nets))
        return 1.0

    def save(self) -> None:
        """Keep what was counted for later runs."""
        if self._is_new:
            latest = list(self._kept.counted.items())[-_MOST_KEPT:]
            write_cached(_FILE, _Kept(dict(latest)))

    def _set_of(self, cell: DistilCell) -> DistilledSet:
        """Return what a distillation makes, untrained; made once for all of its evaluations."""
        key = self._key(cell)
        if key not in self._sets:
            with counted():
                self._sets[key] = _begun(cell, self.find(cell.dataset)).result()
        return self._sets[key]

    def _key(self, cell: Cell) -> str:
        """Return what cells have in common that do the same work: all but their seeds."""
        info = self.find(cell.dataset)
        distil = cell.distil if isinstance(cell, EvaluateCell) else cell
        whole = {"seed": 0, "prerequisite": None, "sha256": None, "percent": None}
        identity = {**distil.identity, **whole}
        facts: list[object] = [
            str(torch.__version__),
            info.spec.shape,
            info.class_counts,
            dict(cell.sources),
        ]
        if isinstance(cell, EvaluateCell):
            facts += [{**cell.identity, "seed": 0, "distil": ""}, info.n_test]
        text = json.dumps([identity, facts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def _made_up(info: DatasetInfo) -> RealSet:
    """Return a set of a dataset's shape; to be called where work is counted."""
    counts = torch.tensor(info.class_counts)
    labels = torch.arange(len(counts)).repeat_interleave(counts)
    images = torch.empty(len(labels), *info.spec.shape, dtype=torch.uint8)
    return RealSet(info.spec, images, labels, "0" * 64)


def _begun(cell: DistilCell, info: DatasetInfo) -> Method:
    return begin_method(
        cell.method, cell.params, _made_up(info), ipc=cell.ipc, arch=cell.arch,
        precision=cell.precision,
    )  # fmt: skip


def _distillation(cell: DistilCell, info: DatasetInfo) -> CountedWork:
    with counted():
        method = _begun(cell, info)
    steps = method.steps()
    if steps <= 1:
        return CountedWork(Work(), 0.0)
    started = time.perf_counter()
    partly, work = False, Work()
    try:
        with counted() as work:
            method.step(0)
    except TimeLimitError:
        partly = True
    if not partly and time.perf_counter() - started < _QUICK:
        with counted() as work:
            method.step(1)
    return CountedWork(work, float(steps), partly)


def _evaluation(
    cell: EvaluateCell, info: DatasetInfo, set_of: Callable[[DistilCell], DistilledSet]
) -> CountedWork:
    """Count the training of one network, and its tests."""
    protocol, total = get_protocol(cell.protocol), Work()
    images, epochs = _images_and_epochs(cell, info)
    recipe = Recipe.of(info.spec, cell.arch, protocol, epochs=1, precision=cell.precision)
    whole, rest = divmod(images, recipe.batch_size)
    for size, times in ((recipe.batch_size, whole), (rest, 1)):
        if size and times:
            parts = number_of_slices(size) if is_per_sample(cell.arch) else 1
            total.add(_training(recipe, math.ceil(size / parts)), times * parts * epochs)
    if cell.mode != "stored":
        total.add(_drawing(cell, set_of(cell.distil)), epochs if cell.mode == "stream" else 1)
    looks = sum(protocol.looks_after(epoch, epochs) for epoch in range(1, epochs + 1))
    total.add(_test(recipe), (looks + 1) * info.n_test / images_per_pass(_CPU, 0))
    return CountedWork(total, float(cell.nets))


def _images_and_epochs(cell: EvaluateCell, info: DatasetInfo) -> tuple[int, int]:
    """Return the images of an epoch, and how many epochs there are."""
    protocol, distil = get_protocol(cell.protocol), cell.distil
    if cell.ipc is None:  # a whole set, which may say for how long it is trained on
        return sum(info.class_counts), int(distil.params.get("epochs", protocol.epochs))
    method = load_method(distil.method)
    task = make_task(method, info, distil.ipc, distil.arch, distil.params)
    shown = cell.ipc * method.shown_per_stored(task.params)
    return shown * info.spec.num_classes, protocol.epochs


def _training(recipe: Recipe, images: int) -> Work:
    """Return the work of one step on so many images."""
    with counted() as work:
        pixels = torch.zeros(images, *recipe.spec.shape)
        source = FixedSource(pixels, torch.arange(images) % recipe.spec.num_classes, 0)
        network = recipe.initial_network(0, _CPU)
        trained = OneNetwork(network, WholeGradient(network, recipe.precision))
        training = Training(trained, source, recipe, [0])
    with counted() as work:
        training.run(lambda _: None)
    return work


def _test(recipe: Recipe) -> Work:
    """Return the work of testing one pass of images."""
    count = images_per_pass(_CPU, 0)
    with counted():
        network = recipe.initial_network(0, _CPU)
        images = torch.zeros(count, *recipe.spec.shape, dtype=torch.uint8)
        labels: Tensor = torch.arange(count) % recipe.spec.num_classes
        test = RealSet(recipe.spec, images, labels, "0" * 64)
    with counted() as work:
        score(network, test, recipe.precision)
    return work


def _drawing(cell: EvaluateCell, distilled: DistilledSet) -> Work:
    """Return the work of drawing an epoch's images from a generator."""
    draws = make_generator(0)
    with counted():
        source = distilled.source(cell.mode, cell.ipc, draws)
    with counted() as work:
        source.epoch(draws)
    return work
