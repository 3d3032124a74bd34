"""Checks of what every architecture must keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import torch
from torch import Tensor, nn

from bench.conformance.kernels import MOST_DIFFERENT, kernel_differences
from bench.conformance.place import place
from bench.conformance.state import global_state_kept
from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import (
    build_network,
    canonical_name,
    is_per_sample,
    parse_architecture,
)
from bench.registry.params import describe
from bench.support.errors import BenchError
from bench.support.seeds import global_seed, make_generator

ArchitectureCheck = Callable[[str], None]

# The embedded digits, MNIST, CIFAR and SVHN, Tiny ImageNet; a deep network may refuse small ones.
_SHAPES = ((1, 16, 16), (1, 28, 28), (3, 32, 32), (3, 64, 64))
_CLASSES = 7


def architecture_checks() -> list[ArchitectureCheck]:
    """Return every check of an architecture, in order; each takes its name."""
    return [
        check_name,
        check_shapes,
        check_seeded,
        check_per_sample,
        check_gradients,
        check_memory_order,
        check_training,
    ]


def check_name(name: str) -> None:
    """Check that the name is its own canonical form, and that every parameter has help."""
    assert canonical_name(name) == name, f"'{name}' is written '{canonical_name(name)}'"
    for info in describe(parse_architecture(name)[0].Params):
        assert info.help, f"parameter '{info.name}' needs help"


def check_shapes(name: str) -> None:
    """Check that logits are ``(N, num_classes)`` and embeddings the classifier's ``(N, D)``."""
    for shape in _accepted(name):
        network, images = _network(name, shape).eval(), _images(shape, 2)
        with torch.no_grad():
            logits, features = network(images), _embed(network, images)
        assert logits.shape == (2, _CLASSES), f"{shape}: logits are {tuple(logits.shape)}"
        assert features.ndim == 2, f"{shape}: an embedding is 2-d, not {features.ndim}-d"
        assert len(features) == 2, f"{shape}: {len(features)} embeddings of 2 images"
        assert bool(logits.isfinite().all()), f"{shape}: logits are not finite"


def check_seeded(name: str) -> None:
    """Check that the seed alone decides the weights, and that global state stays."""
    with global_state_kept():
        first, second, other = (_network(name, _accepted(name)[0], seed) for seed in (1, 1, 2))
    pairs = list(zip(first.parameters(), second.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs), "one seed gave two networks"
    differs = zip(first.parameters(), other.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in differs), "two seeds gave one network"


def check_per_sample(name: str) -> None:
    """Check that samples are independent in ``train()`` mode if the architecture says so."""
    shape = _accepted(name)[0]
    network, images = _network(name, shape).train(), _images(shape, 8)
    with torch.no_grad():
        whole, half = network(images)[:4], network(images[:4])
    same = torch.allclose(whole, half, rtol=1e-4, atol=1e-5)
    claim = is_per_sample(name)
    assert same == claim, f"per_sample is {claim}, but slices {'agree' if same else 'differ'}"


def check_gradients(name: str) -> None:
    """Check that every parameter gets a finite gradient."""
    shape = _accepted(name)[0]
    network = _network(name, shape).train()
    network(_images(shape, 4)).square().sum().backward()
    for label, value in network.named_parameters():
        assert value.grad is not None, f"'{label}' gets no gradient"
        assert bool(value.grad.isfinite().all()), f"the gradient of '{label}' is not finite"


def check_memory_order(name: str) -> None:
    """Check that logits and gradients are the same with channels last, if it takes that order."""
    shape = _accepted(name)[0]
    first, last = (_network(name, shape).double().train() for _ in range(2))
    images, last = _images(shape, 4).double(), last.to(memory_format=torch.channels_last)
    expected = _slopes(first, images)
    try:
        found = _slopes(last, images)
    except RuntimeError:  # it keeps channels first on a GPU, too
        return
    for label, slope in found.items():
        scale = float(expected[label].abs().max())
        difference = float((slope - expected[label]).abs().max())
        assert difference <= 1e-6 * max(scale, 1e-3), (
            f"with channels last, '{label}' differs by {difference:.2g} of {scale:.2g}"
        )


def check_training(name: str) -> None:
    """Check that the evaluation engine trains it alike with and without CPU kernels.

    In both precisions; logits, gradients and gradients of gradients are compared, too. On another
    device than a CPU there is nothing to check.
    """
    if place().type != "cpu":
        return
    for precision, most in MOST_DIFFERENT.items():
        difference = kernel_differences(name, _spec(_accepted(name)[0]), precision)
        for kind, value in asdict(difference).items():
            assert value <= most[kind], (
                f"{precision}: {kind} with and without CPU kernels differ by {value:.2g} of the "
                f"greatest value; rounding explains {most[kind]:g}"
            )


def _slopes(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the logits, and the gradient of their squares on each weight, by name."""
    weights = dict(network.named_parameters())
    with global_seed(2, images.device):  # for dropout
        logits: Tensor = network(images)
    slopes = torch.autograd.grad(logits.square().sum(), list(weights.values()))
    return {"logits": logits.detach(), **dict(zip(weights, slopes, strict=True))}


def _accepted(name: str) -> list[tuple[int, int, int]]:
    """Return the shapes that the architecture takes; a refusal is a ``BenchError``."""
    shapes = []
    for shape in _SHAPES:
        try:
            with torch.device("meta"):  # shapes only: no weight is drawn
                _network(name, shape)
        except BenchError:
            continue
        shapes.append(shape)
    assert shapes, f"'{name}' takes none of {_SHAPES}"
    return shapes


def _network(name: str, shape: tuple[int, int, int], seed: int = 1) -> nn.Module:
    with global_seed(seed):
        network = build_network(name, _spec(shape))
    # Shapes alone, on the meta device, stay there.
    return network if torch.get_default_device().type == "meta" else network.to(place())


def _spec(shape: tuple[int, int, int]) -> DatasetSpec:
    half = (0.5,) * shape[0]
    return DatasetSpec("small", _CLASSES, *shape, half, half, flip=False)


def _images(shape: tuple[int, int, int], n: int) -> Tensor:
    return torch.randn((n, *shape), generator=make_generator(3)).to(place())


def _embed(network: nn.Module, images: Tensor) -> Tensor:
    embed = getattr(network, "embed", None)
    assert callable(embed), "a network needs embed(images)"
    features: Tensor = embed(images)
    return features
