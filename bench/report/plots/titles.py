"""The titles of panels, and the notes between a title and its panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import fill, wrap
from typing import TYPE_CHECKING

from bench.ledger.rows import Conditions
from bench.report.estimates import Spread
from bench.report.number_formats import listing
from bench.report.paper.names import arch_label, dataset_facts
from bench.report.plots.options import PlotOptions
from bench.report.plots.panels import Kind
from bench.report.plots.style import NOTE, NOTE_COLOUR, TITLE
from bench.report.result_tables import ORACLE_MARK
from bench.report.row import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What a title names where panels would be called alike, with its text.
_TELLING: dict[str, Callable[[str], str]] = {
    "protocol": str, "precision": str, "data": str,
    "dataset_sha256": lambda sha256: f"data {sha256[:8]}",
}  # fmt: skip
# Between notes; a line that breaks here ends with the point.
NOTES_BETWEEN = "\u00a0· "
_SPREADS: dict[Spread, str] = {
    "sd": "standard\u00a0deviation", "se": "standard\u00a0error", "ci95": "95\u00a0%\u00a0interval",
}  # fmt: skip


def title_panels(
    panels: Sequence[Axes],
    blocks: Mapping[Conditions, Sequence[Row]],
    inches: float,
    options: PlotOptions,
    note: Callable[[Sequence[Row]], str] = lambda _: "",
) -> None:
    """Write dataset and evaluating architecture over panels, and details in smaller type.

    Args:
        panels: as many as there are blocks.
        blocks: the results of each panel, by how they were measured.
        inches: the width that the texts of a panel may take.
        options: the user's.
        note: returns what else is to be known of the results of a panel; may be empty.
    """

    def name(block: Conditions) -> str:
        network = arch_label(block.eval_arch)
        return f"{dataset_facts(block.dataset).label}, evaluated with {network}"

    titles = panel_titles(list(blocks), name, options)
    for axes, title, (block, rows) in zip(panels, titles, blocks.items(), strict=True):
        notes = NOTES_BETWEEN.join(filter(None, (panel_notes(block, rows), note(rows))))
        write_titles(axes, title, notes, inches, options)


def panel_titles(
    kinds: Sequence[Kind], name: Callable[[Kind], str], options: PlotOptions
) -> list[str]:
    """Return a title for each panel of a figure; no two are alike.

    Args:
        kinds: how the results of each panel were measured.
        name: returns what a panel is called if no other one is called so too.
        options: the user's; without notes, titles say what was chosen on the test set.
    """
    titles = []
    for kind in kinds:
        twins = [other for other in kinds if name(other) == name(kind)]
        parts = [name(kind)]
        parts += [_TELLING[each](getattr(kind, each)) for each in _differing(twins)]
        if not options.notes:
            parts.append(selection_mark(kind.selection))
        titles.append(", ".join(filter(None, parts)))
    return titles


def _differing(twins: Sequence[Kind]) -> list[str]:
    """Return in which of the fields that titles can name some ways of measuring differ."""
    names = [name for name in _TELLING if hasattr(twins[0], name)]
    return [name for name in names if len({getattr(kind, name) for kind in twins}) > 1]


def selection_mark(selection: str) -> str:
    """Return what a title says of the step whose accuracies count; empty for the last one."""
    if selection == "test-oracle":
        return f"{ORACLE_MARK}\u00a0best\u00a0on\u00a0test"
    return "" if selection == "last" else f"selection {selection}"


def write_titles(axes: Axes, title: str, notes: str, inches: float, options: PlotOptions) -> None:
    """Write a title over a panel, and notes between both if the user wants them.

    Args:
        axes: the panel.
        title: in one sentence.
        notes: in smaller type.
        inches: the width that the texts may take.
        options: the user's.
    """
    lines = fill(title, options.letters(inches, TITLE), break_on_hyphens=False)
    shown = notes if options.notes else ""
    details = wrap(shown, options.letters(inches, NOTE), break_on_hyphens=False)
    size = options.font_size * NOTE
    axes.set_title(lines, loc="left", pad=6 + 1.25 * size * len(details))
    if details:
        axes.annotate(
            "\n".join(details), (0, 1), (0, 4), xycoords="axes fraction",
            textcoords="offset points", fontsize=size, color=NOTE_COLOUR, ha="left", va="bottom",
        )  # fmt: skip


def panel_notes(block: Conditions, rows: Sequence[Row]) -> str:
    """Return how the results of a panel were measured."""
    spreads = {row.varies for row in rows}
    profiles = listing(r.profile for r in rows if r.profile != "any") or "any"
    parts = [
        f"{'profiles' if ',' in profiles else 'profile'} {profiles}", block.protocol,
        f"{listing(spreads) if len(spreads) == 1 else 'seeds and nets vary'}, "
        f"±\u00a0{_SPREADS[rows[0].spread]}",
    ]  # fmt: skip
    if block.selection != "last":
        parts.append(f"selection {block.selection}")
    if block.precision != "fp32":
        parts.append(block.precision)
    if any(row.diverged for row in rows):
        nets = sum(row.n + row.diverged for row in rows)
        parts.append(f"without {sum(row.diverged for row in rows)} of {nets} nets that diverged")
    if block.dataset_note:
        parts.append(block.dataset_note)
    return NOTES_BETWEEN.join(parts)
