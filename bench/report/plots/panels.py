"""Which panels a plot has: all, or the most telling one of each dataset where there are many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from bench.ledger.rows import Conditions
from bench.report.comparison.pairs import Measured
from bench.report.plots.options import PlotOptions
from bench.report.row import Row, blocks

# So many of the panels that are left out are named.
_MOST_NAMED = 4

Kind = TypeVar("Kind", Conditions, Measured)


def choose_panels(
    rows: Sequence[Row], options: PlotOptions, each: int = 1
) -> dict[Conditions, list[Row]]:
    """Return the results that a plot shows, by how they were measured.

    Where there are more panels than the user allows, each dataset has one: that with the most
    results. Those of the best step on the test set stand back behind all others, however many they
    are. The user is told what is left out and how to ask for it.

    Args:
        rows: the results.
        options: the user's.
        each: how many panels show the results of one way of measuring.
    """
    every = blocks(rows)
    most = max(1, options.max_panels // each)
    if len(every) <= most:
        return every
    best: dict[str, Conditions] = {}
    for block in usual(every):
        name = block.dataset
        if name not in best or len(every[block]) > len(every[best[name]]):
            best[name] = block
    chosen = sorted(best.values(), key=lambda block: -len(every[block]))[:most]
    left_out = [block for block in every if block not in chosen]
    names = [f"{b.dataset} ({b.eval_arch}, {b.protocol})" for b in left_out[:_MOST_NAMED]]
    more = len(left_out) - len(names)
    options.say(
        f"not drawn: {', '.join(names)}{f' and {more} more' if more else ''}; choose with "
        "--dataset, --eval-arch, --protocol, --profile or --method, or draw all with "
        f"--max-panels {each * len(every)}"
    )
    return {block: members for block, members in every.items() if block in chosen}


def usual(kinds: Iterable[Kind]) -> list[Kind]:
    """Return the ways of measuring that no one has to ask for; all where there are no others.

    An accuracy that was chosen on the test set is drawn where the user selects nothing else.
    """
    every = list(kinds)
    return [kind for kind in every if kind.selection == "last"] or every
