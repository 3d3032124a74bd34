"""MTT: distilled images on which a network retraces a stretch of an expert's training.

G. Cazenavette et al., "Dataset Distillation by Matching Training Trajectories", CVPR 2022,
algorithm 1; where the paper is silent, the released code (GeorgeCazenavette/mtt-distillation,
buffer.py and distill.py) decides. What a cell costs is mostly experts: see
:mod:`methods.expert_trajectories`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bench.plugin import (
    DSA,
    BenchError,
    DistilledSet,
    FunctionalNetwork,
    ImageSet,
    Method,
    Paper,
    Profile,
    Task,
    by_ipc,
    param,
)
from methods.compute import slice_size
from methods.dsa_param import dsa_param
from methods.expert_trajectories import ExpertRecipe, ExpertTrajectories
from methods.first_images import first_images, init_param, too_few
from methods.mtt_settings import authors
from methods.trajectory_loss import InnerStep, TrajectoryLoss

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


class MTT(Method):
    r"""Matches where N steps on distilled images and M expert epochs lead.

    Each step draws an expert and a start epoch :math:`t`, trains a student from the expert's
    weights :math:`\theta^*_t` on the distilled images, and follows the gradient of

    .. math:: \frac{\|\hat\theta_{t+N} - \theta^*_{t+M}\|^2}{\|\theta^*_t - \theta^*_{t+M}\|^2}

    with SGD on the normalised pixels and on the student's learning rate, which becomes part of the
    distilled set. The gradient is in :mod:`methods.trajectory_loss`.
    """

    @dataclass(frozen=True)
    class Params:
        """The authors' values for CIFAR-10 and CIFAR-100 at IPC 1, 10 and 50."""

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
    label = "MTT"
    colour = "#882255"
    marker = "X"
    published_best_on_test = True
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
    def skip(cls, task: Task) -> str | None:
        """Return a reason if real images to start from are too few."""
        return too_few(task)

    def setup(self) -> None:
        """Draw the first images; experts are trained when they are first drawn."""
        task, ctx = self.task, self.ctx
        assert task.arch is not None
        assert task.ipc is not None
        params, arch = task.params, task.arch
        self._params, self._ctx, self._spec = params, ctx, task.spec
        epsilon = _EPSILON if params.zca else None
        self._experts = ExpertTrajectories(
            ExpertRecipe(arch, params.expert_lr, params.dsa, params.expert_batches, epsilon), ctx
        )
        self._network = FunctionalNetwork(ctx.network(arch).train())
        self._dsa = DSA.for_dataset(task.spec, params.dsa)
        self._loss = TrajectoryLoss(
            self._network, self._dsa, slice_size(arch, ctx), ctx, exact=params.gradient == "exact"
        )
        white = replace(ctx, real=ctx.real.whitened(self._experts.zca))
        self._images = first_images(params.init, task.ipc, white).flatten(0, 1)
        labels = torch.arange(task.spec.num_classes, device=ctx.device)
        self._labels = labels.repeat_interleave(task.ipc)
        self._step_size = torch.tensor(params.step_size, device=ctx.device)
        self._velocities = [torch.zeros_like(t) for t in (self._images, self._step_size)]

    def steps(self) -> int:
        """The parameter ``iterations``."""
        iterations: int = self._params.iterations
        return iterations

    def step(self, i: int) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Train one student; ``step_size`` is the learning rate that it was trained with."""
        ctx, params = self._ctx, self._params
        expert = ctx.draw_int(params.experts, "expert")
        epoch = ctx.draw_int(params.max_start_epoch, "start")
        start, target = (
            self._network.flatten(self._experts.weights(expert, at))
            for at in (epoch, epoch + params.expert_epochs)
        )
        used = self._step_size.clone()
        matched = self._loss(self._images, self._labels, used, self._inner_steps(), start, target)
        pairs = ((self._images, matched.images, params.lr_img),
                 (self._step_size, matched.step_size, params.lr_lr))  # fmt: skip
        for (value, gradient, rate), velocity in zip(pairs, self._velocities, strict=True):
            velocity.mul_(params.momentum).add_(gradient)
            value.sub_(velocity, alpha=rate)
        return {"loss": matched.loss, "step_size": used}

    def state_dict(self) -> dict[str, Any]:
        """Return what is learned and its velocities."""
        return {"images": self._images, "step_size": self._step_size,
                "velocities": self._velocities}  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what is learned and its velocities."""
        self._images.copy_(state["images"])
        self._step_size.copy_(state["step_size"])
        for mine, saved in zip(self._velocities, state["velocities"], strict=True):
            mine.copy_(saved)

    def result(self) -> DistilledSet:
        """Return images, learning rate and ZCA statistics.

        Raises:
            BenchError: if the learned learning rate is not positive: nothing can be trained so.
        """
        rate = float(self._step_size)
        if rate <= 0:
            raise BenchError(
                f"the student's learning rate became {rate:g}: a smaller lr_lr than "
                f"{self._params.lr_lr:g} is needed (--set mtt.lr_lr=...)"
            )
        images, labels, zca = self._images.clone(), self._labels, self._experts.zca
        return ImageSet(self._spec, images, labels, {}, learning_rate=rate, zca=zca)

    def _inner_steps(self) -> list[InnerStep]:
        """Draw a student's batches, pass after pass over the distilled set, and augmentations."""
        order, noise = map(self._ctx.generator, ("order", "augmentation"))
        count, batches = len(self._labels), list[Tensor]()
        while len(batches) < self._params.syn_steps:
            shuffled = torch.randperm(count, generator=order, device=order.device)
            batches += torch.split(shuffled, self._params.batch_syn or count)
        return [
            InnerStep(batch, self._dsa.draw(len(batch), self._spec.shape, noise))
            for batch in batches[: self._params.syn_steps]
        ]
