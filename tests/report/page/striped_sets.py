"""Distilled sets of stripes: small, and quickly written."""

from __future__ import annotations

from pathlib import Path

import torch

from bench.datasets.spec import DatasetSpec
from bench.distilled.image_set import ImageSet
from bench.distilled.io import save


def save_stripes(path: Path) -> None:
    """Write a distilled set of one image for each of two classes."""
    spec = DatasetSpec("toy", 2, 1, 8, 8, (0.5,), (0.5,), flip=False)
    images = torch.arange(8).remainder(2).mul(255).to(torch.uint8).expand(2, 1, 8, 8).contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    save(ImageSet(spec, images, torch.arange(2), {}), path)
