"""Where results come from: the commands that asked for them, and what computed them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.ledger.private_paths import without_paths
from bench.ledger.requests import load_requests
from bench.ledger.rows import Evaluation
from bench.ledger.store import Store
from bench.support.safe_text import printable

_MOST_COMMANDS = 40
# In the order in which a reader asks for them.
_PACKAGES = ("distillation-bench", "torch", "torchvision", "kornia", "numpy", "timm")


@dataclass(frozen=True)
class Machine:
    """A machine with its versions, as records describe them.

    Attributes:
        device: what computed.
        threads: how many threads it used; empty where a record does not say.
        python: version of Python.
        packages: names and versions.
        commit: the commit of bench, ``*`` if files differed from it; empty where it is unknown.
        results: how many evaluations it computed.
    """

    device: str
    threads: str
    python: str
    packages: str
    commit: str
    results: int = 0


def machines_of(evaluations: Sequence[Evaluation], store: Store) -> tuple[Machine, ...]:
    """Return the machines of evaluations, that of the most results first."""
    counts: Counter[Machine] = Counter()
    for one in evaluations:
        record = store.read(one.cell_id)
        if record is not None:
            counts[_described(dict(record.environment or {}))] += 1
    return tuple(replace(machine, results=number) for machine, number in counts.most_common())


def _described(environment: dict[str, Any]) -> Machine:
    versions = environment.get("packages")
    packages = versions if isinstance(versions, dict) else {}
    commit = str(environment.get("git_commit") or "")[:10]
    return Machine(
        device=_text(environment.get("device_name") or environment.get("device") or "unknown"),
        threads=_text(environment.get("threads") or ""),
        python=_text(environment.get("python") or ""),
        packages=_text(", ".join(f"{n} {packages[n]}" for n in _PACKAGES if n in packages)),
        commit=_text(f"{commit}{'*' if environment.get('git_dirty') else ''}" if commit else ""),
    )


def _text(value: object) -> str:
    return printable(without_paths(str(value)))


def requests_of(store: Store) -> tuple[str, ...]:
    """Return the latest command lines of a store, without the paths of their machine."""
    requests = load_requests(store.root, lambda _: None)
    commands = dict.fromkeys(
        printable(without_paths(request.command)) for request in requests if request.command
    )
    return tuple(commands)[-_MOST_COMMANDS:]
