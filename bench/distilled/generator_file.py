"""The rebuilding of a generator from a file, without trust in the size that the file claims."""

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
from bench.support.untrusted import Limit


def build_generator(
    factory: str, spec: DatasetSpec, arguments: Any, weights: Mapping[str, Tensor]
) -> ImageGenerator:
    """Build a registered generator with the weights of a file.

    The network is first built on the ``meta`` device, without memory. Arguments that ask for other
    weights than the file holds are refused before anything is allocated.

    Args:
        factory: the registered name.
        spec: the images' shape and classes.
        arguments: the factory's arguments according to the file.
        weights: the file's tensors.

    Raises:
        BenchError: no generator of that name is registered.
        ValueError: the factory does not accept the arguments, or the weights do not fit.
    """
    build = GENERATORS.get(factory)
    misfit = f"the weights do not fit generator '{factory}'"
    if not weights:
        raise ValueError(f"{misfit}: there are none")
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of generator '{factory}' are not a table")
    try:
        limit = Limit.SPARE_GENERATOR_PARTS + Limit.GENERATOR_PARTS_PER_WEIGHT * len(weights)
        # Any seed does: the weights that a new network draws are overwritten.
        with global_seed(0):
            with _without_memory(limit):
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
    except Exception as error:  # a constructor can raise anything if its arguments are wrong
        raise ValueError(f"generator '{factory}' cannot be built: {error!r:.300}") from error
    return network


def _difference(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Return how two sets of weights differ; empty if names, shapes and dtypes are equal."""
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
def _without_memory(limit: int) -> Iterator[None]:
    """Build networks on the ``meta`` device in the block, of at most ``limit`` parts.

    Parts are modules, weights and buffers. Warnings of constructors are hidden.

    Raises:
        ValueError: a network has more parts.
    """
    count = 0

    def count_part(*_: Any) -> None:
        nonlocal count
        count += 1
        if count > limit:
            raise ValueError(f"its arguments ask for more than {limit:,} layers and weights")

    handles = [
        hooks.register_module_module_registration_hook(count_part),
        hooks.register_module_parameter_registration_hook(count_part),
        hooks.register_module_buffer_registration_hook(count_part),
    ]
    try:
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for handle in handles:
            handle.remove()
