"""A cell in another process: what that process cannot use, it names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from processes.toy_runs import ToyRuns

from bench.executors.remote_cell import run_cell
from bench.grid.reporter import Reporter
from bench.ledger.cell_json import cell_to_json
from bench.support.errors import BenchError
from bench.support.stopping import Stop


def test_a_store_that_is_not_there_is_named_and_not_made(toys: ToyRuns, tmp_path: Path) -> None:
    session, _ = toys.open("store", "toy-drift")
    site = replace(session.runner.site.site, store=str(tmp_path / "elsewhere"))
    with pytest.raises(BenchError, match=r"cannot see the store '.*elsewhere': .* share"):
        run_cell(site, cell_to_json(session.grid.distil[0]), Reporter(), Stop())
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("change", [{"colour": "red"}, {"kind": "sort"}])
def test_a_cell_of_other_code_is_refused(change: dict[str, Any], toys: ToyRuns) -> None:
    session, _ = toys.open("store", "toy-drift")
    session.runner.store.prepare()
    values = {**cell_to_json(session.grid.distil[0]), **change}
    with pytest.raises(BenchError, match=r"cannot read the cell .* its code differs"):
        run_cell(session.runner.site.site, values, Reporter(), Stop())
