"""From evaluation cells to results: pool the seeds, and charge each artefact's making once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from bench.report.method_styles import look, mode_rank, profile_rank
from bench.report.number_formats import listing, plural
from bench.support.safe_text import printable

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Block:
    """What results must have in common to stand in one table or one panel."""

    dataset: str
    dataset_note: str
    dataset_sha256: str
    n_test: int
    eval_arch: str
    protocol: str
    selection: str
    precision: str


@dataclass(frozen=True)
class Row(Block):
    """One result: all seeds of one method under one setting, pooled.

    Attributes:
        method_version: results of different versions are never pooled.
        profile: whose parameters: ``paper``, ``lite``, ..., ``any`` (they all agree) or ``custom``.
        changed: parameters that differ from the profile's; an older version of the method than
            another result has.
        ipc: images per class; ``None`` where the artefact has a size of its own.
        arch: the architecture distilled with; empty if the method uses none.
        mean: of all accuracies, in percent.
        std: their sample standard deviation (ddof 1); ``None`` of a single net.
        n: how many nets were trained.
        seeds: how many cells, one per seed, were pooled.
        varies: what the spread ranges over, in words.
        stored_bytes: what must be kept to train: of the artefact, or of the images drawn from it.
        distinct_images: shown to each net.
        training_steps: of each net.
        distil_steps: to make one artefact, what it starts from included; training that many
            artefacts share (embeddings, experts) is none.
        distil_seconds: to make one artefact, what it starts from and shares included, mean over
            the artefacts.
        new_distil_steps: ``distil_steps`` of the artefacts that no earlier row has charged.
        new_distil_seconds: ``distil_seconds`` of those artefacts. What several artefacts share is
            in each of them, so rows do not add up.
        eval_seconds: mean per cell.
        device: where the cells ran.
        accuracies: every net's, in percent, in the order of the seeds.
        distil_ids: the artefacts' cells.
        cell_ids: the evaluations' cells.
        artefacts: paths of the distilled sets.
    """

    method: str
    method_version: int
    profile: str
    changed: str
    ipc: int | None
    mode: str
    arch: str
    mean: float
    std: float | None
    n: int
    seeds: int
    varies: str
    stored_bytes: int
    distinct_images: int
    training_steps: int
    distil_steps: float
    distil_seconds: float
    new_distil_steps: float
    new_distil_seconds: float
    eval_seconds: float
    device: str
    accuracies: tuple[float, ...]
    distil_ids: tuple[str, ...]
    cell_ids: tuple[str, ...]
    artefacts: tuple[str, ...]

    @property
    def block(self) -> Block:
        """The part that says which table it belongs to."""
        return Block(**{name: getattr(self, name) for name in Block.__dataclass_fields__})

    @property
    def shared(self) -> bool:
        """Whether making its artefacts was charged to earlier rows altogether."""
        return self.distil_steps > 0 and self.new_distil_steps == 0


Cell = Mapping[str, Any]
_SETTING = ("method", "method_version", "profile", "changed", "ipc", "mode", "arch")
KEYS = (*Block.__dataclass_fields__, *_SETTING)


def collect(frame: DataFrame) -> list[Row]:
    """Pool the cells of ``frame`` into results, in the order that tables show them.

    Args:
        frame: one row per evaluation cell, as ``bench.ledger.frames.load_frame`` returns it.
    """
    groups: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells(frame):
        groups.setdefault(tuple(cell[key] for key in KEYS), []).append(cell)
    settings = [dict(zip(KEYS, key, strict=True)) for key in sorted(groups, key=_order)]
    newest: dict[str, int] = {}
    for at in settings:
        newest[at["method"]] = max(at["method_version"], newest.get(at["method"], 0))
    charged: set[str] = set()
    rows = []
    for at in settings:
        members = _one_per_seed(groups[tuple(at.values())])
        if at["method_version"] < newest[at["method"]]:
            older = f"version {at['method_version']}"
            at["changed"] = f"{at['changed']}, {older}" if at["changed"] else older
        rows.append(_pool(at, members, charged))
        charged.update(rows[-1].distil_ids)
    return rows


def aggregate(frame: DataFrame) -> DataFrame:
    """Return the results of ``frame`` as a table: one column per field of :class:`Row`."""
    import pandas as pd

    names = [*Row.__dataclass_fields__, "shared"]
    rows = [{**asdict(row), "shared": row.shared} for row in collect(frame)]
    table = pd.DataFrame(rows, columns=names)
    return table.astype({"ipc": "Int64"})


def cells(frame: DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as plain dictionaries, missing values as ``None``.

    Texts are made printable, for they come from files that someone else may have made; paths stay
    what they are.
    """
    return [
        {
            str(name): value if name == "artefact" else _plain(value)
            for name, value in record.items()
        }
        for record in frame.to_dict("records")
    ]


def blocks(rows: Iterable[Row]) -> dict[Block, list[Row]]:
    """Sort results into blocks, keeping their order."""
    found: dict[Block, list[Row]] = {}
    for row in rows:
        found.setdefault(row.block, []).append(row)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    # pandas' NA is neither true nor false when compared; a NaN differs from itself.
    if isinstance(value, float) and value != value:
        return None
    return None if str(value) in ("<NA>", "NaT") else value


def setting_order(at: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what sorts results within a block: methods as they are shown, then their settings.

    Args:
        at: method, its version and parameters, IPC and mode, by the names of :class:`Row`.
    """
    ipc = float("inf") if at["ipc"] is None else at["ipc"]
    return (
        look(at["method"]).rank, at["method"], at["method_version"],
        profile_rank(at["profile"]), at["profile"],
        at["changed"], at["arch"], ipc, mode_rank(at["mode"]), at["mode"],
    )  # fmt: skip


def _order(key: tuple[Any, ...]) -> tuple[Any, ...]:
    at = dict(zip(KEYS, key, strict=True))
    return (
        at["dataset"], at["dataset_sha256"], at["n_test"], at["dataset_note"],
        at["eval_arch"], at["protocol"], at["selection"], at["precision"], *setting_order(at),
    )  # fmt: skip


def _one_per_seed(members: list[Cell]) -> list[Cell]:
    """Return the seeds' cells in order; of a seed judged twice, the one with the most nets.

    Nets are seeded by their number, so the smaller judgement is contained in the larger one.
    """
    by_seed: dict[int, Cell] = {}
    for cell in sorted(members, key=lambda c: (c["seed"], len(c["accuracies"]), c["cell_id"])):
        by_seed[cell["seed"]] = cell
    return list(by_seed.values())


def _pool(setting: Mapping[str, Any], members: list[Cell], charged: set[str]) -> Row:
    accuracies = tuple(float(a) for cell in members for a in cell["accuracies"])
    made = {cell["distil_id"]: cell for cell in members}
    new = {name: cell for name, cell in made.items() if name not in charged}
    return Row(
        **{**setting, **{name: int(setting[name]) for name in ("n_test", "method_version")}},
        mean=fmean(accuracies),
        std=stdev(accuracies) if len(accuracies) > 1 else None,
        n=len(accuracies),
        seeds=len(members),
        varies=_varies(members),
        stored_bytes=_largest("stored_bytes", members),
        distinct_images=_largest("distinct_images", members),
        training_steps=_largest("training_steps", members),
        distil_steps=fmean(float(cell["distil_steps"]) for cell in made.values()),
        distil_seconds=fmean(float(cell["distil_seconds"]) for cell in made.values()),
        new_distil_steps=sum(float(cell["distil_steps"]) for cell in new.values()) / len(made),
        new_distil_seconds=sum(float(cell["distil_seconds"]) for cell in new.values()) / len(made),
        eval_seconds=fmean(float(cell["eval_seconds"]) for cell in members),
        device=listing(cell["device"] for cell in members),
        accuracies=accuracies,
        distil_ids=tuple(made),
        cell_ids=tuple(cell["cell_id"] for cell in members),
        artefacts=tuple(dict.fromkeys(str(cell["artefact"]) for cell in members)),
    )


def _largest(name: str, members: list[Cell]) -> int:
    """Return a budget; seeds agree on it unless an artefact chose its own size."""
    return max(int(cell[name]) for cell in members)


def _varies(members: list[Cell]) -> str:
    """Return ``3 seeds × 5 nets``, or the counts apart where seeds have unequal nets."""
    nets = {len(cell["accuracies"]) for cell in members}
    seeds = plural(len(members), "seed")
    if len(nets) == 1:
        return f"{seeds} × {plural(nets.pop(), 'net')}"
    return f"{plural(sum(len(c['accuracies']) for c in members), 'net')} over {seeds}"
