"""Judge a DC set on MNIST as its authors' code does, which is none of bench's protocols.

They train for 1000 epochs on images that are each cropped, scaled or rotated by up to 45 degrees
(VICO-UoE/DatasetCondensation @53f63a6, `utils.py`, `get_daparam` and `augment`). Run it on the
artefact of a `dc` cell:

    python dc_mnist.py STORE/cells/ID/artefact.safetensors NETWORKS
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.datasets.data_folder import data_dir
from bench.datasets.library import open_split
from bench.distilled.io import load
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.evaluation.score import score
from bench.support.seeds import derive_seed, make_generator

EPOCHS, PIXELS, SCALE, DEGREES = 1000, 4, 0.2, 45.0
CPU = torch.device("cpu")


def augment(images: Tensor, draws: torch.Generator) -> Tensor:
    """Crop, scale or rotate each image.

    What comes in at the edges is the batch's mean after a crop or a rotation, and zero after
    scaling. Theirs interpolates rotations by cubic splines; this does so linearly.
    """
    maps = torch.eye(2, 3).repeat(len(images), 1, 1)
    edge = images.mean().repeat(len(images))
    for i, each in enumerate(maps):
        kind, first, second = torch.rand(3, generator=draws).tolist()
        if kind < 1 / 3:
            shift = [math.floor(u * 2 * PIXELS) - PIXELS for u in (first, second)]
            each[:, 2] = torch.tensor(shift) * 2 / images.shape[-1]
        elif kind < 2 / 3:
            each[0, 0], each[1, 1] = (1 / (1 + SCALE * (2 * u - 1)) for u in (first, second))
            edge[i] = 0.0
        else:
            angle = math.radians(DEGREES * (2 * first - 1))
            cos, sin = math.cos(angle), math.sin(angle)
            each[:, :2] = torch.tensor([[cos, -sin], [sin, cos]])
    edge = edge[:, None, None, None]
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images - edge, grid, align_corners=False) + edge


def judge(artefact: Path, networks: int) -> list[float]:
    """Return the test accuracy of each network, in percent."""
    distilled = load(artefact)
    test = open_split("mnist", "test", data_dir(None), CPU)
    images, labels = distilled.source("stored", 1, make_generator(0)).epoch(make_generator(0))
    found = []
    for k in range(networks):
        seed = derive_seed("evaluate", "mnist", "convnet3", 0, k)
        recipe = Recipe.of(distilled.spec, "convnet3", get_protocol("default"))
        net = recipe.initial_network(seed, CPU)
        optimiser = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
        schedule = torch.optim.lr_scheduler.StepLR(optimiser, EPOCHS // 2 + 1)
        draws = make_generator(derive_seed(seed, "augment"))
        for _ in range(EPOCHS):
            optimiser.zero_grad()
            F.cross_entropy(net(augment(images, draws)), labels).backward()
            optimiser.step()
            schedule.step()
        found.append(score(net, test, "fp32").accuracy)
        print(f"network {k}: {found[-1]:.2f} %", flush=True)
    return found


if __name__ == "__main__":
    accuracies = torch.tensor(judge(Path(sys.argv[1]), int(sys.argv[2])))
    print(f"{accuracies.mean():.1f} ± {accuracies.std():.1f} over {len(accuracies)} networks")
