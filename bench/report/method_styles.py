"""How a method is shown: its label, its place in the order, its colour and its marker.

A method keeps its look whatever else is shown beside it. The colours are those of Okabe and Ito
and of Tol's muted scheme, which readers with any of the common colour-vision deficiencies can
tell apart; the marker says the same a second time.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """The appearance of one method.

    Attributes:
        label: as papers write it.
        rank: its place from the top; smaller comes first.
        colour: as ``#RRGGBB``.
        marker: a matplotlib marker.
        size: of the marker, in points, so that all look equally large.
    """

    label: str
    rank: int
    colour: str
    marker: str
    size: float


_KNOWN = (
    ("random", "Random", "#7F7F7F", "o"),
    ("herding", "Herding", "#E69F00", "s"),
    ("k-center", "K-Center", "#CC79A7", "^"),
    ("k-means", "K-means", "#66A61E", "d"),
    ("forgetting", "Forgetting", "#A6761D", "8"),
    ("dd", "DD", "#999933", "v"),
    ("dc", "DC", "#009E73", "<"),
    ("dsa", "DSA", "#332288", ">"),
    ("dm", "DM", "#0072B2", "D"),
    ("idc", "IDC", "#44AA99", "p"),
    ("cafe", "CAFE", "#DDCC77", "h"),
    ("cafe-dsa", "CAFE+DSA", "#AA4499", "8"),
    ("mtt", "MTT", "#882255", "X"),
    ("gan", "GAN", "#56B4E9", "P"),
    ("dim", "DiM", "#D55E00", "*"),
)
_SIZES = {"*": 8.0, "P": 6.0, "X": 6.0, "D": 4.4, "s": 4.7}
_LOOKS = {
    name: Look(label, rank, colour, marker, _SIZES.get(marker, 5.2))
    for rank, (name, label, colour, marker) in enumerate(_KNOWN)
}
_OTHERS = len(_KNOWN)
_LOOKS["whole"] = Look("Whole dataset", _OTHERS + 1, "#000000", "_", 5.2)
_SPARE_COLOURS = ("#117733", "#AA4499", "#6699CC", "#661100", "#888888", "#CC6677", "#225555")
_SPARE_MARKERS = ("d", "8", "H", ">", "v")

_PROFILES = ("paper", "any", "lite", "smoke", "custom")
_MODES = ("stored", "stream", "frozen")


def look(method: str) -> Look:
    """Return how ``method`` is shown; one that is not built in gets a look from its letters."""
    if method in _LOOKS:
        return _LOOKS[method]
    # Not Python's hash, which differs from one process to the next.
    number = sum(i * ord(letter) for i, letter in enumerate(method, start=1))
    colour = _SPARE_COLOURS[number % len(_SPARE_COLOURS)]
    return Look(method, _OTHERS, colour, _SPARE_MARKERS[number % len(_SPARE_MARKERS)], 5.2)


def profile_rank(profile: str) -> int:
    """Return a profile's place: the paper's first, others by how much they give up."""
    return _PROFILES.index(profile) if profile in _PROFILES else len(_PROFILES)


def mode_rank(mode: str) -> int:
    """Return a mode's place: stored, stream, frozen."""
    return _MODES.index(mode) if mode in _MODES else len(_MODES)
