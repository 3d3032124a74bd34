"""Train a network on a distilled set, in plain PyTorch.

    python examples/train_on_distilled.py SET --dataset digits

SET is the id of a cell (with ``--store``), or a file or folder of anyone's that ``bench evaluate``
reads.
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

import bench


def main() -> None:
    """Train a small network and print its accuracy on the real test set."""
    parser = argparse.ArgumentParser(description="Train a network on a distilled set.")
    parser.add_argument("source", help="a file, a folder, or a cell's id")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--store", default="results/runs")
    parser.add_argument("--ipc", type=int, help="images per class; a generator needs it")
    parser.add_argument("--epochs", type=int, default=100)
    options = parser.parse_args()

    real = bench.load_dataset(options.dataset)
    distilled = bench.load(options.source, options.store, real=real.train)
    loader = DataLoader(distilled.dataset(ipc=options.ipc), batch_size=64)
    spec = distilled.spec

    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(spec.pixels, 128), torch.nn.ReLU(),
        torch.nn.Linear(128, spec.num_classes),
    )  # fmt: skip
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    for _ in range(options.epochs):
        for images, labels in loader:  # images in normalised units; labels hard or soft
            optimiser.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimiser.step()

    test = real.test.whitened(distilled.zca)
    with torch.no_grad():
        predicted = network(test.gather(torch.arange(len(test)))).argmax(1)
    accuracy = (predicted == test.labels).float().mean()
    print(f"{100 * float(accuracy):.1f} % of {len(test)} test images")


if __name__ == "__main__":
    main()
