"""Kernels give PyTorch's numbers whatever a network does with its tensors.

Activations and sums in place, channels-last and other layouts, shared and frozen weights: forward,
backward and twice differentiated, in both precisions.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.networks.cpu_kernels import (
    computing,
    describe_kernels,
    image_gradient,
    ordinary,
    without_kernels,
)
from bench.networks.fused_operations import norm_relu_pool

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(
    describe_kernels() != "native", reason=f"no compiled kernels: {describe_kernels()}"
)
PRECISIONS = ("fp32", "bf16")


class Net(nn.Module):
    """One convolution for each kind of kernel, with a change in place after it.

    Args:
        change: changes a tensor in place and returns it.
    """

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.change = change
        self.shallow = nn.Conv2d(3, 64, 3, padding=1)
        self.winograd = nn.Conv2d(64, 96, 3, padding=1)
        self.same = nn.Conv2d(96, 96, 3, padding=1, bias=False)
        self.ordinary = nn.Conv2d(96, 64, 5, stride=2, padding=2)
        self.norm = nn.GroupNorm(64, 64)
        self.head = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.change(self.shallow(x))
        x = self.change(self.winograd(x))
        x = self.change(self.same(x))
        y = self.same(x)
        y += x  # shared weights, and a sum in place
        x = self.change(self.ordinary(y))
        x = self.change(norm_relu_pool(x, self.norm.weight, self.norm.bias))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: F.relu(x, inplace=True),
    "leaky": lambda x: F.leaky_relu(x, 0.1, inplace=True),
    "silu": lambda x: F.silu(x, inplace=True),
    "multiply": lambda x: x.mul_(0.5),
    "assign": lambda x: x.clamp_(-0.5, 2.0),
    "none": lambda x: x,
}
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "channels-last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "every-second": lambda x: x.repeat_interleave(2, 0)[::2],
    "reversed-order": lambda x: x.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0),
}


@pytest.fixture(autouse=True)
def _seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(ordinary, "fits", lambda *_: True)


def results(net: nn.Module, images: Tensor, precision: str) -> list[Tensor]:
    """Return logits, gradients on weights and images, and second derivatives on both."""
    images = images.detach().requires_grad_()
    weights = [p for p in net.parameters() if p.requires_grad]
    with computing(CPU, precision):
        logits = net(images)
    loss = F.cross_entropy(logits.float(), torch.arange(len(images)) % 5)
    first = torch.autograd.grad(loss, [*weights, images], create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), [*weights, images])
    return [logits.detach(), *(g.detach() for g in first), *second]


def distance(one: Tensor, other: Tensor) -> float:
    """Return the norm of a difference, relative to the norm of ``other`` where that is not tiny."""
    # A norm below 1e-4 is that of gradients that are zero but for rounding.
    return float((one - other).float().norm() / other.float().norm().clamp_min(1e-4))


def assert_agree(net: nn.Module, images: Tensor, precision: str = "fp32") -> None:
    """Compare with PyTorch's own operations.

    In float32 directly: a few values lie where an activation has its kink. In bfloat16 no result
    may be much farther from float32's than PyTorch's is.
    """
    ours = results(net, images, precision)
    with without_kernels():
        plain = results(net, images, precision)
        exact = plain if precision == "fp32" else results(net, images, "fp32")
    for mine, theirs, right in zip(ours, plain, exact, strict=True):
        assert mine.dtype == theirs.dtype
        most = 0.02 if precision == "fp32" else 3 * distance(theirs, right) + 0.02
        assert distance(mine, right) < most


def noise(count: int = 12) -> Tensor:
    return torch.randn(count, 3, 16, 16)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("change", CHANGES)
def test_changes_in_place(change: str, precision: str) -> None:
    assert_agree(Net(CHANGES[change]), noise(), precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_images(layout: str, precision: str) -> None:
    images = LAYOUTS[layout](noise())
    assert layout in ("contiguous", "every-second") or not images.is_contiguous()
    assert_agree(Net(CHANGES["relu"]), images, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_networks_in_channels_last(precision: str) -> None:
    net = Net(CHANGES["relu"]).to(memory_format=torch.channels_last)
    images = noise().contiguous(memory_format=torch.channels_last)
    assert not net.winograd.weight.is_contiguous()
    assert_agree(net, images, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_that_are_not_contiguous(precision: str) -> None:
    net = Net(CHANGES["relu"])
    for module in (net.shallow, net.winograd, net.same, net.ordinary):
        module.weight.data = module.weight.data.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    wide = torch.randn(2, 128)
    net.norm.weight.data, net.norm.bias.data = wide[0, ::2], wide[1, ::2]
    net.winograd.bias.data = torch.randn(192)[::2]
    assert not net.norm.weight.is_contiguous()
    assert_agree(net, noise(), precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_one_weight_in_two_layers(precision: str) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 64, 3, padding=1)
            self.one, self.two = (nn.Conv2d(64, 64, 3, padding=1) for _ in range(2))
            self.two.weight = self.one.weight
            self.head = nn.Linear(64, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu_(self.two(F.relu_(self.one(self.stem(x)))))
            y: Tensor = self.head(x.mean((2, 3)))
            return y

    assert_agree(Tied(), noise(), precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_frozen_weights(precision: str) -> None:
    net = Net(CHANGES["relu"])
    for module in (net.shallow, net.same):
        module.requires_grad_(False)
    assert_agree(net, noise(), precision)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(mode: type) -> None:
    net, images = Net(CHANGES["relu"]), noise()
    with mode(), computing(CPU, "fp32"):
        ours = net(images)
    torch.testing.assert_close(ours, net(images), rtol=1e-4, atol=1e-4)


def test_gradients_may_be_changed_in_place() -> None:
    net, images = Net(CHANGES["relu"]), noise().requires_grad_()

    def clipped() -> Tensor:
        with computing(CPU, "fp32"):
            loss = net(images).square().sum()
            gradients = torch.autograd.grad(loss, list(net.parameters()), create_graph=True)
            return image_gradient(sum(g.mul_(0.5).square().sum() for g in gradients), images)

    ours = clipped()
    with without_kernels():
        torch.testing.assert_close(ours, clipped(), rtol=1e-3, atol=1e-3 * float(ours.abs().max()))


def test_a_backward_pass_under_another_autocast_stays_in_float32() -> None:
    class Exact(Net):
        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())

    net, images = Exact(CHANGES["relu"]), noise().requires_grad_()

    def slope(precision: str) -> Tensor:
        with computing(CPU, precision):
            return image_gradient(net(images).square().sum(), images)

    assert distance(slope("bf16"), slope("fp32")) < 0.02  # PyTorch's own layers are rounded


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(8, 4, 16, 16), "to have 3 channels, but got 4 channels"),
        (torch.zeros(8, 3, 16, 16, dtype=torch.bfloat16), "should be the same"),
        (torch.zeros(8, 3, 16), "to have 3 channels"),
    ],
)
def test_wrong_images_get_pytorchs_own_error(images: Tensor, message: str) -> None:
    layer = nn.Conv2d(3, 64, 3, padding=1)
    with computing(CPU, "fp32"), pytest.raises(RuntimeError, match=message):
        layer(images)


def test_a_kernel_larger_than_the_image_gets_pytorchs_own_error() -> None:
    layer = nn.Conv2d(1, 64, 5)
    with computing(CPU, "fp32"), pytest.raises(RuntimeError, match="can't be greater than"):
        layer(torch.zeros(4, 1, 3, 3))


def test_no_images_give_no_outputs() -> None:
    with computing(CPU, "fp32"):
        assert Net(CHANGES["relu"])(torch.zeros(0, 3, 16, 16)).shape == (0, 5)


def test_norms_without_a_scale_or_in_half_precision_stay_with_pytorch() -> None:
    x, half = torch.randn(2, 8, 4, 4), torch.ones(8, dtype=torch.bfloat16)
    with computing(CPU, "fp32"):
        plain = F.avg_pool2d(F.relu(F.instance_norm(x)), 2)
        torch.testing.assert_close(norm_relu_pool(x, None, None), plain, rtol=1e-4, atol=1e-5)
        y = norm_relu_pool(x.bfloat16(), half, torch.zeros_like(half))
    torch.testing.assert_close(y.float(), plain, rtol=0.05, atol=0.05)


def test_networks_under_vmap_stay_with_pytorch() -> None:
    nets = [Net(CHANGES["none"]) for _ in range(2)]
    stacked, _ = torch.func.stack_module_state(nets)
    images = torch.stack([noise(), noise()])

    def call(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        y: Tensor = torch.func.functional_call(nets[0], weights, (x,))
        return y

    with computing(CPU, "fp32"):
        together = torch.func.vmap(call)(stacked, images)
    for net, x, y in zip(nets, images, together, strict=True):
        torch.testing.assert_close(net(x), y, rtol=1e-4, atol=1e-4)
