"""The smallest plugins of each kind, as files that a test edits, and runs with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from recording_reporter import RecordingReporter
from run_digits import SMALL

import bench

# The smallest plugins of each kind; WHICH is the line that the tests edit.
METHOD = """
import torch
from bench.plugin import SelectionMethod, register

@register("method")
class Mine(SelectionMethod):
    name = "mine"
    uses_arch = False

    def select(self):
        WHICH = 0
        return torch.cat([index[WHICH : WHICH + self.ipc] for index in self.ctx.real.class_indices])
"""
STARTS = """
from bench.plugin import Method, Prerequisite, register

@register("method")
class After(Method):
    name = "after"
    uses_arch = False
    state = ()
    WHICH = 0

    @classmethod
    def prerequisite(cls, task):
        return Prerequisite("mine", {})

    def setup(self):
        pass

    def steps(self):
        return 1

    def step(self, i):
        return {}

    def result(self):
        return self.ctx.start.distilled
"""
ARCHITECTURE = """
from torch import nn
from bench.plugin import Architecture, register

class Net(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.classifier = nn.Linear(spec.channels * spec.height * spec.width, spec.num_classes)

    def embed(self, x):
        WHICH = 0
        return x.flatten(1) + WHICH

    def forward(self, x):
        return self.classifier(self.embed(x))

@register("architecture")
class Mine(Architecture):
    name = "mine-net"
    members = {"mine-net": {}}

    @classmethod
    def build(cls, spec, params):
        return Net(spec)

    @classmethod
    def per_sample(cls, params):
        return False
"""
DATASET = """
import numpy as np
from bench.plugin import DatasetSource, DatasetSpec, register
from bench.plugin.datasets import Arrays

@register("dataset")
class Mine(DatasetSource):
    name = "mine-data"
    spec = DatasetSpec("mine-data", 2, 1, 8, 8, (0.5,), (0.5,), flip=False)

    def load(self, workdir, progress):
        WHICH = 0
        labels = np.arange(40) % 2
        images = np.random.default_rng(WHICH).integers(0, 99, (40, 8, 8))
        images += 100 * labels[:, None, None]
        return Arrays(images.astype(np.uint8), labels, images.astype(np.uint8), labels)
"""


class Plugins:
    """Runs grids with plugins of a folder, which can be edited."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        self.folder, self.data_dir, self.store = folder, data_dir, folder / "store"
        self.files: list[Path] = []

    def write(self, name: str, text: str, which: str = "0") -> None:
        path = self.folder / f"{name}.py"
        path.write_text(text.replace("WHICH = 0", f"WHICH = {which}"))
        if path not in self.files:
            self.files.append(path)

    def run(self, method: Any, dataset: str = "digits", **more: Any) -> RecordingReporter:
        reporter = RecordingReporter()
        self.frame: pd.DataFrame = bench.run(
            method, dataset, more.pop("ipc", 1), store=self.store, data_dir=self.data_dir,
            plugins=self.files, reporter=reporter, **{**SMALL, **more},
        )  # fmt: skip
        return reporter

    @property
    def accuracy(self) -> float:
        return float(self.frame["accuracies"].iloc[0][0])
