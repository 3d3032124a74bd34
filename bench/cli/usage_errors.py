"""What is wrong with a command line, in one line and in the style of all other errors."""

from __future__ import annotations

import re

import click

from bench.support.errors import unknown_message

# How click begins to say that a value is not allowed.
_VALUE = re.compile(r"(.+?) is not (?:in the range|a valid|one of|a finite number)")


def describe_usage_error(error: click.UsageError) -> str:
    """Return a line that names the option, its value and what is allowed."""
    text = _of_value(error) or _of_command(error)
    if text is not None:
        return text
    text = " ".join(error.format_message().split()).rstrip(".").replace(". (Did", " (Did")
    command = error.ctx.command_path if error.ctx is not None else "bench"
    return f"{text}; `{command} --help` says what is allowed"


def _of_value(error: click.UsageError) -> str | None:
    """Return a line about a choice or a number; ``None`` if something else is wrong."""
    if not isinstance(error, click.BadParameter) or error.param is None:
        return None
    value, param = _VALUE.match(error.message), error.param
    if value is None:
        return None
    is_option = isinstance(param, click.Option)
    name = param.opts[-1 if is_option and param.opts[0].startswith("--") else 0]
    if isinstance(param.type, click.Choice):
        kind = f"value of {name}" if is_option else str(param.name).rstrip("_")
        return unknown_message(kind, value[1].strip("'"), map(str, param.type.choices))
    if "is not a finite number" in error.message:
        return f"{name} {value[1]} is not a finite number"
    if isinstance(param.type, click.types.IntParamType | click.types.FloatParamType):
        whole = isinstance(param.type, click.types.IntParamType)
        low = getattr(param.type, "min", None)
        bound = "" if low is None else f" {'above' if _is_open(param.type) else 'from'} {low:g}"
        up = " up" if bound and not _is_open(param.type) else ""
        kind = "a whole number" if whole else "a number"
        return f"{name} {value[1]} is not allowed: it must be {kind}{bound}{up}"
    return None


def _of_command(error: click.UsageError) -> str | None:
    """Return a line about a command that a group does not have."""
    name = re.match(r"No such command '(.*)'", error.message)
    context = error.ctx
    if name is None or context is None or not isinstance(context.command, click.Group):
        return None
    group = context.command_path
    return unknown_message(f"command of `{group}`", name[1], context.command.list_commands(context))


def _is_open(kind: click.ParamType) -> bool:  # type: ignore[type-arg,unused-ignore]
    return bool(getattr(kind, "min_open", False))
