"""The checks of architectures catch what they should."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.conformance.architectures import check_memory_order
from bench.datasets.spec import DatasetSpec
from bench.networks.architecture import Architecture
from bench.plugin import register
from bench.registry.registry import ARCHITECTURES


class Convolution(nn.Module):
    """One convolution and a classifier, with what is done to the maps in between."""

    def __init__(self, spec: DatasetSpec, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.maps = nn.Conv2d(spec.channels, 4, 3, padding=1)
        self.head = nn.Linear(4 * spec.height * spec.width, spec.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.maps(x)
        match self.kind:
            case "asmemory":  # reads the numbers in the order in which memory has them
                flat = torch.as_strided(maps, (len(maps), maps[0].numel()), (maps[0].numel(), 1))
            case "asviewed":  # refuses another order
                flat = maps.view(len(maps), -1)
            case _:
                flat = maps.flatten(1)
        return self.head(flat)


class Family(Architecture):
    """Networks that differ in how they flatten their maps."""

    name = "flattened"
    members: Mapping[str, Mapping[str, Any]] = {"asmemory": {}, "asviewed": {}, "asflattened": {}}

    @classmethod
    def build(cls, spec: DatasetSpec, params: Any) -> nn.Module:
        return Convolution(spec, cls.kind)

    @classmethod
    def per_sample(cls, params: Any) -> bool:
        return True

    kind = ""


@pytest.fixture
def _family() -> Iterator[None]:
    register("architecture")(Family)
    yield
    for name in Family.members:
        ARCHITECTURES.unregister(name)


@pytest.mark.usefixtures("_family")
@pytest.mark.parametrize("kind", Family.members)
def test_numbers_do_not_depend_on_the_order_in_memory(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Family, "kind", kind)
    if kind == "asmemory":
        with pytest.raises(AssertionError, match=r"with channels last, '.*' differs by"):
            check_memory_order(kind)
    else:
        check_memory_order(kind)
