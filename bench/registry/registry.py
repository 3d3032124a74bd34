"""Names to plugins: entry points, loaded only when asked for, and single files given by path.

Built-in methods, architectures, generators and datasets are entry points of this distribution,
exactly like a third party's. A name that two distributions claim is an error, never a silent win.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.support.errors import BenchError, UnknownNameError

# Sphinx's roles and what marks code.
_MARKUP = re.compile(r":[a-z:]+:(?=`)|`+~?")


@dataclass(frozen=True)
class Entry:
    """One registered plugin: where it comes from, and how to load it.

    Attributes:
        name: what users type.
        origin: a distribution and its version, or a file.
        target: ``module:attribute``.
        load: imports and returns it.
    """

    name: str
    origin: str
    target: str
    load: Callable[[], Any]

    def summary(self) -> str:
        """Return the first line of the plugin's docstring, read from source, without an import.

        As people read it: without Sphinx's roles and backquotes.
        """
        module, _, attribute = self.target.partition(":")
        if module in sys.modules:
            doc = getattr(getattr(sys.modules[module], attribute, None), "__doc__", None)
        else:
            doc = _docstring(module, attribute)
        return _MARKUP.sub("", (doc or "").strip().split("\n")[0])


class Registry:
    """All plugins of one kind.

    Args:
        kind: in the singular, for messages (``"method"``).
        group: the entry-point group.
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind, self.group = kind, group
        self._registered: dict[str, Entry] = {}

    @cached_property
    def _installed(self) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for point in entry_points(group=self.group):
            target = f"{point.module}:{point.attr}"
            entry = Entry(point.name, _origin(point), target, _loader(self.kind, point))
            other = found.get(point.name)
            if other is not None and (other.origin, other.target) != (entry.origin, target):
                raise BenchError(
                    f"{self.kind} '{point.name}' is registered twice: "
                    f"by {other.origin} ({other.target}) and by {entry.origin} ({target}). "
                    "Uninstall one of them."
                )
            found[point.name] = entry
        return found

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

    def get(self, name: str) -> Any:
        """Load and return what is registered under ``name``."""
        return self.entry(name).load()

    def register(self, name: str, plugin: Any, origin: str) -> None:
        """Add a plugin at run time; the same plugin again replaces itself.

        Raises:
            BenchError: if the name is taken by something else.
        """
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
        self._registered[name] = Entry(name, origin, target, lambda: plugin)

    def is_by_hand(self, name: str, files: Container[str]) -> bool:
        """Whether this process alone knows ``name``: neither an entry point nor from ``files``."""
        entry = self._registered.get(name)
        return entry is not None and entry.origin not in files

    def unregister(self, name: str) -> None:
        """Remove what :meth:`register` added (for tests)."""
        self._registered.pop(name, None)

    def exchange(self, origin: str, entries: dict[str, Entry]) -> dict[str, Entry]:
        """Put ``entries`` in the place of all that ``origin`` registered; return the latter."""
        old = {n: e for n, e in self._registered.items() if e.origin == origin}
        rest = {n: e for n, e in self._registered.items() if e.origin != origin}
        self._registered = {**rest, **entries}
        return old


METHODS = Registry("method", "bench.methods")
ARCHITECTURES = Registry("architecture", "bench.architectures")
GENERATORS = Registry("generator", "bench.generators")
DATASETS = Registry("dataset", "bench.datasets")

_REGISTRIES = {
    "method": METHODS,
    "architecture": ARCHITECTURES,
    "generator": GENERATORS,
    "dataset": DATASETS,
}
# The module names that plugin files were given, and their paths.
_files: dict[str, str] = {}


def register(kind: str) -> Callable[[Any], Any]:
    """Class decorator for a plugin file: ``@register("method")``.

    The plugin's ``name`` attribute is the name it is registered under; an architecture is
    registered under the name of each of its ``members``, or under its own if it lists none.
    """
    if kind not in _REGISTRIES:
        raise UnknownNameError("plugin kind", kind, _REGISTRIES)

    def decorate(plugin: Any) -> Any:
        origin = _files.get(plugin.__module__, plugin.__module__)
        members = plugin.members if kind == "architecture" else ()
        for name in members or (plugin.name,):
            _REGISTRIES[kind].register(name, plugin, origin)
        return plugin

    return decorate


def load_plugin_file(path: Path) -> None:
    """Import a plugin file; what it decorates with :func:`register` becomes known.

    All of it or nothing: a file that fails leaves what was known before. Loaded again, a file
    takes the place of its former self.

    Raises:
        BenchError: if the file is missing or its import fails, with the error's own words.
    """
    path = path.resolve()
    if not path.is_file():
        raise BenchError(f"plugin file '{path}' does not exist")
    # Two files of one name in different folders are two modules.
    name = f"bench_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path) if path.suffix == ".py" else None
    if spec is None or spec.loader is None:
        raise BenchError(f"plugin file '{path}' is not a Python file (expected a name like x.py)")
    module = importlib.util.module_from_spec(spec)
    _files[name] = str(path)
    try:
        with _all_or_nothing(module, str(path)):
            spec.loader.exec_module(module)
    except BenchError:
        raise
    except (Exception, SystemExit) as error:
        raise BenchError(
            f"plugin '{path.name}' does not import: {type(error).__name__}: {error}"
        ) from error


@contextmanager
def _all_or_nothing(module: ModuleType, origin: str) -> Iterator[None]:
    """Forget what ``origin`` registered before; remember it again if the block fails."""
    name = module.__name__
    old_module = sys.modules.get(name)
    old = {r: r.exchange(origin, {}) for r in _REGISTRIES.values()}
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        yield
    except BaseException:
        for registry, entries in old.items():
            registry.exchange(origin, entries)
        if old_module is None:
            del sys.modules[name]
        else:
            sys.modules[name] = old_module
        raise


def _docstring(module: str, attribute: str) -> str | None:
    try:
        spec = importlib.util.find_spec(module)
        source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
        body = ast.parse(source).body
    except Exception:  # finding a module runs its package, where anything may go wrong
        return None
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name == attribute:
            return ast.get_docstring(node)
    return None


def _origin(point: EntryPoint) -> str:
    dist = point.dist
    return f"{dist.name} {dist.version}" if dist is not None else point.value


def _loader(kind: str, point: EntryPoint) -> Callable[[], Any]:
    def load() -> Any:
        try:
            return point.load()
        except BenchError:
            raise
        except Exception as error:
            raise BenchError(
                f"{kind} '{point.name}' from {_origin(point)} does not import: "
                f"{type(error).__name__}: {error}"
            ) from error

    return load
