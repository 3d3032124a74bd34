"""Rebuilds a generator from a file without believing what the file says of its size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules import module as hooks

from bench.datasets.spec import DatasetSpec
from bench.distilled.image_generator import ImageGenerator
from bench.registry.registry import GENERATORS
from bench.support.errors import BenchError
from bench.support.seeds import global_seed

# Parts (modules, weights, buffers) that a network may have beside those its file accounts for.
_SPARE_PARTS, _PARTS_PER_WEIGHT = 1000, 10


def build_generator(
    factory: str, spec: DatasetSpec, arguments: Any, weights: Mapping[str, Tensor]
) -> ImageGenerator:
    """Build a registered generator with the weights of a file.

    It is built without memory first: arguments that ask for other weights than the file holds are
    refused before anything is allocated.

    Args:
        factory: the registered name.
        spec: the images' shape and classes.
        arguments: what the file says the factory was called with.
        weights: the file's tensors.

    Raises:
        BenchError: if no such generator is registered.
        ValueError: if the arguments are not the factory's, or the weights are not the network's.
    """
    build = GENERATORS.get(factory)
    misfit = f"the weights do not fit generator '{factory}'"
    if not weights:
        raise ValueError(f"{misfit}: there are none")
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of generator '{factory}' are no table")
    try:
        with global_seed(0):  # the weights that a fresh network draws are overwritten
            with _unbuilt(_SPARE_PARTS + _PARTS_PER_WEIGHT * len(weights)):
                expected = build(spec, **arguments).state_dict()
            difference = _difference(expected, weights)
            if difference:
                raise ValueError(f"{misfit}: {difference}")
            network: ImageGenerator = build(spec, **arguments)
        network.load_state_dict(dict(weights))
    except (BenchError, ValueError, TypeError):
        raise
    except RuntimeError as error:
        raise ValueError(f"{misfit}: {error}") from None
    except Exception as error:  # whatever a constructor raises when it is given nonsense
        raise ValueError(f"generator '{factory}' cannot be built: {error!r:.300}") from error
    return network


def _difference(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Say how two sets of weights differ; nothing if they have equal names, shapes and types."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            return f"'{name}' is missing"
        if name not in expected:
            return f"'{name}' is not one of them"
        ours, theirs = expected[name], found[name]
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            return (
                f"'{name}' should be {ours.dtype} {tuple(ours.shape)}, not {theirs.dtype} "
                f"{tuple(theirs.shape)}"
            )
    return ""


@contextmanager
def _unbuilt(limit: int) -> Iterator[None]:
    """Build networks without memory, quietly, and of no more than ``limit`` parts."""
    count = 0

    def one_more(*_: Any) -> None:
        nonlocal count
        count += 1
        if count > limit:
            raise ValueError(f"its arguments ask for more than {limit:,} layers and weights")

    handles = [
        hooks.register_module_module_registration_hook(one_more),
        hooks.register_module_parameter_registration_hook(one_more),
        hooks.register_module_buffer_registration_hook(one_more),
    ]
    try:
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for handle in handles:
            handle.remove()
