"""Prints how much the first table varies over seeds and threads, from ``accuracies.csv``.

    python results/first-table/ranges.py [STORE ...]

With stores, one per number of threads, the file is first written from their records.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev

FILE = Path(__file__).with_name("accuracies.csv")
COLUMNS = ("method", "ipc", "mode", "threads", "seed", "accuracy")


def main() -> None:
    """Write the file, if stores are given, and print the table."""
    if len(sys.argv) > 1:
        with FILE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(sorted(row for store in sys.argv[1:] for row in read(Path(store))))
    print("\n".join(table()))


def read(store: Path) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a store's evaluations."""
    from bench.ledger.frames import load_frame

    for row in load_frame(store).itertuples():
        mean = round(fmean(row.accuracies), 3)
        yield row.method, row.ipc, row.mode, row.distil_threads, row.seed, mean


def table() -> list[str]:
    """Return the lines of the table: a row per method, IPC and mode that all seeds have."""
    results: dict[tuple[str, int, str], dict[int, dict[int, float]]] = defaultdict(dict)
    with FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            key = (row["method"], int(row["ipc"]), row["mode"])
            of = results[key].setdefault(int(row["threads"]), {})
            of[int(row["seed"])] = float(row["accuracy"])
    lines = [
        "| method | IPC | mode | 1 thread | 2 threads | same seed, at most apart | all |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    for (method, ipc, mode), by_threads in sorted(results.items()):
        one, two = by_threads.get(1, {}), by_threads.get(2, {})
        if one.keys() != two.keys():
            continue
        apart = max(abs(one[seed] - two[seed]) for seed in one)
        every = [*one.values(), *two.values()]
        means = [f"{fmean(x.values()):.1f} ± {stdev(x.values()):.1f}" for x in (one, two)]
        lines.append(
            f"| {method} | {ipc} | {mode} | {means[0]} | {means[1]} | {apart:.1f} "
            f"| {min(every):.1f} to {max(every):.1f} |"
        )
    return lines


if __name__ == "__main__":
    main()
