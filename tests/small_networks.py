"""Architectures with few channels, for tests that train them."""

from __future__ import annotations

from bench.networks.architecture import parse_architecture


def small_architecture(name: str) -> str:
    """Write an architecture with few channels: as many as it needs to learn anything."""
    params, few = parse_architecture(name)[0].Params.__dataclass_fields__, 4
    if name == "vit":
        few = 16
    given = [f"{key}={few}" for key in ("width", "growth") if key in params]
    return f"{name}({','.join(given)})" if given else name
