"""Results from evaluations: seeds are combined, and each distilled set is charged once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from statistics import fmean
from typing import Any

from bench.ledger.rows import Evaluation, Setting, newest_versions
from bench.registry.presentation import WHOLE
from bench.report.estimates import Spread, estimate
from bench.report.method_styles import MethodStyle, method_styles
from bench.report.number_formats import listing, plural
from bench.report.row import Row, setting_order

# The values of the fields that the class declares, in their order.
_SETTING = attrgetter(*(each.name for each in fields(Setting)))


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
    newest = _newest(evaluations)
    sources: dict[tuple[str, ...], set[str]] = {}
    for setting in groups:
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
            _marked(setting, marks), one_per_seed(groups[setting]), charged,
            styles[setting.method], spread,
        )  # fmt: skip
        charged.update(row.distil_ids)
        rows.append(row)
    return rows


def _newest(evaluations: Sequence[Evaluation]) -> dict[str, int]:
    """Return each method's newest version in the store, or among these where that is not known."""
    newest = newest_versions(evaluations)
    for one in evaluations:
        newest[one.method] = max(newest[one.method], one.newest_version)
    return newest


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


def one_per_seed(members: Iterable[Evaluation]) -> list[Evaluation]:
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
        distil_device=listing(one.distil_device or one.device for one in members),
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
