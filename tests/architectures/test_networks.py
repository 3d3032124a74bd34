"""What every network keeps, whatever its family."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from network_tools import images_for, network, spec_of
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F

from bench.networks.architecture import is_per_sample

SPEC = spec_of(1, 16, classes=4)
NORMS = ["instance", "batch", "group", "layer", "none"]
NAMES = [
    *(f"convnet2(width=4,norm={norm})" for norm in NORMS),
    "convnet3(width=4,activation=swish,pooling=max)",
    "convnet1(width=4,activation=leakyrelu,pooling=none)",
    *(f"resnet10(width=4,norm={norm})" for norm in NORMS),
    "resnet10_ap(width=4)",
    "resnet10_ap(width=4,norm=group)",
    "resnet50(width=4)",
    "resnet50_ap(width=4,norm=instance)",
    "mlp(width=8)",
    "lenet",
    *(f"vgg11(width=4,norm={norm})" for norm in NORMS),
    "alexnet",
    "alexnet(norm=batch)",
    *(f"wrn16-2(norm={norm})" for norm in NORMS),
    "densenet121(growth=4)",
    "densenet121(growth=4,norm=group)",
    "vit(width=8,heads=2,depth=2)",
]


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_the_classifier_of_embed(name: str) -> None:
    net = network(name, SPEC).eval()
    x = images_for(SPEC, 3)
    torch.testing.assert_close(net(x), net.classifier(net.embed(x)))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(NAMES), st.integers(2, 7), st.integers(0, 5))
def test_slicing_a_batch_changes_nothing_where_per_sample(name: str, n: int, seed: int) -> None:
    # In double precision: deep narrow networks magnify rounding.
    net, x = network(name, SPEC, seed).double(), images_for(SPEC, n, seed).double()
    cut = 1 + seed % (n - 1)
    with torch.no_grad():
        whole = net(x)
        # A trained batch norm needs two values per channel; those nets end in 2x2 maps.
        parts = torch.cat([net(x[:cut]), net(x[cut:])])
    same = torch.allclose(parts, whole, rtol=1e-4, atol=1e-5)
    assert same == is_per_sample(name)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_images_and_weights(name: str) -> None:
    net, x = network(name, SPEC), images_for(SPEC, 6).requires_grad_()
    F.cross_entropy(net(x), torch.arange(6) % 4).backward()
    assert x.grad is not None
    assert x.grad.abs().amax(dim=(1, 2, 3)).min() > 0
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        if parameter.dim() > 1:
            assert parameter.grad.any(), key


@pytest.mark.parametrize(
    "name",
    ["convnet3(width=4)", "resnet10_ap(width=4,norm=instance)", "mlp", "lenet", "alexnet",
     "vgg11(width=4)", "wrn16-2", "densenet121(growth=4)", "vit(width=8,heads=2,depth=2)"],
)  # fmt: skip
def test_second_derivatives_exist(name: str) -> None:
    # Gradient matching differentiates a gradient.
    net, x = network(name, SPEC), images_for(SPEC, 4).requires_grad_()
    loss = F.cross_entropy(net(x), torch.arange(4))
    first = torch.autograd.grad(loss, list(net.parameters()), create_graph=True)
    torch.stack([g.square().sum() for g in first]).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.any()


@pytest.mark.parametrize("name", NAMES)
def test_seed_decides_the_weights(name: str) -> None:
    first, again, other = (network(name, SPEC, seed).state_dict() for seed in (7, 7, 8))
    assert all(torch.equal(first[key], again[key]) for key in first)
    weights = [key for key in first if key.endswith("weight") and first[key].dim() in (2, 4)]
    assert weights
    assert not any(torch.equal(first[key], other[key]) for key in weights)


@pytest.mark.parametrize("name", NAMES)
def test_many_nets_at_once_by_vmap(name: str) -> None:
    # In float64: norms of nearly constant maps blow up what float32 rounds.
    nets = [network(name, SPEC, seed).double() for seed in range(3)]
    parameters, buffers = stack_module_state(nets)
    x = torch.stack([images_for(SPEC, 4, seed) for seed in range(3)]).double()
    y = torch.arange(4)

    def loss(p: dict[str, Tensor], b: dict[str, Tensor], images: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(nets[0], (p, b), (images,)), y)

    gradients = vmap(grad(loss))(parameters, buffers, x)
    for i, net in enumerate(nets):
        F.cross_entropy(net(x[i]), y).backward()
        for key, parameter in net.named_parameters():
            torch.testing.assert_close(gradients[key][i], parameter.grad, rtol=1e-6, atol=1e-9)
        for key, buffer in net.named_buffers():
            torch.testing.assert_close(buffers[key][i], buffer)
