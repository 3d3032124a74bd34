"""Networks as functions: against plain autograd, classes at once, gradients of gradients."""

from __future__ import annotations

import copy
import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import build_network, parse_architecture
from bench.networks.functional import FunctionalNetwork, batches_classes
from bench.networks.precision import float32_mode
from bench.registry.params import as_dict
from bench.registry.registry import ARCHITECTURES
from bench.support.errors import BenchError
from bench.support.seeds import global_seed, make_generator

SPEC = DatasetSpec("tiny", 3, 3, 32, 32, (0.5,) * 3, (0.5,) * 3, flip=False)
LARGE = dataclasses.replace(SPEC, height=64, width=64)
SMALL = DatasetSpec("small", 3, 2, 8, 8, (0.5,) * 2, (0.5,) * 2, flip=False)
# Smooth, so that finite differences meet no corner.
SMOOTH = "convnet1(width=4,activation=swish,norm={})"
_FEW = {"width": 8, "growth": 2}
NORMS = ("batch", "layer", "group", "instance", "none")


@pytest.fixture
def choose_batching(monkeypatch):
    """Returns a function that says whether classes are computed at once, on any device."""

    def choose(at_once: bool) -> None:
        monkeypatch.setattr("bench.networks.functional.batches_classes", lambda _: at_once)

    return choose


def narrow(name: str) -> str:
    """Return an architecture with few channels, as far as it lets them be chosen."""
    _, member, params = parse_architecture(name)
    given = [f"{key}={value}" for key, value in _FEW.items() if key in as_dict(params)]
    return f"{member}({','.join(given)})" if given else member


# A family without listed members (timm) has none that this machine is sure to know.
LISTED = [name for name in ARCHITECTURES.names() if name in ARCHITECTURES.get(name).members]
CHEAP = [narrow(name) for name in LISTED] + ["resnet10(width=4,norm=layer)"]


def accepted(arch: str) -> DatasetSpec:
    """Return the smaller of two datasets, if the architecture takes it."""
    try:
        build(arch, SPEC)
    except BenchError:
        return LARGE
    return SPEC


def build(arch: str, spec: DatasetSpec = SPEC, dtype: torch.dtype = torch.float64) -> nn.Module:
    with global_seed(3):
        return build_network(arch, spec).to(dtype).train()


def batch(*size: int, spec: DatasetSpec = SPEC, dtype: torch.dtype = torch.float64):
    g = make_generator(sum(size))
    labels = torch.randint(spec.num_classes, size, generator=g)
    return torch.randn(*size, *spec.shape, generator=g, dtype=torch.float64).to(dtype), labels


def scalar(gradients: dict[str, Tensor]) -> Tensor:
    """Return a number that depends on every gradient in a way of its own."""
    parts = [
        (g * torch.linspace(1, 2, g.numel(), dtype=g.dtype, device=g.device).view_as(g)).sum()
        + g.square().sum()
        for g in gradients.values()
    ]
    return torch.stack(parts).sum()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("arch", CHEAP)
def test_values_and_gradients_are_those_of_plain_autograd(arch, dtype):
    spec = accepted(arch)
    net, (images, labels) = build(arch, spec, dtype), batch(4, spec=spec, dtype=dtype)
    function = FunctionalNetwork(net)
    params = function.parameters()
    logits, loss = function.logits(params, images), function.loss(params, images, labels)
    found = function.gradients(params, images, labels)
    expected = net(images)
    F.cross_entropy(expected, labels).backward()
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(loss, F.cross_entropy(expected, labels))
    assert list(found) == [name for name, _ in net.named_parameters()]
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("arch", CHEAP)
def test_classes_at_once_are_the_classes_in_turn(arch, choose_batching):
    spec = accepted(arch)
    net, (images, labels) = build(arch, spec), batch(2, 2, spec=spec)
    images.requires_grad_()
    results = []
    for at_once in (True, False):
        choose_batching(at_once)
        function = FunctionalNetwork(net)
        params = function.parameters()
        found = function.per_class_gradients(params, images, labels, create_graph=True)
        assert all(found[name].shape == (2, *p.shape) for name, p in params.items())
        results.append((found, torch.autograd.grad(scalar(found), images)[0]))
    torch.testing.assert_close(*(found for found, _ in results), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(*(second for _, second in results), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("norm", NORMS)
def test_second_order_gradients_are_right(norm, at_once, choose_batching):
    choose_batching(at_once)
    function = FunctionalNetwork(build(SMOOTH.format(norm), SMALL))
    params, (images, labels) = function.parameters(), batch(2, 3, spec=SMALL)

    def matched(images: Tensor) -> Tensor:
        found = function.per_class_gradients(params, images, labels, create_graph=True)
        return scalar(found)

    assert torch.autograd.gradcheck(matched, (images.requires_grad_(),), fast_mode=True)


def test_an_unrolled_inner_loop_is_differentiable():
    function = FunctionalNetwork(build(SMOOTH.format("instance"), SMALL))
    start, (images, labels) = function.parameters(), batch(3, spec=SMALL)

    def after_two_steps(images: Tensor, rate: Tensor, vector: Tensor) -> Tensor:
        params = function.unflatten(vector)
        for _ in range(2):
            steps = function.gradients(params, images, labels, create_graph=True)
            params = function.descend(params, steps, rate)
        return function.flatten(params).square().sum()

    rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    vector = function.flatten(start).detach().requires_grad_()
    arguments = (images.requires_grad_(), rate, vector)
    assert torch.autograd.gradcheck(after_two_steps, arguments, fast_mode=True)


def test_steps_are_those_of_sgd():
    net, (images, labels) = build("convnet3(width=4)"), batch(5)
    function = FunctionalNetwork(net)
    params = function.parameters()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        params = function.descend(params, function.gradients(params, images, labels), 0.1)
        optimiser.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimiser.step()
    torch.testing.assert_close(dict(params), dict(net.named_parameters()))


@pytest.mark.parametrize("count", [1, 4, 7])
def test_slices_change_nothing(count):
    net, (images, labels) = build("convnet3(width=4)"), batch(7)
    images.requires_grad_()
    whole, sliced = FunctionalNetwork(net), FunctionalNetwork(net, slice_size=count)
    params, results = whole.parameters(), []
    for function in (whole, sliced):
        found = function.gradients(params, images, labels, create_graph=True)
        results.append((found, torch.autograd.grad(scalar(found), images)[0]))
    torch.testing.assert_close(*results)


def test_a_flat_vector_is_in_the_networks_order():
    net = build("convnet3(width=4)")
    function = FunctionalNetwork(net)
    params = function.parameters()
    flat = function.flatten(dict(reversed(params.items())))
    assert torch.equal(flat, nn.utils.parameters_to_vector(net.parameters()))
    views = function.unflatten(flat)
    assert list(views) == list(params)
    assert all(torch.equal(views[name], params[name]) for name in params)


def test_parameters_are_copies():
    net = build("convnet3(width=4)")
    params = FunctionalNetwork(net).parameters()
    before = {name: p.detach().clone() for name, p in params.items()}
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
    torch.testing.assert_close({k: v.detach() for k, v in params.items()}, before)
    assert all(p.is_leaf and p.requires_grad for p in params.values())


def test_no_pass_writes_running_statistics(choose_batching):
    net, (images, labels) = build("convnet3(width=4,norm=batch)"), batch(3, 2)
    before = copy.deepcopy(net.state_dict())
    for at_once in (True, False):
        choose_batching(at_once)
        function = FunctionalNetwork(net)
        params = function.parameters()
        first = function.logits(params, images[0])
        function.per_class_gradients(params, images, labels)
        assert torch.equal(function.logits(params, images[0]), first)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize("at_once", [True, False])
def test_frozen_batch_norm_uses_running_statistics(at_once, choose_batching):
    net, (images, labels) = build("convnet3(width=4,norm=batch)"), batch(3, 2)
    net(batch(8)[0])
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    choose_batching(at_once)
    function = FunctionalNetwork(net)
    found = function.per_class_gradients(function.parameters(), images, labels)
    for c in range(3):
        expected = torch.autograd.grad(
            F.cross_entropy(net(images[c]), labels[c]), list(net.parameters())
        )
        torch.testing.assert_close([g[c] for g in found.values()], list(expected))


@pytest.mark.parametrize("at_once", [True, False])
def test_one_hot_probabilities_are_labels(at_once, choose_batching):
    net, (images, labels) = build("convnet3(width=4)"), batch(3, 2)
    choose_batching(at_once)
    function = FunctionalNetwork(net)
    params, soft = function.parameters(), F.one_hot(labels, 3).double()
    hard = function.per_class_gradients(params, images, labels)
    torch.testing.assert_close(function.per_class_gradients(params, images, soft), hard)


@pytest.mark.parametrize("at_once", [True, False])
def test_without_a_graph_the_gradients_are_detached_even_under_no_grad(at_once, choose_batching):
    net, (images, labels) = build("convnet3(width=4)"), batch(3, 2)
    choose_batching(at_once)
    function = FunctionalNetwork(net)
    params = function.parameters()
    with torch.no_grad():
        quiet = function.per_class_gradients(params, images, labels)
    found = function.per_class_gradients(params, images.requires_grad_(), labels)
    assert not any(g.requires_grad for g in (*quiet.values(), *found.values()))
    torch.testing.assert_close(quiet, found)


def test_threads_may_share_it():
    net, (images, labels) = build("convnet3(width=4)"), batch(16, 3)
    function = FunctionalNetwork(net)
    sets = [{k: v * (1 + i / 8) for k, v in function.parameters().items()} for i in range(16)]

    def one(i: int) -> Tensor:
        return function.flatten(function.gradients(sets[i], images[i], labels[i]))

    expected = [one(i) for i in range(16)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(one, range(16)))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_the_loss_of_bf16_logits_is_float32():
    net, (images, labels) = build("convnet3(width=4)", dtype=torch.float32), batch(4)
    function = FunctionalNetwork(net)
    params = {name: p.bfloat16() for name, p in function.parameters().items()}
    loss = function.loss(params, images.bfloat16(), labels)
    assert loss.dtype == torch.float32
    exact = function.loss(function.parameters(), images.float(), labels)
    torch.testing.assert_close(loss, exact, rtol=0.05, atol=0.0)


def test_classes_are_batched_on_a_gpu_only_and_not_under_autocast(monkeypatch):
    assert batches_classes(torch.device("cuda"))
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: device == "cuda")
    assert not batches_classes(torch.device("cuda"))
    assert not batches_classes(torch.device("cpu"))


@pytest.mark.gpu
@pytest.mark.parametrize("arch", ["convnet3(width=8)", "resnet10(width=8)"])
def test_a_gpu_agrees_with_the_cpu(arch):
    net, (images, labels) = build(arch), batch(3, 2)
    here = FunctionalNetwork(net)
    expected = here.per_class_gradients(here.parameters(), images, labels)
    there = FunctionalNetwork(net.to("cuda"))
    with float32_mode(torch.device("cuda"), "fp32"):
        found = there.per_class_gradients(there.parameters(), images.cuda(), labels.cuda())
    # Another order of sums; the layers of a ResNet magnify its rounding.
    on_cpu = {name: value.cpu() for name, value in found.items()}
    torch.testing.assert_close(on_cpu, expected, rtol=1e-3, atol=1e-4)
