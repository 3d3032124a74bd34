"""Write each method's measured numbers into its page under docs/methods, from the records.

    python results/reproduced/checks/pages.py          # writes
    python results/reproduced/checks/pages.py --check  # exit code 1 if a page is not up to date

What is written stands between two marks that every page has.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bench.ledger.record_rows import load_rows
from bench.registry.registry import METHODS
from bench.report.aggregate import collect
from bench.report.number_formats import duration, percent
from bench.report.row import Row

ROOT = Path(__file__).parents[3]
PAGES, STORE = ROOT / "docs/methods", ROOT / "results/reproduced/store"
MARKED = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", re.DOTALL)
NOTHING = "No accuracy of this method has been measured here yet.\n"
# What lite was before it became as wide as day, by the parameters that differ from the present one,
# which on CIFAR-10 are one more.
_FORMER = (
    "width=32, noise_dim=64, max_steps=6000, batch=32, lr=0.0005, penalty_batch=16, "
    "own_vectors=False(, memory=0.998)?"
)
FORMER = {
    "gan": f"custom, lite: {_FORMER}",
    "dim": f"custom, lite: gan_{_FORMER.replace(', ', ', gan_')}, batch=32, lr=5e-05",
}
# A page may speak for several methods.
NAMES = {"cafe": ("cafe", "cafe-dsa")}


def measured(rows: list[Row]) -> str:
    """Return a table of one method's results: a line for each setting, a column for each IPC."""
    if not rows:
        return NOTHING
    ipcs = sorted({row.ipc or 0 for row in rows})
    several = len({row.method for row in rows}) > 1
    lines: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        changed = f"{row.profile}, {row.changed}" if row.changed else row.profile
        if former := FORMER.get(row.method):
            changed = re.sub(former, "the former lite", changed)
        version = f"version {row.method_version}"
        if row.method_version < METHODS.get(row.method).version and version not in changed:
            changed += f", {version}"
        method = (row.method,) if several else ()
        setting = (*method, row.dataset, row.eval_arch, row.protocol, row.mode, changed)
        lines.setdefault((*setting, row.precision), []).append(row)
    head = ["dataset", "evaluated with", "protocol", "mode", "profile", "precision"]
    titles = [
        *["method"] * several,
        *head,
        *(f"IPC {ipc}" if ipc else "all" for ipc in ipcs),
        "± over",
        "distilling",
    ]
    return "".join(
        "| " + " | ".join(cells) + " |\n"
        for cells in (titles, ["---"] * len(titles), *(_line(k, v, ipcs) for k, v in lines.items()))
    )


def _line(setting: tuple[str, ...], rows: list[Row], ipcs: list[int]) -> list[str]:
    found = {row.ipc or 0: percent(row.mean, row.std) for row in rows}
    spreads = list(dict.fromkeys(row.varies for row in rows))
    times = sorted(row.distil_seconds for row in rows)
    span = list(dict.fromkeys((duration(times[0]), duration(times[-1]))))
    return [*setting, *(found.get(ipc, "") for ipc in ipcs), "; ".join(spreads), " to ".join(span)]


def main() -> int:
    """Write the pages, or say which are not up to date."""
    rows, stale = collect(load_rows(STORE).evaluations), []
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        names = NAMES.get(page.stem, (page.stem,))
        table = measured([row for row in rows if row.method in names])
        new, count = MARKED.subn(lambda found, t=table: found[1] + t + found[2], text)
        if count != 1:
            raise SystemExit(f"{page} has {count} places for what was measured, not 1")
        if new != text:
            stale.append(page)
            if "--check" not in sys.argv:
                page.write_text(new, encoding="utf-8")
    for page in stale:
        print(f"{page}: {'not up to date' if '--check' in sys.argv else 'written'}")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    raise SystemExit(main())
