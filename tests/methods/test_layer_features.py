from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from builders import tiny_context, tiny_real_set
from torch import Tensor, nn

from bench.support.seeds import make_generator
from methods.cafe import layer_features
from methods.cafe.layer_features import LayerFeatures, blocks, why_no_blocks


def images(seed: int = 0, n: int = 3) -> Tensor:
    return torch.randn(n, 1, 8, 8, generator=make_generator(seed))


@pytest.mark.parametrize("act", ["relu", "leakyrelu", "sigmoid", "swish"])
@pytest.mark.parametrize("pooling", ["avg", "none"])
def test_a_convnets_layers_are_its_activations_before_pooling(act: str, pooling: str) -> None:
    ctx = tiny_context()
    network = ctx.network(f"convnet2(width=4,activation={act},pooling={pooling})")
    found = LayerFeatures(network, ctx)(images())
    expected, maps = [], images()
    for i, module in enumerate(network.features):
        maps = module(maps)
        if i in ((2, 6) if pooling == "avg" else (2, 5)):
            expected.append(maps.flatten(1).clone())
    expected.append(network.embed(images()))
    assert len(found) == 3
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_resnets_layers_are_its_stem_and_blocks() -> None:
    ctx = tiny_context()
    network = ctx.network("resnet10(width=2)").eval()
    found = LayerFeatures(network, ctx)(images())
    # 8x8 images: a stem and a stage at full size, then three that halve; the mean of the last.
    assert [layer.shape[1] for layer in found] == [128, 128, 64, 32, 16, 16]
    assert all(bool((layer >= 0).all()) for layer in found)
    torch.testing.assert_close(found[-1], found[-2])  # maps of 1x1


def test_gradients_reach_the_images_from_every_layer() -> None:
    ctx = tiny_context()
    layers, first = LayerFeatures(ctx.network("convnet2(width=4)"), ctx), images().requires_grad_()
    for layer in layers(first):
        (gradient,) = torch.autograd.grad(layer.sum(), first, retain_graph=True)
        assert bool(gradient.abs().sum() > 0)


def test_the_network_has_no_hooks_and_its_training_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    hooked, register = [], nn.Module.register_forward_hook

    def record(module: nn.Module, hook: Any) -> Any:
        hooked.append(module)
        return register(module, hook)

    monkeypatch.setattr(nn.Module, "register_forward_hook", record)
    ctx = tiny_context()
    network = ctx.network("convnet2(width=4)")
    layers = LayerFeatures(network, ctx)
    before = layers(images())
    assert hooked
    assert not set(hooked) & set(network.modules())
    with torch.no_grad():
        network.features[0].weight.mul_(2)
    after = layers(images())
    torch.testing.assert_close(after[-1], network.embed(images()))
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_threads_do_not_mix_their_layers() -> None:
    ctx = tiny_context()
    layers = LayerFeatures(ctx.network("convnet2(width=4)"), ctx)
    batches = [images(k, 1 + k % 5) for k in range(40)]
    expected = [layers(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(layers, batches))
    for mine, theirs in zip(found, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


def test_bf16_features_come_as_float32() -> None:
    ctx = tiny_context(precision="bf16")
    found = LayerFeatures(ctx.network("convnet2(width=4)"), ctx)(images())
    assert {layer.dtype for layer in found} == {torch.float32}


def test_networks_without_a_list_of_blocks_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert blocks(nn.Sequential(nn.ReLU())) == []
    monkeypatch.setattr(layer_features, "build_network", lambda *_: nn.Sequential(nn.ReLU()))
    reason = why_no_blocks.__wrapped__("flat", tiny_real_set().spec)
    assert reason is not None
    assert reason.startswith("flat does not list its blocks")


def test_built_in_networks_list_their_blocks() -> None:
    spec = tiny_real_set().spec
    assert why_no_blocks("convnet2", spec) is None
    assert why_no_blocks("resnet10(width=2)", spec) is None


def test_an_architecture_that_does_not_fit_says_why() -> None:
    reason = why_no_blocks("convnet6", tiny_real_set().spec)
    assert reason is not None
    assert "cannot take the 8x8 images" in reason
