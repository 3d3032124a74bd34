"""Forks ``bench`` processes from one that has imported everything and computed nothing.

A fresh Python needs seconds of a busy core to import torch; a forked one needs none, and is a
process like any other: own number, own signals, own exit status. Its runs draw no plots and compute
no diagnostics of generators, which would take longer than tiny cells. Run as a script; requests are
lines of JSON on standard input, answers lines on standard output.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

_HEAVY = (
    "bench.api", "bench.cli.run", "bench.cli.live", "bench.cli.data", "bench.cli.table",
    "bench.grid.estimator", "bench.distillation.loop", "bench.distillation.distil",
    "bench.evaluation.evaluate", "bench.plugin", "bench.grid.outcome",
    "bench.report.tables", "bench.report.terminal", "bench.cli.report_files", "bench.ledger.frames",
    "torch._dynamo", "methods.dim", "methods.herding", "methods.random", "architectures.convnet",
    "architectures.resnet", "sklearn.datasets",
)  # fmt: skip


def main() -> None:
    for name in _HEAVY:
        importlib.import_module(name)
    sys.modules["bench.report.plots"].PLOTS.update(accuracy=_no_plots, cost=_no_plots)
    vars(sys.modules["bench.grid.outcome"]).update(diagnose=_no_diagnostics)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                os._exit(_run(**request))
        print(answer, flush=True)


def _no_plots(*_: object) -> list[Path]:
    return []


def _no_diagnostics(*_: object) -> None:
    return None


def _run(arguments: list[str], out: str, err: str, env: dict[str, str], memory: int | None) -> int:
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, out, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, err, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        os.dup2(os.open(path, flags, 0o644), number)
    os.environ.update(env)
    sys.argv = ["bench", *arguments]
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    return _exit_code(arguments)


def _exit_code(arguments: list[str]) -> int:
    from bench.cli import main as bench

    try:
        bench(arguments, prog_name="bench")
        code: Any = 0
    except SystemExit as error:
        code = error.code
    except BaseException:  # as the interpreter would
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    main()
