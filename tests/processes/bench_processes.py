"""``bench`` in other processes: started fresh or forked, waited for, killed, searched for."""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from processes.wait_until import PATIENCE

from bench.registry.registry import ARCHITECTURES, METHODS

TOYS = Path(__file__).parents[1] / "toy_plugin.py"
_FORK_SERVER = Path(__file__).with_name("fork_server.py")
_MARK = "BENCH_TEST_MARK"


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (minus the signal's number) and what it wrote."""

    code: int
    out: str
    err: str


class BenchProcess:
    """A running ``bench``.

    Args:
        pid: its number.
        out: the file of its standard output; its standard error goes beside it.
        reap: waits for its end and returns the exit code.
    """

    def __init__(self, pid: int, out: Path, reap: Callable[[], int]) -> None:
        self.pid, self._out, self._reap = pid, out, reap
        self._end = os.pidfd_open(pid)
        self._ended: Ended | None = None

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def ends_within(self, seconds: float) -> bool:
        return bool(select.select([self._end], [], [], max(0.0, seconds))[0])

    def until(self, happens: Callable[[], object]) -> None:
        """Wait until something has happened that this process does before it ends."""
        end = time.monotonic() + PATIENCE
        while not happens():
            assert time.monotonic() < end, self.err
            assert not self.ends_within(0.005) or happens(), self.err

    def kill(self) -> Ended:
        """End it by SIGKILL, if it has not ended by itself."""
        if self._ended is None:
            self.send(signal.SIGKILL)
        return self.wait()

    def wait(self, seconds: float = PATIENCE) -> Ended:
        """Wait for its end; kill it and fail if it takes longer than ``seconds``."""
        if self._ended is not None:
            return self._ended
        if not self.ends_within(seconds):
            self.send(signal.SIGKILL)
            self._reap()
            raise AssertionError(f"still running after {seconds} s: {self.err}")
        os.close(self._end)
        self._ended = Ended(self._reap(), self._out.read_text(), self.err)
        return self._ended

    @property
    def err(self) -> str:
        return self._out.with_suffix(".err").read_text()


class BenchProcesses:
    """Starts ``bench`` processes.

    Args:
        folder: for what they write to their standard streams.
        data: the folder of packed datasets.
    """

    def __init__(self, folder: Path, data: Path) -> None:
        self._folder, self._data, self._count = folder, data, 0
        self._mark = f"{_MARK}={secrets.token_hex(8)}"
        # Each test says where toys log.
        outer = {name: value for name, value in os.environ.items() if name != "TOY_FOLDER"}
        self._env = {
            **outer, **dict([self._mark.split("=")]), "OMP_NUM_THREADS": "1", "NO_COLOR": "1",
            "COLUMNS": "200",
        }  # fmt: skip
        self._fork_server = subprocess.Popen(
            [sys.executable, str(_FORK_SERVER)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._env,
        )  # fmt: skip

    def __enter__(self) -> BenchProcesses:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._fork_server.communicate()

    def start(
        self,
        *arguments: str,
        fresh: bool = False,
        memory: int | None = None,
        **env: str,
    ) -> BenchProcess:
        """Start ``bench ARGUMENTS``.

        Args:
            arguments: after ``bench``.
            fresh: as a new Python; else forked.
            memory: bytes of address space that a forked one may use.
            env: environment variables on top.
        """
        self._count += 1
        out = self._folder / f"{self._count}.out"
        out.touch()
        if fresh:
            with out.open("ab") as o, out.with_suffix(".err").open("ab") as e:
                process = subprocess.Popen(
                    [sys.executable, "-m", "bench", *arguments],
                    stdin=subprocess.DEVNULL, stdout=o, stderr=e, env={**self._env, **env},
                )  # fmt: skip
            return BenchProcess(process.pid, out, process.wait)
        err = out.with_suffix(".err")
        err.touch()
        request = {"arguments": arguments, "out": str(out), "err": str(err), "env": env}
        pid = self._ask({**request, "memory": memory})
        return BenchProcess(pid, out, lambda: self._ask({"wait": pid}))

    def run(self, *arguments: str, **more: object) -> Ended:
        """Start ``bench ARGUMENTS`` and wait for its end."""
        return self.start(*arguments, **more).wait()  # type: ignore[arg-type]

    def grid(self, store: Path, method: str, *more: str) -> list[str]:
        """Return the arguments of a small run; a later option takes the place of an earlier."""
        return [
            "run", "--method", method, "--dataset", "digits", "--ipc", "1", "--profile", "smoke",
            "--arch", "convnet1(width=4)", "--device", "cpu", "--plugin", str(TOYS),
            "--data-dir", str(self._data), "--store", str(store), *more,
        ]  # fmt: skip

    def alive(self) -> dict[int, str]:
        """Return the commands of all processes that descend from here, without the fork server."""
        alive = dict(_processes(self._mark.encode()))
        alive.pop(self._fork_server.pid, None)
        return alive

    def _ask(self, request: Mapping[str, object]) -> int:
        assert self._fork_server.stdin is not None
        assert self._fork_server.stdout is not None
        self._fork_server.stdin.write(json.dumps(request) + "\n")
        self._fork_server.stdin.flush()
        return int(self._fork_server.stdout.readline())


def unregister_toys() -> None:
    """Remove what loading ``toy_plugin.py`` into this process has registered."""
    for registry in (METHODS, ARCHITECTURES):
        for name in registry.names():
            if name.startswith("toy-"):
                registry.unregister(name)


def _processes(variable: bytes) -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if variable in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes()
                yield int(folder.name), command.replace(b"\0", b" ").decode()
        except OSError:  # it has just ended, or belongs to another user
            continue
