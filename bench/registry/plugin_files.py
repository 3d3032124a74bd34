"""Plugins in single files that users name by path, and the decorator that registers them."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from bench.registry.entry import Entry
from bench.registry.names import check_plugin_name
from bench.registry.plugin_source import PluginSource, read_source
from bench.registry.registry import REGISTRIES
from bench.support.errors import BenchError, UnknownNameError

# The attribute of a plugin file's module that holds the path of the file.
_PLUGIN_FILE = "__bench_plugin_file__"
# The attribute that holds its source, which is read once each time the file is loaded.
_SOURCE = "__bench_plugin_source__"


def register(kind: str) -> Callable[[Any], Any]:
    """Class decorator for a plugin file: ``@register("method")``.

    The plugin's ``name`` attribute is the name it is registered under; an architecture is
    registered under the name of each of its ``members``, or under its own if it lists none.

    Raises:
        UnknownNameError: for an unknown kind.
        BenchError: the class does not extend the base class of its kind, has no name, or its name
            belongs to another plugin.
    """
    if kind not in REGISTRIES:
        raise UnknownNameError("plugin kind", kind, REGISTRIES)

    def decorate(plugin: Any) -> Any:
        registry = REGISTRIES[kind]
        registry.check(plugin)
        module = sys.modules.get(plugin.__module__)
        origin = getattr(module, _PLUGIN_FILE, plugin.__module__)
        members = plugin.members if kind == "architecture" else ()
        if not members and not hasattr(plugin, "name"):
            raise BenchError(f'{kind} {plugin.__qualname__} has no name: declare name = "..."')
        source = _source_of(plugin.__module__)
        for name in members or (plugin.name,):
            check_plugin_name(kind, name)
            registry.register(name, plugin, origin, source)
        return plugin

    return decorate


def _source_of(name: str) -> PluginSource | None:
    """Return the source of a plugin's module, by its name."""
    module = sys.modules.get(name)
    if not hasattr(module, _PLUGIN_FILE):
        # A module that a plugin file imports is not run again when the file is loaded again.
        return read_source(name)
    # A file may register dozens of classes, and looking for what it imports takes milliseconds.
    if not hasattr(module, _SOURCE):
        setattr(module, _SOURCE, read_source(name, executed=True))
    source: PluginSource | None = getattr(module, _SOURCE)
    return source


def load_plugin_file(path: Path) -> None:
    """Import a plugin file, so that the classes it decorates with :func:`register` become known.

    A file that fails registers nothing and leaves what was known before. Loading a file again
    replaces what it registered the first time.

    Raises:
        BenchError: if the file is missing, its import fails (with the error's own words), or it
            registers nothing.
    """
    path = path.resolve()
    if not path.is_file():
        raise BenchError(f"plugin file '{path}' does not exist")
    # Two files of one name in different folders are two modules.
    name = f"bench_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if path.suffix != ".py":
        raise BenchError(f"plugin file '{path}' is not a Python file (expected a name like x.py)")
    loader = _SourceLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None, "there is a loader"
    module = importlib.util.module_from_spec(spec)
    setattr(module, _PLUGIN_FILE, str(path))
    try:
        with _all_or_nothing(module, str(path)):
            loader.exec_module(module)
    except BenchError:
        raise
    except (Exception, SystemExit) as error:
        raise BenchError(
            f"plugin '{path.name}' does not import: {type(error).__name__}: {error}"
        ) from error


class _SourceLoader(SourceFileLoader):
    """Compiles a plugin file each time it is loaded.

    Python's stored bytecode is known by the second of the last change and the size, so that after
    an edit within a second the old code would run, and be recorded as the new.
    """

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the file as it is now."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


@contextmanager
def _all_or_nothing(module: ModuleType, origin: str) -> Iterator[None]:
    """Remove what ``origin`` registered before the block; restore it if the block fails."""
    name = module.__name__
    old_module = sys.modules.get(name)
    known = _all_entries()
    old = {r: r.exchange(origin, {}) for r in REGISTRIES.values()}
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        yield
        # A file may register through a module that it imports, which happens only the first time.
        imported_before = old_module is not None and not any(old.values())
        registered = any(e.origin == origin or e not in known for e in _all_entries())
        if not (registered or imported_before):
            raise BenchError(
                f"plugin file '{origin}' registered nothing: put @register(\"method\"), or another "
                "kind, above its class"
            )
    except BaseException:
        for registry, entries in old.items():
            registry.exchange(origin, entries)
        if old_module is None:
            del sys.modules[name]
        else:
            sys.modules[name] = old_module
        raise


def _all_entries() -> list[Entry]:
    return [e for registry in REGISTRIES.values() for e in registry.entries().values()]
