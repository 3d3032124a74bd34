"""Fixtures for tests of executors: toys, and each executor by its name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes.bench_processes import TOYS, BenchProcesses, unregister_toys
from processes.toy_runs import ToyRuns
from processes.wait_until import wait_until

from bench.registry.plugin_files import load_plugin_file


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the toys, the same for all tests: clusters start with its name."""
    folder = tmp_path_factory.mktemp("toys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOY_FOLDER", str(folder))
        yield folder


@pytest.fixture
def toys(
    tmp_path: Path, data_dir: Path, toy_folder: Path, processes: BenchProcesses
) -> Iterator[ToyRuns]:
    """Runs of the toys, which are registered as long as the test lasts."""
    load_plugin_file(TOYS)
    runs = ToyRuns(tmp_path, data_dir, toy_folder, processes)
    yield runs
    runs.close()
    unregister_toys()


@pytest.fixture
def beside() -> Iterator[Callable[..., None]]:
    """Gives what does something beside the test as soon as something has happened."""
    threads = []

    def when(what: str, happens: Callable[[], object], act: Callable[[], object]) -> None:
        def wait() -> None:
            wait_until(what, happens)
            act()

        threads.append(threading.Thread(target=wait))
        threads[-1].start()

    yield when
    for thread in threads:
        thread.join()


@pytest.fixture(scope="module")
def ray_here(toy_folder: Path) -> Iterator[None]:
    """A Ray with two CPUs; executors without an address use it."""
    pytest.importorskip("ray", reason="needs the ray extra")
    from bench.executors.ray.cluster import connected

    with connected(None):
        yield


@pytest.fixture(scope="module")
def slurm_here(toy_folder: Path) -> Iterator[None]:
    """A SLURM of one node."""
    from slurm_cluster import running_cluster

    with running_cluster():
        yield


@pytest.fixture
def execution(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Return what makes the executor that the test's parameter names: ``local 2``, ``ray``..."""
    name, _, workers = request.param.partition(" ")
    if name == "ray":
        request.getfixturevalue("ray_here")
        from bench.executors.ray.executor import RayExecutor

        return RayExecutor
    if name == "slurm":
        request.getfixturevalue("slurm_here")
        from bench.executors.slurm.executor import SlurmExecutor

        return lambda: SlurmExecutor(["poll=0.3"])
    from bench.executors.local.executor import LocalExecutor

    return lambda: LocalExecutor(int(workers))
