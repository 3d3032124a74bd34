"""Facts of a class that are read from its source, so that its module need not be imported.

``bench list`` and ``bench table`` name methods without importing torch, which every method imports.
Neither the module nor the packages around it are run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class ClassSource:
    """What the source of a class says.

    Attributes:
        docstring: its own, not that of a base class; ``None`` without one.
        literals: its class attributes with a literal value, by name; those of base classes in the
            same module are included.
        calls: the positional and the named arguments of the attributes that a call with literal
            arguments gives, by name; likewise.
    """

    docstring: str | None = None
    literals: Mapping[str, Any] = field(default_factory=dict)
    calls: Mapping[str, Arguments] = field(default_factory=dict)


def read_class(module: str, name: str) -> ClassSource:
    """Return what the source of a class says; empty if there is no such source.

    Args:
        module: as it would be imported, ``package.module``.
        name: of a class at the top level of the module.
    """
    classes, elsewhere = _classes(module)
    if name not in classes:
        origin = elsewhere.get(name)  # a package that passes on what a module of it defines
        if origin is None or not origin.startswith(f"{module}."):
            return ClassSource()
        return read_class(origin, name)
    return ClassSource(
        ast.get_docstring(classes[name]),
        _attributes(name, classes, ast.literal_eval),
        _attributes(name, classes, _arguments),
    )


def _arguments(node: ast.expr) -> Arguments:
    """Return the literal arguments of a call; raise :class:`ValueError` if it is something else."""
    if not isinstance(node, ast.Call):
        raise ValueError("no call")
    named = {each.arg: ast.literal_eval(each.value) for each in node.keywords if each.arg}
    return tuple(map(ast.literal_eval, node.args)), named


def _attributes(
    name: str,
    classes: Mapping[str, ast.ClassDef],
    read: Callable[[ast.expr], Any],
    derived: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Return the attributes of a class that ``read`` can read, over those of its bases.

    The first base comes first.
    """
    values: dict[str, Any] = {}
    for base in reversed(classes[name].bases):
        # A class whose name shadows its own base would never end.
        if isinstance(base, ast.Name) and base.id in classes and base.id not in derived | {name}:
            values |= _attributes(base.id, classes, read, derived | {name})
    for node in classes[name].body:
        targets = node.targets if isinstance(node, ast.Assign) else ()
        target = node.target if isinstance(node, ast.AnnAssign) else targets[0] if targets else None
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and value is not None:
            try:
                values[target.id] = read(value)
            except (ValueError, TypeError, MemoryError, RecursionError):
                values.pop(target.id, None)  # computed, so unknown without an import
    return values


@lru_cache(maxsize=256)
def _classes(module: str) -> tuple[Mapping[str, ast.ClassDef], Mapping[str, str]]:
    """Return a module's classes, and the modules from which it imports other names."""
    try:
        path = _source_file(module)
        body = ast.parse(path.read_text(encoding="utf-8")).body if path is not None else []
    except Exception:  # import hooks, files and their syntax are other people's
        return {}, {}
    imports = {
        alias.asname or alias.name: node.module
        for node in body
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        for alias in node.names
    }
    return {node.name: node for node in body if isinstance(node, ast.ClassDef)}, imports


def _source_file(module: str) -> Path | None:
    """Return the file of a module; only its outermost package is looked up, which runs no code."""
    top, *inner = module.split(".")
    spec = find_spec(top)
    if spec is None:
        return None
    if not inner:
        return Path(spec.origin) if spec.origin else None
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *inner)
        for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if file.is_file():
                return file
    return None
