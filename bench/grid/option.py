"""Options: what a field of a dataclass means to a user, declared once beside the field.

The command line's options, the keys of configuration files and the checks of values that a file
or a call gives are generated from these declarations. A new option is one new field.
"""

from __future__ import annotations

import dataclasses
import os
import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

from bench.support.arguments import check_argument
from bench.support.errors import BenchError, unknown_message

# What a value of another type than a number must be; numbers are checked by their bounds.
_KINDS: dict[type, str] = {str: "a text", bool: "True or False"}


@dataclasses.dataclass(frozen=True)
class Option:
    """The declaration of one option, see :func:`option`."""

    field: str
    type: type
    is_list: bool
    is_mapping: bool
    default: Any
    flag: str
    help: str
    short: str | None = None
    metavar: str | None = None
    otherwise: str | None = None
    min: float | None = None
    max: int | None = None
    above_min: bool = False
    choices: Sequence[str] | None = None
    label: str = ""
    envvar: str | None = None

    @property
    def name(self) -> str:
        """The name in a configuration file and in :func:`bench.run`: ``eval_arch``."""
        return self.flag.removeprefix("--").replace("-", "_")

    def check(self, value: Any) -> None:
        """Refuse a value, or an element of a list, that is not allowed.

        Raises:
            BenchError: naming the option, the value and what is allowed.
        """
        if value is None and self.default is None:
            return
        name = self.label or self.flag
        if self.is_mapping:
            tables = value.values() if isinstance(value, Mapping) else [value]
            for table in tables:
                check_argument(name, table, Mapping, "a table of parameters for each method")
            return
        if self.is_list:
            check_argument(name, value, (list, tuple), "a name or several")
            if not value and self.default not in ((), dataclasses.MISSING):
                raise BenchError(f"{name} is an empty list: name at least one, or leave it out")
        for each in value if self.is_list else (value,):
            self._check_one(each)

    def _check_one(self, value: Any) -> None:
        if self.type in _KINDS:
            is_path = self.metavar == "PATH"
            kinds = (str, os.PathLike) if is_path else self.type
            what = "a path" if is_path else _KINDS[self.type]
            check_argument(self.label or self.flag, value, kinds, what)
        if self.choices is not None and value not in self.choices:
            raise BenchError(unknown_message(self.name, value, self.choices))
        if self.min is None:
            return
        whole = self.type is int
        fits = type(value) is int or (not whole and type(value) is float)
        if not fits or not value >= self.min:
            kind = "a whole number" if whole else "a number"
            raise BenchError(
                f"{self.label or self.flag} {value!r} is not allowed: "
                f"it must be {kind} from {self.min} up"
            )
        if self.max is not None and value > self.max:
            raise BenchError(
                f"{self.label or self.flag} {value:,} is not allowed: at most {self.max:,} are"
            )


def option(
    flag: str,
    help: str,
    *,
    default: Any = dataclasses.MISSING,
    default_factory: Any = dataclasses.MISSING,
    **more: Any,
) -> Any:
    """Declare a field that users set.

    Args:
        flag: on the command line, as ``--eval-arch``; it gives the name in a configuration file.
        help: one line.
        default: of the field.
        default_factory: returns the default.
        more: ``short``: a flag of one letter. ``metavar``: what stands for the value in a help
            text. ``otherwise``: what happens without the option, where the default does not say
            it. ``min`` and ``max``: inclusive bounds; with ``above_min``, ``min`` is excluded on
            the command line. ``choices``: the only values allowed. ``label``: the option's name in
            messages, if not the flag. ``envvar``: an environment variable that sets it.
    """
    metadata = {"option": {"flag": flag, "help": help, **more}}
    if default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=default_factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def options_of(cls: type) -> tuple[Option, ...]:
    """Return the options that a dataclass declares, in order."""
    hints = get_type_hints(cls)
    return tuple(
        Option(field.name, *_shape(hints[field.name]), field.default, **field.metadata["option"])
        for field in dataclasses.fields(cls)
        if "option" in field.metadata
    )


def check_options(holder: Any) -> None:
    """Check every option that an instance of a dataclass holds.

    Raises:
        BenchError: naming the value that is wrong and what is allowed.
    """
    for each in options_of(type(holder)):
        each.check(getattr(holder, each.field))


def _shape(hint: Any) -> tuple[type, bool, bool]:
    """Return the type of one value, and whether the field holds a list or a mapping of them."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _shape(next(a for a in arguments if a is not type(None)))
    if origin in (Sequence, tuple):
        return arguments[0], True, False
    if origin is Mapping:
        return dict, False, True
    return hint, False, False
