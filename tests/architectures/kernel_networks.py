"""The networks that CPU kernels are compared with PyTorch on, and the table of the differences.

``python tests/architectures/kernel_networks.py [ARCH ...]`` prints the table: every architecture
and every variant through the evaluation engine, with kernels and without, in both precisions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict

import torch

from bench.conformance.kernels import Differences, kernel_differences
from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import build_network, canonical_name
from bench.registry.params import describe
from bench.registry.registry import ARCHITECTURES
from bench.support.errors import BenchError

PRECISIONS = ("fp32", "bf16")
# Images of a training batch of networks of full width.
IMAGES = 24
_SHAPES = ((1, 16, 16), (1, 28, 28), (3, 32, 32), (3, 64, 64))
_LISTED = [name for name in ARCHITECTURES.names() if ARCHITECTURES.get(name).members]


def networks() -> list[str]:
    """Return every architecture, and each family's shallowest member with every choice it has.

    The other members of a family have the same kinds of layer.
    """
    shallowest = {ARCHITECTURES.get(name): name for name in reversed(_LISTED)}
    names = list(_LISTED)
    for family, name in shallowest.items():
        for info in describe(family.Params):
            if info.name not in family.fixed_by(name):
                names += [f"{name}({info.name}={choice})" for choice in info.choices or ()]
    # A choice that is the default is no other network.
    return [name for name in names if canonical_name(name) == name]


def spec_for(arch: str) -> DatasetSpec:
    """Return the smallest dataset that an architecture takes."""
    # A stem of stride 4 leaves one pixel of a small image, of which batch norm makes nothing but
    # rounding.
    least = 64 if "stem=large" in arch else 0
    for shape in _SHAPES:
        if shape[1] < least:
            continue
        half = (0.5,) * shape[0]
        spec = DatasetSpec("noise", 7, *shape, half, half, flip=False)
        try:
            with torch.device("meta"):
                build_network(arch, spec)
        except BenchError:
            continue
        return spec
    raise AssertionError(f"{arch} takes none of {_SHAPES}")


def table_row(arch: str, spec: DatasetSpec, precision: str, found: Differences) -> str:
    """Return a row of the table, in Markdown."""
    shape = "x".join(map(str, spec.shape))
    numbers = " | ".join(f"{value:.1e}" for value in asdict(found).values())
    return f"| {arch} | {shape} | {precision} | {numbers} |"


def table(names: Iterable[str]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| Network | Images | Precision | Loss | Logits | Gradients | Second derivatives |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: |"
    for name in names:
        spec = spec_for(name)
        for precision in PRECISIONS:
            found = kernel_differences(name, spec, precision, images=IMAGES)
            yield table_row(name, spec, precision, found)


if __name__ == "__main__":
    for line in table(sys.argv[1:] or networks()):
        print(line, flush=True)
