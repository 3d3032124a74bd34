"""Architectures, found by name: ``convnet3``, ``convnet3(width=64,norm=batch)``, ``resnet18_ap``.

A family is one class, registered under each of its members' names: ``ConvNet`` is ``convnet1``
to ``convnet6``, ``ResNet`` is ``resnet10``, ``resnet18`` and their ``_ap`` variants. A family with
more members than can be listed is registered under one name, and a colon picks the member:
``timm:resnet18``. Wherever a name is part of an identity, it is written in one way, that of
:func:`canonical_name`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.datasets.spec import DatasetSpec
from bench.registry.param_values import resolve
from bench.registry.params import NoParams, as_dict
from bench.registry.registry import ARCHITECTURES
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from torch import nn

_NAME = re.compile(r"^\s*([A-Za-z][\w\-]*(?::[\w\-./]+)?)\s*(?:\((.*)\))?\s*$")


class Architecture(ABC):
    """A family of networks.

    Class attributes:
        name: the family's name, for people.
        members: each member's name, lower case, with the parameters that its name fixes; empty
            for a family whose members cannot be listed, which overrides :meth:`fixed_by`.
        Params: a frozen dataclass of those and of what can be set in parentheses.

    The networks it builds have ``forward(x) -> logits (N, num_classes)`` and
    ``embed(x) -> features (N, D)``, the input of the classifier.
    """

    name: ClassVar[str]
    members: ClassVar[Mapping[str, Mapping[str, Any]]]
    Params: ClassVar[type] = NoParams

    @classmethod
    def fixed_by(cls, member: str) -> Mapping[str, Any]:
        """Return the parameters that a member's name fixes.

        A family without listed ``members`` is registered under its ``name`` and reads here what
        users write as ``name:MEMBER``.

        Raises:
            BenchError: the family has no such member.
        """
        if member not in cls.members:
            raise BenchError(
                f"the family {cls.__qualname__} has no architecture '{member}'; its members are "
                f"{', '.join(cls.members)}"
            )
        return cls.members[member]

    @classmethod
    @abstractmethod
    def build(cls, spec: DatasetSpec, params: Any) -> nn.Module:
        """Return a freshly initialised network for ``spec``.

        Raises:
            BenchError: if the architecture cannot take images of that size.
        """

    @classmethod
    @abstractmethod
    def per_sample(cls, params: Any) -> bool:
        """Return whether each sample's output is independent of the others in its batch.

        True for instance, group, layer or no normalisation; false for batch normalisation. If
        true, a batch may be computed in slices.
        """


def parse_architecture(text: str) -> tuple[type[Architecture], str, Any]:
    """Return the family, the member's name and the resolved parameters that ``text`` names.

    Raises:
        UnknownNameError: no architecture is registered under that name.
        BenchError: it does not import, or the parentheses cannot be read or hold a wrong parameter.
    """
    match = _NAME.match(text)
    if match is None:
        raise BenchError(f"architecture '{text}' cannot be read: write NAME or NAME(key=value,...)")
    member = match[1].lower()
    family: type[Architecture] = ARCHITECTURES.get(registered_name(member))
    given, fixed = _arguments(match[2] or "", text), family.fixed_by(member)
    for key in given:
        if key in fixed:
            raise BenchError(
                f"architecture '{text}': the name {member} already fixes {key} = {fixed[key]}"
            )
    return family, member, resolve(family.Params, {**fixed, **given}, owner=member)


def registered_name(member: str) -> str:
    """Return the name that ``member`` is registered under: what comes before a colon."""
    return member.partition(":")[0]


def canonical_name(text: str) -> str:
    """Return the one way to write an architecture: defaults left out, keys in order."""
    family, member, params = parse_architecture(text)
    default = as_dict(resolve(family.Params, family.fixed_by(member), owner=member))
    actual = as_dict(params)
    changed = [f"{k}={_written(actual[k])}" for k in sorted(actual) if actual[k] != default[k]]
    return f"{member}({','.join(changed)})" if changed else member


def build_network(text: str, spec: DatasetSpec) -> nn.Module:
    """Build a freshly initialised network, drawing from torch's global generator."""
    family, _, params = parse_architecture(text)
    return family.build(spec, params)


def is_per_sample(text: str) -> bool:
    """Return whether a batch of this architecture may be computed in slices."""
    family, _, params = parse_architecture(text)
    return family.per_sample(params)


def _arguments(text: str, whole: str) -> dict[str, str]:
    arguments: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, sign, value = (p.strip() for p in part.partition("="))
        if not sign:
            raise BenchError(f"architecture '{whole}': '{part}' is not of the form key=value")
        if key in arguments:
            raise BenchError(f"architecture '{whole}': {key} is given twice")
        arguments[key] = value
    return arguments


def _written(value: Any) -> str:
    """Write a parameter as it can be typed: the inverse of how strings are parsed."""
    if isinstance(value, list):
        return "+".join(map(_written, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
