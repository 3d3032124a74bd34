"""Series: the results of one method under one setting, which a plot joins by a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.report.method_styles import MethodStyle, profile_rank
from bench.report.row import Row

_DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Series:
    """The results of one method under one setting, over IPC.

    Attributes:
        label: tells it from every other series of the figure.
        style: its method's colour and marker.
        dashes: a matplotlib line style; one per profile.
        hollow: whether the markers are hollow: images frozen.
        rows: by rising IPC.
    """

    label: str
    style: MethodStyle
    dashes: str
    hollow: bool
    rows: tuple[Row, ...]

    @property
    def face(self) -> str:
        """Return the colour inside the markers."""
        return "white" if self.hollow else self.style.colour

    @property
    def width(self) -> float:
        """Return the width of the line in points: thinner with hollow markers."""
        return 0.8 if self.hollow else 1.5


def find_series(rows: Sequence[Row], figure_rows: Sequence[Row]) -> list[Series]:
    """Return a panel's series over IPC.

    Args:
        rows: the panel's results; those without an IPC are left out.
        figure_rows: every result of the figure, so that labels and dashes mean the same in each
            panel.
    """
    return _group([row for row in rows if row.ipc is not None], figure_rows)


def find_whole(rows: Sequence[Row], figure_rows: Sequence[Row]) -> list[Series]:
    """Return the results of a panel without an IPC, apart by what tells series apart.

    Args:
        rows: the panel's results; those with an IPC are left out.
        figure_rows: every result of the figure, so that labels mean the same in each panel.
    """
    return _group([row for row in rows if row.ipc is None], figure_rows)


def _group(rows: Sequence[Row], figure_rows: Sequence[Row]) -> list[Series]:
    profiles = sorted(
        {r.profile for r in figure_rows} - {"any"}, key=lambda p: (profile_rank(p), p)
    )
    archs = {(r.method, r.arch) for r in figure_rows}
    twice = {m for m, _ in archs if sum(m == other for other, _ in archs) > 1}
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = (row.method, row.mode, row.profile, row.changed, row.arch)
        groups.setdefault(key, []).append(row)
    return [
        _series(members, profiles, name_arch=members[0].method in twice)
        for members in groups.values()
    ]


def _series(members: list[Row], profiles: list[str], *, name_arch: bool) -> Series:
    row = members[0]
    details = [
        row.mode if row.mode != "stored" else "",
        row.profile if len(profiles) > 1 and row.profile != "any" else "",
        row.changed,
        f"with {row.arch}" if name_arch and row.arch else "",
    ]
    detail = ", ".join(d for d in details if d)
    dashes = _DASHES[profiles.index(row.profile) % 4] if row.profile in profiles else "-"
    return Series(
        f"{row.style.label} ({detail})" if detail else row.style.label,
        row.style, dashes, row.mode == "frozen", tuple(members),
    )  # fmt: skip
