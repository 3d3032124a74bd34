"""``bench status --watch``: it shows each status, and ends when nothing is left."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from run_digits import run_digits

from bench.cli import main
from bench.cli.status_screen import WATCH_SECONDS, wait_for_store, watch_status
from bench.ledger.status import Status, read_status
from bench.ledger.store import Store


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Status:
    store = tmp_path_factory.mktemp("store")
    run_digits(store, data_dir, "random")
    return read_status(store)


def test_it_ends_when_every_request_is_finished(finished: Status) -> None:
    (request,) = finished.requests
    left = replace(request, counts=Counter({**request.counts, "left": 1}))
    looks = iter([replace(finished, requests=[left])] * 2 + [finished])
    screen, pauses = io.StringIO(), []
    console = Console(file=screen, width=100)
    watch_status(lambda: next(looks), console, everything=False, pause=pauses.append)
    assert pauses == [WATCH_SECONDS] * 2
    assert screen.getvalue().count("2 of 2 cells done") == 2
    assert "1 request finished" in screen.getvalue()


def test_a_store_that_holds_nothing_yet_is_waited_for(finished: Status) -> None:
    empty = replace(finished, counts={}, cells=[], requests=[])
    looks, pauses = iter([empty, empty, finished]), []
    console = Console(file=io.StringIO(), width=100)
    watch_status(lambda: next(looks), console, everything=False, pause=pauses.append)
    assert len(pauses) == 2


def test_a_store_that_does_not_exist_yet_is_waited_for(tmp_path: Path) -> None:
    screen, pauses = io.StringIO(), []
    root = tmp_path / "runs"

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            Store(root).prepare()

    wait_for_store(root, Console(file=screen, width=200), pause=pause)
    assert pauses == [WATCH_SECONDS] * 3
    said = f"waiting for a run to make the store '{root}'; Ctrl-C ends this\n"
    assert screen.getvalue() == said
    wait_for_store(root, Console(file=screen, width=200), pause=pause)
    assert (len(pauses), screen.getvalue()) == (3, said)


def test_a_file_is_no_store_to_wait_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wait_for_store(tmp_path / "file", Console(file=io.StringIO()), pause=pytest.fail)


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_it_needs_a_terminal(more: list[str], finished: Status) -> None:
    result = CliRunner().invoke(main, ["status", "--watch", *more, "--store", str(finished.root)])
    assert result.exit_code == 2
    assert "--watch needs a terminal" in result.output
