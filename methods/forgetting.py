"""Forgetting: the real images that a network in training forgets most often.

M. Toneva et al., "An empirical study of example forgetting during deep neural network learning",
ICLR 2019, Definitions 2.1 to 2.3; as a coreset of IPC images per class: Zhao, Mopuri and Bilen,
"Dataset condensation with gradient matching", ICLR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.plugin import Context, Paper, Profile, SelectionMethod, Task, param
from methods.shared.real_training import train_on_real

_VERSION = 1


class ForgettingCounter:
    """Counts forgetting events while a network trains.

    An event is a presentation at which an image is classified wrongly, though it was classified
    correctly at the presentation before.

    Args:
        labels: the right classes of all images, int64 ``(N,)``.

    Attributes:
        events: int64 ``(N,)``.
        learned: bool ``(N,)``: classified correctly at one presentation at least.
    """

    def __init__(self, labels: Tensor) -> None:
        self._labels = labels
        self.events = torch.zeros_like(labels)
        self.learned = torch.zeros_like(labels, dtype=torch.bool)
        self._right = torch.zeros_like(self.learned)

    def see(self, indices: Tensor, logits: Tensor) -> None:
        """Take note of a batch: distinct indices ``(n,)`` and logits ``(n, num_classes)``."""
        right = logits.argmax(1) == self._labels[indices]
        self.events[indices] += (self._right[indices] & ~right).long()
        self.learned[indices] |= right
        self._right[indices] = right

    def state_dict(self) -> dict[str, Tensor]:
        """Return the counts and what the next presentation is compared with."""
        return {"events": self.events, "learned": self.learned, "right": self._right}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self.events, self.learned, self._right = state["events"], state["learned"], state["right"]


def forgetting_score(events: Tensor, learned: Tensor, epochs: int, never_learned: str) -> Tensor:
    """Return one run's score, int64 ``(N,)``: the events, and a rule for what was never learned.

    Args:
        events: int64 ``(N,)``.
        learned: bool ``(N,)``.
        epochs: presentations of each image.
        never_learned: ``most``: an image that was never classified correctly counts as forgotten
            ``epochs`` times, more than any other can be (the authors' code; infinitely often in
            their text); ``least``: it has no events (DeepCore).
    """
    return torch.where(learned, events, epochs if never_learned == "most" else 0)


def most_forgotten(score: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Return the positions of the ``n`` highest scores, ties in random order: int64 ``(n,)``."""
    shuffled = torch.randperm(len(score), generator=generator, device=score.device)
    order = score[shuffled].argsort(descending=True, stable=True)
    return shuffled[order[:n]]


class Forgetting(SelectionMethod["Forgetting.Params"]):
    r"""The images of each class with the most forgetting events, summed over training runs.

    With :math:`a^t_i` whether image :math:`i` is classified correctly when it is presented for the
    :math:`t`-th time, in training and before the step that follows, its events are

    .. math:: \sum_t [a^t_i > a^{t+1}_i]
    """

    @dataclass(frozen=True)
    class Params:
        """Epochs, runs and never-learned images as in the paper; the recipe is the embedding's."""

        epochs: int = param(200, help="presentations of each image per run", min=2)
        runs: int = param(5, help="networks whose counts are summed", min=1)
        never_learned: str = param(
            "most",
            help="rank of images that are never classified correctly: as the most forgotten ones, "
            "or as the least",
            choices=("most", "least"),
        )
        per_class: int | None = param(
            None,
            help="real images per class, drawn at random, to train on and choose from; "
            "none for all",
            min=1,
        )

    name = "forgetting"
    label = "Forgetting"
    colour = "#8B6839"
    marker = "v"
    table_order = 50
    family = "coreset"
    published_differences = (
        "the network, the epochs and the rank of never-learned images are not known of the papers"
    )
    paper = Paper(
        "An Empirical Study of Example Forgetting during Deep Neural Network Learning",
        2019,
        "arXiv:1812.05159",
        "M. Toneva, A. Sordoni, R. Tachet des Combes, A. Trischler, Y. Bengio, G. J. Gordon",
    )
    profiles = {
        "lite": Profile(
            {"epochs": 20, "runs": 1, "per_class": 500},
            "one run of 20 epochs in place of 5 of 200, on 500 images of each class",
        ),
        "smoke": Profile(
            {"epochs": 3, "runs": 1, "per_class": 100},
            "one run of 3 epochs on 100 images of each class: shows only that the path works",
        ),
    }

    @classmethod
    def skip(cls, task: Task[Forgetting.Params]) -> str | None:
        """Return a reason if there are fewer images to choose from than must be picked."""
        per_class = task.params.per_class
        if per_class is not None and task.ipc is not None and task.ipc > per_class:
            return f"per_class = {per_class} leaves fewer images than IPC {task.ipc}"
        return super().skip(task)

    def select(self) -> Tensor:
        """Sum the runs' scores, then choose class by class."""
        params, ctx = self.params, self.ctx
        pool = candidates(params.per_class, ctx)
        score = torch.zeros_like(ctx.real.labels)
        for run in range(params.runs):
            counts = shared_counts(self.arch, params, pool, run, ctx)
            score += forgetting_score(
                counts["events"], counts["learned"], params.epochs, params.never_learned
            )
        chosen, generator = [], ctx.generator("ties")
        for label in range(self.spec.num_classes):
            own = pool[ctx.real.labels[pool] == label]
            chosen.append(own[most_forgotten(score[own], self.ipc, generator)])
        return torch.cat(chosen)


def candidates(per_class: int | None, ctx: Context) -> Tensor:
    """Return the images that take part, the same for every IPC: int64, ascending."""
    if per_class is None:
        return torch.arange(len(ctx.real), device=ctx.device)

    def draw(inner: Context) -> dict[str, Tensor]:
        generator, classes = inner.generator("candidates"), range(inner.real.spec.num_classes)
        picks = [inner.real.sample_class(c, per_class, generator) for c in classes]
        return {"indices": torch.cat(picks).sort().values}

    key = {"what": "forgetting-candidates", "version": _VERSION, "per_class": per_class,
           "seed_index": ctx.seed_index}  # fmt: skip
    return ctx.shared(key, draw)["indices"]


def shared_counts(
    arch: str, params: Forgetting.Params, pool: Tensor, run: int, ctx: Context
) -> dict[str, Tensor]:
    """Train one network and return its counts, made once and shared by every IPC.

    Args:
        arch: the network's architecture.
        params: whose ``epochs`` to train for, and whose ``per_class`` to know ``pool`` by.
        pool: the images that take part, from :func:`candidates`.
        run: tells the runs apart.
        ctx: keeps the counts, one entry per run.

    Returns:
        ``events``: int64 ``(N,)`` and ``learned``: bool ``(N,)``, zero outside ``pool``.
    """

    def count(inner: Context) -> dict[str, Tensor]:
        counter = ForgettingCounter(inner.real.labels)
        train_on_real(arch, params.epochs, inner, pool=pool, observer=counter)
        return {"events": counter.events, "learned": counter.learned}

    key = {"what": "forgetting", "version": _VERSION, "arch": arch, "epochs": params.epochs,
           "per_class": params.per_class, "run": run, "seed_index": ctx.seed_index}  # fmt: skip
    return ctx.shared(key, count)
