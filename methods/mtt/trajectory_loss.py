r"""The loss of trajectory matching and its gradient, with one inner step's graph alive at a time.

A student starts at an expert's weights :math:`\theta_0 = \theta^*_t` and takes :math:`N` steps on
augmented distilled batches,

.. math:: \theta_{i+1} = \theta_i - \alpha g_i, \qquad
          g_i = \nabla_\theta \ell(\theta_i; A_i(X_{b_i})), \qquad
          L = \frac{\|\theta_N - \theta^*_{t+M}\|^2}{\|\theta^*_t - \theta^*_{t+M}\|^2}

(Cazenavette et al., 2022, equation 2 and algorithm 1). Let :math:`\lambda_i = dL / d\theta_i`,
the derivative along all later steps. The chain rule through the recursion is

.. math:: \lambda_N = \frac{2 (\theta_N - \theta^*_{t+M})}{\|\theta^*_t - \theta^*_{t+M}\|^2},
          \qquad \lambda_i = \lambda_{i+1} - \alpha \,
          \nabla^2_{\theta\theta} \ell_i \, \lambda_{i+1}

.. math:: \frac{dL}{dX} = -\alpha \sum_i \frac{\partial (\lambda_{i+1}^T g_i)}{\partial X}, \qquad
          \frac{dL}{d\alpha} = -\sum_i \lambda_{i+1}^T g_i .

**Exact.** Step by step from the last to the first, the graph of :math:`g_i` is built anew at the
kept :math:`\theta_i` and pulled back by :math:`\lambda_{i+1}`: one vector-Jacobian product gives
the image term and the Hessian term. This is the gradient that the released code of MTT gets by
keeping the graphs of all steps; it costs one more gradient per step. Device memory does not grow
with :math:`N`: the weights :math:`\theta_i` are kept on the host, and a graph dies with its step.

**TESLA** (Cui et al., 2023, equations 4 to 6) writes :math:`\theta_N = \theta_0 - \alpha \sum_i
g_i` and differentiates the square term by term, each :math:`g_i` for its own batch only. In that
all :math:`\theta_i` are constants: the Hessian terms are left out and :math:`\lambda_i =
\lambda_N` for every step. It is exact for :math:`N = 1` and for the last step; else it is another,
cheaper direction, in the images and in :math:`\alpha` alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.plugin import DSA, Context
from bench.plugin.compute import Draw, FunctionalNetwork, passes


@dataclass(frozen=True, eq=False)
class InnerStep:
    """One step of the student.

    Attributes:
        batch: int64 ``(b,)``, distinct rows of the distilled set.
        draw: the augmentation of that batch.
    """

    batch: Tensor
    draw: Draw


@dataclass(frozen=True, eq=False)
class Matched:
    """The loss and its gradients, detached.

    Attributes:
        loss: 0-d.
        images: of the distilled images, in their shape.
        step_size: of the student's learning rate, 0-d.
    """

    loss: Tensor
    images: Tensor
    step_size: Tensor


class TrajectoryLoss:
    """How far a student trained on distilled images ends from where the expert ended.

    Args:
        network: of the student; weights are flat vectors ``(P,)`` in its order.
        dsa: applies the steps' draws.
        slice_size: images per pass, ``None`` to keep batches whole.
        ctx: whose device and precision to use.
        exact: differentiate through the student's weights; otherwise as TESLA does.
    """

    def __init__(
        self,
        network: FunctionalNetwork,
        dsa: DSA,
        slice_size: int | None,
        ctx: Context,
        *,
        exact: bool = True,
    ) -> None:
        self._network, self._dsa, self._slice = network, dsa, slice_size
        self._ctx, self._exact = ctx, exact

    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        step_size: Tensor,
        steps: Sequence[InnerStep],
        start: Tensor,
        target: Tensor,
    ) -> Matched:
        """Train the student and pull the loss back.

        Args:
            images: float ``(n, C, H, W)``, the whole distilled set, normalised.
            labels: int64 ``(n,)``.
            step_size: 0-d, on the device.
            steps: what the student sees, in order.
            start: the expert's weights where the student starts.
            target: the expert's weights that it should reach.
        """
        weights, path = start, []
        for step in steps:
            path.append(weights.cpu())
            augmented = self._dsa.apply(images[step.batch], step.draw)
            gradient = self._gradient(weights, augmented, labels[step.batch])
            weights = weights - step_size * gradient
        scale = (start - target).square().sum()
        loss = (weights - target).square().sum() / scale
        adjoint = 2 * (weights - target) / scale
        of_images, of_step_size = torch.zeros_like(images), torch.zeros_like(step_size)
        for step, before in zip(reversed(steps), reversed(path), strict=True):
            batch = images[step.batch].requires_grad_()
            augmented = self._dsa.apply(batch, step.draw)
            at = before.to(weights.device)
            along, pulled, curved = self._pull(at, augmented, labels[step.batch], adjoint)
            (of_batch,) = torch.autograd.grad(augmented, batch, pulled)
            of_images[step.batch] -= step_size * of_batch
            of_step_size -= along
            if curved is not None:
                adjoint = adjoint - step_size * curved
        return Matched(loss, of_images, of_step_size)

    def _gradient(self, weights: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """Return the gradient of the mean loss, ``(P,)``."""

        def part(rows: slice) -> list[Tensor]:
            with passes.autocast(self._ctx):
                gradient = self._part(weights, images[rows], labels[rows], create_graph=False)
            return [gradient * (len(labels[rows]) / len(labels))]

        return passes.parallel_sum(part, passes.even_slices(len(labels), self._slice), self._ctx)[0]

    def _pull(
        self, weights: Tensor, images: Tensor, labels: Tensor, adjoint: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the gradient's product with ``adjoint``, and that product's two derivatives.

        Returns:
            0-d; for the images ``(b, C, H, W)``; for the weights ``(P,)``, ``None`` if not exact.
        """
        pulled = torch.empty_like(images)

        def part(rows: slice) -> list[Tensor]:
            at, shown = weights.clone().requires_grad_(), images[rows].detach().requires_grad_()
            with torch.enable_grad(), passes.autocast(self._ctx):
                gradient = self._part(at, shown, labels[rows], create_graph=True)
                along = gradient @ adjoint * (len(shown) / len(labels))
            inputs = (shown, at) if self._exact else (shown,)
            pulled[rows], *curved = torch.autograd.grad(along, inputs)
            return [along.detach(), *curved]

        slices = passes.even_slices(len(labels), self._slice)
        along, *curved = passes.parallel_sum(part, slices, self._ctx)
        return along, pulled, curved[0] if curved else None

    def _part(
        self, weights: Tensor, images: Tensor, labels: Tensor, *, create_graph: bool
    ) -> Tensor:
        network = self._network
        params = network.unflatten(weights)
        return network.flatten(network.gradients(params, images, labels, create_graph=create_graph))
