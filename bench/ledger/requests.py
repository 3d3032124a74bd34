"""The requests of earlier runs, kept in the store as ``requests/<id>.json``.

A store of cells does not know which cells are still to come. Each run leaves its request here, so
that ``bench status`` can say what is left and ``bench retry`` can go on without being given the
options again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from bench.ledger.cell import CELL_ID, Cell, EvaluateCell
from bench.support.atomic_files import write_json, writing
from bench.support.errors import BenchError
from bench.support.strict_json import read_json
from bench.support.untrusted import Limit

_CellId = Annotated[str, msgspec.Meta(pattern=CELL_ID)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]


class RequestedCell(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"depends_on": "rests_on"}
):
    """One cell of a request, as the file describes it.

    Attributes:
        id: the cell's.
        kind: ``distil`` or ``evaluate``.
        title: one line for screens.
        dataset: its name.
        method: its name.
        depends_on: the id of the distilled set that it evaluates or starts from.
        seconds: how long it was estimated to take; ``None`` where nothing was measured.
    """

    id: _CellId
    kind: str
    title: str
    dataset: str
    method: str
    depends_on: _CellId | None
    seconds: _Seconds | None


class SavedRequest(msgspec.Struct, frozen=True):
    """A request as a run left it.

    Attributes:
        spec: the fields of :class:`bench.grid.site.Site`, and the request; not interpreted here.
        cells: every cell of its grid, the skipped ones too, in the order in which they run.
        asked: when it was last made; UTC, ISO 8601.
    """

    spec: dict[str, Any]
    cells: tuple[RequestedCell, ...]
    asked: str

    @property
    def id(self) -> str:
        """The hash of the request and its cells, whatever its time, paths and estimates."""
        content = {"request": self.spec["request"], "cells": sorted(c.id for c in self.cells)}
        text = json.dumps(content, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def command(self) -> str:
        """The command line that made it."""
        return str(self.spec.get("command", ""))


def make_request(
    spec: Mapping[str, Any], cells: Iterable[Cell], estimates: Mapping[str, float]
) -> SavedRequest:
    """Return the request that a run makes now.

    Args:
        spec: see :attr:`SavedRequest.spec`; plain JSON values.
        cells: the cells of its grid, the skipped ones too, in the order in which they run.
        estimates: seconds by cell id, of the cells that were measured.
    """
    return SavedRequest(
        spec=dict(spec),
        cells=tuple(_requested(cell, estimates.get(cell.id)) for cell in cells),
        asked=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def save_request(root: Path, request: SavedRequest) -> None:
    """Write a request into a store; one that is there already is replaced, its estimates stay.

    Raises:
        CannotWriteError: if the disk is full or the store cannot be written.
    """
    path = root / "requests" / f"{request.id}.json"
    try:
        estimates = {cell.id: cell.seconds for cell in _load(path).cells}
    except (OSError, ValueError):
        estimates = {}
    cells = tuple(
        cell
        if cell.seconds is not None
        else msgspec.structs.replace(cell, seconds=estimates.get(cell.id))
        for cell in request.cells
    )
    with writing(path):
        write_json(path, msgspec.to_builtins(msgspec.structs.replace(request, cells=cells)))


def load_requests(root: Path, note: Callable[[str], None]) -> list[SavedRequest]:
    """Return every request of a store, the latest last.

    Args:
        root: the store's folder.
        note: receives one line about each file that is no request.
    """
    requests = []
    for path in sorted((root / "requests").glob("*.json")):
        try:
            requests.append(_load(path))
        except (OSError, ValueError) as error:
            note(f"'{path}' is no request of bench ({error}); left out")
    return sorted(requests, key=lambda request: request.asked)


def choose_requests(
    root: Path, beginnings: Iterable[str], note: Callable[[str], None]
) -> list[SavedRequest]:
    """Return the requests whose ids start with one of ``beginnings``; all, if there are none.

    Raises:
        BenchError: the store has no request, or none that starts with one of them.
    """
    requests, starts = load_requests(root, note), tuple(beginnings)
    if not requests:
        raise BenchError(f"store '{root}' holds no requests; `bench run` leaves them there")
    for start in starts:
        if not any(request.id.startswith(start) for request in requests):
            known = ", ".join(request.id for request in requests)
            raise BenchError(f"no request of '{root}' starts with '{start}'. Known: {known}.")
    return [request for request in requests if not starts or request.id.startswith(starts)]


def _requested(cell: Cell, seconds: float | None) -> RequestedCell:
    distil = cell.distil if isinstance(cell, EvaluateCell) else cell
    return RequestedCell(
        cell.id, cell.kind, cell.title, distil.dataset, distil.method, cell.depends_on, seconds
    )


def _load(path: Path) -> SavedRequest:
    """Read a request that anyone may have written.

    Raises:
        ValueError: it is no request.
        OSError: it cannot be read.
    """
    data = read_json(path, Limit.RUN_REQUEST_BYTES, follow=False)
    request = msgspec.convert(data, SavedRequest)
    if not isinstance(request.spec.get("request"), dict):
        raise ValueError("it holds no request")
    return request
