"""Results from evaluations: seeds are combined, and each distilled set is charged once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from statistics import fmean
from typing import Any

from bench.ledger.rows import Conditions, Evaluation, Setting
from bench.registry.presentation import WHOLE
from bench.report.estimates import Spread, estimate
from bench.report.method_styles import MethodStyle, method_styles, mode_rank, profile_rank
from bench.report.number_formats import ipc_order, listing, plural


@dataclass(frozen=True)
class Row(Setting):
    """One result: all seeds of one method under one setting.

    ``changed`` also says when the method has an older version than another result, or when another
    result is of plugins with other code.

    Attributes:
        mean: of the seeds' mean accuracies, over networks that did not diverge, in percent; of a
            set that is the same for every seed, over all networks.
        std: the sample standard deviation over all networks, every seed with the same weight;
            ``None`` of a single network.
        se: the standard error of ``mean``, from the seeds' means; of a single seed, from its
            networks; ``None`` of a single network.
        ci95: half the width of the 95 % interval of ``mean``, from ``se`` with a t quantile.
        error_over: what ``se`` and ``ci95`` are taken over: ``sets`` (one per seed),
            ``networks`` of the only set, which one seed has or all share, or empty.
        spread: which of ``std``, ``se`` and ``ci95`` tables print after the ±: ``sd``, ``se`` or
            ``ci95``.
        n: how many networks were counted.
        diverged: how many more were trained, but diverged.
        seeds: how many evaluations, one per seed, were combined.
        varies: what the spread ranges over, in words.
        stored_bytes: what must be kept to train: the largest, as seeds agree on it unless a
            distilled set chose its own size.
        distinct_images: shown to each network; the largest.
        training_steps: of each network; the largest.
        distil_steps: for one distilled set with what it starts from, mean over the distilled sets;
            training that many share (embeddings, experts) is none.
        distil_seconds: for one distilled set with what it starts from and shares, mean over them.
        new_distil_steps: ``distil_steps`` of the distilled sets that no earlier row has charged.
        new_distil_seconds: ``distil_seconds`` of those. What several share is in each of them, so
            rows do not add up.
        eval_seconds: mean per evaluation.
        device: where the evaluations ran.
        threads: the numbers that evaluating processes had; none where records do not say.
        distil_threads: those that distilling processes had, likewise.
        accuracies: of every network that did not diverge, in percent, in the order of the seeds.
        seed_means: the mean accuracy of each seed.
        distil_ids: the cells of the distilled sets.
        cell_ids: the cells of the evaluations.
        artefacts: paths of the distilled sets.
        style: how the method is shown; no column of a report.
        num_classes: of the dataset, where a record says it; no column of a report.
    """

    mean: float
    std: float | None
    se: float | None
    ci95: float | None
    error_over: str
    spread: Spread
    n: int
    diverged: int
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
    threads: tuple[int, ...]
    distil_threads: tuple[int, ...]
    accuracies: tuple[float, ...]
    seed_means: tuple[float, ...]
    distil_ids: tuple[str, ...]
    cell_ids: tuple[str, ...]
    artefacts: tuple[str, ...]
    style: MethodStyle
    num_classes: int | None

    @property
    def conditions(self) -> Conditions:
        """Return how it was measured, which says what table it belongs to."""
        return Conditions(*_CONDITIONS(self))

    @property
    def plus_minus(self) -> float | None:
        """Return what tables print after the ±, in percentage points; ``None`` of one network."""
        return {"sd": self.std, "se": self.se, "ci95": self.ci95}[self.spread]

    @property
    def divergence(self) -> str:
        """Return ``2 of 5 diverged``; empty if no network did."""
        return f"{self.diverged} of {self.n + self.diverged} diverged" if self.diverged else ""

    @property
    def shared(self) -> bool:
        """Return whether all of its distilled sets were charged to earlier rows."""
        return self.distil_steps > 0 and self.new_distil_steps == 0


# The values of the fields that each class declares, in their order.
_CONDITIONS = attrgetter(*(each.name for each in fields(Conditions)))
_SETTING = attrgetter(*(each.name for each in fields(Setting)))
# Tables hold final sets only, so that none has a percentage.
_NO_COLUMNS = ("style", "num_classes", "percent")
RESULT_COLUMNS = (
    *(f.name for f in fields(Row) if f.name not in _NO_COLUMNS), "plus_minus", "shared",
)  # fmt: skip


def collect(evaluations: Sequence[Evaluation], spread: Spread = "sd") -> list[Row]:
    """Combine evaluations into results, in the order in which tables show them.

    Args:
        evaluations: of any settings.
        spread: what the results print after the ±.
    """
    styles = method_styles(evaluations)
    by_values: dict[tuple[Any, ...], list[Evaluation]] = {}
    for one in _with_all_notes(evaluations):
        by_values.setdefault(_SETTING(one), []).append(one)
    groups = {Setting(*values): members for values, members in by_values.items()}
    newest: dict[str, int] = {}
    sources: dict[tuple[str, ...], set[str]] = {}
    for setting in groups:
        newest[setting.method] = max(setting.method_version, newest.get(setting.method, 0))
        sources.setdefault(_plugins(setting), set()).add(setting.plugin_source)
    charged: set[str] = set()
    rows = []
    for setting in sorted(groups, key=lambda s: _order(s, styles[s.method])):
        marks = []
        if setting.method_version < newest[setting.method]:
            marks.append(f"version {setting.method_version}")
        if len(sources[_plugins(setting)]) > 1:
            marks.append(f"source {setting.plugin_source or 'unknown'}")
        row = _pool(
            _marked(setting, marks), _one_per_seed(groups[setting]), charged,
            styles[setting.method], spread,
        )  # fmt: skip
        charged.update(row.distil_ids)
        rows.append(row)
    return rows


def _with_all_notes(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return evaluations that name every note with which their data were imported.

    A note is no part of the data: what was measured on equal data belongs together.
    """
    notes: dict[str, set[str]] = {}
    for one in evaluations:
        notes.setdefault(one.dataset_sha256, set()).add(one.dataset_note)
    joined = {sha256: " / ".join(sorted(filter(None, each))) for sha256, each in notes.items()}
    return [
        one if one.dataset_note == joined[one.dataset_sha256]
        else replace(one, dataset_note=joined[one.dataset_sha256])
        for one in evaluations
    ]  # fmt: skip


def blocks(rows: Iterable[Row]) -> dict[Conditions, list[Row]]:
    """Return results by the conditions that they were measured under, in their order."""
    groups: dict[Conditions, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.conditions, []).append(row)
    return groups


def result_fields(row: Row) -> dict[str, Any]:
    """Return a result's values by the names of :data:`RESULT_COLUMNS`."""
    return {name: getattr(row, name) for name in RESULT_COLUMNS}


def setting_order(setting: Setting, style: MethodStyle) -> tuple[Any, ...]:
    """Return the sort key of a result among others of the same conditions."""
    return (
        style.rank, setting.method, setting.method_version,
        profile_rank(setting.profile), setting.profile, setting.changed, setting.arch,
        setting.plugin_source, ipc_order(setting.ipc),
        mode_rank(setting.mode), setting.mode,
    )  # fmt: skip


def _order(setting: Setting, style: MethodStyle) -> tuple[Any, ...]:
    return (
        setting.dataset, setting.dataset_sha256, setting.n_test, setting.dataset_note,
        setting.eval_arch, setting.protocol, setting.selection, setting.precision,
        *setting_order(setting, style),
    )  # fmt: skip


def _plugins(setting: Setting) -> tuple[str, ...]:
    """Return what decides which plugins compute a result."""
    return (
        setting.method, setting.profile, setting.changed, setting.arch, setting.eval_arch,
        setting.protocol,
    )  # fmt: skip


def _marked(setting: Setting, marks: Sequence[str]) -> Setting:
    """Return the setting with marks that tell it from others, among what is changed."""
    return replace(setting, changed=", ".join(filter(None, (setting.changed, *marks))))


def _one_per_seed(members: Iterable[Evaluation]) -> list[Evaluation]:
    """Return one evaluation per seed, in order; of several, the one with the most networks.

    Networks are seeded by their number, so the smaller evaluation is contained in the larger one.
    """
    by_seed: dict[int, Evaluation] = {}
    for one in sorted(members, key=lambda e: (e.seed, e.nets, e.cell_id)):
        by_seed[one.seed] = one
    return list(by_seed.values())


def _pool(
    setting: Setting,
    members: Sequence[Evaluation],
    charged: set[str],
    style: MethodStyle,
    spread: Spread,
) -> Row:
    accuracies = tuple(accuracy for one in members for accuracy in one.accuracies)
    # One set for every seed: its networks are as many independent measurements.
    one_set = style.family == WHOLE
    estimated = estimate([accuracies] if one_set else [one.accuracies for one in members])
    sets = {one.distil_id: one for one in members}
    new = [one for name, one in sets.items() if name not in charged]
    return Row(
        **vars(setting),
        mean=estimated.mean,
        std=estimated.sd,
        se=estimated.se,
        ci95=estimated.ci95,
        error_over=estimated.error_over,
        spread=spread,
        n=len(accuracies),
        diverged=sum(len(one.diverged) for one in members),
        seeds=len(members),
        varies=_varies(members),
        stored_bytes=max(one.stored_bytes for one in members),
        distinct_images=max(one.distinct_images for one in members),
        training_steps=max(one.training_steps for one in members),
        distil_steps=fmean([float(one.distil_steps) for one in sets.values()]),
        distil_seconds=fmean([one.distil_seconds for one in sets.values()]),
        new_distil_steps=sum(float(one.distil_steps) for one in new) / len(sets),
        new_distil_seconds=sum(one.distil_seconds for one in new) / len(sets),
        eval_seconds=fmean([one.eval_seconds for one in members]),
        device=listing(one.device for one in members),
        threads=tuple(sorted({one.threads for one in members} - {0})),
        distil_threads=tuple(sorted({one.distil_threads for one in members} - {0})),
        accuracies=accuracies,
        seed_means=tuple(fmean(one.accuracies) for one in members),
        distil_ids=tuple(sets),
        cell_ids=tuple(one.cell_id for one in members),
        artefacts=tuple(dict.fromkeys(one.artefact for one in members)),
        style=style,
        num_classes=next((one.num_classes for one in members if one.num_classes), None),
    )


def _varies(members: Sequence[Evaluation]) -> str:
    """Return ``3 seeds × 5 nets``, or the counts apart where seeds have unequal nets."""
    nets = {len(one.accuracies) for one in members}
    seeds = plural(len(members), "seed")
    if len(nets) == 1:
        return f"{seeds} × {plural(nets.pop(), 'net')}"
    return f"{plural(sum(len(one.accuracies) for one in members), 'net')} over {seeds}"
