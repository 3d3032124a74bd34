"""A saved request as a run again: what the store kept, checked like anything from a file."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import msgspec

from bench.grid.site import RunSpec
from bench.ledger.requests import SavedRequest
from bench.support.errors import BenchError


def rebuild_spec(saved: SavedRequest, **changes: Any) -> RunSpec:
    """Return the run that a request was saved from, with other surroundings where they are given.

    The plugins of that run are left out: a store that somebody sent must not say which files to
    run.

    Args:
        saved: the request.
        changes: fields of :class:`RunSpec` to set.

    Raises:
        BenchError: it is of another version of bench, or not what a run leaves.
    """
    try:
        spec = RunSpec.from_json(json.dumps({**saved.spec, "plugins": (), **changes}))
        msgspec.convert(asdict(spec), RunSpec)  # raises where a field has another type
        if spec.checkpoint_every < 0:
            raise ValueError("checkpoint_every is below 0")
        if spec.request.seeds > len(saved.cells):  # each seed has at least one cell of its own
            raise ValueError(f"{spec.request.seeds} seeds do not go with {len(saved.cells)} cells")
    except (BenchError, TypeError, ValueError) as error:
        raise BenchError(f"request {saved.id} cannot be run again: {error}") from error
    return spec
