"""Plugins by name: entry points, imported only when they are used.

Built-in methods, architectures, generators and datasets are entry points of this distribution,
exactly like a third party's. If two distributions claim one name, that is an error: neither of
them wins silently.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Container
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from bench.registry.class_code import hash_class
from bench.registry.entry import Entry
from bench.registry.plugin_source import PluginSource, read_source, source_file
from bench.support.errors import BenchError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """All plugins of one kind; ``T`` is what loading one gives, a class.

    Args:
        kind: the kind in the singular, for messages (``"method"``).
        group: the entry-point group.
        base: ``module:attribute`` of the class that every plugin of the kind must extend, which
            :mod:`bench.plugin` exports. It is given as text and imported only when a plugin is,
            because it may need torch and belongs to a higher layer.
    """

    def __init__(self, kind: str, group: str, base: str) -> None:
        self.kind, self.group, self.base = kind, group, base
        self._registered: dict[str, Entry] = {}
        self._sources: dict[str, PluginSource | None] = {}

    @cached_property
    def _installed(self) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for point in entry_points(group=self.group):
            target = f"{point.module}:{point.attr}"
            entry = Entry(point.name, _origin(point), target, self._loader(point))
            other = entries.get(point.name)
            if other is not None and (other.origin, other.target) != (entry.origin, target):
                raise BenchError(
                    f"{self.kind} '{point.name}' is registered twice: "
                    f"by {other.origin} ({other.target}) and by {entry.origin} ({target}). "
                    "Uninstall one of them."
                )
            entries[point.name] = entry
        return entries

    def entries(self) -> dict[str, Entry]:
        """Return every entry by name, sorted, without loading any."""
        return dict(sorted({**self._installed, **self._registered}.items()))

    def names(self) -> list[str]:
        """Return every name, sorted."""
        return list(self.entries())

    def entry(self, name: str) -> Entry:
        """Return one entry.

        Raises:
            UnknownNameError: with a near miss and what exists.
        """
        entries = self.entries()
        if name not in entries:
            raise UnknownNameError(self.kind, name, entries)
        return entries[name]

    def get(self, name: str) -> T:
        """Load and return the plugin that is registered under ``name``.

        Raises:
            UnknownNameError: nothing is registered under that name.
            BenchError: the plugin does not import, or does not extend the base class.
        """
        plugin: T = self.entry(name).load()
        return plugin

    def source(self, name: str) -> PluginSource | None:
        """Return the source of a plugin; ``None`` for those of bench itself.

        A class that stands in no file, as one of a notebook, counts by its bytecode, which is read
        anew each time: what it uses may have been defined again.

        Raises:
            UnknownNameError: nothing is registered under that name.
            BenchError: the plugin does not import.
        """
        entry = self.entry(name)
        if entry.source is not None:
            return entry.source
        if name not in self._sources:
            plugin = entry.load()
            if source_file(plugin.__module__) is None:
                return PluginSource(hash_class(plugin)[:16], frozenset())
            self._sources[name] = read_source(plugin.__module__)
        return self._sources[name]

    def check(self, plugin: Any) -> None:
        """Raise :class:`BenchError` unless ``plugin`` is a class that extends the base class."""
        module, _, attribute = self.base.partition(":")
        base = getattr(importlib.import_module(module), attribute)
        if isinstance(plugin, type) and issubclass(plugin, base):
            return
        name = getattr(plugin, "__qualname__", repr(plugin))
        raise BenchError(
            f"{name} is registered as {_with_article(self.kind)}, but is not a subclass of "
            f"bench.plugin.{attribute}"
        )

    def register(
        self, name: str, plugin: Any, origin: str, source: PluginSource | None = None
    ) -> None:
        """Add a plugin at run time; the same plugin again replaces itself.

        Args:
            name: what users type.
            plugin: the class.
            origin: the file that it comes from, or its module.
            source: of that file, if it was run just now.

        Raises:
            BenchError: if the name belongs to another plugin, or the plugin does not extend the
                base class.
        """
        self.check(plugin)
        target = f"{plugin.__module__}:{plugin.__qualname__}"
        installed = self._installed.get(name)
        if installed is not None and installed.target == target:
            return  # an entry point whose class carries the decorator too
        taken = self._registered.get(name, installed)
        if taken is not None and (taken.origin, taken.target) != (origin, target):
            raise BenchError(
                f"{self.kind} '{name}' is registered twice: "
                f"by {taken.origin} ({taken.target}) and by {origin} ({target})"
            )
        self._sources.pop(name, None)
        self._registered[name] = Entry(name, origin, target, lambda: plugin, source)

    def is_by_hand(self, name: str, files: Container[str]) -> bool:
        """Return whether only this process knows ``name``: no entry point, and not from ``files``.

        Workers in other processes cannot load such a plugin.
        """
        entry = self._registered.get(name)
        return entry is not None and entry.origin not in files

    def unregister(self, name: str) -> None:
        """Remove what :meth:`register` added (for tests)."""
        self._registered.pop(name, None)

    def exchange(self, origin: str, entries: dict[str, Entry]) -> dict[str, Entry]:
        """Replace everything that ``origin`` registered by ``entries``; return the former."""
        old = {n: e for n, e in self._registered.items() if e.origin == origin}
        rest = {n: e for n, e in self._registered.items() if e.origin != origin}
        self._registered = {**rest, **entries}
        return old

    def _loader(self, point: EntryPoint) -> Callable[[], Any]:
        """Return a function that imports an entry point and checks what it gives."""
        label = f"{self.kind} '{point.name}' from {_origin(point)}"

        def load() -> Any:
            try:
                plugin = point.load()
            except BenchError:
                raise
            except Exception as error:
                raise BenchError(
                    f"{label} does not import: {type(error).__name__}: {error}"
                ) from error
            self.check(plugin)
            return plugin

        return load


# The static type of a plugin is `type[Any]` here: this layer must not import the base classes.
METHODS: Registry[type[Any]] = Registry(
    "method", "bench.methods", "bench.distillation.method:Method"
)
ARCHITECTURES: Registry[type[Any]] = Registry(
    "architecture", "bench.architectures", "bench.networks.architecture:Architecture"
)
GENERATORS: Registry[type[Any]] = Registry(
    "generator", "bench.generators", "bench.distilled.image_generator:ImageGenerator"
)
DATASETS: Registry[type[Any]] = Registry(
    "dataset", "bench.datasets", "bench.datasets.source:DatasetSource"
)

# No plugin of a cell: a tracker changes no result, and a plugin file cannot register one.
TRACKERS: Registry[type[Any]] = Registry(
    "tracker", "bench.trackers", "bench.support.tracker:Tracker"
)

REGISTRIES: dict[str, Registry[type[Any]]] = {
    "method": METHODS,
    "architecture": ARCHITECTURES,
    "generator": GENERATORS,
    "dataset": DATASETS,
}
"""Every registry by its kind."""


def _origin(point: EntryPoint) -> str:
    dist = point.dist
    return f"{dist.name} {dist.version}" if dist is not None else point.value


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
