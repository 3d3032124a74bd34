"""One registered plugin: where it comes from, how to load it, and what its source declares."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.registry.class_source import read_class
from bench.registry.plugin_source import PluginSource

# Sphinx's roles and the characters that mark code.
_MARKUP = re.compile(r":[a-z:]+:(?=`)|`+~?")


@dataclass(frozen=True)
class Entry:
    """One registered plugin: where it comes from, and how to load it.

    Attributes:
        name: what users type.
        origin: a distribution and its version, or a file.
        target: ``module:attribute``.
        load: imports the plugin and returns it.
        source: the source of a plugin file; ``None`` where the plugin comes from elsewhere.
    """

    name: str
    origin: str
    target: str
    load: Callable[[], Any]
    source: PluginSource | None = None

    def summary(self) -> str:
        """Return the first line of the plugin's docstring, read from source, without an import.

        Sphinx's roles and backquotes are removed.
        """
        module, _, attribute = self.target.partition(":")
        if module in sys.modules:
            doc = getattr(getattr(sys.modules[module], attribute, None), "__doc__", None)
        else:
            doc = read_class(module, attribute).docstring
        return _MARKUP.sub("", (doc or "").strip().split("\n")[0])

    def declared(self, attribute: str) -> Any:
        """Return a class attribute of the plugin, read from source, without an import.

        The value must be a literal in the class or in a base class of the same module; ``None``
        otherwise.
        """
        module, _, name = self.target.partition(":")
        if module in sys.modules:
            return getattr(getattr(sys.modules[module], name, None), attribute, None)
        return read_class(module, name).literals.get(attribute)

    def built(self, attribute: str, names: Sequence[str]) -> dict[str, Any]:
        """Return the fields of a class attribute that a call with literal arguments gives.

        As :meth:`declared`, without an import: ``paper = Paper("Title", 2023, "arXiv:...")``.

        Args:
            attribute: of the plugin.
            names: of the fields, in the order of the call's positional arguments.
        """
        module, _, name = self.target.partition(":")
        if module in sys.modules:
            value = getattr(getattr(sys.modules[module], name, None), attribute, None)
            return {field: getattr(value, field) for field in names if hasattr(value, field)}
        positional, named = read_class(module, name).calls.get(attribute, ((), {}))
        given = {**dict(zip(names, positional, strict=False)), **named}
        return {field: given[field] for field in names if field in given}
