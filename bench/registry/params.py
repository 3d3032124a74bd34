"""Parameters that plugins declare: a frozen dataclass whose fields carry help and bounds.

    @dataclass(frozen=True)
    class Params:
        iterations: int = param(20_000, help="outer iterations", min=1)
        inner_loop: int = param(by_ipc(lambda ipc: 1 if ipc == 1 else 50), help="...", min=1)
        gan: ConditionalGAN.Params = nested(ConditionalGAN)

A default may be a rule over IPC (:func:`by_ipc`), the dataset (:func:`by_dataset`) or both
(:func:`by_task`);
:func:`bench.registry.param_values.resolve` turns it into a plain value, so an instance that reaches
a method holds numbers, strings, booleans, tuples of them and nested groups only.

Users write a parameter of a group with dots, ``gan.width``. Records and identities hold it as
``gan_width``, the name that it had before there were groups.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_type_hints

from bench.support.errors import BenchError


@dataclasses.dataclass(frozen=True)
class NoParams:
    """The parameters of a plugin that has none."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A default that depends on the dataset's name and on images per class.

    Attributes:
        rule: returns the value.
        text: the rule in words.
        needs_ipc: whether the value depends on images per class; a method that serves every IPC
            can have no such default.
    """

    rule: Callable[[str, int], Any]
    text: str
    needs_ipc: bool = True


def by_ipc(rule: Callable[[int], Any], text: str = "depends on IPC") -> Any:
    """Declare a default as a function of IPC; ``text`` says the rule in words."""
    return Rule(lambda _, ipc: rule(ipc), text)


def by_task(rule: Callable[[str, int], Any], text: str = "depends on dataset and IPC") -> Any:
    """Declare a default as a function of the dataset's name and IPC.

    The rule must have a value for every name: users bring their own datasets.
    """
    return Rule(rule, text)


def by_dataset(rule: Callable[[str], Any], text: str = "depends on the dataset") -> Any:
    """Declare a default as a function of the dataset's name, for a plugin that serves every IPC.

    The rule must have a value for every name: users bring their own datasets.
    """
    return Rule(lambda dataset, _: rule(dataset), text, needs_ipc=False)


def param(
    default: Any,
    *,
    help: str,
    min: float | None = None,
    max: float | None = None,
    choices: Sequence[Any] | None = None,
    check: Callable[[Any], object] | None = None,
    later: bool = False,
) -> Any:
    """Declare one parameter of a plugin.

    Args:
        default: the paper's value, or a rule: :func:`by_ipc`, :func:`by_dataset`, :func:`by_task`.
        help: one line that says what it is, with its unit.
        min: the smallest value allowed, inclusive.
        max: the largest value allowed, inclusive.
        choices: the only values allowed; for a tuple field, the only elements allowed.
        check: called with a value, for a tuple field with each element, before anything runs;
            raises BenchError for one that is not allowed.
        later: whether it was declared after results had been stored. At its default, which must
            then mean what was done before, it is left out of identities and records, so that
            those results keep their names.
    """
    metadata = {"help": help, "min": min, "max": max, "choices": choices, "check": check}
    metadata["later"] = later
    return dataclasses.field(default=default, metadata=metadata)


def nested(owner: Any) -> Any:
    """Declare a group of parameters: those of another plugin, which this one passes on.

    Args:
        owner: the plugin that declares them, with its class ``Params``; the field's type is that
            class.
    """
    return dataclasses.field(default_factory=owner.Params, metadata={"nested": True})


class Declared(NamedTuple):
    """One parameter of a dataclass or of a group in it.

    Attributes:
        path: the names of the groups, then its own.
        field: its declaration.
        type: its type.
    """

    path: tuple[str, ...]
    field: dataclasses.Field[Any]
    type: Any

    @property
    def name(self) -> str:
        """The name that users write: ``gan.width``."""
        return ".".join(self.path)

    @property
    def stored(self) -> str:
        """The name in records and identities: ``gan_width``."""
        return "_".join(self.path)


def declared(params_type: type) -> tuple[Declared, ...]:
    """List the parameters of a dataclass and of its groups, in order."""
    return _declared(params_type, ())


@functools.cache  # reading types is slow, and an expansion needs these thousands of times
def _declared(params_type: Any, groups: tuple[str, ...]) -> tuple[Declared, ...]:
    hints, parameters = get_type_hints(params_type), list[Declared]()
    for field in dataclasses.fields(params_type):
        path = (*groups, field.name)
        if field.metadata.get("nested"):
            parameters += _declared(hints[field.name], path)
        else:
            _check_bounds(params_type, field)
            parameters.append(Declared(path, field, hints[field.name]))
    return tuple(parameters)


def _check_bounds(params_type: type, field: dataclasses.Field[Any]) -> None:
    """Raise :class:`BenchError` unless the declared bounds of a parameter are numbers."""
    for bound in ("min", "max"):
        value = field.metadata.get(bound)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise BenchError(
                f"parameter '{field.name}' of {params_type.__qualname__}: {bound} must be a "
                f"number, not {value!r:.80}"
            )


def as_dict(params: Any, *, whole: bool = False) -> dict[str, Any]:
    """Return a parameter object as plain JSON values by stored name (tuples become lists).

    A parameter that was declared ``later`` is left out at its default, unless ``whole``.
    """
    values: dict[str, Any] = {}
    for each in declared(type(params)):
        value = params
        for name in each.path:
            value = getattr(value, name)
        later = each.field.metadata.get("later") and not whole
        if later and value == each.field.default:
            continue
        values[each.stored] = list(value) if isinstance(value, tuple) else value
    return values


@dataclasses.dataclass(frozen=True)
class ParamInfo:
    """What ``bench show`` prints of one parameter."""

    name: str
    type: str
    default: Any
    help: str
    min: float | None
    max: float | None
    choices: Sequence[Any] | None
    checked: bool


def in_words(value: Any) -> Any:
    """Return a value for people: a rule's text, and all else as it is."""
    return value.text if isinstance(value, Rule) else value


def describe(params_type: type) -> list[ParamInfo]:
    """List the parameters that a dataclass declares, in order."""
    return [
        ParamInfo(
            each.name,
            type_name(each.type),
            in_words(each.field.default),
            each.field.metadata.get("help", ""),
            each.field.metadata.get("min"),
            each.field.metadata.get("max"),
            each.field.metadata.get("choices"),
            each.field.metadata.get("check") is not None,
        )
        for each in declared(params_type)
    ]


def type_name(hint: Any) -> str:
    """Return a type as messages name it."""
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
