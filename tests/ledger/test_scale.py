"""A store of ten thousand cells: read whole, and what it costs a cell. Prints, asserts no time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from large_store import cells, fill

from bench.ledger.lock import cell_lock
from bench.ledger.record import Record
from bench.ledger.requests import RequestedCell, SavedRequest, save_request
from bench.ledger.store import Store

MEASURED = 200

CALL = """
import sys, time
start = time.perf_counter()
from bench.cli import main
try:
    main(sys.argv[1:])
finally:
    print(time.perf_counter() - start, file=sys.stderr)
    print(open("/proc/self/schedstat").read().split()[1], file=sys.stderr)
"""


def waited() -> float:
    """Return for how many seconds this thread was ready to run while others ran (Linux)."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def bench(*arguments: str) -> tuple[str, str]:
    """Run a command in a process of its own; return what it printed and how long it took."""
    command = [sys.executable, "-c", CALL, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, queue = map(float, done.stderr.split()[-2:])
    return done.stdout, f"{wall:.2f} s, {wall - queue / 1e9:.2f} s without waiting for others"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="measured on Linux only")
def test_ten_thousand_cells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = cells(2000)
    assert len({each.id for each in records}) == 10_000
    fill(tmp_path, records)
    asked = tuple(
        RequestedCell(r.id, r.kind, str(r.labels["title"]), "digits", str(r.labels["method"]),
                  r.identity.get("distil"), 5.0)
        for r in records
    )  # fmt: skip
    save_request(tmp_path, SavedRequest({"request": {}}, asked, "2026-01-01T00:00:00+00:00"))
    table, table_time = bench("table", "--store", str(tmp_path))
    status, status_time = bench("status", "--store", str(tmp_path), "--json")
    cost = cost_of_a_cell(Store(tmp_path), records)
    with capsys.disabled():
        print(f"\n10,000 cells: bench table {table_time}; bench status {status_time}")
        print(f"a cell: {cost}")
    assert "digits, evaluated with vgg11" in table
    assert "loss is nan at step 3" in table
    (request,) = json.loads(status)["requests"]
    assert (request["done"], request["failed"], request["left"]) == (9800, 200, 0)


def cost_of_a_cell(store: Store, records: list[Record]) -> str:
    """Do what the store does for a cell, of a store that is full; return the milliseconds."""
    spent: dict[str, float] = {}
    before = waited()
    for i, each in enumerate(records[:MEASURED]):
        new = replace(each, id=f"{i:020x}")
        marks = [time.perf_counter()]
        assert store.read(new.id) is None
        marks.append(time.perf_counter())
        with cell_lock(store.folder(new.id)) as held:
            assert held
            marks.append(time.perf_counter())
            store.write_request(new.id, new.identity)
            marks.append(time.perf_counter())
            store.write(new)
            marks.append(time.perf_counter())
        marks.append(time.perf_counter())
        assert store.read(new.id) == new
        marks.append(time.perf_counter())
        for name, start, end in zip(
            ("look", "lock", "request", "record", "release", "read"), marks, marks[1:], strict=False
        ):
            spent[name] = spent.get(name, 0.0) + 1000 * (end - start) / MEASURED
    parts = ", ".join(f"{name} {value:.2f}" for name, value in spent.items())
    total = sum(spent.values())
    alone = total - 1000 * (waited() - before) / MEASURED
    return f"{total:.2f} ms ({parts}), {alone:.2f} ms without waiting for others"
