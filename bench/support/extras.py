"""Packages that an extra of this one installs, and which some features need."""

from __future__ import annotations

import importlib
from types import ModuleType

from bench.support.errors import BenchError


def import_extra(name: str, extra: str, needed_by: str) -> ModuleType:
    """Import a package.

    Args:
        name: of the package.
        extra: of this package, which installs it.
        needed_by: what needs it; begins the message.

    Raises:
        BenchError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BenchError(
            f"{needed_by} needs the package {name}: pip install 'distillation-bench[{extra}]'"
        ) from error
