"""What runs were asked for: kept once, with what was estimated, and read warily."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.grid.expand import Request
from bench.grid.site import RunSpec
from bench.ledger.asking import rebuild_spec
from bench.ledger.requests import (
    AskedCell,
    SavedRequest,
    choose_requests,
    load_requests,
    save_request,
)
from bench.support.errors import BenchError


def saved(ipc: int = 1, seconds: float | None = None, **changes: Any) -> SavedRequest:
    spec = RunSpec(Request(["random"], ["digits"], [ipc]), "store", "data", command="bench run")
    cells = (
        AskedCell(f"d{ipc}", "distil", "random", "digits", "random", None, seconds),
        AskedCell(f"e{ipc}", "evaluate", "judged", "digits", "random", f"d{ipc}", seconds),
    )
    return replace(SavedRequest(json.loads(spec.to_json()), cells, "2026-01-01"), **changes)


def load(root: Path) -> tuple[list[SavedRequest], list[str]]:
    notes: list[str] = []
    return load_requests(root, notes.append), notes


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
    cells = [dict(vars(cell)) for cell in saved().cells]
    return {"spec": dict(saved().spec), "cells": cells, "asked": "x"}


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
    with pytest.raises(BenchError, match="keeps no requests"):
        choose_requests(tmp_path, [], print)
    save_request(tmp_path, saved(1))
    save_request(tmp_path, saved(2))
    assert len(choose_requests(tmp_path, [], print)) == 2
    assert [s.id for s in choose_requests(tmp_path, [saved(2).id[:6]], print)] == [saved(2).id]
    with pytest.raises(BenchError, match=r"starts with 'zz'. Known: "):
        choose_requests(tmp_path, ["zz"], print)


def test_a_request_is_rebuilt_without_its_plugins() -> None:
    asked = saved(spec={**saved().spec, "plugins": ["/evil.py"], "threads": 2})
    spec = rebuild_spec(asked, store="here")
    assert (spec.store, spec.plugins, spec.threads) == ("here", (), 2)
    assert spec.request == Request(
        **{**saved().spec["request"], "methods": ["random"], "datasets": ["digits"]}
    )
    assert rebuild_spec(asked, plugins=("mine.py",)).plugins == ("mine.py",)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("seeds", 10**12, "seeds"),
        ("seeds", "2", "seeds"),
        ("methods", "random", "methods"),
        ("archs", [3], "archs"),
        ("ipcs", [1.5], "ipcs"),
        ("overrides", {"dm": 3}, "overrides"),
        ("unheard", 3, "unheard"),
    ],
)
def test_what_no_run_leaves_is_refused(field: str, value: Any, words: str) -> None:
    request = {**saved().spec["request"], field: value}
    with pytest.raises(BenchError, match=f"cannot be asked again: .*{words}"):
        rebuild_spec(saved(spec={**saved().spec, "request": request}))


@pytest.mark.parametrize(
    ("field", "value"),
    [("checkpoint_every", -1), ("checkpoint_every", "x"), ("threads", "all"), ("device", None),
     ("deterministic", 1), ("store", 3), ("new", 1)],
)  # fmt: skip
def test_surroundings_that_no_run_leaves_are_refused(field: str, value: Any) -> None:
    with pytest.raises(BenchError, match="cannot be asked again"):
        rebuild_spec(saved(spec={**saved().spec, field: value}))
