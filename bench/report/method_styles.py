"""How methods are shown: label, place in the order, colour and marker.

A method declares its own (:class:`bench.registry.presentation.Presentation`), and built-in methods
have no advantage over plugins. What a method leaves open is chosen by its name, so that it has the
same style in every process, and apart from the styles of all methods shown beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from hashlib import sha256
from itertools import count, product

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
# For methods that declare none. Each is at least ten steps of CIEDE2000 from every other one and
# from those of the built-in methods, also as readers with protanopia or deuteranopia see them.
SPARE_COLOURS = ("#CFB0A5", "#0E11FD", "#6F473E", "#060145", "#422927")
_MARKERS = ("d", "8", "H", ">", "v", "<", "^", "p", "h")
_SPARE_LOOKS = tuple((colour, marker) for marker, colour in product(_MARKERS, SPARE_COLOURS))
# After every method that declares its place; the built-in ones use places up to 990.
UNDECLARED_PLACE = 900

_PROFILES = ("paper", "day", "any", "lite", "smoke", "custom")
_MODES = ("stored", "stream", "frozen")


def method_styles(evaluations: Iterable[Evaluation]) -> dict[str, MethodStyle]:
    """Return the style of each method among ``evaluations``, by its registered name.

    A method that is installed declares its style now; of another one, the records carry what it
    declared when it ran.
    """
    recorded: dict[str, Presentation] = {}
    nothing = Presentation()
    methods = {(one.method, one.presentation): None for one in evaluations}
    for method, presentation in methods:
        if recorded.get(method, nothing) == nothing:
            recorded[method] = presentation
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
    """Return a colour and a marker for each method, no two of which have both in common.

    A method has what it declares, unless one before it by name declares the same. The others have
    what their names choose, or if that colour is taken, the next that is not; where all colours
    are taken, the next pair that is not.
    """
    looks: dict[str, tuple[str, str]] = {}
    for method in sorted(declared, key=lambda m: not (declared[m].colour and declared[m].marker)):
        own = (declared[method].colour.upper(), declared[method].marker)
        taken = set(looks.values())
        looks[method] = own if all(own) and own not in taken else _free_look(method, own, taken)
    return looks


def _free_look(method: str, own: tuple[str, str], taken: Set[tuple[str, str]]) -> tuple[str, str]:
    """Return a look that is not taken; what a method declares stays, if it is not both parts."""
    colour, marker = ("", "") if all(own) else own
    number = int.from_bytes(sha256(method.encode()).digest()[:8])
    turned = [_SPARE_LOOKS[(number + i) % len(_SPARE_LOOKS)] for i in range(len(_SPARE_LOOKS))]
    free = [look for c, m in turned if (look := (colour or c, marker or m)) not in taken]
    colours = {taken_colour for taken_colour, _ in taken}
    if free:
        return next((look for look in free if look[0] not in colours), free[0])
    # More methods than spare looks: colours that nothing keeps far apart, but never the same.
    for i in count():
        digest = sha256(f"{method} {i}".encode()).hexdigest()
        look = f"#{digest[:6].upper()}", marker or _MARKERS[i % len(_MARKERS)]
        if look not in taken:
            break
    return look


def profile_rank(profile: str) -> int:
    """Return a profile's place: the paper's first, others by how much they give up."""
    return _PROFILES.index(profile) if profile in _PROFILES else len(_PROFILES)


def mode_rank(mode: str) -> int:
    """Return a mode's place: stored, stream, frozen."""
    return _MODES.index(mode) if mode in _MODES else len(_MODES)
