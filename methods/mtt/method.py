"""MTT: distilled images on which a network retraces a stretch of an expert's training.

G. Cazenavette et al., "Dataset Distillation by Matching Training Trajectories", CVPR 2022,
algorithm 1; where the paper is silent, the released code (GeorgeCazenavette/mtt-distillation,
buffer.py and distill.py) decides. What a cell costs is mostly experts: see
:mod:`methods.mtt.expert_trajectories`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.plugin import (
    BenchError,
    Context,
    DistilledSet,
    ImageSet,
    LearnedImages,
    Paper,
    Profile,
    Scalars,
    Task,
    by_ipc,
    init_param,
    param,
)
from bench.plugin.compute import FunctionalNetwork
from methods.mtt.expert_trajectories import ExpertRecipe, ExpertTrajectories
from methods.mtt.settings import authors, unpublished
from methods.mtt.trajectory_loss import InnerStep, TrajectoryLoss
from methods.shared.dsa_param import dsa_param

# What the released code gives Kornia's ZCAWhitening.
_EPSILON = 0.1

# About two and a half minutes of students for ten classes of 32x32 on two CPU cores, whatever the
# IPC, after half as much for experts that all IPCs share. So short a stretch leaves the student's
# learning rate less time to settle, and its rows for whole epochs do not fit.
_LITE = {
    "iterations": by_ipc(
        lambda ipc: max(20, 1800 // max(min(10 * ipc, 20), ipc)), "180, 90, 36 at IPC 1, 10, 50"
    ),
    "syn_steps": 10,
    "expert_epochs": 2,
    "max_start_epoch": 3,
    "batch_syn": by_ipc(lambda ipc: max(20, ipc), "IPC, at least 20"),
    "lr_img": 1000.0,
    "lr_lr": 1e-5,
    "step_size": 0.01,
    "experts": 2,
    "expert_batches": 30,
    "zca": False,
}
_SMOKE = {
    "iterations": 3,
    "syn_steps": 2,
    "expert_epochs": 1,
    "max_start_epoch": 2,
    "batch_syn": 20,
    "lr_lr": 1e-7,
    "experts": 1,
    "expert_batches": 1,
    "zca": False,
}


class MTT(LearnedImages["MTT.Params"]):
    r"""Matches where N steps on distilled images and M expert epochs lead.

    Each step draws an expert and a start epoch :math:`t`, trains a student from the expert's
    weights :math:`\theta^*_t` on the distilled images, and follows the gradient of

    .. math:: \frac{\|\hat\theta_{t+N} - \theta^*_{t+M}\|^2}{\|\theta^*_t - \theta^*_{t+M}\|^2}

    with SGD on the normalised pixels and on the student's learning rate, which becomes part of the
    distilled set. The gradient is in :mod:`methods.mtt.trajectory_loss`.
    """

    @dataclass(frozen=True)
    class Params:
        """The authors' values for CIFAR-10, CIFAR-100 and Tiny ImageNet at IPC 1, 10 and 50."""

        iterations: int = param(5000, help="students trained", min=1)
        syn_steps: int = param(authors("syn_steps"), help="N, steps of a student", min=1)
        expert_epochs: int = param(
            authors("expert_epochs"), help="M, expert epochs that those amount to", min=1
        )
        max_start_epoch: int = param(
            authors("max_start_epoch"), help="students start at expert epochs below this", min=1
        )
        batch_syn: int | None = param(
            authors("batch_syn"), help="distilled images per student step; none for all", min=1
        )
        lr_img: float = param(authors("lr_img"), help="learning rate of the pixels", min=0)
        lr_lr: float = param(
            authors("lr_lr"), help="learning rate of the student's learning rate", min=0
        )
        step_size: float = param(
            authors("step_size"), help="first learning rate of the student", min=0
        )
        zca: bool = param(
            authors("zca"), help="whiten all images; the statistics become part of the set"
        )
        momentum: float = param(0.5, help="of both learning rates", min=0, max=1)
        experts: int = param(100, help="networks trained on real images", min=1)
        expert_lr: float = param(0.01, help="their learning rate", min=0)
        expert_batches: int | None = param(
            None, help="batches of 256 in their epoch; none for the whole real set", min=1
        )
        dsa: str = dsa_param()
        gradient: str = param(
            "exact", help="through the student's weights, or not", choices=("exact", "tesla")
        )
        init: str = init_param("real")

    name = "mtt"
    inner_loop = "syn_steps"
    state = ("images", "velocity", "step_size", "step_size_velocity")
    label = "MTT"
    colour = "#892155"
    marker = "X"
    table_order = 130
    published_differences = "the papers report the best of several evaluations on the test set"
    paper = Paper(
        "Dataset Distillation by Matching Training Trajectories",
        2022,
        "arXiv:2203.11932",
        "G. Cazenavette, T. Wang, A. Torralba, A. A. Efros, J.-Y. Zhu",
    )
    profiles = {
        "lite": Profile(
            _LITE,
            "180, 90 or 36 students of 10 steps at IPC 1, 10 or 50 in place of 5,000 of 30 to "
            "50, on 10 to 50 images at a time; 2 experts of at most 4 epochs of 30 batches in "
            "place of 100 of whole epochs; no whitening",
        ),
        "smoke": Profile(
            _SMOKE,
            "3 students of 2 steps after experts of one batch: shows only that the path works",
        ),
    }

    @classmethod
    def unpublished(cls, task: Task[MTT.Params]) -> str | None:
        """Return the dataset or IPC for which the authors give no row."""
        return unpublished(task.spec.name, task.ipc or 0)

    @classmethod
    def least_bytes(cls, task: Task[MTT.Params]) -> int:
        """Add to the images the covariance and its eigenvectors, in float64, if it whitens."""
        whitening = 2 * 8 * task.spec.pixels**2 if task.params.zca else 0
        return super().least_bytes(task) + whitening

    def setup(self) -> None:
        """Draw the first images; experts are trained when they are first drawn."""
        params, ctx = self.params, self.ctx
        epsilon = _EPSILON if params.zca else None
        recipe = ExpertRecipe(
            self.arch, params.expert_lr, params.dsa, params.expert_batches, epsilon
        )
        self.experts = ExpertTrajectories(recipe, ctx)
        self.network = FunctionalNetwork(ctx.network(self.arch).train())
        self.loss = TrajectoryLoss(
            self.network, self.dsa, self.slice_size, ctx, exact=params.gradient == "exact"
        )
        super().setup()
        self.step_size = torch.tensor(params.step_size, device=ctx.device)
        self.step_size_velocity = torch.zeros_like(self.step_size)

    def first_images(self, ctx: Context) -> Tensor:
        """Draw the first images, whitened if the experts' images are."""
        return super().first_images(replace(ctx, real=ctx.real.whitened(self.experts.zca)))

    def step(self, i: int) -> Scalars:  # noqa: ARG002
        """Train one student; ``step_size`` is the learning rate that it was trained with."""
        ctx, params = self.ctx, self.params
        expert = ctx.draw_int(params.experts, "expert")
        epoch = ctx.draw_int(params.max_start_epoch, "start")
        start, target = (
            self.network.flatten(self.experts.weights(expert, at))
            for at in (epoch, epoch + params.expert_epochs)
        )
        used, images = self.step_size.clone(), self.images.flatten(0, 1)
        matched = self.loss(images, self.labels, used, self.inner_steps(), start, target)
        self.move(matched.images.view_as(self.images))
        self.step_size_velocity.mul_(params.momentum).add_(matched.step_size)
        self.step_size.sub_(self.step_size_velocity, alpha=params.lr_lr)
        return {"loss": matched.loss, "step_size": used}

    def result(self) -> DistilledSet:
        """Return images, learning rate and ZCA statistics.

        Raises:
            BenchError: if the learned learning rate is not positive: nothing can be trained so.
        """
        rate = float(self.step_size)
        if rate <= 0:
            raise BenchError(
                f"the student's learning rate became {rate:g}: a smaller lr_lr than "
                f"{self.params.lr_lr:g} is needed (--set mtt.lr_lr=...)"
            )
        images, labels, zca = self.images.flatten(0, 1).clone(), self.labels, self.experts.zca
        return ImageSet(self.spec, images, labels, {}, learning_rate=rate, zca=zca)

    def inner_steps(self) -> list[InnerStep]:
        """Draw a student's batches, pass after pass over the distilled set, and augmentations."""
        order, noise = map(self.ctx.generator, ("order", "augmentation"))
        count, batches = len(self.labels), list[Tensor]()
        while len(batches) < self.params.syn_steps:
            shuffled = torch.randperm(count, generator=order, device=order.device)
            batches += torch.split(shuffled, self.params.batch_syn or count)
        return [
            InnerStep(batch, self.dsa.draw(len(batch), self.spec.shape, noise))
            for batch in batches[: self.params.syn_steps]
        ]
