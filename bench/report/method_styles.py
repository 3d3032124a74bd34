"""How methods are shown: label, place in the order, colour and marker.

A method declares its own (:class:`bench.registry.presentation.Presentation`), and built-in methods
have no advantage over plugins. What a method leaves open is chosen by its name, so that it has the
same style in every process, and apart from the styles of all methods shown beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import product

from bench.ledger.rows import Evaluation
from bench.registry.presentation import Presentation, declared_by


@dataclass(frozen=True)
class MethodStyle:
    """How one method is shown.

    Attributes:
        label: as papers write it.
        rank: its place from the top; smaller comes first.
        colour: as ``#RRGGBB``.
        marker: a matplotlib marker.
        published_protocol: the protocol behind its published accuracies; usually ``default``.
        published_differences: how it differs from what is behind them; ``none`` if in nothing
            known, empty if the method does not say.
        family: what kind of method it declares to be, such as ``coreset``; may be empty.
    """

    label: str
    rank: int
    colour: str
    marker: str
    published_protocol: str = "default"
    published_differences: str = ""
    family: str = ""

    @property
    def marker_size(self) -> float:
        """Return the marker's size in points; with it all markers look equally large."""
        return _MARKER_SIZES.get(self.marker, 5.2)


_MARKER_SIZES = {"*": 8.0, "P": 6.0, "X": 6.0, "D": 4.4, "s": 4.7}
# Colours of Tol's schemes, which readers with any of the common colour-vision deficiencies can
# tell apart; the marker says the same a second time.
_COLOURS = ("#117733", "#AA4499", "#6699CC", "#661100", "#888888", "#CC6677", "#225555")
_MARKERS = ("d", "8", "H", ">", "v", "<", "^", "p", "h")
_SPARE_LOOKS = tuple((colour, marker) for marker, colour in product(_MARKERS, _COLOURS))
# After every method that declares its place; the built-in ones use places up to 990.
UNDECLARED_PLACE = 900

_PROFILES = ("paper", "any", "lite", "smoke", "custom")
_MODES = ("stored", "stream", "frozen")


def method_styles(evaluations: Iterable[Evaluation]) -> dict[str, MethodStyle]:
    """Return the style of each method among ``evaluations``, by its registered name.

    A method that is installed declares its style now; of another one, the records carry what it
    declared when it ran.
    """
    recorded: dict[str, Presentation] = {}
    for one in evaluations:
        if recorded.get(one.method, Presentation()) == Presentation():
            recorded[one.method] = one.presentation
    nothing = Presentation()
    declared = {
        method: installed if (installed := declared_by(method)) != nothing else recorded[method]
        for method in sorted(recorded)
    }
    looks = _looks(declared)
    return {
        method: MethodStyle(
            label=each.label or method,
            rank=each.table_order if each.table_order is not None else UNDECLARED_PLACE,
            colour=looks[method][0],
            marker=looks[method][1],
            published_protocol=each.published_protocol or "default",
            published_differences=each.published_differences,
            family=each.family,
        )
        for method, each in declared.items()
    }


def _looks(declared: Mapping[str, Presentation]) -> dict[str, tuple[str, str]]:
    """Return a colour and a marker for each method; no two that are chosen here are the same."""
    looks = {m: (p.colour, p.marker) for m, p in declared.items() if p.colour and p.marker}
    for method, each in declared.items():
        if method not in looks:
            taken = set(looks.values())
            start = int.from_bytes(sha256(method.encode()).digest()[:8])
            turned = (
                _SPARE_LOOKS[(start + i) % len(_SPARE_LOOKS)] for i in range(len(_SPARE_LOOKS))
            )
            candidates = [
                (each.colour or colour, each.marker or marker) for colour, marker in turned
            ]
            looks[method] = next((c for c in candidates if c not in taken), candidates[0])
    return looks


def profile_rank(profile: str) -> int:
    """Return a profile's place: the paper's first, others by how much they give up."""
    return _PROFILES.index(profile) if profile in _PROFILES else len(_PROFILES)


def mode_rank(mode: str) -> int:
    """Return a mode's place: stored, stream, frozen."""
    return _MODES.index(mode) if mode in _MODES else len(_MODES)
