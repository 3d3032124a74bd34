"""bench: a fair, fast and reproducible benchmark of dataset distillation methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "distil", "evaluate", "load", "load_dataset", "run"]

if TYPE_CHECKING:
    from bench.api import distil, evaluate, load, load_dataset, run


def __getattr__(name: str) -> Any:
    # Lazy, so that `bench --help` and `bench table` start without torch.
    if name in __all__:
        from bench import api

        return getattr(api, name)
    raise AttributeError(f"module 'bench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
