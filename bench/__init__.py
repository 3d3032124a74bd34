"""bench: a fair, fast and reproducible benchmark of dataset distillation methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "BenchError", "EveryCellFailedError", "__version__", "distil", "evaluate", "load",
    "load_dataset", "run",
]  # fmt: skip

if TYPE_CHECKING:
    from bench.api import EveryCellFailedError, distil, evaluate, load, load_dataset, run
    from bench.support.errors import BenchError


def __getattr__(name: str) -> Any:
    # Lazy, so that `bench --help` and `bench table` start without torch.
    if name == "BenchError":
        from bench.support.errors import BenchError

        return BenchError
    if name in __all__:
        from bench import api

        return getattr(api, name)
    raise AttributeError(f"module 'bench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
