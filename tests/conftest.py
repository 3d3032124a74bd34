"""Fixtures that many tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from processes.bench_processes import TOYS, BenchProcesses, unregister_toys

from bench.registry.plugin_files import load_plugin_file
from bench.report.plots import PLOTS

# Tests are made of tiny operations: threads would wait for each other longer than they work. So
# would those of the processes that tests start, and of numpy in the workers of pytest-xdist.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Machines that run tests are shared: how long an example takes says nothing. The gate answers a
# commit the same whenever it is asked; examples are drawn anew everywhere else.
settings.register_profile(
    "bench",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("bench")


_LONG = ("test_simulated_gpu.py", "test_frozen.py")


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that holds the packed digits."""
    from bench.datasets.library import ensure

    folder = tmp_path_factory.mktemp("data")
    ensure("digits", folder)
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Give the next test one thread again, whatever this one computed with."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_kept_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan every dry run anew: a test replaces code, which a kept plan would not notice."""
    monkeypatch.setattr("bench.grid.kept_run.read_plan", lambda _key: None)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache folder of this test's own: empty, and not made yet."""
    folder = tmp_path / "cache"
    monkeypatch.setattr("bench.support.user_cache.user_cache_path", lambda _: folder)
    return folder


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return what ``-n auto`` means: each worker takes about a gigabyte, and starts processes."""
    return max(1, min(4, os.cpu_count() or 1))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with what takes longest, and skip by name what this machine cannot run."""
    # At the end, a worker of pytest-xdist would wait for another's minute.
    items.sort(key=lambda item: item.path.name not in _LONG)
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        # /proc, and file descriptors of processes.
        if "processes" in getattr(item, "fixturenames", ()) and sys.platform != "linux":
            item.add_marker(pytest.mark.skip(reason="needs Linux"))


@pytest.fixture
def toys() -> Iterator[None]:
    """Registers the toys as long as the test lasts."""
    load_plugin_file(TOYS)
    yield
    unregister_toys()


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has runs in this process draw no plots, which takes longer than computing tiny cells."""
    for kind in ("accuracy", "cost"):
        monkeypatch.setitem(PLOTS, kind, lambda *_: [])


@pytest.fixture
def empty_pdfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has matplotlib write a few bytes for each PDF file: taking its fonts apart takes a second.

    For tests of plots that look at other files, or at figures.
    """
    from matplotlib.figure import Figure

    def save(figure: Figure, path: Path, **options: object) -> None:
        if path.suffix == ".pdf":
            path.write_bytes(b"%PDF-")
        else:
            save_figure(figure, path, **options)

    save_figure = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", save)


@pytest.fixture
def no_diagnostics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has generators made in this process by a run recorded without diagnostics.

    They train a network for seconds.
    """
    monkeypatch.setattr("bench.grid.outcome.diagnose", lambda *_: None)


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Iterator[BenchProcesses]:
    """Starts ``bench`` in other processes; none may be left in the end."""
    with BenchProcesses(tmp_path_factory.mktemp("streams"), data_dir) as processes:
        yield processes
        assert processes.alive() == {}
