"""The work of an evaluation, put together from pieces that many evaluations have in common.

A step on so many images, a test of so many, an epoch's drawing: a grid of hundreds of evaluations
has few of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from bench.datasets.data_folder import DatasetInfo
from bench.datasets.real_set import RealSet
from bench.distillation.tasks import load_method, make_task
from bench.distilled.base import DistilledSet
from bench.distilled.image_set import FixedSource
from bench.evaluation.gradients import WholeGradient, number_of_slices
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.evaluation.score import images_per_pass, score
from bench.evaluation.training import OneNetwork, Training
from bench.grid.step_work import counted
from bench.grid.work import CountedWork, Work
from bench.ledger.cell import DistilCell, EvaluateCell
from bench.networks.architecture import build_network, is_per_sample
from bench.support.seeds import global_seed, make_generator

_CPU = torch.device("cpu")


class EvaluationWork:
    """Counts evaluations, each piece of them once.

    Args:
        pieces: by key, those that were counted before; others are added.
        set_of: returns what a distillation makes, untrained.
        computed_by: what the work of every piece depends on; JSON can hold it.
    """

    def __init__(
        self,
        pieces: dict[str, Work],
        set_of: Callable[[DistilCell], DistilledSet],
        computed_by: Sequence[object],
    ) -> None:
        self._pieces, self._set_of, self._computed_by = pieces, set_of, computed_by

    def count(self, cell: EvaluateCell, info: DatasetInfo) -> CountedWork:
        """Return the training of one network, and its tests; units are networks."""
        protocol, total = get_protocol(cell.protocol), Work()
        images, epochs = images_and_epochs(cell, info)
        recipe = Recipe.of(info.spec, cell.arch, protocol, epochs=1, precision=cell.precision)
        whole, rest = divmod(images, recipe.batch_size)
        for size, times in ((recipe.batch_size, whole), (rest, 1)):
            if size and times:
                parts = number_of_slices(size) if is_per_sample(cell.arch) else 1
                step = self._training(cell, recipe, math.ceil(size / parts))
                total.add(step, times * parts * epochs)
        if cell.mode != "stored":
            drawn = _drawing(cell, self._set_of(cell.distil))
            total.add(drawn, epochs if cell.mode == "stream" else 1)
        looks = sum(protocol.looks_after(epoch, epochs) for epoch in range(1, epochs + 1))
        test = self.test(cell, cell.arch, info)
        total.add(test, (looks + 1) * info.n_test / images_per_pass(_CPU, 0))
        return CountedWork(total, float(cell.nets))

    def test(self, cell: DistilCell | EvaluateCell, arch: str, info: DatasetInfo) -> Work:
        """Return the work of testing one pass of images.

        Args:
            cell: whose precision and plugins count.
            arch: the network.
            info: of the dataset.
        """
        shape = info.spec.shape, info.spec.num_classes
        key = self._key("test", arch, cell.precision, cell.sources, *shape)
        return self._once(key, lambda: _test(arch, info, cell.precision))

    def _training(self, cell: EvaluateCell, recipe: Recipe, images: int) -> Work:
        spec = recipe.spec
        facts = cell.protocol, images, spec.shape, spec.num_classes, spec.flip
        key = self._key("step", cell.arch, cell.precision, cell.sources, *facts)
        return self._once(key, lambda: _training(recipe, images))

    def _key(
        self, piece: str, arch: str, precision: str, sources: Mapping[str, str], *facts: object
    ) -> str:
        """Return what decides the work of a piece; a file can hold it."""
        parts = [*self._computed_by, piece, arch, precision, sorted(sources.items()), *facts]
        return json.dumps(parts)

    def _once(self, key: str, count: Callable[[], Work]) -> Work:
        if key not in self._pieces:
            self._pieces[key] = count()
        return self._pieces[key]


def images_and_epochs(cell: EvaluateCell, info: DatasetInfo) -> tuple[int, int]:
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
    with counted():
        pixels = torch.zeros(images, *recipe.spec.shape)
        source = FixedSource(pixels, torch.arange(images) % recipe.spec.num_classes, 0)
        network = recipe.initial_network(0, _CPU)
        trained = OneNetwork(network, WholeGradient(network, recipe.precision))
        training = Training(trained, source, recipe, [0])
    with counted() as work:
        training.run(lambda _: None)
    return work


def _test(arch: str, info: DatasetInfo, precision: str) -> Work:
    """Return the work of testing one pass of images."""
    count = images_per_pass(_CPU, 0)
    with counted(), global_seed(0):
        network = build_network(arch, info.spec)
        images = torch.zeros(count, *info.spec.shape, dtype=torch.uint8)
        labels: Tensor = torch.arange(count) % info.spec.num_classes
        test = RealSet(info.spec, images, labels, "0" * 64)
    with counted() as work:
        score(network, test, precision)
    return work


def _drawing(cell: EvaluateCell, distilled: DistilledSet) -> Work:
    """Return the work of drawing an epoch's images from a generator."""
    draws = make_generator(0)
    with counted():
        source = distilled.source(cell.mode, cell.ipc, draws)
    with counted() as work:
        source.epoch(draws)
    return work
