"""Diagnostics of a generator: whether its images are right, and as varied as real ones.

A small network is trained on real images for some seconds. In its embedding, drawn images are
compared class by class with real ones that it has not seen, by nearest neighbours: precision and
recall as Kynkaanniemi et al., "Improved precision and recall metric for assessing generative
models" (2019), coverage as Naeem et al., "Reliable fidelity and diversity metrics for generative
models" (2020). Real images against others of their class have a precision and recall below 1 too,
because the balls around so few neighbours leave gaps: compare generators with each other.

Everything follows from the dataset's name and the set's seed. The network and the real images are
the same for every generator of a dataset, and no accuracy of an evaluation depends on any of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.datasets.real_set import RealSet
from bench.distilled.base import DistilledSet
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.real_stream_set import RealStreamSet
from bench.evaluation.cores import crew
from bench.evaluation.gradients import WholeGradient
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.evaluation.training import OneNetwork, Training
from bench.support.errors import BenchError
from bench.support.outcomes import GeneratorDiagnostics
from bench.support.seeds import derive_seed, make_generator
from bench.support.stopping import Stop

# A network, steps and batches that take seconds on two CPU cores, and learn most of the digits of
# SVHN and half of the classes of CIFAR-10: enough for an embedding.
_ARCH, _STEPS, _BATCH, _TRAINED_ON = "convnet3(width=32)", 300, 64, 20_000
# Images that are compared: of each class, and in all. A class must have several times as many as
# neighbours are looked at.
_PER_CLASS, _COMPARED, _FEWEST = 100, 2_000, 8
_NEIGHBOURS = 3


def diagnose(made: DistilledSet, real: RealSet, stop: Stop) -> GeneratorDiagnostics | None:
    """Compare the images of a generator with real ones.

    Args:
        made: a distilled set on the real set's device.
        real: the training part of the dataset that it was made from.
        stop: asked after every step of the network.

    Returns:
        ``None`` for a set that is no generator, and where there are too few real images of a
        class, or the network cannot take them.

    Raises:
        Interrupted: ``stop`` asked for it.
    """
    if not isinstance(made, GeneratorSet) or _images_per_class(real) < _FEWEST:
        return None
    if real.device.type != "cpu":
        return _diagnose(made, real, stop.check)
    # In one thread, so that it is the same on every number of cores.
    with crew(1) as workers:

        def check() -> None:
            stop.check()
            workers.check()

        (result,) = workers.map([lambda: _diagnose(made, real, check)])
    return result


def _diagnose(
    made: GeneratorSet, real: RealSet, check: Callable[[], None]
) -> GeneratorDiagnostics | None:
    """Compare the images; ``check`` may end it."""
    count = _images_per_class(real)
    compared, others = _split(real, count)
    try:
        network = _trained_on(others, real, check)
    except BenchError:  # the images are too small for it
        return None
    draws = make_generator(derive_seed(made.random_seed, "diagnostics"),
                           real.device)  # fmt: skip
    drawn = made.draw(made.balanced_labels(count), draws)
    ours, theirs = _seen(network, drawn, count), _seen(network, real.gather(compared), count)
    if not bool(ours.embedding.isfinite().all() & theirs.embedding.isfinite().all()):
        return None
    each = [_compare(*pair) for pair in zip(ours.embedding, theirs.embedding, strict=True)]
    shares = torch.tensor([one[:3] for one in each], dtype=torch.float64).mean(0)
    precision, recall, coverage = shares.tolist()
    ratios = [c.diversity for c in each if c.diversity is not None]
    return GeneratorDiagnostics(
        precision=precision,
        recall=recall,
        coverage=coverage,
        diversity=sum(ratios) / len(ratios) if ratios else None,
        accuracy=ours.accuracy,
        real_accuracy=theirs.accuracy,
        per_class=count,
    )


def _images_per_class(real: RealSet) -> int:
    """Return how many images of each class are compared: at most half of the smallest class."""
    return min(_PER_CLASS, _COMPARED // real.spec.num_classes, min(real.class_counts) // 2)


def _split(real: RealSet, count: int) -> tuple[Tensor, Tensor]:
    """Return indices of the images to compare, class by class, and of those to train on."""
    draws = make_generator(derive_seed("diagnostics", real.spec.name), real.device)
    most = count + _TRAINED_ON // real.spec.num_classes
    chosen = [real.sample_class(c, most, draws) for c in range(real.spec.num_classes)]
    return torch.cat([c[:count] for c in chosen]), torch.cat([c[count:] for c in chosen])


def _trained_on(others: Tensor, real: RealSet, check: Callable[[], None]) -> nn.Module:
    """Train the network on some real images.

    Raises:
        BenchError: it cannot take images of that size.
    """
    shown = RealStreamSet(real.spec, real.images[others], real.labels[others], {})
    ipc = max(1, _BATCH // real.spec.num_classes)
    source = shown.source("stream", ipc, make_generator(0, real.device))
    recipe = Recipe.of(real.spec, _ARCH, get_protocol("plain"), epochs=_STEPS)
    seed = derive_seed("diagnostics", real.spec.name, "network")
    network = recipe.initial_network(seed, real.device)
    training = Training(OneNetwork(network, WholeGradient(network, "fp32")), source, recipe, [seed])
    training.run(lambda _epochs: check())
    return network.eval()


class _Seen(NamedTuple):
    """Images as the network sees them.

    Attributes:
        embedding: float64 ``(classes, images, D)``.
        accuracy: in percent.
    """

    embedding: Tensor
    accuracy: float


@torch.no_grad()
def _seen(network: Any, images: Tensor, count: int) -> _Seen:
    """Embed and classify images, ``count`` of each class in order."""
    embeddings, right = [], torch.zeros((), dtype=torch.int64, device=images.device)
    for label, own in enumerate(torch.split(images, count)):
        embeddings.append(network.embed(own).double())
        right += (network(own).argmax(1) == label).sum()
    return _Seen(torch.stack(embeddings), 100 * int(right) / len(images))


class _Comparison(NamedTuple):
    """What a class comes to, see :class:`GeneratorDiagnostics`."""

    precision: float
    recall: float
    coverage: float
    diversity: float | None


def _compare(drawn: Tensor, real: Tensor) -> _Comparison:
    """Compare embeddings ``(images, D)`` of one class by distances to nearest neighbours."""
    own, theirs, between = _distances(drawn, drawn), _distances(real, real), _distances(drawn, real)
    drawn_radius, real_radius = (d.kthvalue(_NEIGHBOURS + 1, dim=1).values for d in (own, theirs))
    spread = float(theirs.mean())
    return _Comparison(
        precision=float((between <= real_radius).any(1).double().mean()),
        recall=float((drawn_radius >= between.T).any(1).double().mean()),
        coverage=float((between.amin(0) <= real_radius).double().mean()),
        diversity=float(own.mean()) / spread if spread > 0 else None,
    )


def _distances(first: Tensor, second: Tensor) -> Tensor:
    """Return Euclidean distances, exact where images are equal."""
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")
