"""Accuracies that are no better than chance: which results, and what is probably wrong."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from bench.report.number_formats import count, ipc_name, listing
from bench.report.row import Row

# Standard deviations above chance that guesses on so many test images reach now and then.
_SIGMAS = 2.0
CAUSES = (
    "likely causes: images in other units or normalised twice, labels in another order, too few "
    "steps, or a learning rate that does not fit (docs/faq.md)"
)


def noise_limit(num_classes: int, n_test: int) -> float:
    """Return the accuracy in percent up to which a network may as well have guessed.

    It is two binomial standard deviations above 1 / C, for C classes of equal size.

    Args:
        num_classes: at least 2.
        n_test: how many test images were classified, at least 1.
    """
    chance = 1 / num_classes
    return 100 * (chance + _SIGMAS * sqrt(chance * (1 - chance) / n_test))


def is_at_chance(row: Row) -> bool:
    """Return whether a result is within the noise of chance, or below it.

    Where networks diverged, the table says so, which explains the number; a set that was taken
    before the end of its distillation may well be at chance; where a record does not say how many
    classes there are, nothing is known.
    """
    if row.num_classes is None or row.num_classes < 2 or row.n_test < 1:
        return False
    if row.diverged or row.percent is not None:
        return False
    return row.mean <= noise_limit(row.num_classes, row.n_test)


def chance_notes(rows: Sequence[Row]) -> list[str]:
    """Return a sentence for the results of each dataset that are at chance, with likely causes."""
    groups: dict[tuple[str, int, int], dict[str, list[str]]] = {}
    for row in filter(is_at_chance, rows):
        key = (row.dataset, row.num_classes or 0, row.n_test)
        ipcs = groups.setdefault(key, {}).setdefault(f"{row.style.label} {row.mode}", [])
        ipcs.append(ipc_name(row.ipc))
    return [
        f"No better than chance on {dataset}, which is {100 / classes:.1f} % for {classes} classes "
        f"(up to {noise_limit(classes, n_test):.1f} % is noise on {count(n_test)} test images): "
        f"{'; '.join(f'{name}, IPC {listing(ipcs)}' for name, ipcs in lines.items())}. "
        f"{CAUSES[0].upper()}{CAUSES[1:]}."
        for (dataset, classes, n_test), lines in groups.items()
    ]
