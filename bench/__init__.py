"""bench: a fair, fast and reproducible benchmark of dataset distillation methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "run"]

if TYPE_CHECKING:
    from bench.api import run


def __getattr__(name: str) -> Any:
    # Lazy, so that `bench --help` and `bench table` start without torch.
    if name == "run":
        from bench.api import run

        return run
    raise AttributeError(f"module 'bench' has no attribute '{name}'")
