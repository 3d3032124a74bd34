"""Hostile plugins beside an innocent method, whose numbers never change.

Each behaviour of the files in ``tests/hostile`` runs in one process before ``random``. What comes
of the hostile cell is stated here; ``random`` must have the numbers that it has alone.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from processes.bench_processes import BenchProcesses, Ended
from store_contents import only_record

PLUGINS = Path(__file__).parents[1] / "hostile"

# What a plugin changed is restored and named in its record.
RESTORED = {
    "default-dtype": "torch's default dtype",
    "default-device": "torch's default device",
    "threads-of-torch": "torch's threads",
    "grad-mode": "torch's grad mode",
    "autocast-mode": "torch's autocast",
    "dispatch-mode": "torch's dispatch modes",
    "deterministic": "torch's deterministic mode",
    "working-directory": "the working directory",
    "path-of-python": "sys.path",
    "umask": "the umask",
    "signal-handlers": "signal handlers",
    "level-of-logging": "the level of logging",
    "locale-of-process": "the locale",
    "global-seeds": "torch's random state",
    "environment": "environment variables",
    "environment-before-an-import": "environment variables",
    "filters-of-warnings": "the filters of warnings",
    "filters-after-an-import": "the filters of warnings",
    "seed-of-python": "Python's random state",
    "recursion-limit": "the recursion limit",
    "patches-randperm": "torch.randperm",
    "patches-tensor-method": "torch.Tensor.argmax",
    "patches-bench": "bench.evaluation.engine.score",
    "patches-builtin": "builtins.sum",
    "leaves-thread": "threads that still run (left)",
    "garbage-collection": "garbage collection",
}
# The cell fails with its reason.
FAILED = {
    "writes-real-set": "its plugin wrote into the train part of digits",
    "writes-real-labels": "its plugin wrote into the train part of digits",
    "writes-real-set-by-numpy": "its plugin wrote into the train part of digits",
    "memory-of-real-set": "its plugin wrote into the train part of digits",
    "raises-keyboard-interrupt": "KeyboardInterrupt: words",
    "raises-bare-keyboard-interrupt": "KeyboardInterrupt",
    "raises-system-exit": "SystemExit: 0",
    "raises-generator-exit": "GeneratorExit",
    "raises-own-base-exception": "Odd: own words",
    "leaves-by-os-exit": "SystemExit: os._exit(0)",
    "recurses": "RecursionError",
    "memory-error": "out of memory",
    "pretends-to-be-stopped": "Interrupted: because",
    "nan-images": "ValueError: images hold NaN or infinity",
    "infinite-images": "ValueError: images hold NaN or infinity",
    "no-set": "TypeError: result() of hostile-no-set returned generator, no set",
    "wrong-shape": "",
    "wrong-dtype": "",
    "wrong-device": "",
}
# Nothing that another could notice, or what a library does when it is first imported, which is
# restored and not named against the method.
HARMLESS = (
    "writes-class-indices", "imports-a-library", "prints",
    "prints-much", "closes-stdout",
    "closes-stderr", "deletes-files", "gradients", "wrong-number",
)  # fmt: skip


def run(processes: BenchProcesses, store: Path, methods: str) -> Ended:
    arguments = processes.grid(store, methods, "--json", "--eval-nets", "1")
    arguments[arguments.index("--plugin") + 1] = str(PLUGINS / "process_state.py")
    return processes.run(*arguments, "--plugin", str(PLUGINS / "own_cell.py"))


@pytest.fixture(scope="module")
def alone(processes: BenchProcesses, tmp_path_factory: pytest.TempPathFactory) -> object:
    """The numbers of ``random`` without company."""
    store = tmp_path_factory.mktemp("alone")
    assert run(processes, store, "random").code == 0
    return numbers(store)


def numbers(store: Path) -> object:
    distil, evaluation = (only_record(store, "random", kind) for kind in ("distil", "evaluate"))
    assert distil.outcome is not None
    assert evaluation.outcome is not None
    return distil.files, evaluation.to_json()["result"]


@pytest.mark.parametrize("name", [*RESTORED, *FAILED, *HARMLESS])
def test_an_innocent_method_has_its_numbers(
    processes: BenchProcesses, tmp_path: Path, alone: object, name: str
) -> None:
    ended = run(processes, tmp_path, f"hostile-{name},random")
    record = only_record(tmp_path, f"hostile-{name}", "distil")
    result = record.to_json()["result"]
    print(f"{name}: {record.status} {record.reason or result.get('warnings', '')}")
    assert numbers(tmp_path) == alone
    written = [
        (tmp_path / "cells" / only_record(tmp_path, method, "distil").id / "record.json").stat()
        for method in (f"hostile-{name}", "random")
    ]
    assert written[0].st_mtime_ns < written[1].st_mtime_ns  # the innocent came after it
    assert "Traceback" not in ended.err, ended.err
    assert json.loads(ended.out)["results"], ended.err  # nothing else was printed
    if name in FAILED:
        assert (ended.code, record.status) == (1, "failed")
        assert record.reason is not None
        assert record.reason.startswith(FAILED[name])
    else:
        assert record.status == "ok", record.reason
    if name in HARMLESS:
        assert not any("changed" in text for text in result.get("warnings", ())), result
    if name in RESTORED:
        assert RESTORED[name] in result["warnings"][-1]
        assert RESTORED[name] in ended.err or "closes" in name
