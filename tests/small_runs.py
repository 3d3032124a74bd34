"""Small runs on the digits, opened in this process, and how each of their cells ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bench
from bench.grid.reporter import View

SMALL: dict[str, Any] = {"arch": "convnet1(width=4)", "eval_nets": 2, "profile": "smoke"}


class Counter(View):
    """Remembers how each cell ended."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str]] = []
        self.notes: list[str] = []

    def finish(self, cell, status, text, seconds):
        self.ended.append((cell.title, status))

    def note(self, text):
        self.notes.append(text)

    def count(self, status: str) -> int:
        return sum(s == status for _, s in self.ended)


def go(store: Path, data_dir: Path, method: str | list[str], ipc: Any = 1, **more: Any):
    view = Counter()
    frame = bench.run(
        method, "digits", ipc, store=store, data_dir=data_dir, view=view, **{**SMALL, **more}
    )
    return frame, view


def accuracies(frame) -> dict[str, list[float]]:
    return dict(zip(frame["cell_id"], frame["accuracies"], strict=True))
