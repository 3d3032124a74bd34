"""``bench status``, ``clean``, ``merge``, ``verify`` and ``env`` as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from record_builders import distil_json, evaluate_json, failed_json, hashed

from bench.cli import main
from bench.ledger.lock import cell_lock
from bench.ledger.requests import RequestedCell, SavedRequest, save_request
from bench.ledger.store import Store


def bench(*arguments: str | Path, **more: Any) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], env={"COLUMNS": "100"}, **more)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two distilled sets, one evaluated; one cell that failed, one that was interrupted."""
    made = Store(tmp_path / "store")
    done, other = hashed(distil_json()), hashed(distil_json(), seed=1)
    evaluated = hashed(evaluate_json(distil=done.id))
    failed = hashed({**failed_json(), "reason": "boom \x1b[31m"}, distil=other.id)
    for record in (done, other, evaluated, failed):
        made.write(record)
    for cell in (done, other):
        made.artefact(cell.id).write_bytes(b"x")
    made.write_request("interrupted", {"kind": "distil", "method": "dim", "dataset": "svhn"})
    cells = (
        RequestedCell(done.id, "distil", "make", "digits", "dm", None, 5.0),
        RequestedCell(evaluated.id, "evaluate", "evaluate it", "digits", "dm", done.id, 4.0),
        RequestedCell(failed.id, "evaluate", "fail", "digits", "dm", done.id, 4.0),
        RequestedCell("left", "evaluate", "later", "digits", "dm", done.id, 7200.0),
    )
    spec = {"request": {}, "command": "bench run -m dm"}
    save_request(made.root, SavedRequest(spec, cells, "2026-01-01T00:00:00+00:00"))
    return made


def test_status_on_a_screen(store: Store) -> None:
    with cell_lock(store.folder("running")):
        result = bench("status", "--store", store.root)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    for words in (
        "digits dm 3 1", "svhn dim", "Running", "process", "Failed 1 cell: boom \\x1b[31m",
        "Interrupted dim on svhn (interrupted); no checkpoint", "bench run -m dm",
        "2 of 4 cells done, 1 failed, 1 left; about 2 h 00 min of computing left", "bench retry",
    ):  # fmt: skip
        assert words in text, result.output
    assert "\x1b" not in result.output
    assert max(map(len, result.output.splitlines())) <= 100


@pytest.mark.parametrize("width", [40, 60, 80])
def test_status_keeps_methods_and_counts_at_every_width(store: Store, width: int) -> None:
    arguments, environment = ["status", "--store", str(store.root)], {"COLUMNS": str(width)}
    result = CliRunner().invoke(main, arguments, env=environment)
    lines = result.output.splitlines()
    assert any(line.split()[:2] == ["digits", "dm"] for line in lines), result.output
    assert "interrupted" in result.output
    assert "…" not in result.output
    assert max(map(len, lines)) <= width


def test_status_as_json(store: Store) -> None:
    found = json.loads(bench("status", "--store", store.root, "--json").stdout)
    (request,) = found["requests"]
    assert request["seconds_left"] == pytest.approx(7200)
    assert {c["state"] for c in found["cells"]} == {"failed", "interrupted"}


def test_status_names_a_few_or_all(store: Store) -> None:
    for i in range(30):
        store.write_request(f"more{i}", {"kind": "distil", "method": "gan", "dataset": "svhn"})
    few = bench("status", "--store", store.root).output
    assert "and 21 more" in few
    assert few.count("gan on svhn") < 12
    assert bench("status", "--store", store.root, "--all").output.count("gan on svhn") == 30


def answered(answer: bytes, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``bench`` in a process whose standard input is a terminal, and answer its question."""
    ours, theirs = os.openpty()
    os.write(ours, answer)
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    try:
        return subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=True)
    finally:
        os.close(theirs)
        os.close(ours)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_clean_lists_and_asks(store: Store) -> None:
    result = bench("clean", "--store", store.root)
    assert result.exit_code == 2
    assert "no terminal to ask on: use --yes" in result.stderr
    assert "cells/interrupted" in result.stdout
    assert store.folder("interrupted").exists()
    assert "nothing was removed" in answered(b"n\n", "clean", "--store", store.root).stdout
    assert store.folder("interrupted").exists()
    assert "removed 1 item" in answered(b"y\n", "clean", "--store", store.root).stdout
    assert not store.folder("interrupted").exists()
    assert "nothing to remove" in bench("clean", "--store", store.root).output


def test_clean_failed_and_artefacts(store: Store) -> None:
    result = bench("clean", "--store", store.root, "--failed", "--artefacts", "--yes")
    assert "failed cells: 1 item" in result.output
    assert "artefacts whose" not in result.output  # a cell that is left depends on them
    assert {r.status for r in store.records()} == {"ok"}


def test_merge_and_verify(store: Store, tmp_path: Path) -> None:
    new = tmp_path / "new"
    result = bench("merge", store.root, "--into", new)
    assert result.exit_code == 1  # both artefacts are not what their records say
    assert "4 copied, 1 unfinished" in result.output
    assert result.output.count("is left out: it is not what its record says") == 2
    assert bench("merge", store.root, "--store", new).output.count("left out") == 2
    result = bench("verify", "--store", new)
    assert result.exit_code == 0
    assert "4 records of their cells, 0 artefacts as written" in result.output
    assert "2 artefacts not here" in result.output
    result = bench("verify", "--store", store.root)
    assert result.exit_code == 1
    assert result.output.count("wrong: ") == 2
    assert "2 problems" in result.output


def test_merge_of_conflicts(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    evaluated = next(r for r in store.records() if r.kind == "evaluate" and r.status == "ok")
    data = evaluate_json(distil=evaluated.identity["distil"])
    data["result"]["accuracies"] = [1.0]
    other.write(hashed(data))
    result = bench("merge", other.root, "--into", store.root)
    assert result.exit_code == 1
    assert "conflict: " in result.output
    assert "61.50, 63.25 here" in result.output
    assert "1.00 there" in result.output


@pytest.mark.parametrize("command", ["status", "clean", "verify", "retry"])
def test_no_store(command: str, tmp_path: Path) -> None:
    result = bench(command, "--store", tmp_path / "absent")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert str(tmp_path / "absent") in result.stderr
    assert not (tmp_path / "absent").exists()


def test_merge_of_no_store_copies_nothing(store: Store, tmp_path: Path) -> None:
    result = bench("merge", store.root, tmp_path / "absent", "--into", tmp_path / "new")
    assert result.exit_code == 2
    assert "no store at" in result.stderr
    assert not (tmp_path / "new").exists()
    assert bench("merge", "--into", tmp_path / "new").exit_code == 2


def test_env(store: Store, tmp_path: Path) -> None:
    where = ["--store", store.root, "--data-dir", tmp_path / "data"]
    found = json.loads(bench("env", "--json", *where).stdout)
    assert found["store_cells"] == 5
    assert found["datasets"] == []
    assert found["packages"]["torch"]
    assert found["memory_bytes"] > 0
    assert found["devices"][-1]["name"] == "cpu"
    text = bench("env", *where).output
    for name in ("python", "kernels", "git commit", "usable cpus", "data folder"):
        assert name in text
    assert "no store there yet" in bench("env", "--store", tmp_path / "absent").output


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["status", "--json"], ["clean", "--yes"], ["verify"], ["merge", "MINE"]],
    ids=" ".join,
)
def test_no_torch_is_imported(arguments: list[str], store: Store, tmp_path: Path) -> None:
    arguments = [str(store.root) if a == "MINE" else a for a in arguments]
    where = ["--store", str(tmp_path / "new" if arguments[0] == "merge" else store.root)]
    code = (
        "import sys\nfrom bench.cli import main\n"
        f"try: main({arguments + where!r}, standalone_mode=False)\n"
        "except SystemExit: pass\n"
        "print('IMPORTED', {'torch', 'pandas', 'matplotlib'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "IMPORTED set()" in done.stdout, done.stdout
