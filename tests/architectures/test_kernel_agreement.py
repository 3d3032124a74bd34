"""Every architecture gives the same results with CPU kernels and without, to rounding.

Through the evaluation engine, forward, backward and twice differentiated, in both precisions.
"""

from __future__ import annotations

from dataclasses import asdict, astuple
from pathlib import Path

import pytest
import torch
from kernel_networks import IMAGES, networks, spec_for, table, table_row
from small_networks import small_architecture

from bench.conformance.kernels import MOST_DIFFERENT, kernel_differences
from bench.networks.cpu_kernels import describe_kernels, ordinary, shallow, winograd

pytestmark = pytest.mark.skipif(
    describe_kernels() != "native", reason=f"no compiled kernels: {describe_kernels()}"
)


def with_few_channels(arch: str) -> str:
    """Add few channels to what else is in an architecture's parentheses."""
    name, _, given = arch.rstrip(")").partition("(")
    small = small_architecture(name)
    return f"{small.rstrip(')')}{',' if '(' in small else '('}{given})" if given else small


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
@pytest.mark.parametrize("arch", networks())
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
@pytest.mark.parametrize("arch", networks())
def test_networks_of_full_width_agree(arch: str) -> None:
    spec = spec_for(arch)
    for precision, most in MOST_DIFFERENT.items():
        differences = kernel_differences(arch, spec, precision, images=IMAGES)
        for kind, value in asdict(differences).items():
            limit = UNSTABLE.get(arch, most[kind]) if kind == "loss" else most[kind]
            assert value <= limit, table_row(arch, spec, precision, differences)


def test_the_table_has_both_precisions_of_every_network() -> None:
    head, _, *rows = table(["lenet", "mlp"])
    assert [row.split(" | ")[0] for row in rows] == ["| lenet"] * 2 + ["| mlp"] * 2
    assert {row.count(" | ") for row in rows} == {head.count(" | ")}


def test_the_committed_table_is_complete() -> None:
    path = Path(__file__).parents[2] / "results" / "reproduced" / "kernel-agreement.md"
    rows = [line.split(" | ") for line in path.read_text(encoding="utf-8").splitlines()]
    shown = {(row[0][2:], row[2]) for row in rows if len(row) == 7}
    assert shown >= {(name, precision) for name in networks() for precision in MOST_DIFFERENT}
