"""bf16 costs no accuracy worth speaking of, on real images."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import torch

from bench.datasets.library import ensure, open_split
from bench.distilled.image_set import FixedSource
from bench.evaluation.engine import train_and_test
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.support.seeds import make_generator

CPU = torch.device("cpu")
# What docs/speed.md states: points of mean accuracy between bf16 and fp32.
TOLERANCE = 2.0


def test_bf16_is_within_its_tolerance_of_fp32_on_real_digits(tmp_path: Path) -> None:
    ensure("digits", tmp_path)
    real, test = (open_split("digits", part, tmp_path, CPU) for part in ("train", "test"))
    generator = make_generator(0)
    index = torch.cat([real.sample_class(c, 10, generator) for c in range(10)])
    source = FixedSource(real.gather(index), real.labels[index], 0)

    def accuracies(precision: str) -> tuple[float, ...]:
        recipe = Recipe.of(
            real.spec, "convnet3(width=32)", get_protocol("default"), epochs=60, precision=precision
        )
        return train_and_test(source, recipe, [1, 2, 3, 4], test).accuracies

    full, half = accuracies("fp32"), accuracies("bf16")
    assert mean(full) > 85, "a network that has learned nothing shows nothing"
    assert abs(mean(full) - mean(half)) <= TOLERANCE
