"""Absolute paths, which name users and machines, are left out of a store that is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from bench.ledger.requests import SavedRequest

# An absolute path with at least one folder: what stands before its last part is left out.
_PATH = re.compile(r"(?<![\w./~:])(?:~[\w.-]*)?/(?:[^\s'\"=,:;()/]+/)+(?=[^\s'\"=,:;()/])")
# Fields of a site that hold paths of the machine of the run.
_SITE_PATHS = ("store", "data_dir", "plugins")


def without_paths(text: str) -> str:
    """Return a text with the last part of each absolute path in place of the whole of it."""
    return _PATH.sub("", text)


def request_without_paths(request: SavedRequest) -> SavedRequest:
    """Return a request that says nothing of the machine it was made on."""
    spec = {name: value for name, value in request.spec.items() if name not in _SITE_PATHS}
    if isinstance(spec.get("command"), str):
        spec["command"] = without_paths(spec["command"])
    return msgspec.structs.replace(request, spec=spec)


def environment_without_paths(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's environment without the paths in its command line."""
    values = dict(environment)
    if isinstance(values.get("command"), str):
        values["command"] = without_paths(values["command"])
    return values
