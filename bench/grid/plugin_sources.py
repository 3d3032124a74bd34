"""The source of the plugins that a cell depends on, and the results of other source in a store.

The source of a plugin is not part of a cell's identity: when it changes, the cell is computed again
in its place. Methods, architectures, generators and protocols count. A dataset counts by its
content, whatever code made it. The plugins of bench itself count by their versions, which are part
of the identity.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bench.evaluation.protocols import get_protocol, is_released
from bench.ledger.cell import IMPORTED, Cell, EvaluateCell
from bench.networks.architecture import registered_name
from bench.registry.registry import ARCHITECTURES, GENERATORS, METHODS, Registry
from bench.support.errors import BenchError
from bench.support.failure_reasons import CellFailedError

# A name within a parameter, as in "convnet1(width=4),my-net".
_NAME = re.compile(r"[\w:.-]+")
# Ends the name of an architecture that evaluates.
EVALUATES = " that evaluates"


def distil_sources(method: str, arch: str | None, params: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of the plugins that compute a distillation, as this process has them.

    They are the method, the architecture to distil with, and the architectures and generators that
    its parameters or the texts in its code name.
    """
    names = {name for text in _texts(params) for name in _NAME.findall(text)}
    sources = {}
    source = METHODS.source(method)
    if source is not None:
        sources[f"method '{method}'"] = source.sha256
        names |= {text.partition("(")[0] for text in source.texts}
    if arch is not None:
        names.add(arch.partition("(")[0])
    return sources | _hashes(ARCHITECTURES, names) | _hashes(GENERATORS, names)


def evaluation_sources(arch: str, protocol: str) -> dict[str, str]:
    """Return the hashes of the plugins that compute an evaluation; a protocol is its values."""
    sources = _hashes(ARCHITECTURES, {arch.partition("(")[0]}, EVALUATES)
    if not is_released(protocol):
        text = repr(get_protocol(protocol))
        sources[f"protocol '{protocol}'"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return sources


def check_sources(cell: Cell) -> None:
    """Refuse a cell if this process has other source than the run that asks for it.

    Raises:
        CellFailedError: naming the plugin and both hashes.
    """
    if isinstance(cell, EvaluateCell):
        own = evaluation_sources(cell.arch, cell.protocol)
    elif cell.profile == IMPORTED:
        return  # made elsewhere, by no plugin
    else:
        own = distil_sources(cell.method, cell.arch, cell.params)
    for name, here in own.items():
        asked = cell.sources.get(name)
        if asked != here:
            raise CellFailedError(
                f"it asks for the {name} of source {asked or 'unknown'}, but this process has "
                f"{here}: the code was changed during the run, or differs between machines"
            )


def has_sources(cell: Cell) -> bool:
    """Return whether this process has the source that a cell asks for."""
    try:
        check_sources(cell)
    except (CellFailedError, BenchError):
        return False
    return True


def _hashes(registry: Registry[type[Any]], names: Iterable[str], use: str = "") -> dict[str, str]:
    """Return the hashes of those plugins among some names that are not part of bench."""
    known = registry.entries()
    families = {registered_name(name.strip().lower()) for name in names} | set(names)
    sources = {name: registry.source(name) for name in sorted(families & known.keys())}
    return {
        f"{registry.kind} '{name}'{use}": source.sha256
        for name, source in sources.items()
        if source is not None
    }


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in plain JSON values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
