"""Measure what share of the generator's gradient DiM's matching has.

Continues the GAN of a store as the DiM of a profile does, and every 20 steps compares the gradients
of both terms of the generator's loss, the GAN's and the weighted matching loss, for one batch: on
the images, and on the generator's weights, where the angle between them is given too.

    python results/reproduced/checks/matching_share.py STORE GAN_CELL PROFILE STEPS
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from bench.datasets.data_folder import data_dir
from bench.datasets.library import open_split
from bench.distillation.context import Context, Start
from bench.distillation.tasks import make_task
from bench.ledger.artefacts import load_artefact
from bench.ledger.store import Store
from methods.dim.method import DiM
from methods.gan.method import objective_of

CPU = torch.device("cpu")
EVERY = 20
COLUMNS = ("step", "images: matching / GAN", "weights: matching / GAN", "cosine")


def continued(store: Store, cell: str, profile: str) -> DiM:
    """Return DiM, set up to continue the GAN of a cell."""
    record = store.read(cell)
    assert record is not None, f"'{store.root}' has no cell {cell}"
    identity = record.identity
    distilled, byproducts = load_artefact(store, record.id, CPU)
    real = open_split(identity["dataset"], "train", data_dir(None), CPU)
    ctx = Context(real, 0, precision=identity["precision"], start=Start(distilled, byproducts))
    dim = DiM(make_task(DiM, real, None, None, {}, profile), ctx)
    dim.setup()
    return dim


def gradients(dim: DiM, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return both terms' gradients on a batch of images and on the generator's weights, flat."""
    params, pair = dim.params, dim.pair
    objective = objective_of(params.gan)
    real, labels = dim.batches.pick(step)
    latent = pair.generator.latent(labels, torch.Generator().manual_seed(step))
    with torch.enable_grad():
        drawn = pair.generator(latent)
        images = drawn.detach().requires_grad_()
        (own,) = torch.autograd.grad(
            objective.generator(pair.discriminator, images, labels), images
        )
    extra = dim.matcher.extra(real, params.match_weight)
    matching = extra.weight * extra.loss(drawn.detach(), *extra.inputs)[1]
    weights = list(pair.generator.parameters())
    flat = [
        torch.cat([g.flatten() for g in torch.autograd.grad(drawn, weights, s, retain_graph=True)])
        for s in (own, matching)
    ]
    return own, matching, *flat


def main(store: str, cell: str, profile: str, steps: str) -> None:
    """Print the shares at each measured step, and their means."""
    dim, lines = continued(Store(Path(store)), cell, profile), []
    for step in range(int(steps)):
        dim.step(step)
        if (step + 1) % EVERY == 0:
            own, matching, own_flat, matching_flat = gradients(dim, step)
            cosine = torch.cosine_similarity(own_flat, matching_flat, dim=0)
            lines.append(
                [matching.norm() / own.norm(), matching_flat.norm() / own_flat.norm(), cosine]
            )
            print(step + 1, *(f"{float(value):.4f}" for value in lines[-1]), flush=True)
    print("mean", *(f"{sum(map(float, c)) / len(lines):.4f}" for c in zip(*lines, strict=True)))


if __name__ == "__main__":
    print(*COLUMNS, sep=", ")
    main(*sys.argv[1:])
