"""Protocols: how a network is trained on a distilled set before it is tested.

A protocol is named, versioned and immutable once released. Another recipe gets another name or a
higher version, so that a number in an old table keeps its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.support.errors import UnknownNameError


@dataclass(frozen=True)
class Protocol:
    """A training recipe for evaluation networks.

    Attributes:
        name: what users type.
        version: raised whenever the recipe changes.
        epochs: passes over the distilled set.
        nets: independently initialised networks that are trained and averaged.
        lr: initial learning rate of SGD.
        momentum: of SGD (no Nesterov, no dampening).
        weight_decay: L2 penalty on every parameter, as in :class:`torch.optim.SGD`.
        batch_size: images per step; the last batch of an epoch may be smaller. ``None`` for as many
            as there are classes, one of each, as :func:`bench.evaluation.epoch_order.by_class`
            arranges them.
        milestones: fractions of the epochs after which the learning rate is multiplied.
        gamma: the factor at a milestone.
        augment: DSA strategy (names joined by ``_``), empty for none.
        augment_mode: ``single`` draws one operation per batch, ``all`` applies every one.
        selection: which step's accuracy counts; ``last`` looks at the test set only once,
            ``test-oracle`` takes the best of several looks, which no real training could.
        test_every: epochs between looks at the test set for ``test-oracle``; the last epoch's is
            always one of them. ``None`` for ``last``.
        summary: the recipe in one line.
        source: where it comes from.
    """

    name: str
    version: int
    epochs: int
    nets: int
    lr: float
    momentum: float
    weight_decay: float
    batch_size: int | None
    milestones: tuple[float, ...]
    gamma: float
    augment: str
    augment_mode: str
    summary: str
    source: str
    selection: str = "last"
    test_every: int | None = None

    @property
    def label(self) -> str:
        """Name and version, as tables print it: ``default-v1``."""
        return f"{self.name}-v{self.version}"

    def rate(self, epoch: int, epochs: int, start: float) -> float:
        """Return the learning rate of one epoch.

        Args:
            epoch: counted from 0.
            epochs: how many are trained in all.
            start: the rate of epoch 0 (a distilled set may bring its own).
        """
        passed = sum(epoch >= fraction * epochs for fraction in self.milestones)
        return start * self.gamma**passed

    def looks_after(self, epoch: int, epochs: int) -> bool:
        """Return whether a network is tested after an epoch that is not the last.

        Args:
            epoch: counted from 1.
            epochs: how many are trained in all.
        """
        return self.test_every is not None and epoch % self.test_every == 0 and epoch < epochs


_DSA = "color_crop_cutout_flip_scale_rotate"
_DC = "Zhao and Bilen, DatasetCondensation (2021); Cui et al., DC-BENCH (2022)"

_RELEASED = (
    Protocol(
        name="default", version=1, epochs=1000, nets=5, lr=0.01, momentum=0.9, weight_decay=5e-4,
        batch_size=256, milestones=(0.5,), gamma=0.1, augment=_DSA, augment_mode="single",
        summary="SGD 0.01, x0.1 at half, batch 256, 1000 epochs, DSA, 5 nets",
        source=_DC,
    ),
    Protocol(
        name="plain", version=1, epochs=300, nets=5, lr=0.01, momentum=0.9, weight_decay=5e-4,
        batch_size=256, milestones=(0.5,), gamma=0.1, augment="", augment_mode="single",
        summary="as default with 300 epochs and no augmentation",
        source="Zhao, Mopuri and Bilen, Dataset Condensation with Gradient Matching (2021)",
    ),
    Protocol(
        name="quick", version=1, epochs=300, nets=2, lr=0.01, momentum=0.9, weight_decay=5e-4,
        batch_size=256, milestones=(0.5,), gamma=0.1, augment=_DSA, augment_mode="single",
        summary="as default with 300 epochs and 2 nets",
        source="shortened from default, for lite runs",
    ),
    Protocol(
        name="smoke", version=1, epochs=40, nets=2, lr=0.01, momentum=0.9, weight_decay=5e-4,
        batch_size=256, milestones=(0.5,), gamma=0.1, augment=_DSA, augment_mode="single",
        summary="as default with 40 epochs and 2 nets: proves that all runs, numbers mean little",
        source="shortened from default, for tests",
    ),
    Protocol(
        name="dim", version=1, epochs=1000, nets=5, lr=0.01, momentum=0.9, weight_decay=5e-4,
        batch_size=128, milestones=(), gamma=1.0, augment="color_crop", augment_mode="all",
        summary="DiM's deployment: SGD 0.01 constant, batch 128, 1000 epochs, DSA colour and crop",
        source="Wang et al., DiM: Distilling Dataset into Generative Model (2023), validate.py",
    ),
    Protocol(
        name="dim-oracle", version=1, epochs=1000, nets=5, lr=0.01, momentum=0.9, weight_decay=5e-4,
        batch_size=128, milestones=(), gamma=1.0, augment="color_crop", augment_mode="all",
        summary="as dim, but the best of every 200th epoch on the test set: optimistic, for "
        "comparison with numbers that were chosen so",
        source="Wang et al., DiM: Distilling Dataset into Generative Model (2023), validate.py",
        selection="test-oracle", test_every=200,
    ),
    Protocol(
        name="dim-by-class", version=1, epochs=1000, nets=5, lr=0.01, momentum=0.9,
        weight_decay=5e-4, batch_size=None, milestones=(), gamma=1.0, augment="color_crop",
        augment_mode="all",
        summary="as dim, in batches of one image of each class: IPC steps an epoch",
        source="Wang et al., DiM: Distilling Dataset into Generative Model (2023), validate.py "
        "--batch-size 10",
    ),
)  # fmt: skip

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _RELEASED}


def is_released(name: str) -> bool:
    """Return whether bench itself has the protocol, which its version then identifies."""
    return any(PROTOCOLS.get(name) is protocol for protocol in _RELEASED)


def get_protocol(name: str) -> Protocol:
    """Return the protocol of that name, with or without its version.

    Raises:
        UnknownNameError: with a near miss and what exists; another version than the present one
            is unknown.
    """
    versioned = {each.label: each for each in PROTOCOLS.values()}
    if name not in PROTOCOLS and name not in versioned:
        raise UnknownNameError("protocol", name, [*PROTOCOLS, *versioned])
    return PROTOCOLS.get(name) or versioned[name]
