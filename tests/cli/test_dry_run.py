"""A dry run takes a bounded time from its start, and ends without collecting garbage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.cli import dry_run
from bench.grid import estimator
from bench.grid.request import Request
from bench.grid.session import Session, open_session
from bench.grid.site import Site


@pytest.mark.parametrize(
    ("ago", "seconds"),
    [
        (0.0, estimator.SECONDS),
        (6.0, dry_run.END_SECONDS - 6),
        (100.0, dry_run.LEAST_SECONDS),
    ],
    ids=["at once", "torch loaded slowly", "torch loaded very slowly"],
)
def test_estimates_have_the_time_that_loading_left(
    tmp_path: Path, data_dir: Path, monkeypatch, ago: float, seconds: float
) -> None:
    given: list[float | None] = []

    def estimate(_session: Session, _missing: object, seconds: float | None) -> dict[str, object]:
        given.append(seconds)
        return {}

    monkeypatch.setattr(Session, "estimate", estimate)
    monkeypatch.setattr(dry_run, "time", SimpleNamespace(perf_counter=lambda: 1000.0))
    request = Request(
        methods=["random"], datasets=["digits"], ipcs=[1], archs=["convnet1(width=4)"]
    )
    session = open_session(request, Site(str(tmp_path), str(data_dir), "cpu"))
    dry_run.print_plan(session, (), started=1000.0 - ago, as_json=True, keeps=False)
    assert given == [seconds]


def test_no_garbage_is_collected_at_the_end() -> None:
    script = (
        "import gc; gc.freeze = lambda: print('frozen')\n"
        "from bench.cli import main; main(['--version'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "frozen"
