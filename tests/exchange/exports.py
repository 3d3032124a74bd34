"""Calls of ``bench export`` for tests, and how their files are read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from click.testing import CliRunner, Result
from foreign_files import Sample

from bench.cli import main
from bench.distilled.image_set import ImageSet
from bench.distilled.io import save
from bench.exchange.opened import open_sets
from bench.support.seeds import make_generator


def learned(sample: Sample, **more: Any) -> ImageSet:
    """Return images that differ from real ones in every digit."""
    noise = 0.1 * torch.randn(sample.normalised.shape, generator=make_generator(0))
    return ImageSet(sample.real.spec, sample.normalised + noise, sample.labels, {}, **more)


def call(*arguments: Any, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def exported(made: Any, tmp_path: Path, *options: Any) -> Path:
    save(made, tmp_path / "set.safetensors")
    call("export", tmp_path / "set.safetensors", "-o", tmp_path / "out", *options)
    return tmp_path / "out"


def read_back(source: Path, sample: Sample) -> ImageSet:
    (reading,) = open_sets(str(source), sample.real)
    assert isinstance(reading.distilled, ImageSet)
    return reading.distilled
