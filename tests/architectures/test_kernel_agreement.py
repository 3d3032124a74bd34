"""Every architecture gives the same results with CPU kernels and without, to rounding.

Through the evaluation engine, forward, backward and twice differentiated, in both precisions.
"""

from __future__ import annotations

from dataclasses import asdict, astuple

import pytest
import torch
from small_networks import small_architecture

from bench.conformance.kernels import MOST_DIFFERENT, kernel_differences
from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import build_network
from bench.networks.cpu_kernels import describe_kernels, ordinary, shallow, winograd
from bench.registry.params import describe
from bench.registry.registry import ARCHITECTURES
from bench.support.errors import BenchError

pytestmark = pytest.mark.skipif(
    describe_kernels() != "native", reason=f"no compiled kernels: {describe_kernels()}"
)
SHAPES = ((1, 16, 16), (1, 28, 28), (3, 32, 32), (3, 64, 64))
LISTED = [name for name in ARCHITECTURES.names() if ARCHITECTURES.get(name).members]
# Of each family the member with the fewest layers; its other members have the same kinds of layer.
SHALLOWEST = list({ARCHITECTURES.get(name): name for name in reversed(LISTED)}.values())


def variants() -> list[str]:
    """Return each family's shallowest member with every choice that it has, one at a time."""
    names = []
    for name in SHALLOWEST:
        family = ARCHITECTURES.get(name)
        for info in describe(family.Params):
            if info.name not in family.fixed_by(name):
                names += [f"{name}({info.name}={choice})" for choice in info.choices or ()]
    return names


def with_few_channels(arch: str) -> str:
    """Add few channels to what else is in an architecture's parentheses."""
    name, _, given = arch.rstrip(")").partition("(")
    small = small_architecture(name)
    return f"{small.rstrip(')')}{',' if '(' in small else '('}{given})" if given else small


def spec_for(arch: str) -> DatasetSpec:
    """Return the smallest dataset that an architecture takes."""
    for shape in SHAPES:
        half = (0.5,) * shape[0]
        spec = DatasetSpec("noise", 7, *shape, half, half, flip=False)
        try:
            with torch.device("meta"):
                build_network(arch, spec)
        except BenchError:
            continue
        return spec
    raise AssertionError(f"{arch} takes none of {SHAPES}")


@pytest.fixture
def kernels_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels compute all that they can, not only what they are faster at."""
    monkeypatch.setattr(
        winograd, "fits", lambda _x, w, padding, _: w.shape[2:] == (3, 3) and padding == (1, 1)
    )
    monkeypatch.setattr(shallow, "fits", lambda w: w[0].numel() <= 32)
    monkeypatch.setattr(ordinary, "fits", lambda *_: True)


# 121 layers without a norm: a step of 1e-6 changes the loss tenfold, as does rounding.
UNSTABLE = {"densenet121(norm=none)": 0.1}


@pytest.mark.usefixtures("kernels_for_all")
@pytest.mark.parametrize("arch", [*LISTED, *variants()])
def test_small_networks_agree(arch: str) -> None:
    small = with_few_channels(arch)
    spec = spec_for(small)
    full = kernel_differences(small, spec, "fp32")
    assert full.loss < UNSTABLE.get(arch, 1e-3)
    assert full.logits < 1e-3
    # Of 50 layers and few channels, the rounding of 1e-5 is magnified so far.
    assert max(full.gradients, full.second) < 0.3
    half = kernel_differences(small, spec, "bf16")
    assert torch.tensor(astuple(half)).isfinite().all()
    assert half.loss < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("arch", [*LISTED, *variants()])
def test_networks_of_full_width_agree(arch: str) -> None:
    """Prints a row of the table of greatest differences: ``pytest -m slow -s`` shows it."""
    spec = spec_for(arch)
    for precision, most in MOST_DIFFERENT.items():
        differences = kernel_differences(arch, spec, precision, images=24)
        row = " ".join(f"{kind} {value:.1e}" for kind, value in asdict(differences).items())
        print(f"\n{arch} {'x'.join(map(str, spec.shape))} {precision}: {row}")
        for kind, value in asdict(differences).items():
            assert (
                value <= UNSTABLE.get(arch, most[kind]) if kind == "loss" else value <= most[kind]
            )
