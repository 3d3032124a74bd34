"""How far an architecture's results with CPU kernels are from PyTorch's own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.datasets.real_set import RealSet
from bench.datasets.spec import DatasetSpec
from bench.distilled.image_set import FixedSource
from bench.evaluation.engine import train_and_test
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.networks.architecture import build_network
from bench.networks.cpu_kernels import computing, image_gradient, without_kernels
from bench.networks.functional import FunctionalNetwork
from bench.support.seeds import global_seed, make_generator

_CPU = torch.device("cpu")
# A small rate: a deep network of random weights would magnify rounding by itself.
_PROTOCOL = replace(get_protocol("plain"), epochs=2, lr=1e-6)
# What the rounding of the kernels may come to: 50 layers of random weights magnify 1e-6 to 5e-2 in
# float32. In bfloat16 gradients of such networks are mostly rounding, kernels or not: they must
# be finite.
MOST_DIFFERENT: dict[str, dict[str, float]] = {
    "fp32": {"loss": 0.02, "logits": 2e-3, "gradients": 0.2, "second": 0.2},
    "bf16": {"loss": 0.2, "logits": 0.3, "gradients": 10.0, "second": 10.0},
}


@dataclass(frozen=True)
class Differences:
    """The greatest difference of each kind, as a part of the greatest value without kernels.

    Attributes:
        loss: of the last step of a training by the evaluation engine.
        logits: of one forward pass in ``train()`` mode.
        gradients: on all weights.
        second: the gradient on images of the squared norm of the gradient on weights.
    """

    loss: float
    logits: float
    gradients: float
    second: float


def kernel_differences(
    arch: str, spec: DatasetSpec, precision: str, *, images: int = 8
) -> Differences:
    """Compute everything with kernels and without, from the same weights and images.

    Args:
        arch: an architecture as users write it.
        spec: of the images, which are noise.
        precision: ``fp32`` or ``bf16``.
        images: how many the networks are trained on, in one batch.
    """
    with_kernels = _results(arch, spec, precision, images)
    with without_kernels():
        plain = _results(arch, spec, precision, images)
    return Differences(
        *(_difference(ours, theirs) for ours, theirs in zip(with_kernels, plain, strict=True))
    )


def _results(arch: str, spec: DatasetSpec, precision: str, count: int) -> tuple[Tensor, ...]:
    """Return last losses, logits, gradients and second derivatives."""
    draws = make_generator(3)
    pixels = torch.randint(0, 256, (count, *spec.shape), generator=draws, dtype=torch.uint8)
    real = RealSet(spec, pixels, torch.arange(count) % spec.num_classes, "0" * 64)
    images, labels = real.gather(torch.arange(count)), real.labels
    recipe = Recipe.of(spec, arch, _PROTOCOL, precision=precision)
    trained = train_and_test(FixedSource(images, labels, 0), recipe, (1,), real)
    with global_seed(1):
        network = FunctionalNetwork(build_network(arch, spec).train())
    images.requires_grad_()
    params = network.parameters()
    with computing(_CPU, precision):
        logits = network.logits(params, images).detach().float()
        gradients = network.gradients(params, images, labels, create_graph=True)
        vector = network.flatten(gradients)
        second = image_gradient(vector.square().sum(), images)
    return torch.tensor(trained.final_losses), logits, vector.detach(), second


def _difference(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())
