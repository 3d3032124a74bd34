"""timm models by name: what is built, and one clear error for everything that cannot be."""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from network_tools import count, images_for, network, spec_of
from torch.nn import functional as F

from architectures.timm_models import Timm
from bench.cli import main
from bench.cli.options import CommaList
from bench.conformance import architecture_checks
from bench.networks.architecture import canonical_name, is_per_sample, parse_architecture
from bench.registry.registry import ARCHITECTURES
from bench.support.errors import BenchError

needs_timm = pytest.mark.skipif(
    importlib.util.find_spec("timm") is None, reason="timm is not installed (the timm extra)"
)
RGB = spec_of(3, 32)
RESNET = "timm:test_resnet"
TRANSFORMER = "timm:test_vit(resize=32)"
# timm's name: its parameters with 1000 classes of RGB images, and the classifier's inputs.
PUBLISHED = {
    "resnet18": (11_689_512, 512),
    "vit_tiny_patch16_224(resize=224)": (5_717_416, 192),
}


def test_it_is_registered_and_imports_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert ARCHITECTURES.get("timm") is Timm
    (facts,) = json.loads(CliRunner().invoke(main, ["show", "timm", "--json"]).stdout)
    assert facts["name"] == "timm"


def test_without_timm_the_error_says_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from architectures import timm_models

    timm_models.model_names.cache_clear()
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(BenchError, match=r"need timm.*pip install 'distillation-bench\[timm\]'"):
        parse_architecture("timm:resnet18")


@pytest.mark.parametrize("text", ["timm", "timm(resize=32)"])
def test_the_family_alone_is_no_architecture(text: str) -> None:
    with pytest.raises(BenchError, match="needs the name of a model: write timm:NAME"):
        parse_architecture(text)


@needs_timm
@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("timm:resnet18", "timm:resnet18"),
        (" Timm:ResNet18 ( resize = none ) ", "timm:resnet18"),
        ("timm:vit_tiny_patch16_224(resize=64)", "timm:vit_tiny_patch16_224(resize=64)"),
    ],
)
def test_canonical_name(text: str, canonical: str) -> None:
    assert canonical_name(text) == canonical
    assert canonical_name(canonical) == canonical


def test_lists_of_architectures_keep_what_is_in_parentheses() -> None:
    text = "mlp,timm:vit_tiny_patch16_224(resize=64),timm:resnet18,convnet3(width=8,norm=batch)"
    assert CommaList().convert(text, None, None) == [
        "mlp",
        "timm:vit_tiny_patch16_224(resize=64)",
        "timm:resnet18",
        "convnet3(width=8,norm=batch)",
    ]


@needs_timm
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("timm:resnet81", r"has no model 'resnet81'. Did you mean .*timm:resnet18"),
        ("timm:xyzzy", r"has no model 'xyzzy'. timm.list_models\(\) lists all"),
        ("timm:resnet18.a1_in1k", "names pretrained weights.*write timm:resnet18$"),
        ("timm:resnet18(model=vgg11)", "timm:resnet18 already fixes model = resnet18"),
        ("timm:resnet18(size=32)", "unknown parameter of timm:resnet18 'size'"),
    ],
)
def test_mistakes_are_named(text: str, words: str) -> None:
    with pytest.raises(BenchError, match=words):
        parse_architecture(text)


@needs_timm
def test_show_names_the_model() -> None:
    (facts,) = json.loads(CliRunner().invoke(main, ["show", "timm:resnet18", "--json"]).stdout)
    assert facts["name"] == "timm:resnet18"
    assert facts["fixed by the name"] == {"model": "resnet18"}
    assert [p["name"] for p in facts["parameters"]] == ["resize"]


@needs_timm
@pytest.mark.parametrize("model", PUBLISHED)
def test_parameter_count(model: str) -> None:
    parameters, features = PUBLISHED[model]
    with torch.device("meta"):
        net = network(f"timm:{model}", RGB)
    assert count(net) == parameters - 990 * (features + 1)


@needs_timm
@pytest.mark.parametrize("name", [RESNET, TRANSFORMER])
@pytest.mark.parametrize("check", architecture_checks(), ids=lambda c: c.__name__)
def test_conformance(name: str, check: Any) -> None:
    check(name)


@needs_timm
@pytest.mark.parametrize("name", [RESNET, TRANSFORMER])
def test_logits_are_the_classifier_of_embed(name: str) -> None:
    net, x = network(name, RGB).eval(), images_for(RGB, 3)
    torch.testing.assert_close(net(x), net.model.get_classifier()(net.embed(x)))


@needs_timm
def test_batch_norm_decides_what_is_per_sample() -> None:
    assert not is_per_sample(RESNET)
    assert is_per_sample(TRANSFORMER)


@needs_timm
def test_images_are_resized() -> None:
    spec = spec_of(1, 16)
    net, plain = network(f"{RESNET}(resize=40)", spec).eval(), network(RESNET, spec).eval()
    x = images_for(spec, 2)
    torch.testing.assert_close(net(x), plain(F.interpolate(x, (40, 40), mode="bilinear")))


@needs_timm
def test_nothing_is_left_to_chance() -> None:
    # This one has dropout by default: two passes in training mode would differ.
    net, x = network("timm:rexnet_100", RGB).train(), images_for(RGB, 4)
    with torch.no_grad():
        torch.testing.assert_close(net(x), net(x))


@needs_timm
def test_transformers_can_be_differentiated_twice() -> None:
    net, x = network(TRANSFORMER, RGB), images_for(RGB, 2).requires_grad_()
    first = torch.autograd.grad(net(x).square().sum(), list(net.parameters()), create_graph=True)
    torch.stack([g.square().sum() for g in first]).sum().backward()
    assert x.grad is not None
    assert x.grad.any()


@needs_timm
@pytest.mark.parametrize(
    "name", ["xcit_nano_12_p16_224", "pvt_v2_b0", "swin_tiny_patch4_window7_224"]
)
def test_patches_of_any_kind_are_taken(name: str) -> None:
    with torch.device("meta"):
        net = network(f"timm:{name}", spec_of(3, 64))
        assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 10)


@needs_timm
def test_a_model_that_fails_at_its_own_size_is_not_advised_to_take_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("never")

    monkeypatch.setattr("timm.create_model", refuse)
    for resize, advised in ((64, True), (224, False)):
        with pytest.raises(BenchError, match=f"resized to {resize} .RuntimeError: never") as caught:
            network(f"timm:pvt_v2_b0(resize={resize})", RGB)
        assert ("(resize=224) shows it" in str(caught.value)) == advised


@needs_timm
@pytest.mark.parametrize(
    ("name", "side", "words"),
    [
        ("timm:inception_v4", 32, r"cannot take the 32x32 images.*\(resize=299\) shows it"),
        ("timm:vit_tiny_patch16_224", 28, r"patches of 16x16 do not tile them\).*\(resize=224\)"),
        ("timm:vit_tiny_patch16_224(resize=30)", 28, "images of made-up resized to 30"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, side: int, words: str) -> None:
    with torch.device("meta"), pytest.raises(BenchError, match=words):
        network(name, spec_of(3, side))
