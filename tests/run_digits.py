"""Small runs on the digits in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from recording_reporter import RecordingReporter

import bench
from bench.api import EveryCellFailedError
from bench.ledger.frames import evaluation_frame

SMALL: dict[str, Any] = {"arch": "convnet1(width=4)", "eval_nets": 2, "profile": "smoke"}


def run_digits(
    store: Path, data_dir: Path, method: str | list[str], ipc: Any = 1, **more: Any
) -> tuple[pd.DataFrame, RecordingReporter]:
    """Run a small grid; return its results, none if every cell failed, and what was reported."""
    reporter = RecordingReporter()
    try:
        frame = bench.run(
            method,
            "digits",
            ipc,
            store=store,
            data_dir=data_dir,
            reporter=reporter,
            **{**SMALL, **more},
        )
    except EveryCellFailedError:
        frame = evaluation_frame([])
    return frame, reporter


def accuracies(frame: pd.DataFrame) -> dict[str, list[float]]:
    """Return the accuracies by cell id."""
    return dict(zip(frame["cell_id"], frame["accuracies"], strict=True))
