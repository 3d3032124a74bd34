"""Ids of cells that a user has cut short, as git takes the beginnings of its ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from bench.ledger.store import Store
from bench.support.errors import BenchError

# As many letters as git asks for; with fewer, too many words could be meant as ids.
SHORTEST = 4
_BEGINNING = re.compile(rf"[0-9a-f]{{{SHORTEST},}}")
_LISTED = 10


def can_begin_id(text: str) -> bool:
    """Return whether a text is enough of what an id looks like to stand for one."""
    return _BEGINNING.fullmatch(text) is not None


def complete_id(
    text: str, ids: Iterable[str], title: Callable[[str], str] = lambda _: ""
) -> str | None:
    """Return the id that a text is, or begins; ``None`` if there is none.

    Args:
        text: an id, or at least the first :data:`SHORTEST` letters of one.
        ids: those that can be meant.
        title: returns what a message says of an id; may be empty.

    Raises:
        BenchError: several of the ids start with the text.
    """
    known = set(ids)
    if text in known:
        return text
    if not can_begin_id(text):
        return None
    starting = sorted(each for each in known if each.startswith(text))
    if len(starting) > 1:
        lines = [f"{each}  {title(each)}".rstrip() for each in starting[:_LISTED]]
        if len(starting) > _LISTED:
            lines.append(f"and {len(starting) - _LISTED:,} more")
        listing = "".join(f"\n  {line}" for line in lines)
        raise BenchError(f"'{text}' is the beginning of {len(starting):,} ids of cells:{listing}")
    return starting[0] if starting else None


def find_id(text: str, store: Store) -> str | None:
    """Return the id of the cell of a store that a text is, or begins; see :func:`complete_id`."""

    def title(cell_id: str) -> str:
        record = store.read(cell_id)
        if record is None:
            return ""
        return f"{record.kind}: {record.labels.get('title') or record.labels['method']}"

    return complete_id(text, store.listed_ids(), title)
