"""Where and how cells are computed: a description that travels, and the same thing opened."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.datasets.data_folder import data_dir as data_folder
from bench.grid.option import option
from bench.ledger.store import DEFAULT_STORE
from bench.support.errors import BenchError
from bench.support.machine import command_line, pick_device, use_threads
from bench.support.machine import use_deterministic_algorithms as make_deterministic

if TYPE_CHECKING:
    import torch

    from bench.datasets.data_folder import DatasetInfo
    from bench.datasets.real_set import RealSet

# Seconds between two checkpoints of a cell.
CHECKPOINT_EVERY = 60.0


@dataclass(frozen=True)
class Site:
    """Where and how cells are computed, as plain values; none of it is part of an identity.

    Attributes:
        store: the store's folder; every process must see it under this path.
        data_dir: the folder of packed datasets, likewise.
        device: as a user writes it.
        plugins: plugin files to load first.
        checkpoint_every: seconds between two checkpoints of a cell; 0 saves after every step.
        threads: of each process; ``None`` for torch's own choice.
        deterministic: whether a GPU must use only operations that give the same bits every time.
        command: the command line that asked; records name it.
    """

    store: str = option(
        "--store", "Folder that keeps every cell's record and artefact.", default=DEFAULT_STORE,
        metavar="PATH",
    )  # fmt: skip
    data_dir: str = option(
        "--data-dir", "Folder of packed datasets.", default_factory=lambda: str(data_folder()),
        metavar="PATH", otherwise="BENCH_DATA, else the user's data folder", envvar="BENCH_DATA",
    )  # fmt: skip
    device: str = option("--device", "Where to compute: auto, cpu, cuda or mps.", default="auto")
    plugins: tuple[str, ...] = option(
        "--plugin", "A Python file with a method, architecture or dataset of your own; repeatable.",
        default=(), metavar="PATH",
    )  # fmt: skip
    checkpoint_every: float = option(
        "--checkpoint-every", "How often a running cell is saved.", default=CHECKPOINT_EVERY,
        min=0, metavar="SECONDS",
    )  # fmt: skip
    threads: int | None = option(
        "--threads", "Threads of each process that computes; results are bit-identical for the "
        "same number.", default=None, min=1, metavar="N",
        otherwise="the cores, divided among the processes; smoke distils with one",
    )  # fmt: skip
    deterministic: bool = option(
        "--deterministic", "The same bits every time on a GPU; slower.", default=False
    )
    command: str = field(default_factory=command_line)

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Site:
        """Return a site from its fields as plain JSON values.

        Raises:
            ValueError: naming the fields that no site has.
        """
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"unknown fields {sorted(unknown)}")
        return cls(**{**values, "plugins": tuple(values.get("plugins", ()))})

    def load_plugins(self) -> None:
        """Import its plugin files, so that what they register is known in this process.

        Raises:
            BenchError: a file is missing, fails or registers nothing.
        """
        from bench.registry.plugin_files import load_plugin_file

        for path in self.plugins:
            load_plugin_file(Path(path))

    def with_paths(self) -> Site:
        """Return it with absolute paths, for a process in another folder."""
        return replace(
            self,
            store=str(Path(self.store).resolve()),
            data_dir=str(Path(self.data_dir).expanduser().resolve()),
            plugins=tuple(str(Path(p).resolve()) for p in self.plugins),
        )


class OpenSite:
    """A site in this process: its device, and the real sets, each opened once.

    Opening sets the process's threads and, where asked, torch's deterministic mode. On a CPU it
    begins to compile the kernels, in another thread.

    Attributes:
        site: the description.
        device: where everything is computed.
        data_dir: the folder of packed datasets.

    Raises:
        BenchError: the device does not exist here.
    """

    def __init__(self, site: Site) -> None:
        from bench.networks.cpu_kernels import prepare_kernels

        self.site, self.data_dir = site, Path(site.data_dir).expanduser()
        self.device: torch.device = pick_device(site.device)
        if self.device.type == "cpu":
            prepare_kernels()
        if site.threads is not None:
            use_threads(site.threads)
        if site.deterministic:
            make_deterministic()
        self._facts: dict[str, DatasetInfo] = {}
        self._splits: dict[tuple[str, str], RealSet] = {}
        self._digests: dict[tuple[str, str], str] = {}

    def facts(self, dataset: str) -> DatasetInfo:
        """Return the facts of a dataset, without its images.

        Raises:
            BenchError: the dataset is missing or damaged.
        """
        from bench.datasets.data_folder import info

        if dataset not in self._facts:
            found = info(dataset, self.data_dir)
            if found is None:
                raise BenchError(f"dataset '{dataset}' is not in {self.data_dir}")
            self._facts[dataset] = found
        return self._facts[dataset]

    def split(self, dataset: str, part: str) -> RealSet:
        """Return one part of a dataset, ``train`` or ``test``, on the device.

        Raises:
            BenchError: the dataset is missing or damaged.
        """
        from bench.datasets.library import open_split

        key = (dataset, part)
        if key not in self._splits:
            self._splits[key] = open_split(dataset, part, self.data_dir, self.device)
        return self._splits[key]

    def seal(self) -> None:
        """Remember what the open real sets hold, before a plugin is given them."""
        for key, real in self._splits.items():
            if key not in self._digests:
                self._digests[key] = _digest(real)

    def discard_changed(self) -> list[str]:
        """Forget the real sets that were written into since :meth:`seal`; return which.

        They are opened again when they are next asked for.
        """
        changed = [
            key for key, real in self._splits.items()
            if key in self._digests and _digest(real) != self._digests[key]
        ]  # fmt: skip
        for key in changed:
            del self._splits[key]
        return [f"the {part} part of {dataset}" for dataset, part in changed]


def _digest(real: RealSet) -> str:
    digest = hashlib.sha256()
    for tensor in (real.images, real.labels):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
