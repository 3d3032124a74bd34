"""What another process, here or on another machine, needs to compute the cells of a run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from bench.grid.control import CHECKPOINT_EVERY
from bench.grid.expand import Request
from bench.support.errors import BenchError
from bench.support.machine import command_line


@dataclass(frozen=True)
class RunSpec:
    """A request and its surroundings, as plain values.

    Attributes:
        request: what was asked for.
        store: the store's folder, absolute; every process must see it under this path.
        data_dir: the folder of packed datasets, absolute, likewise.
        device: as a user writes it.
        plugins: plugin files to load first, absolute.
        checkpoint_every: seconds between two checkpoints of a cell.
        threads: of each process; ``None`` for torch's own choice.
        deterministic: whether a GPU may use only operations that give the same bits every time.
        command: the command line that asked; records name it.
    """

    request: Request
    store: str
    data_dir: str
    device: str = "auto"
    plugins: tuple[str, ...] = ()
    checkpoint_every: float = CHECKPOINT_EVERY
    threads: int | None = None
    deterministic: bool = False
    command: str = field(default_factory=command_line)

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> RunSpec:
        """Read what :meth:`to_json` wrote.

        Raises:
            BenchError: it is not one, or of another version of bench.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            unknown = set(data) - {f.name for f in fields(cls)}
            if unknown:
                raise ValueError(f"unknown fields {sorted(unknown)}")
            request = Request(**data.pop("request"))
            return cls(request, **{**data, "plugins": tuple(data["plugins"])})
        except (KeyError, TypeError, ValueError) as error:
            raise BenchError(f"not the description of a run: {error}") from error

    def with_paths(self) -> RunSpec:
        """Return it with absolute paths, for a process in another folder."""
        return replace(
            self,
            store=str(Path(self.store).resolve()),
            data_dir=str(Path(self.data_dir).resolve()),
            plugins=tuple(str(Path(p).resolve()) for p in self.plugins),
        )
