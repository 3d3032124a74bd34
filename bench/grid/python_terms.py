"""Messages for Python code: parameters of calls in place of options of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from bench.support.errors import BenchError

# Parameters that are not named like their option.
_PARAMETERS = {"--set": "overrides", "--plugin": "plugins", "--lr": "learning_rate"}
_FLAG = re.compile(r"--[a-z][a-z-]*[a-z]")


def in_python_terms(text: str) -> str:
    """Return a message with ``seeds`` in place of ``--seeds``; commands in backquotes stay."""
    parts = text.split("`")
    parts[::2] = [_FLAG.sub(lambda flag: _parameter(flag[0]), part) for part in parts[::2]]
    return "`".join(parts)


@contextmanager
def python_terms() -> Iterator[None]:
    """Write what is raised within the block in the terms of Python calls.

    It decorates functions, too.
    """
    try:
        yield
    except BenchError as error:
        error.args = (in_python_terms(str(error)), *error.args[1:])
        raise


def _parameter(flag: str) -> str:
    return _PARAMETERS.get(flag, flag.removeprefix("--").replace("-", "_"))
