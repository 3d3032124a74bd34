"""Progress in a notebook: shown there, replaced as cells end, and nowhere else."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import bench
from bench.grid.notebook import NotebookReporter, reporter_here
from bench.grid.reporter import Reporter
from bench.ledger.cell import DistilCell, EvaluateCell

MADE = DistilCell("dm", 1, {}, "digits", "ab", 10, "convnet3", 0, "fp32", "lite")
EVALUATION = EvaluateCell(MADE, 10, "stored", "convnet3", "quick", 1, 2, "fp32")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let this process look like the kernel of a notebook; return the texts that it displays."""
    texts: list[str] = []

    def update(data: dict[str, str], *, raw: bool) -> None:
        assert raw
        texts.append(data["text/plain"])

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert display_id
        update(data, raw=raw)
        return SimpleNamespace(update=update)

    shell, displays = ModuleType("IPython"), ModuleType("IPython.display")
    shell.get_ipython = lambda: SimpleNamespace(kernel=1)  # type: ignore[attr-defined]
    displays.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    return texts


@pytest.mark.usefixtures("shown")
def test_only_a_notebook_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(reporter_here()) is NotebookReporter
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    assert type(reporter_here()) is Reporter
    monkeypatch.delitem(sys.modules, "IPython")
    assert type(reporter_here()) is Reporter


def test_it_names_what_runs_and_ends_with_a_count(
    shown: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    view = NotebookReporter()
    view.begin([MADE, EVALUATION], {MADE.id: 10.0, EVALUATION.id: 50.0})
    assert shown == ["0/2 cells, time left 60 s"]
    view.start(MADE)
    for step in range(1, 100):  # a thousand messages a second would stop a browser
        now[0] += 0.01
        view.progress(MADE, step, 100, "steps", {"loss": 1.5})
    assert len(shown) == 2
    assert "dm on digits ipc 10 seed 0: 50/100 steps  loss 1.5" in shown[-1]
    view.finish(MADE, "failed", "the loss is nan", 1.0)
    view.note("--keep-cached keeps them\x1b[2J")
    view.end()
    assert shown[-1].startswith("1/2 cells in ")
    assert shown[-1].endswith("1 failed")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{MADE.title}: failed: the loss is nan"
    assert lines[1].startswith("keep_cached keeps them")
    assert "\x1b" not in lines[1]


def test_a_run_shows_it(shown: list[str], tmp_path: Any, data_dir: Any) -> None:
    bench.run("random", "digits", 1, arch="mlp", eval_nets=1, profile="smoke",
              store=tmp_path, data_dir=data_dir)  # fmt: skip
    assert shown[0].startswith("0/2 cells")
    assert shown[-1].startswith("2/2 cells in ")
    assert shown[-1].endswith(": 2 ok")


def test_a_real_kernel_shows_it(
    tmp_path: Any, data_dir: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ipykernel and nbclient, where they are installed."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    code = (
        "import bench\nframe = bench.run('random', 'digits', 1, arch='mlp', eval_nets=1, "
        f"profile='smoke', store={str(tmp_path / 'runs')!r}, data_dir={str(data_dir)!r})"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output["data"]["text/plain"].endswith(": 2 ok")
