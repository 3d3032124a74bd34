"""What runs were asked for: kept once, with what was estimated, and read warily."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.ledger.cell import DistilCell, EvaluateCell
from bench.ledger.requests import (
    RequestedCell,
    SavedRequest,
    choose_requests,
    load_requests,
    make_request,
    save_request,
)
from bench.support.errors import BenchError


def saved(ipc: int = 1, seconds: float | None = None, **changes: Any) -> SavedRequest:
    spec = {"request": {"methods": ["random"], "ipcs": [ipc]}, "command": "bench run"}
    cells = (
        RequestedCell(f"d{ipc}", "distil", "random", "digits", "random", None, seconds),
        RequestedCell(f"e{ipc}", "evaluate", "evaluated", "digits", "random", f"d{ipc}", seconds),
    )
    return msgspec.structs.replace(SavedRequest(spec, cells, "2026-01-01"), **changes)


def load(root: Path) -> tuple[list[SavedRequest], list[str]]:
    notes: list[str] = []
    return load_requests(root, notes.append), notes


def test_a_request_names_its_cells_in_order() -> None:
    distil = DistilCell("dm", 1, {}, "digits", "ab" * 32, 1, None, 0, "fp32", "lite")
    evaluate = EvaluateCell(distil, 1, "stored", "mlp", "quick", 1, 2, "fp32")
    made = make_request(saved().spec, [distil, evaluate], {evaluate.id: 2.5})
    assert made.id == make_request(saved().spec, [evaluate, distil], {}).id != saved().id
    assert [cell.id for cell in made.cells] == [distil.id, evaluate.id]
    assert [cell.kind for cell in made.cells] == ["distil", "evaluate"]
    assert [cell.title for cell in made.cells] == [distil.title, evaluate.title]
    assert [cell.depends_on for cell in made.cells] == [None, distil.id]
    assert [cell.seconds for cell in made.cells] == [None, 2.5]
    assert {(cell.dataset, cell.method) for cell in made.cells} == {("digits", "dm")}


def test_what_is_saved_is_loaded_the_latest_last(tmp_path: Path) -> None:
    first, second = saved(1, asked="2026-01-02"), saved(2, 3.5)
    save_request(tmp_path, first)
    save_request(tmp_path, second)
    assert load(tmp_path) == ([second, first], [])
    assert load(tmp_path / "elsewhere") == ([], [])


def test_asked_again_it_is_one_and_keeps_its_estimates(tmp_path: Path) -> None:
    save_request(tmp_path, saved(1, 7.0))
    again = saved(1, asked="2026-02-02", spec={**saved(1).spec, "data_dir": "/elsewhere"})
    save_request(tmp_path, again)
    ((found,), _) = load(tmp_path)
    assert found.asked == "2026-02-02"
    assert found.spec["data_dir"] == "/elsewhere"
    assert [cell.seconds for cell in found.cells] == [7.0, 7.0]
    save_request(tmp_path, saved(1, 5.0))
    assert [c.seconds for c in load(tmp_path)[0][0].cells] == [5.0, 5.0]


def good() -> Any:
    return msgspec.to_builtins(saved())


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: [],
        lambda d: {**d, "spec": 3},
        lambda d: {**d, "spec": {}},
        lambda d: {**d, "cells": {}},
        lambda d: {**d, "asked": None},
        lambda d: {**d, "cells": [3]},
        lambda d: {**d, "cells": [{}]},
        lambda d: {**d, "cells": [{**d["cells"][0], "id": "../x"}]},
        lambda d: {**d, "cells": [{**d["cells"][0], "rests_on": "a/b"}]},
        lambda d: {**d, "cells": [{**d["cells"][0], "title": 3}]},
        lambda d: {**d, "cells": [{**d["cells"][0], "seconds": -1}]},
        lambda d: {**d, "cells": [{**d["cells"][0], "seconds": True}]},
        lambda d: {**d, "cells": [{**d["cells"][0], "extra": 1}]},
        lambda d: {**d, "cells": [{k: v for k, v in d["cells"][0].items() if k != "seconds"}]},
    ],
)
def test_what_is_no_request_is_told_and_left_out(tmp_path: Path, damage: Any) -> None:
    folder = tmp_path / "requests"
    folder.mkdir()
    (folder / "good.json").write_text(json.dumps(good()))
    (folder / "bad.json").write_text(json.dumps(damage(good())))
    (folder / "worse.json").write_text("{")
    found, notes = load(tmp_path)
    assert len(found) == 1
    assert [("bad.json" in line, "worse.json" in line) for line in notes] == [
        (True, False), (False, True)
    ]  # fmt: skip


def test_requests_are_chosen_by_how_their_ids_begin(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="holds no requests"):
        choose_requests(tmp_path, [], print)
    save_request(tmp_path, saved(1))
    save_request(tmp_path, saved(2))
    assert len(choose_requests(tmp_path, [], print)) == 2
    assert [s.id for s in choose_requests(tmp_path, [saved(2).id[:6]], print)] == [saved(2).id]
    with pytest.raises(BenchError, match=r"starts with 'zz'. Known: "):
        choose_requests(tmp_path, ["zz"], print)
