"""Saved requests that run again: what a store holds is checked like any other file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec

from bench.grid.option import check_options
from bench.grid.request import Request
from bench.grid.site import Site
from bench.ledger.requests import SavedRequest
from bench.support.errors import BenchError


def reopen_request(saved: SavedRequest, **changes: Any) -> tuple[Request, Site]:
    """Return the request that a run saved, and its site, changed where values are given.

    The plugins of that run are left out: a store that somebody sent must not say which files to
    run.

    Args:
        saved: the request.
        changes: fields of :class:`bench.grid.site.Site` to set.

    Raises:
        BenchError: it is of another version of bench, or not what a run leaves.
    """
    try:
        values = {**saved.spec, "plugins": (), **changes}
        request = Request(**values.pop("request"))
        site = Site.from_values(values)
        msgspec.convert(asdict(request), Request)  # raises where a field has another type
        msgspec.convert(asdict(site), Site)
        check_options(site)
        if request.seeds > len(saved.cells):  # each seed has at least one cell of its own
            raise ValueError(f"{request.seeds} seeds do not go with {len(saved.cells)} cells")
    except (BenchError, TypeError, ValueError) as error:
        raise BenchError(f"request {saved.id} cannot be run again: {error}") from error
    return request, site
