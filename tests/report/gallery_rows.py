"""Results whose distilled sets are files, for galleries."""

from __future__ import annotations

from pathlib import Path

import torch
from report_rows import evaluation

from bench.datasets.spec import DatasetSpec
from bench.distilled.image_set import ImageSet
from bench.distilled.io import save
from bench.ledger.rows import Evaluation


def gallery_cell(root: Path, method: str, ipc: int, classes: int = 3, side: int = 8) -> Evaluation:
    """Return a result of a set of stripes, each a pixel wide, which is saved under ``root``."""
    spec = DatasetSpec("toy", classes, 1, side, side, (0.5,), (0.5,), flip=False)
    labels = torch.arange(classes).repeat_interleave(ipc)
    stripes = torch.arange(side).remainder(2).mul(255).to(torch.uint8)
    images = stripes.expand(len(labels), 1, side, side).contiguous()
    path = root / f"{method}-{ipc}.safetensors"
    save(ImageSet(spec, images, labels, {}), path)
    name = f"{method}{ipc}"
    return evaluation(dataset="toy", method=method, ipc=ipc, distil_id=name, cell_id=name,
                artefact=str(path))  # fmt: skip
