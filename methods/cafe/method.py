"""CAFE: distilled images that align with real ones in every layer and tell real classes apart.

K. Wang et al., "CAFE: Learning to Condense Dataset by Aligning Features", CVPR 2022; values are
those of the released code (kaiwang960112/CAFE, distill.py). docs/methods/cafe.md lists each, and
where this differs from that code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from bench.plugin import LearnedImages, Paper, Profile, Scalars, Task, by_ipc, init_param, param
from methods.cafe.dynamic_stop import AccuracyWindow, query_accuracy
from methods.cafe.feature_alignment import Round
from methods.cafe.layer_features import LayerFeatures, why_no_blocks
from methods.shared.dsa_param import dsa_param
from methods.shared.network_training import train_epoch

# The learning rate of the pixels halves after these shares of the networks (1200, 1600 and 1800
# of the released code's 2000).
_HALVE_AFTER = (0.6, 0.8, 0.9)
# About four minutes for ten classes of 32x32 on two CPU cores, whatever the IPC. In so few rounds
# noise would stay noise, and the gradient of an image shrinks with IPC, as in DM. The weight of
# discrimination makes up for fewer real images.
_LITE = {
    "iterations": by_ipc(lambda ipc: max(8, 500 // (11 + ipc)), "500 / (11 + IPC), at least 8"),
    "lr_img": by_ipc(lambda ipc: max(0.1, ipc / 20), "IPC / 20, at least 0.1"),
    "batch_real": 64,
    "discrimination_weight": 0.04,
    "query": 16,
    "window": 3,
    "max_rounds": 8,
    "max_epochs": 8,
    "init": "real",
}


class CAFE(LearnedImages["CAFE.Params"]):
    r"""Aligns class means layer by layer, in networks that train on the distilled images.

    One step is the life of one network, from a fresh one on. Each of its rounds follows, with SGD
    on the normalised pixels, the gradient of

    .. math:: \sum_l w_l \sum_k \big\| \bar f^S_{k,l} - \bar f^T_{k,l} \big\|^2
              - \gamma \sum_i \log \mathrm{softmax}_k
              \langle f^T_{i,L}, \bar f^S_{k,L} \rangle \big|_{k = y_i}

    (:mod:`methods.cafe.feature_alignment`), then trains the network on the distilled images. Both
    loops watch the accuracy on fresh real images, the query set: the network has seen enough rounds
    when that has settled, and a training has taken long enough when it has moved. So nothing of a
    loop outlives a step, and the state is the images and their velocity.
    """

    @dataclass(frozen=True)
    class Params:
        """The released code's values; the two caps are ours, as it has none."""

        iterations: int = param(2000, help="networks, each freshly initialised", min=1)
        lr_img: float = param(
            0.1, help="learning rate of the pixels, halved after 0.6, 0.8 and 0.9 of it", min=0
        )
        momentum: float = param(0.5, help="momentum of the pixels", min=0, max=1)
        batch_real: int = param(256, help="real images per class and round", min=1)
        layer_weights: tuple[float, ...] = param(
            (0.1, 0.1, 1.0, 2.0),
            help="of the layers' distances, joined by '+', the embedding's last; layers before "
            "those named take the first",
            min=0,
        )
        discrimination_weight: float = param(
            0.01, help="factor of each real image's discrimination loss", min=0
        )
        lr_net: float = param(0.01, help="learning rate of the networks (SGD)", min=0)
        batch_train: int = param(256, help="distilled images per step of the networks", min=1)
        query: int = param(128, help="real images per class in a query set", min=1)
        window: int = param(10, help="accuracies that a loop looks at", min=2)
        settled: float = param(
            0.04, help="span of accuracies below which a network is done (lambda 1)", min=0
        )
        moved: float = param(
            0.03, help="span of accuracies above which a training ends (lambda 2)", min=0
        )
        max_rounds: int = param(50, help="rounds of a network, at most", min=1)
        max_epochs: int = param(50, help="epochs of a training, at most", min=1)
        init: str = init_param("noise")
        dsa: str = dsa_param(
            "none",
            help="augmentations joined by '_' (flip is left out for digits), or none: shared by "
            "real and distilled images of a class, and in the networks' training",
        )

    name = "cafe"
    inner_loop = "max_epochs"
    label = "CAFE"
    colour = "#C6BB7E"
    marker = "h"
    table_order = 110
    published_differences = (
        "the released code adds a tenth of each accuracy to the next, which ends its loops earlier"
    )
    published_protocol = "cafe"
    paper = Paper(
        "CAFE: Learning to Condense Dataset by Aligning Features",
        2022,
        "arXiv:2203.01531",
        "K. Wang, B. Zhao, X. Peng, Z. Zhu, S. Yang, S. Wang, G. Huang, H. Bilen, X. Wang, Y. You",
    )
    profiles = {
        "lite": Profile(
            _LITE,
            "41, 23 or 8 networks at IPC 1, 10 or 50 in place of 2000, of 8 rounds at most and "
            "from real images; 64 of them per class in place of 256, and accuracies of 16 per "
            "class, not 128, looked at 3 at a time, not 10",
        ),
        "smoke": Profile(
            {
                "iterations": 2,
                "batch_real": 8,
                "query": 4,
                "window": 2,
                "max_rounds": 2,
                "max_epochs": 2,
            },
            "2 networks of 2 rounds in place of 2000: shows only that the path works",
        ),
    }

    @classmethod
    def skip(cls, task: Task[CAFE.Params]) -> str | None:
        """Return a reason if there are no layers to align or too few images to start from."""
        return super().skip(task) or why_no_blocks(task.arch or "", task.spec)

    def step(self, i: int) -> Scalars:
        """Align in one network until its accuracy settles; the losses are its last round's."""
        params, network = self.params, self.ctx.network(self.arch).train()
        layers, window = LayerFeatures(network, self.ctx), AccuracyWindow(params.window)
        rate = params.lr_img * 0.5 ** sum(i >= share * params.iterations for share in _HALVE_AFTER)
        for rounds in range(1, params.max_rounds + 1):
            alignment, discrimination, gradient = self.round(layers).losses(
                self.images, params.layer_weights, params.discrimination_weight
            )
            self.move(gradient, lr=rate)
            accuracy = self.accuracy(network)
            if window.settled(accuracy, params.settled) or rounds == params.max_rounds:
                break
            self.train(network)
        return {
            "alignment_loss": alignment,
            "discrimination_loss": discrimination,
            "query_accuracy": torch.tensor(accuracy),
            "rounds": torch.tensor(float(rounds)),
        }

    def round(self, layers: LayerFeatures) -> Round:
        """Draw real images and one augmentation for each class."""
        draws, picks = self.draw_per_class(self.dsa), self.sample_per_class(self.params.batch_real)
        return Round(layers, self.dsa, draws, picks, self.slice_size, self.ctx)

    def train(self, network: nn.Module) -> None:
        """Train the network on the distilled images until its accuracy has moved."""
        params, window = self.params, AccuracyWindow(self.params.window)
        for _ in range(params.max_epochs):
            train_epoch(network, self, params.lr_net, params.batch_train)
            if window.moved(self.accuracy(network), params.moved):
                break

    def accuracy(self, network: nn.Module) -> float:
        """Return the network's accuracy on a fresh query set, in [0, 1]."""
        return query_accuracy(network, self.params.query, self.slice_size, self.ctx)


class CAFEDSA(CAFE):
    """CAFE with differentiable siamese augmentation: CAFE+DSA in the literature's tables."""

    @dataclass(frozen=True)
    class Params(CAFE.Params):
        """CAFE's, with the augmentation of DSA."""

        dsa: str = dsa_param()

    name = "cafe-dsa"
    label = "CAFE+DSA"
    published_protocol = ""
    colour = "#AA4092"
    marker = "8"
    table_order = 120
