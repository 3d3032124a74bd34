"""A choice among published numbers, by method, dataset, IPC, architecture and source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bench.report.number_formats import ipc_name
from bench.report.published.match import match_names, match_theirs
from bench.report.published.read import Published
from bench.report.published.sources import cite_key
from bench.support.errors import BenchError, UnknownNameError

FILTERS = ("method", "dataset", "ipc", "eval_arch", "source")


def select_published(
    numbers: Sequence[Published], chosen: Mapping[str, Sequence[str] | None]
) -> list[Published]:
    """Return the numbers that have one of the chosen values in each respect, in their order.

    Case and punctuation do not matter, so ``cifar10`` is ``CIFAR-10``, and ``convnet3`` every
    source's name of the three-layer ConvNet.

    Args:
        numbers: to choose from.
        chosen: values by the names of :data:`FILTERS`; ``None`` chooses all.

    Raises:
        UnknownNameError: no number has a value.
        BenchError: each value occurs, but no number has them together.
    """
    rest = list(numbers)
    for what, values in chosen.items():
        if not values:
            continue
        known: dict[str, str] = {}  # as it is compared: as a source writes it
        for number in numbers:
            known.setdefault(_PLAIN[what](number), _WRITTEN[what](number))
        plain = [_plain_value(what, value) for value in values]
        for value, name in zip(values, plain, strict=True):
            if name not in known:
                raise UnknownNameError(f"published {what.replace('_', '-')}", value, known.values())
        rest = [number for number in rest if _PLAIN[what](number) in plain]
    if not rest:
        raise BenchError("no published number has these values together")
    return rest


def _plain_value(what: str, value: str) -> str:
    dataset, method, _, arch = match_names(value, value, None, value)
    plain = {"dataset": dataset, "method": method, "eval_arch": arch}
    return plain.get(what, value)


_PLAIN: dict[str, Callable[[Published], str]] = {
    "method": lambda number: match_theirs(number)[1],
    "dataset": lambda number: match_theirs(number)[0],
    "ipc": lambda number: ipc_name(number.ipc),
    "eval_arch": lambda number: match_theirs(number)[3],
    "source": cite_key,
}
_WRITTEN: dict[str, Callable[[Published], str]] = {
    **_PLAIN,
    "method": lambda number: number.method,
    "dataset": lambda number: number.dataset,
    "eval_arch": lambda number: number.eval_arch,
}
