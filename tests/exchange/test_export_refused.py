"""What ``bench export`` refuses, in one line, and then leaves nothing behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from exports import call, exported, learned
from foreign_files import Sample
from small_disk import fill, small_disk

import bench
from bench.datasets.zca import ZCA
from bench.distilled.factored_set import FactoredSet
from bench.distilled.image_set import ImageSet
from bench.distilled.io import save
from bench.distilled.real_stream_set import RealStreamSet


def test_what_cannot_be_written(sample: Sample, tmp_path: Path) -> None:
    zca = ZCA.fit(sample.real.images, 0.1)
    sets = {
        "factored": FactoredSet(sample.real.spec, sample.pixels, sample.labels, 2, {}),
        "white": ImageSet(sample.real.spec, sample.white, sample.labels, {}, zca=zca),
    }
    for name, options, words in (
        ("factored", ("--format", "npz"), "a factored set cannot be exported as npz"),
        ("white", ("--dtype", "uint8"), "whitened images cannot be stored as uint8"),
    ):
        path = tmp_path / f"{name}.safetensors"
        save(sets[name], path)
        result = call("export", path, "-o", tmp_path / "out", *options, code=2)
        assert words in result.stderr
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob(".export-*"))


@pytest.mark.parametrize("form", ["pt", "npz", "imagefolder", "hf"])
def test_a_stream_of_real_images_stays_with_bench(
    form: str, sample: Sample, tmp_path: Path
) -> None:
    pytest.importorskip("datasets") if form == "hf" else None
    made = RealStreamSet(sample.real.spec, sample.bytes, sample.labels, {})
    save(made, tmp_path / "set.safetensors")
    source, out = tmp_path / "set.safetensors", tmp_path / "out"
    result = call("export", source, "-o", out, "--format", form, code=2)
    words = f"is the real training set itself, and cannot be exported as {form}: use safetensors"
    assert words in result.stderr
    call("export", source, "-o", out)
    back = bench.load(out / "set.safetensors")
    assert torch.equal(back.tensors()["images"], sample.bytes)


def test_a_folder_that_exists_is_kept(sample: Sample, tmp_path: Path) -> None:
    save(learned(sample), tmp_path / "set.safetensors")
    (tmp_path / "out").mkdir()
    result = call("export", tmp_path / "set.safetensors", "-o", tmp_path / "out", code=2)
    assert "exists: name a new folder" in result.stderr


def test_without_the_extra_the_package_is_named(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets")
    made = exported(learned(sample), tmp_path, "--format", "hf")
    monkeypatch.setitem(sys.modules, "datasets", None)
    again = ("export", tmp_path / "set.safetensors", "-o", tmp_path / "again", "--format", "hf")
    for words in (
        again,
        ("evaluate", made, "--dataset", "digits", "--dry-run"),
        ("evaluate", "hf:someone/something", "--dataset", "digits", "--dry-run"),
    ):
        result = call(*words, code=2)
        assert "needs the package datasets: pip install 'distillation-bench[hub]'" in result.stderr
    assert not (tmp_path / "again").exists()


def test_a_full_disk_leaves_nothing_behind(sample: Sample, tmp_path: Path) -> None:
    save(learned(sample), tmp_path / "set.safetensors")
    with small_disk(tmp_path / "disk", 1) as disk:
        fill(disk, leaving=16)
        for form in ("safetensors", "pt", "npz", "imagefolder"):
            result = call(
                "export", tmp_path / "set.safetensors", "-o", disk / "out", "--format", form, code=2
            )
            assert "cannot be written: No space left on device" in result.stderr
            assert "Traceback" not in result.output
            assert [path.name for path in disk.iterdir()] == ["ballast"]


def test_an_unknown_source(tmp_path: Path) -> None:
    result = call("export", "nothing.pt", "-o", tmp_path / "out", "--store", tmp_path, code=2)
    assert "nothing.pt" in result.stderr
