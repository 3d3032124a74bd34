"""Former name of :mod:`bench.support.untrusted`, until every module imports from there."""

from __future__ import annotations

from bench.support.untrusted import parse_json

__all__ = ["parse_json"]
