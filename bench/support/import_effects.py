"""What imports change of process-wide state, told apart from what the code around them changes.

Libraries set environment variables, filters of warnings and seeds when they are first imported. Who
imports them is not to blame.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# Where every import of a module that is not loaded yet passes, whatever statement it is from.
_LOADER = importlib._bootstrap
_LOAD = "_find_and_load"


class ImportEffects:
    """Values as they would be if only imports had changed them since the start.

    Args:
        read: returns each value, by its name.
    """

    def __init__(self, read: Mapping[str, Callable[[], Any]]) -> None:
        self._read, self._expected = read, {name: each() for name, each in read.items()}
        self._blamed: set[str] = set()
        self._importing = threading.local()

    def changed_otherwise(self, name: str) -> bool:
        """Return whether other code than that of imports changed a value that has changed.

        For a value that is not among those that are read, the answer is yes.
        """
        if name not in self._read:
            return True
        return name in self._blamed or self._read[name]() != self._expected[name]

    def load(self, find_and_load: Callable[..., Any], *arguments: Any) -> Any:
        """Import a module; what that changes is expected from now on."""
        if getattr(self._importing, "now", False):  # by a module that is being imported
            return find_and_load(*arguments)
        before = {name: each() for name, each in self._read.items()}
        self._blamed |= {name for name, value in before.items() if value != self._expected[name]}
        self._importing.now = True
        try:
            return find_and_load(*arguments)
        finally:
            self._importing.now = False
            self._expected = {name: each() for name, each in self._read.items()}


@contextmanager
def watching_imports(read: Mapping[str, Callable[[], Any]]) -> Iterator[ImportEffects]:
    """Tell what imports within the block change from what else does.

    Args:
        read: returns each value, by its name.
    """
    effects, load = ImportEffects(read), getattr(_LOADER, _LOAD)

    def watched(*arguments: Any) -> Any:
        return effects.load(load, *arguments)

    setattr(_LOADER, _LOAD, watched)
    try:
        yield effects
    finally:
        setattr(_LOADER, _LOAD, load)
