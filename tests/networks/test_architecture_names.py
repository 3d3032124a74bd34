"""Names of architectures: parsing, the canonical form, near misses and wrong parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import (
    Architecture,
    build_network,
    canonical_name,
    is_per_sample,
    parse_architecture,
)
from bench.registry.entry import Entry
from bench.registry.params import as_dict, param
from bench.registry.plugin_files import register
from bench.registry.registry import ARCHITECTURES
from bench.support.errors import BenchError, UnknownNameError

BUILT_IN = [
    *(f"convnet{depth}" for depth in range(1, 7)),
    *(f"resnet{depth}{suffix}" for depth in (10, 18, 34, 50) for suffix in ("", "_ap")),
    "mlp", "lenet", "alexnet", "vgg11", "densenet121", "wrn16-2", "vit",
]  # fmt: skip


def test_members() -> None:
    assert set(BUILT_IN) <= set(ARCHITECTURES.names())
    for name in BUILT_IN:
        assert name in ARCHITECTURES.get(name).members


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_plain_name_is_canonical(name: str) -> None:
    assert canonical_name(name) == name


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("ConvNet3", "convnet3"),
        (" convnet3 ( ) ", "convnet3"),
        ("convnet3(width=128)", "convnet3"),
        ("convnet3(norm=instance,width=128,activation=relu,pooling=avg)", "convnet3"),
        ("convnet3(width=64,norm=batch)", "convnet3(norm=batch,width=64)"),
        ("convnet3( norm = batch , width = 64 )", "convnet3(norm=batch,width=64)"),
        ("convnet3(width=6e1)", "convnet3(width=60)"),
        ("resnet18_ap(norm=batch)", "resnet18_ap"),
        ("resnet18(norm=instance)", "resnet18(norm=instance)"),
    ],
)
def test_canonical_name(text: str, canonical: str) -> None:
    assert canonical_name(text) == canonical
    assert canonical_name(canonical) == canonical


@given(
    st.integers(1, 6),
    st.integers(1, 512),
    st.sampled_from(["instance", "batch", "group", "layer", "none"]),
    st.sampled_from(["relu", "leakyrelu", "sigmoid", "swish"]),
    st.sampled_from(["avg", "max", "none"]),
    st.permutations(["width", "norm", "activation", "pooling"]),
)
def test_order_and_defaults_do_not_matter(
    depth: int, width: int, norm: str, activation: str, pooling: str, order: list[str]
) -> None:
    values = {"width": width, "norm": norm, "activation": activation, "pooling": pooling}
    text = f"convnet{depth}({','.join(f'{key}={values[key]}' for key in order)})"
    _, member, params = parse_architecture(text)
    assert member == f"convnet{depth}"
    assert as_dict(params) == {"depth": depth, **values}
    assert parse_architecture(canonical_name(text))[2] == params
    assert is_per_sample(text) == (norm != "batch")


@pytest.mark.parametrize(
    ("name", "near"),
    [("convnet33", "convnet3"), ("resnet18ap", "resnet18_ap"), ("resnt10", "resnet10")],
)
def test_near_miss(name: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"'{name}'. Did you mean '{near}'"):
        parse_architecture(name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["cannot be read", "NAME(key=value,...)"]),
        ("convnet3(width=64", ["cannot be read"]),
        ("convnet3:", ["cannot be read"]),
        ("convnet3(width)", ["'width'", "key=value"]),
        ("convnet3(widht=64)", ["widht", "Did you mean 'width'"]),
        ("convnet3(width=wide)", ["convnet3.width", "'wide'", "whole number"]),
        ("convnet3(width=0)", ["convnet3.width", "at least 1"]),
        ("convnet3(norm=spectral)", ["spectral", "instance, batch, group, layer, none"]),
        ("convnet3(activation=tanh)", ["tanh", "relu, leakyrelu, sigmoid, swish"]),
        ("convnet3(pooling=sum)", ["sum", "avg, max, none"]),
        ("convnet3(depth=4)", ["convnet3 already fixes depth = 3"]),
        ("resnet18(average_pool=true)", ["resnet18 already fixes average_pool = False"]),
        ("convnet3(width=32,width=64)", ["width is given twice"]),
        ("convnet", ["unknown architecture 'convnet'", "convnet3"]),
    ],
)
def test_mistakes_are_named(text: str, words: list[str]) -> None:
    with pytest.raises(BenchError) as caught:
        parse_architecture(text)
    for word in words:
        assert word in str(caught.value)


@pytest.fixture
def registered() -> Iterator[Callable[[], list[str]]]:
    """Returns a function that lists what the test has registered; removes it after the test."""
    before = set(ARCHITECTURES.names())

    def new() -> list[str]:
        return [name for name in ARCHITECTURES.names() if name not in before]

    yield new
    for name in new():
        ARCHITECTURES.unregister(name)


def family(*members: str) -> type[Architecture]:
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Params:
        widths: tuple[int, ...] = param((4,), help="channels")
        bias: bool = param(True, help="add one")
        limit: float | None = param(1.0, help="at most")

    class Made(Architecture):
        name = "made"

        @classmethod
        def build(cls, spec: DatasetSpec, params: Any) -> Any:
            return spec.name, params

        @classmethod
        def per_sample(cls, params: Any) -> bool:
            return params.bias

    Made.Params, Made.members = Params, {member: {} for member in members}
    return Made


def test_every_kind_of_value_can_be_written(registered: Callable[[], list[str]]) -> None:
    ARCHITECTURES.register("made", family("made"), "here")
    text = "made(bias=no,limit=none,widths=8+16)"
    assert canonical_name(text) == "made(bias=false,limit=none,widths=8+16)"
    assert canonical_name(canonical_name(text)) == canonical_name(text)
    assert not is_per_sample(text)
    spec = DatasetSpec("made-up", 2, 1, 4, 4, (0.5,), (0.5,), flip=False)
    assert build_network(text, spec) == ("made-up", parse_architecture(text)[2])


def test_two_families_must_not_share_a_member(registered: Callable[[], list[str]]) -> None:
    with pytest.raises(BenchError, match=r"'convnet3' is registered twice.*ConvNet.*Made"):
        ARCHITECTURES.register("convnet3", family("convnet3"), "here")


def test_a_plugin_file_registers_every_member(registered: Callable[[], list[str]]) -> None:
    register("architecture")(family("mlp1", "mlp2"))
    assert canonical_name("mlp1") == "mlp1"
    assert canonical_name("mlp2(bias=no)") == "mlp2(bias=false)"


def test_a_name_that_its_family_does_not_list(registered: Callable[[], list[str]]) -> None:
    ARCHITECTURES.register("made", family("made1"), "here")
    with pytest.raises(BenchError, match=r"Made has no architecture 'made'; its members are made1"):
        parse_architecture("made")


def test_a_listed_family_has_no_members_after_a_colon() -> None:
    with pytest.raises(BenchError, match=r"ConvNet has no architecture 'convnet3:deep'"):
        parse_architecture("convnet3:deep")


def test_a_family_may_leave_its_members_open(registered: Callable[[], list[str]]) -> None:
    class Open(family()):  # type: ignore[misc]
        name = "open"

        @classmethod
        def fixed_by(cls, member: str) -> dict[str, Any]:
            return {"widths": member.partition(":")[2].replace("-", "+")}

    register("architecture")(Open)
    assert registered() == ["open"]
    assert canonical_name(" Open:8-16.0 ( bias=no )") == "open:8-16.0(bias=false)"
    assert parse_architecture("open:8-16.0")[2].widths == (8, 16)
    with pytest.raises(BenchError, match="the name open:8 already fixes widths = 8"):
        parse_architecture("open:8(widths=4)")
    with pytest.raises(UnknownNameError, match=r"'opn'\. Did you mean 'open'"):
        parse_architecture("opn:8")


def test_a_broken_family_harms_no_other(registered: Callable[[], list[str]]) -> None:
    def fail() -> Any:
        raise BenchError("architecture 'broken' does not import: no module named foo")

    broken = Entry("broken", "elsewhere 1.0", "nowhere:Broken", fail)
    ARCHITECTURES.exchange("elsewhere 1.0", {"broken": broken})
    assert canonical_name("convnet3") == "convnet3"
    with pytest.raises(BenchError, match=r"no module named foo"):
        parse_architecture("broken")
