"""What runs were asked for, kept in the store: ``requests/<id>.json``.

A store of cells does not know which cells are still to come. Each run leaves its request here, so
that ``bench status`` can say what is left and ``bench retry`` can go on without being told again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.ledger.cell import is_cell_id
from bench.support.atomic_files import write_json, writing
from bench.support.errors import BenchError
from bench.support.files import read_plain
from bench.support.json_files import parse_json

# A cell takes about three hundred bytes.
_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class AskedCell:
    """One cell of a request.

    Attributes:
        id: the cell's.
        kind: ``distil`` or ``evaluate``.
        title: one line for screens.
        dataset: its name.
        method: its name.
        rests_on: the id of the distilled set that it judges or starts from.
        seconds: how long it was estimated to take; ``None`` where nothing was measured.
    """

    id: str
    kind: str
    title: str
    dataset: str
    method: str
    rests_on: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class SavedRequest:
    """A request as a run left it.

    Attributes:
        spec: the fields of :class:`bench.grid.site.RunSpec`.
        cells: every cell of its grid, the skipped ones too, in the order in which they run.
        asked: when, last time; UTC, ISO 8601.
    """

    spec: Mapping[str, Any]
    cells: tuple[AskedCell, ...]
    asked: str = ""

    @property
    def id(self) -> str:
        """A hash of what was asked: where, when and how long it takes are no part of it."""
        asked = {"request": self.spec["request"], "cells": sorted(c.id for c in self.cells)}
        text = json.dumps(asked, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def command(self) -> str:
        """The command line that asked for it."""
        return str(self.spec.get("command", ""))


def save_request(root: Path, saved: SavedRequest) -> None:
    """Keep a request; asked again, it takes its former place and keeps what was estimated.

    Raises:
        CannotWriteError: if the disk is full or the store may not be written.
    """
    path = root / "requests" / f"{saved.id}.json"
    try:
        before = {c.id: c.seconds for c in _load(path).cells}
    except (OSError, ValueError):
        before = {}
    cells = [c if c.seconds is not None else replace(c, seconds=before.get(c.id))
             for c in saved.cells]  # fmt: skip
    with writing(path):
        write_json(path, asdict(replace(saved, cells=tuple(cells))))


def load_requests(root: Path, note: Callable[[str], None]) -> list[SavedRequest]:
    """Return every request of a store, the latest last.

    Args:
        root: the store's folder.
        note: is told, in a line, of each file that is no request.
    """
    found = []
    for path in sorted((root / "requests").glob("*.json")):
        try:
            found.append(_load(path))
        except (OSError, ValueError) as error:
            note(f"'{path}' is no request of bench ({error}); left out")
    return sorted(found, key=lambda saved: saved.asked)


def choose_requests(
    root: Path, wanted: Iterable[str], note: Callable[[str], None]
) -> list[SavedRequest]:
    """Return the requests whose ids start with one of ``wanted``; all, if nothing is wanted.

    Raises:
        BenchError: there is none, or none that starts so.
    """
    found = load_requests(root, note)
    if not found:
        raise BenchError(f"store '{root}' keeps no requests; `bench run` leaves them there")
    beginnings = list(wanted)
    for beginning in beginnings:
        if not any(saved.id.startswith(beginning) for saved in found):
            known = ", ".join(saved.id for saved in found)
            raise BenchError(f"no request of '{root}' starts with '{beginning}'. Known: {known}.")
    return [s for s in found if not beginnings or s.id.startswith(tuple(beginnings))]


def _load(path: Path) -> SavedRequest:
    data = parse_json(read_plain(path, _MOST_BYTES, follow=False))
    if not isinstance(data, dict) or not isinstance(data.get("spec"), dict):
        raise ValueError("it holds no description of a run")
    if not isinstance(data["spec"].get("request"), dict):
        raise ValueError("it holds no request")
    if not isinstance(data.get("cells"), list) or not isinstance(data.get("asked"), str):
        raise ValueError("it holds no list of cells, or not when they were asked for")
    return SavedRequest(data["spec"], tuple(map(_cell, data["cells"])), data["asked"])


def _cell(data: Any) -> AskedCell:
    if not isinstance(data, dict) or set(data) != set(AskedCell.__dataclass_fields__):
        raise ValueError("one of its cells lacks a field or has one too many")
    seconds, needed = data["seconds"], data["rests_on"]
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds >= 0
    right = known or seconds is None
    right &= all(isinstance(data[name], str) for name in ("kind", "title", "dataset", "method"))
    if not right or not is_cell_id(data["id"]) or not (needed is None or is_cell_id(needed)):
        raise ValueError("one of its cells has a field of the wrong type")
    return AskedCell(**data)
