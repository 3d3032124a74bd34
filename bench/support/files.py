"""Former names of :mod:`bench.support.untrusted`, until every module imports from there."""

from __future__ import annotations

from bench.support.machine import host_memory
from bench.support.untrusted import file_sha256, open_plain, read_plain
from bench.support.untrusted import open_without_links as no_link

__all__ = ["file_sha256", "host_memory", "no_link", "open_plain", "read_plain"]
