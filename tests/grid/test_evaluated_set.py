"""An evaluation's record vouches for the set that was evaluated, not for one that came later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from record_builders import record
from run_digits import run_digits

from bench.grid import outcome
from bench.ledger.store import Store


def test_a_set_that_is_computed_again_meanwhile_is_not_taken_for_the_evaluated_one(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, evaluate = Store(tmp_path / "store"), outcome.evaluate
    loaded: list[str] = []

    def while_another_process_replaces_it(distilled: Any, *args: Any, **options: Any) -> Any:
        made = store.read(distilled.provenance["id"])
        assert made is not None
        data = made.to_json()
        loaded.append(data["result"]["artefact_sha256"])
        result = {**data["result"], "artefact_sha256": "ff" * 32}
        cost = {**data["cost"], "total_seconds": 1e6}
        store.write(record({**data, "result": result, "cost": cost}))
        return evaluate(distilled, *args, **options)

    monkeypatch.setattr(outcome, "evaluate", while_another_process_replaces_it)
    frame, _ = run_digits(tmp_path / "store", data_dir, "random", 1)
    (row,) = frame.to_dict("records")
    evaluated = store.read(row["cell_id"])
    assert evaluated is not None
    assert evaluated.to_json()["result"]["artefact_sha256"] == loaded[0]
    assert evaluated.to_json()["cost"]["distil_seconds"] < 1e6
