"""Cells that another run is computing are waited for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest
from processes.python_process import needs_proc, python_process
from recording_reporter import RecordingReporter
from run_digits import SMALL, accuracies, run_digits

import bench
from bench.executors.local.executor import LocalExecutor
from bench.grid import waiting
from bench.grid.runner import Execute
from bench.ledger.lock import cell_lock
from bench.support.stopping import Interrupted, Stop

HOLD = (
    "from pathlib import Path\n"
    "from bench.ledger.lock import cell_lock\n"
    "with cell_lock(Path(sys.argv[1])) as held:\n"
    "    assert held; print(held, flush=True); sys.stdin.read()\n"
)


class WhenWaiting(RecordingReporter):
    """Does something as soon as a run says that it waits."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__()
        self.action = action

    def note(self, text: str) -> None:
        super().note(text)
        if text.startswith("waiting for "):
            self.action()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.01)


@pytest.fixture
def whole(tmp_path: Path, data_dir: Path) -> pd.DataFrame:
    """What a run gives that is not disturbed; its store is ``a``."""
    return run_digits(tmp_path / "a", data_dir, "random", [1, 2])[0]


@pytest.fixture
def lock() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def run(
    store: Path, data_dir: Path, view: RecordingReporter, execute: Execute | None = None
) -> pd.DataFrame:
    return bench.run(
        "random", "digits", [1, 2], store=store, data_dir=data_dir, reporter=view,
        execute=execute, **SMALL,
    )  # fmt: skip


def cells_of(whole: pd.DataFrame) -> tuple[str, str]:
    """Return the distilled set and the evaluation of the first row."""
    return whole["distil_id"][0], whole["cell_id"][0]


@pytest.mark.parametrize("which", [0, 1], ids=["distillation", "evaluation"])
def test_the_result_of_the_other_is_used(
    which: int, whole, lock, tmp_path: Path, data_dir: Path
) -> None:
    held = cells_of(whole)[which]
    store = tmp_path / "b"

    def finish_elsewhere() -> None:
        shutil.copytree(tmp_path / "a" / "cells" / held, store / "cells" / held, dirs_exist_ok=True)
        lock.close()

    assert lock.enter_context(cell_lock(store / "cells" / held))
    view = WhenWaiting(finish_elsewhere)
    assert accuracies(run(store, data_dir, view)) == accuracies(whole)
    assert view.ended[held] == ("cached", "")
    assert (view.count("ok"), view.count("busy")) == (3, 0)
    assert len(view.notes) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_what_the_other_gives_up_is_taken_over(
    workers: int, whole, lock, tmp_path: Path, data_dir: Path
) -> None:
    held = cells_of(whole)[0]
    assert lock.enter_context(cell_lock(tmp_path / "b" / "cells" / held))
    view = WhenWaiting(lock.close)
    frame = run(tmp_path / "b", data_dir, view, LocalExecutor(workers))
    assert accuracies(frame) == accuracies(whole)
    assert view.count("ok") == 4


@needs_proc
def test_what_the_other_died_over_is_taken_over(whole, tmp_path: Path, data_dir: Path) -> None:
    held = tmp_path / "b" / "cells" / cells_of(whole)[1]
    with python_process(HOLD, held) as other:
        view = WhenWaiting(other.kill)
        assert accuracies(run(tmp_path / "b", data_dir, view)) == accuracies(whole)
    assert view.count("ok") == 4
    assert f"process {other.pid}" in view.notes[0]


def test_a_stop_ends_the_waiting(whole, lock, tmp_path: Path, data_dir: Path, monkeypatch) -> None:
    stop = Stop()
    monkeypatch.setattr("bench.api.Stop", lambda _: stop)
    held = tmp_path / "b" / "cells" / cells_of(whole)[0]
    assert lock.enter_context(cell_lock(held))
    view = WhenWaiting(lambda: stop.request("SIGINT", 130))
    with pytest.raises(Interrupted, match="SIGINT"):
        run(tmp_path / "b", data_dir, view)


def test_a_spent_budget_ends_the_waiting(whole, lock, tmp_path: Path, data_dir: Path) -> None:
    held = tmp_path / "b" / "cells" / cells_of(whole)[0]
    assert lock.enter_context(cell_lock(held))
    frame, view = run_digits(tmp_path / "b", data_dir, "random", [1, 2], time_budget=3)
    assert len(frame) <= 1
    assert "the time budget is spent" in view.notes[-1]


def test_one_that_is_locked_whenever_it_is_tried_is_left_at_last(
    toys, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run has to wait for it, too: no holder is seen, and neither run gets on."""
    monkeypatch.setattr("bench.grid.compute.cell_lock", _never)
    frame, view = run_digits(tmp_path, data_dir, "random", 1)
    assert len(frame) == 0
    assert view.count("busy") == 2


class _never:  # noqa: N801
    def __init__(self, folder: Path) -> None:
        pass

    def __enter__(self) -> bool:
        return False

    def __exit__(self, *error: object) -> None:
        pass
