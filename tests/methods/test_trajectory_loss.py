"""The loss of trajectory matching against the paper's equation, unrolled whole in float64."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from builders import tiny_context
from torch import Tensor, nn
from unrolled_students import unrolled

from bench.plugin import DSA
from bench.plugin.compute import FunctionalNetwork
from methods.mtt.trajectory_loss import InnerStep, Matched, TrajectoryLoss

ARCH = "convnet2(width=4)"
BATCH_NORM = "convnet2(width=4,norm=batch)"


class Case:
    """A student, its expert's weights and a distilled set, drawn at random in float64."""

    def __init__(self, arch: str = ARCH, steps: int = 4, dsa: str = "color_crop_rotate") -> None:
        self.ctx = tiny_context()
        self.net = self.ctx.network(arch).train().double()
        self.dsa = DSA(dsa)
        generator = self.ctx.generator("case")
        self.images = torch.randn(6, 1, 8, 8, generator=generator, dtype=torch.float64)
        self.labels = torch.arange(3).repeat(2)
        self.step_size = torch.tensor(0.3, dtype=torch.float64)
        self.steps = []
        for _ in range(steps):
            batch = torch.randperm(6, generator=generator)[:4]
            self.steps.append(InnerStep(batch, self.dsa.draw(4, (1, 8, 8), generator)))
        self.start = nn.utils.parameters_to_vector(self.net.parameters()).detach()
        away = torch.randn(self.start.shape, generator=generator, dtype=torch.float64)
        self.target = self.start + 0.1 * away

    def mine(self, *, exact: bool = True, size: int | None = None) -> Matched:
        network = FunctionalNetwork(self.net)
        loss = TrajectoryLoss(network, self.dsa, size, self.ctx, exact=exact)
        return loss(self.images, self.labels, self.step_size, self.steps, self.start, self.target)

    def unrolled(self, *, exact: bool = True) -> Matched:
        return unrolled(
            self.net, self.dsa, self.images, self.labels, self.step_size, self.steps,
            self.start, self.target, exact=exact,
        )  # fmt: skip


def assert_same(mine: Matched, other: Matched) -> None:
    for name in ("loss", "images", "step_size"):
        expected = getattr(other, name)
        scale = float(expected.abs().max())
        torch.testing.assert_close(getattr(mine, name), expected, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "tesla"])
@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
def test_it_is_the_unrolled_gradient(arch: str, exact: bool) -> None:
    case = Case(arch)
    assert_same(case.mine(exact=exact), case.unrolled(exact=exact))


@pytest.mark.parametrize("size", [1, 3, 100])
def test_slices_change_nothing(size: int) -> None:
    case = Case()
    assert_same(case.mine(size=size), case.unrolled())


def angle(first: Tensor, second: Tensor) -> float:
    return float(F.cosine_similarity(first.flatten(), second.flatten(), dim=0))


def test_teslas_gradient_is_another_one() -> None:
    """It is exact for one step only: later ones depend on the images through the weights."""
    case = Case()
    exact, tesla = case.mine(), case.mine(exact=False)
    assert torch.equal(exact.loss, tesla.loss)
    assert angle(exact.images, tesla.images) < 0.999
    assert not torch.allclose(exact.step_size, tesla.step_size, rtol=0.01)
    single = Case(steps=1)
    assert_same(single.mine(exact=False), single.mine())


def test_an_image_that_is_not_shown_has_no_gradient() -> None:
    case = Case(steps=1)
    hidden = sorted(set(range(6)) - set(case.steps[0].batch.tolist()))
    matched = case.mine()
    assert not matched.images[hidden].any()
    assert matched.images[case.steps[0].batch].flatten(1).any(1).all()


def test_nothing_is_changed_or_left_attached() -> None:
    case = Case()
    before = [t.clone() for t in (case.images, case.step_size, case.start, case.target)]
    matched = case.mine()
    for kept, now in zip(
        before, (case.images, case.step_size, case.start, case.target), strict=True
    ):
        assert torch.equal(kept, now)
        assert not now.requires_grad
    assert not any(t.requires_grad for t in (matched.loss, matched.images, matched.step_size))


class Held:
    """A tensor that a graph has saved."""

    def __init__(self, value: Tensor) -> None:
        self.value = value


def most_held(case: Case) -> int:
    """Return the most bytes that graphs hold at any time."""
    held, most = 0, 0

    def release(size: int) -> None:
        nonlocal held
        held -= size

    def keep(value: Tensor) -> Held:
        nonlocal held, most
        kept = Held(value)
        weakref.finalize(kept, release, value.nbytes)
        held += value.nbytes
        most = max(most, held)
        return kept

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept.value):
        case.mine()
    assert held == 0
    return most


def test_graphs_do_not_grow_with_the_number_of_steps() -> None:
    few, many = (most_held(Case(steps=steps, dsa="none")) for steps in (2, 12))
    assert few == many > 0


def in_single_precision(case: Case) -> Case:
    """Return the case in float32."""
    case.net = case.net.float()
    for name in ("images", "step_size", "start", "target"):
        setattr(case, name, getattr(case, name).float())
    return case


def relative(values: Sequence[Tensor]) -> float:
    first, second = (value.double() for value in values)
    return float((first - second).norm() / second.norm())


@pytest.mark.parametrize(("precision", "most"), [("fp32", 1e-4), ("bf16", 0.2)])
def test_other_precisions_stay_near(precision: str, most: float) -> None:
    expected = Case().unrolled()
    case = in_single_precision(Case())
    case.ctx = tiny_context(precision=precision)
    found = case.mine()
    assert found.loss.dtype == found.images.dtype == torch.float32
    for name in ("loss", "images", "step_size"):
        assert 0 < relative([getattr(found, name), getattr(expected, name)]) < most
