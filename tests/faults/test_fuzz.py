"""Damaged input of every kind ends in a reason, or in the numbers of the undamaged input.

``pytest -m slow tests/faults/test_fuzz.py -s`` tries 1,000 mutations and prints what became of
them; ``BENCH_FUZZ_SEED`` draws others.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from fuzz_kinds import KINDS, evaluate
from fuzz_trials import NET, SEED, FaultError, Sound, Trial, read_numbers
from PIL import Image

from bench.datasets.content import content_sha256
from bench.ledger.checkpoint import Checkpoint

# --- The sound input -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Iterator[Sound]:
    """The input before it is damaged; commands run in an empty folder."""
    root = tmp_path_factory.mktemp("fuzz")
    whole = Sound(root / "store", root / "data", root / "checkpoints", root / "sources")
    shutil.copytree(data_dir, whole.data)
    whole.checkpoints.mkdir()
    whole.sources.mkdir()
    (root / "here").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root / "here")
        _build_store(whole, root / "building")
        _write_sources(whole, root)
        yield whole
    assert list((root / "here").iterdir()) == []


def _build_store(whole: Sound, folder: Path) -> None:
    saved = Checkpoint.save

    def keep(self: Checkpoint, state: dict[str, Any]) -> bool:
        done = saved(self, state)
        shutil.copy(self.path, whole.checkpoints / self.path.parent.name)
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "save", keep)
        trial = Trial(whole, folder, Random(0))
        ended = trial.bench(
            "run", "--method", "random,dm", "--dataset", "digits", "--ipc", 1, "--arch", NET,
            "--profile", "smoke", "--eval-nets", 1, "--set", "dm.iterations=3", "--json",
            "--device", "cpu", "--threads", 1, "--store", whole.store, "--data-dir", whole.data,
            "--checkpoint-every", 0,
        )  # fmt: skip
    whole.numbers |= read_numbers(ended.stdout)
    assert len(whole.numbers) == 2
    shutil.rmtree(whole.store / "report", ignore_errors=True)


def _write_sources(whole: Sound, root: Path) -> None:
    random = np.random.default_rng(SEED)
    images = random.integers(0, 256, (12, 5, 7, 3), dtype=np.uint8)
    labels = np.arange(12) % 2
    np.savez_compressed(
        whole.sources / "images.npz",
        x_train=images[:8], y_train=labels[:8], x_test=images[8:], y_test=labels[8:],
    )  # fmt: skip
    for i, image in enumerate(images):
        path = whole.sources / "images" / ("train" if i < 8 else "test") / f"c{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    distilled = random.integers(0, 256, (10, 1, 16, 16), dtype=np.uint8)
    tensors = {"images": torch.from_numpy(distilled), "labels": torch.arange(10)}
    torch.save(tensors, whole.sources / "set.pt")
    np.savez(whole.sources / "set.npz", images=distilled, labels=np.arange(10))
    for name in ("images.npz", "images"):
        trial = Trial(whole, root / f"import {name}", Random(0))
        ended = trial.bench(
            "data", "import", "fuzzed", whole.sources / name, "--data-dir", trial.folder / "data"
        )
        assert ended.exit_code == 0, ended.output
        whole.imported[name] = content_sha256(trial.folder / "data" / "fuzzed.safetensors")
    for name in ("set.pt", "set.npz"):
        trial = Trial(whole, root / f"evaluate {name}", Random(0))
        whole.evaluated[name] = evaluate(trial, whole.sources / name)
        assert len(whole.evaluated[name]) == 1


# --- The runs ------------------------------------------------------------------------------------


def fuzz(sound: Sound, folder: Path, kind: str, count: int) -> None:
    """Try mutations of a kind, print what became of them, and fail with all that went wrong."""
    counts: Counter[str] = Counter()
    faults = []
    for number in range(count):
        trial = Trial(sound, folder / str(number), Random(f"{SEED} {kind} {number}"))
        try:
            KINDS[kind](trial)
        except FaultError as fault:
            counts["faults"] += 1
            faults.append(f"{kind} {number}: {trial.how}\n    {fault}")
        else:
            counts["refused or named" if trial.refused else "harmless"] += 1
        shutil.rmtree(trial.folder)
    print(f"{kind}: {count} mutations: {dict(counts)}")
    assert not faults, "\n".join(faults)


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize("kind", KINDS)
def test_a_few_mutations(sound: Sound, tmp_path: Path, kind: str) -> None:
    fuzz(sound, tmp_path, kind, 6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_mutations(sound: Sound, tmp_path: Path, kind: str) -> None:
    fuzz(sound, tmp_path, kind, 100)
