"""IDC: small images, stored many to one, whose gradients match those of real images.

J.-H. Kim et al., "Dataset Condensation via Efficient Synthetic-Data Parameterization", ICML 2022,
Algorithm 1; the values, and what the paper leaves open, are those of the released code
(snu-mllab/Efficient-Dataset-Condensation, condense.py, with --reproduce).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bench.plugin import DSA, DistilledSet, Method, Paper, Profile, RunningNetwork, Scalars, Task
from bench.plugin.compute import passes
from bench.plugin.datasets import normalise
from bench.plugin.sets import FactoredSet, decode_parts
from methods.idc.network import TrainedNetwork, cutmix
from methods.idc.params import LITE, SMOKE, IDCParams, unpublished
from methods.idc.pixels import TurnwiseSGD, first_grids
from methods.shared.class_gradients import class_gradients

# Images of a pass where it takes several classes at once.
_PASS = 2048


def gradient_gap(
    real: Mapping[str, Tensor], distilled: Mapping[str, Tensor], metric: str
) -> Tensor:
    """Sum up what two gradients differ by, class by class.

    Only the weights of convolutions count, as in the released code: parameters of more than two
    dimensions. A network without any is compared by all its matrices.

    Args:
        real: by parameter, ``(classes, *shape of the parameter)``.
        distilled: alike; the result can be differentiated through it.
        metric: ``l1`` for absolute differences, ``mse`` for squared ones; sums, not means.

    Returns:
        ``(classes,)``.
    """
    fewest = 4 if any(g.ndim >= 4 for g in real.values()) else 3
    gaps = [g - distilled[name] for name, g in real.items() if g.ndim >= fewest]
    sizes = [gap.abs() if metric == "l1" else gap.square() for gap in gaps]
    return torch.stack([size.flatten(1).sum(1) for size in sizes]).sum(0)


class IDC(Method[IDCParams]):
    r"""Matches, class by class, the gradients of decoded and real images in networks in training.

    One step is one inner iteration. For each class it decodes the stored images :math:`S_c` to
    :math:`f(S_c)`, draws real images :math:`T_c` and one augmentation :math:`A_c` that all share,
    and moves the stored pixels along the gradient of

    .. math:: D\big( \nabla_\theta L(A_c(f(S_c))), \nabla_\theta L(A_c(T_c)) \big)

    where :math:`D` is :func:`gradient_gap` and :math:`L` the mean cross-entropy. Then the network
    trains on real images for a while; after ``inner`` steps a fresh one takes its place.
    """

    Params = IDCParams
    state = ("grids", "network")

    name = "idc"
    artefact = "factored"
    label = "IDC"
    colour = "#00A8A3"
    marker = "p"
    table_order = 100
    published_differences = (
        "the released code moves the pixels after each class, ours after all classes"
    )
    published_protocol = "idc"
    paper = Paper(
        "Dataset Condensation via Efficient Synthetic-Data Parameterization",
        2022,
        "arXiv:2205.14959",
        "J.-H. Kim et al.",
    )
    profiles = {
        "lite": Profile(
            LITE,
            "18 (IPC 1) or 8 (IPC 8 and more) networks of 10 steps in place of 2,000 of 100, "
            "longer ones; 32 real and up to 32 decoded images per class and step in place of 64 "
            "and 128; networks that train on 256 images between steps in place of 2,000 or 500",
        ),
        "smoke": Profile(
            SMOKE, "2 networks of 2 steps on 8 images: shows only that the path works"
        ),
    }

    @classmethod
    def skip(cls, task: Task[IDCParams]) -> str | None:
        """Return a reason if an image has fewer pixels along a side than there shall be parts."""
        side = min(task.spec.height, task.spec.width)
        if task.params.factor > side:
            return f"an image of {side} pixels has no {task.params.factor} parts along a side"
        return None

    @classmethod
    def unpublished(cls, task: Task[IDCParams]) -> str | None:
        """Return the dataset if the released code has no setting for it."""
        return unpublished(task.spec.name)

    @classmethod
    def shown_per_stored(cls, params: IDCParams) -> int:
        """Every part is a training image."""
        return params.factor**2

    def setup(self) -> None:
        """Draw the first stored images; the first network is initialised by the first step."""
        p = self.params
        self.matching = DSA.for_dataset(self.spec, p.augment, "all")
        names = [name for name in self.matching.operations if name != "cutout" or not p.cutmix]
        self.training = DSA("_".join(names), "all")
        self.grids = TurnwiseSGD(
            first_grids(p.init, self.ipc, p.factor, self.ctx), p.lr_img, p.momentum
        )
        self.classes = torch.arange(self.spec.num_classes, device=self.ctx.device)
        self.slice_size = passes.slice_size(self.arch, self.ctx)
        self.network = RunningNetwork(self.new_network)

    def steps(self) -> int:
        """Return ``inner`` steps for each of ``iterations`` networks."""
        return self.params.iterations * self.params.inner

    def step(self, i: int) -> Scalars:
        """Match in the running network, then train or drop it; ``loss`` is a mean over classes."""
        if not self.network.exists:
            self.grids.pixels.clamp_(0, 1)
        network = self.network.get()
        distances, gradients = self.match(network)
        self.grids.step(gradients)
        if (i + 1) % self.params.inner:
            self.train(network)
        else:
            self.network.drop()
        return {"loss": distances.mean()}

    def result(self) -> DistilledSet:
        """Return the stored images as they are; the last steps may have left [0, 1]."""
        pixels, factor = self.grids.pixels, self.params.factor
        labels = self.classes.repeat_interleave(pixels.shape[1])
        return FactoredSet(self.spec, pixels.flatten(0, 1).clone(), labels, factor, {})

    def new_network(self, stream: str) -> TrainedNetwork:
        """Initialise a network from the named stream."""
        p = self.params
        return TrainedNetwork(
            self.ctx.network(self.arch, stream), lr=p.lr_net, momentum=p.momentum_net,
            weight_decay=p.weight_decay, slice_size=self.slice_size,
        )  # fmt: skip

    def match(self, network: TrainedNetwork) -> tuple[Tensor, Tensor]:
        """Return the distances ``(classes,)`` and each one's gradient by its stored pixels."""
        ctx, choosing, augmenting = self.ctx, *map(self.ctx.generator, ("real", "augmentation"))
        classes, shape = range(len(self.classes)), self.spec.shape
        draws = [self.matching.draw(1, shape, augmenting, shared=True) for _ in classes]
        picks = [ctx.real.sample_class(c, self.params.batch_real, choosing) for c in classes]
        chosen = [self.choose() for _ in classes]
        grids = self.grids.in_turn()

        def gradients(batches: Sequence[Tensor], group: slice, graph: bool) -> dict[str, Tensor]:
            pairs = zip(batches, draws[group], strict=True)
            seen = [self.matching.apply(batch, draw) for batch, draw in pairs]
            return class_gradients(
                network.function, network.weights, seen, self.classes[group], ctx,
                create_graph=graph,
            )  # fmt: skip

        def match(group: slice) -> tuple[Tensor, Tensor]:
            stored = grids[group].detach().requires_grad_()
            target = gradients([ctx.real.gather(pick) for pick in picks[group]], group, False)
            pairs = zip(stored.unbind(), chosen[group], strict=True)
            decoded = [self.decode(own, choice) for own, choice in pairs]
            distances = gradient_gap(target, gradients(decoded, group, True), self.params.metric)
            gradient = passes.image_gradient(distances.sum(), stored)
            return distances.detach(), gradient

        # On a CPU a thread each, elsewhere as many as fit a pass.
        size = 1 if ctx.device.type == "cpu" else _PASS
        largest = max(map(len, [*picks, chosen[0]]))
        groups = passes.class_groups(len(classes), largest, size)
        distances, moves = zip(*passes.parallel(match, groups, ctx), strict=True)
        return torch.cat(distances), torch.cat(moves)

    def choose(self) -> Tensor:
        """Draw which decoded images of a class take part: int64 indices, all if few enough."""
        count = self.grids.pixels.shape[1] * self.params.factor**2
        generator = self.ctx.generator("decoded")
        order = torch.randperm(count, generator=generator, device=self.ctx.device)
        return order[: self.params.batch_decoded]

    def decode(self, stored: Tensor, chosen: Tensor) -> Tensor:
        """Return the chosen training images of stored ones ``(ipc, C, H, W)``, normalised."""
        return normalise(decode_parts(stored, self.params.factor)[chosen], self.spec)

    def train(self, network: TrainedNetwork) -> None:
        """Train the network on real images that no two batches share, each augmented by itself."""
        ctx, p, real = self.ctx, self.params, self.ctx.real
        order, augmenting = ctx.generator("order"), ctx.generator("training-augmentation")
        # The released code counts images after each batch: whole batches, at least as many.
        count = -(-p.train_images // p.batch_train) * p.batch_train
        shuffled = torch.randperm(len(real), generator=order, device=ctx.device)[:count]
        for first in range(0, len(shuffled), p.batch_train):
            batch = shuffled[first : first + p.batch_train]
            seen = self.training(real.gather(batch), augmenting)
            network.descend(
                *cutmix(seen, real.labels[batch], self.spec.num_classes, p.cutmix, ctx), ctx
            )
