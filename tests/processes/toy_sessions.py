"""Runs of the toys: opened here, or started as ``bench run`` in a process of their own."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

from processes.wait_until import PATIENCE, wait_until
from recording_reporter import RecordingReporter
from store_contents import read_results

from bench.grid.expand import Request
from bench.grid.reporter import Control
from bench.grid.session import Session, open_session
from bench.grid.site import Site
from bench.support.stopping import Stop

TOYS = Path(__file__).parents[1] / "executors/toy_methods.py"
ARCH = "convnet1(width=4)"


class ToyRuns:
    """Opens and starts runs of toys that share a data folder and a folder of toys.

    Args:
        folder: for stores.
        data_dir: packed datasets.
        toys: ``TOY_FOLDER``.
    """

    def __init__(self, folder: Path, data_dir: Path, toys: Path) -> None:
        self.folder, self.data_dir, self.toys = folder, data_dir, toys
        self.mark = secrets.token_hex(8)
        self.started: list[subprocess.Popen[str]] = []
        for left in toys.iterdir():
            left.unlink()

    def open(
        self, store: str, *methods: str, stop: Stop | None = None, **more: Any
    ) -> tuple[Session, RecordingReporter]:
        """Open a run, and return what will be seen of it too."""
        settings = {"ipcs": [1], "archs": [ARCH], "eval_nets": 1, "profile": "smoke", **more}
        request = Request(methods=methods, datasets=["digits"], **settings)
        site = Site(
            str(self.folder / store), str(self.data_dir), "cpu", (str(TOYS),),
            checkpoint_every=0, threads=1,
        )  # fmt: skip
        seen = RecordingReporter()
        return open_session(request, site, Control(seen, stop or Stop(PATIENCE))), seen

    def start(self, store: str, *methods: str, **options: str) -> subprocess.Popen[str]:
        """Start ``bench run``, with what it says on a pipe."""
        given = {
            "method": ",".join(methods), "dataset": "digits", "ipc": "1", "arch": ARCH,
            "eval-nets": "1", "profile": "smoke", "plugin": str(TOYS), "device": "cpu",
            "checkpoint-every": "0", "threads": "1", "data-dir": str(self.data_dir),
            "store": str(self.folder / store), **options,
        }  # fmt: skip
        arguments = [part for k, v in given.items() for part in ("--" + k.replace("_", "-"), v)]
        run = subprocess.Popen(
            [sys.executable, "-m", "bench", "run", *arguments], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "TOY_MARK": self.mark, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self.started.append(run)
        return run

    def close(self) -> None:
        """End what a test that failed has left."""
        self.release()
        for run in self.started:
            with run:
                run.kill()

    def pause(self, seconds: float) -> None:
        """Let every step take so long from now on."""
        written = self.toys / "pause.new"
        written.write_text(str(seconds))
        written.replace(self.toys / "pause")

    def hold(self, step: int) -> None:
        """Let this step of every cell last until :meth:`release`."""
        (self.toys / f"hold-{step}").touch()

    def release(self) -> None:
        for held in self.toys.glob("hold-*"):
            held.unlink()

    def release_once_told(self) -> None:
        """Let a held step end after its process was told to stop."""
        wait_until("a process is told to end", self.told)
        self.release()

    def told(self) -> set[str]:
        """Return the processes that were told to stop in a held step."""
        return {p.name.split("-")[-1] for p in self.toys.glob("told-*")}

    def steps(self) -> list[tuple[str, int]]:
        """Return the steps that were begun, as ``method-ipc`` and number, by every process."""
        found = (re.fullmatch(r"step-(.+)-(\d+)-\d+", p.name) for p in self.toys.iterdir())
        return sorted((m[1], int(m[2])) for m in found if m)

    def workers(self) -> set[str]:
        """Return the processes that have begun a step."""
        return {p.name.split("-")[-1] for p in self.toys.glob("step-*")}

    def processes(self) -> list[int]:
        """Return the processes that descend from what :meth:`start` started, and run."""
        wanted, found = f"TOY_MARK={self.mark}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:  # ended by now
                continue
            if wanted in variables:
                found.append(int(folder.name))
        return found

    def locks(self, store: str) -> list[Path]:
        return list((self.folder / store).rglob("lock"))


def assert_goes_on(toys: ToyRuns, store: str) -> None:
    """Nothing of a run is left but what it did, and the rest of it ends as if it had gone on."""
    wait_until("all processes have ended", lambda: not toys.processes())
    assert not toys.locks(store)
    assert list((toys.folder / store).rglob("checkpoint.safetensors"))
    assert len(toys.steps()) < 4
    toys.pause(0)
    rest, _ = toys.open(store, "toy-walks")
    rest.run()
    assert toys.steps() == [("toy-walks-1", i) for i in range(4)], "each step is done once"
    here, _ = toys.open("here", "toy-walks")
    here.run()
    assert read_results(toys.folder / store) == read_results(toys.folder / "here")
