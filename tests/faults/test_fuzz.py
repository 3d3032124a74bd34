"""Damaged input of every kind ends in a reason, or in the numbers of the undamaged input.

``pytest -m slow tests/faults/test_fuzz.py -s`` tries 1,000 mutations and prints what became of
them; ``BENCH_FUZZ_SEED`` draws others.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from mutations import BYTES, Mutation, change_json, change_safetensors_header
from PIL import Image
from store_contents import only_record

from bench.cli import main
from bench.datasets.content import content_sha256
from bench.ledger.checkpoint import Checkpoint
from bench.networks.cpu_kernels.cache import cached

SEED = int(os.environ.get("BENCH_FUZZ_SEED", "13"))
NET = "convnet1(width=4)"
KERNELS = Random(SEED).randbytes(40_000)
CONFIG = f"""\
method = ["random", "dm"]
dataset = "digits"
ipc = [1, 2]
arch = "{NET}"
profile = "smoke"
seeds = 2
eval_nets = 1

[set.dm]
iterations = 3
"""
# Accuracies by what they are of.
Numbers = dict[tuple[Any, ...], list[float]]


class FaultError(AssertionError):
    """A traceback, or a number that is silently wrong."""


@dataclass
class Sound:
    """Undamaged input.

    Attributes:
        store: a small store, complete.
        data: the data folder of its digits.
        checkpoints: checkpoints of its cells, by cell id.
        sources: what is imported or evaluated, and a config file.
        numbers: the accuracies of the store.
        imported: sha256 of the content that the sources give as datasets, by file name.
        evaluated: accuracies of the sources that are distilled sets, by file name.
    """

    store: Path
    data: Path
    checkpoints: Path
    sources: Path
    numbers: Numbers = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    evaluated: dict[str, Numbers] = field(default_factory=dict)


class Trial:
    """One mutation of a copy of the sound input, and the commands that read it."""

    def __init__(self, sound: Sound, folder: Path, random: Random) -> None:
        self.sound, self.folder, self.random = sound, folder, random
        self.how, self.refused = "nothing", False
        folder.mkdir()

    def copy_store(self, *without: str) -> Path:
        """Return a copy of the store, without some folders of cells."""
        store = Path(shutil.copytree(self.sound.store, self.folder / "store"))
        for cell in without:
            shutil.rmtree(store / "cells" / cell)
        return store

    def mutate(self, path: Path, *more: Mutation) -> None:
        """Damage a file; mutations of its format are as likely as those of its bytes."""
        before = path.read_bytes()
        while path.read_bytes() == before:
            mutations = more if more and self.random.random() < 0.5 else BYTES
            self.how = f"{path.name}: {self.random.choice(mutations)(path, self.random)}"

    def bench(self, *arguments: object) -> Result:
        """Run a command, which ends with exit code 0, or with 1 or 2 and words."""
        words = [str(argument) for argument in arguments]
        result = CliRunner().invoke(main, words)
        if not isinstance(result.exception, SystemExit | None):
            raise FaultError(f"{words[0]}: {result.exception!r}") from result.exception
        if "Traceback" in result.output:
            raise FaultError(f"{words[0]}: {result.output}")
        if result.exit_code not in (0, 1, 2) or (result.exit_code and not result.output.strip()):
            raise FaultError(f"{words[0]}: exit code {result.exit_code}, said {result.output!r}")
        named = any(word in result.output for word in ("damaged", "set aside", "left out"))
        self.refused |= result.exit_code != 0 or named
        return result

    def check_table(self, store: Path) -> None:
        """Every row of the table has the numbers of the sound store; what lacks is named."""
        table = self.bench("table", "--store", store, "--format", "json")
        seen = read_numbers(table.stdout) if table.exit_code == 0 else {}
        said = click.unstyle(table.stderr)
        if seen != self.sound.numbers and not said:
            raise FaultError(f"table: {seen} without a word")
        check_numbers(self.sound.numbers, seen, "table")

    def run(self, store: Path, data: Path | None = None, methods: str = "random,dm") -> str:
        """Run the store's grid: it gives the sound numbers, or says why not.

        Returns:
            What it said beside the results.
        """
        ended = self.bench(
            "run", "--method", methods, "--dataset", "digits", "--ipc", 1, "--arch", NET,
            "--profile", "smoke", "--eval-nets", 1, "--set", "dm.iterations=3", "--json",
            "--device", "cpu", "--threads", 1, "--store", store,
            "--data-dir", data or self.sound.data,
        )  # fmt: skip
        seen = read_numbers(ended.stdout) if ended.stdout else {}
        expected = {k: v for k, v in self.sound.numbers.items() if k[1] in methods.split(",")}
        if ended.exit_code == 0 and seen != expected:
            raise FaultError(f"run: {seen}, exit code 0, said {ended.stderr}")
        check_numbers(expected, seen, "run")
        return ended.stderr


def read_numbers(text: str) -> Numbers:
    """Return the accuracies in what a command printed as JSON."""
    return {
        (row["dataset_sha256"], row["method"], row["ipc"], row["eval_arch"], row["protocol"]): row[
            "accuracies"
        ]
        for row in json.loads(text)["results"]
    }


def check_numbers(sound: Numbers, seen: Numbers, command: str) -> None:
    """Raise a fault if one number is of the same as a sound one, and another."""
    for key in sound.keys() & seen.keys():
        if sound[key] != seen[key]:
            raise FaultError(f"{command}: {key} has {seen[key]}, not {sound[key]}")


# --- What is damaged -----------------------------------------------------------------------------


def record(trial: Trial) -> None:
    store = trial.copy_store()
    path = trial.random.choice(sorted(store.glob("cells/*/record.json")))
    before = json.loads(path.read_text())
    trial.mutate(path, change_json)
    if trial.bench("verify", "--store", store).exit_code == 0:
        after = json.loads(path.read_text())
        if after.get("schema_version") == 1 and after | {"checksum": before["checksum"]} != before:
            raise FaultError("verify: nothing is wrong")
    trial.check_table(store)
    trial.bench("status", "--store", store, "--json")
    if trial.random.random() < 0.5:
        trial.run(store)
        trial.check_table(store)


def request(trial: Trial) -> None:
    store = trial.copy_store()
    (saved,) = store.glob("requests/*.json")
    path = trial.random.choice([saved, *sorted(store.glob("cells/*/request.json"))])
    (store / "cells" / only_record(store, "random", "evaluate").id / "record.json").unlink()
    trial.mutate(path, change_json)
    trial.bench("status", "--store", store, "--json")
    trial.bench(
        "retry", "--store", store, "--data-dir", trial.sound.data, "--device", "cpu",
        "--threads", 1, "--workers", 0, "--time-budget", "3s",
    )  # fmt: skip
    table = trial.bench("table", "--store", store, "--format", "json")
    seen = read_numbers(table.stdout) if table.exit_code == 0 else {}
    check_numbers(trial.sound.numbers, seen, "table")


def checkpoint(trial: Trial) -> None:
    saved = trial.random.choice(sorted(trial.sound.checkpoints.iterdir()))
    needing = {only_record(trial.sound.store, m, "evaluate").id for m in ("random", "dm")}
    store = trial.copy_store(*(needing | {saved.name}))
    path = store / "cells" / saved.name / "checkpoint.safetensors"
    path.parent.mkdir()
    shutil.copy(saved, path)
    trial.mutate(path, change_safetensors_header)
    trial.bench("status", "--store", store, "--json")
    if "set aside, the cell starts from the beginning" not in trial.run(store):
        raise FaultError("run: a damaged checkpoint is used or discarded without a word")


def artefact(trial: Trial) -> None:
    method = trial.random.choice(("random", "dm"))
    evaluation = only_record(trial.sound.store, method, "evaluate").id
    store = trial.copy_store(evaluation)
    distilled = only_record(store, method, "distil").id
    path = store / "cells" / distilled / "artefact.safetensors"
    trial.mutate(path, change_safetensors_header)
    if trial.bench("verify", "--store", store).exit_code == 0:
        raise FaultError("verify: nothing is wrong")
    if trial.random.random() < 0.2:
        complete = Path(shutil.copytree(trial.sound.store, trial.folder / "complete"))
        shutil.copy(path, complete / path.relative_to(store))
        drawn = trial.bench("plot", "gallery", "--store", complete, "-o", trial.folder / "plots")
        if "is damaged" not in drawn.stderr:
            raise FaultError("gallery: nothing is wrong")
    if "is damaged" not in trial.run(store):
        raise FaultError("run: a damaged artefact is used or discarded without a word")


def dataset(trial: Trial) -> None:
    data = Path(shutil.copytree(trial.sound.data, trial.folder / "data"))
    path = data / "digits.safetensors"
    if trial.random.random() < 0.2:
        path = data / "digits.safetensors.sha256"
        trial.mutate(path)
    else:
        trial.mutate(path, change_safetensors_header)
    trial.bench("data", "verify", "--data-dir", data)
    trial.run(trial.folder / "store", data, "random")


def kernels(trial: Trial) -> None:
    cache = trial.folder / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        patch.setattr(tempfile, "tempdir", str(trial.folder))
        remarks: list[str] = []
        cached("kernels", lambda: KERNELS, remarks.append)
        (path,) = cache.rglob("*.so")
        trial.mutate(path)
        if cached("kernels", lambda: KERNELS, remarks.append) != KERNELS:
            raise FaultError("other kernels are loaded")
    trial.refused = any(str(path) in remark for remark in remarks)
    if not trial.refused:
        raise FaultError("the kernels are made again without a word")


def npz(trial: Trial) -> None:
    path = Path(shutil.copy(trial.sound.sources / "images.npz", trial.folder))
    other = trial.random.random() < 0.4
    if other:
        _change_arrays(trial, path)
    else:
        trial.mutate(path)
    _import(trial, path, other)


def image_folder(trial: Trial) -> None:
    root = Path(shutil.copytree(trial.sound.sources / "images", trial.folder / "images"))
    images = sorted(root.rglob("*.png"))
    path = trial.random.choice(images)
    change = trial.random.randrange(10)
    if change == 0:
        path.unlink()
    elif change == 1:
        shutil.rmtree(path.parent)
    elif change == 2:
        path.rename(path.with_suffix(trial.random.choice(("", ".txt", ".jpg", ".npz", ".PNG"))))
    elif change == 3:
        path.unlink()
        path.symlink_to(trial.random.choice(("/dev/zero", path.name, "nowhere", "..")))
    elif change == 4:
        Image.new(trial.random.choice(("1", "P", "RGBA", "I", "F", "CMYK")), (7, 5)).convert(
            "RGBA"
        ).save(path)
    else:
        trial.mutate(path)
    if change < 5:
        trial.how = f"{path.relative_to(root)}: change {change}"
    _import(trial, root, other=change < 5)


def config(trial: Trial) -> None:
    path = trial.folder / "config.toml"
    path.write_text(CONFIG)
    if trial.random.random() < 0.6:
        _change_toml(trial, path)
    else:
        trial.mutate(path)
    store = trial.folder / "store"
    trial.bench("run", "--config", path, "--dry-run", "--store", store,
                "--data-dir", trial.sound.data, "--device", "cpu", "--threads", 1)  # fmt: skip


def foreign(trial: Trial) -> None:
    name = trial.random.choice(sorted(trial.sound.evaluated))
    path = Path(shutil.copy(trial.sound.sources / name, trial.folder))
    other = trial.random.random() < 0.4
    if other:
        _change_set(trial, path)
    else:
        trial.mutate(path)
    seen = _evaluate(trial, path)
    if not other:
        check_numbers(trial.sound.evaluated[name], seen, "evaluate")


KINDS: dict[str, Callable[[Trial], None]] = {
    each.__name__: each
    for each in (
        record, request, checkpoint, artefact, dataset, kernels, npz, image_folder, config, foreign
    )
}  # fmt: skip


def _import(trial: Trial, path: Path, other: bool) -> None:
    """Import what was damaged; unless it is other content by right, it gives the sound dataset."""
    data = trial.folder / "imported"
    ended = trial.bench("data", "import", "fuzzed", path, "--data-dir", data)
    if ended.exit_code or other:
        return
    if content_sha256(data / "fuzzed.safetensors") != trial.sound.imported[path.name]:
        raise FaultError("import: other pixels without a word")


def _evaluate(trial: Trial, path: Path) -> Numbers:
    ended = trial.bench(
        "evaluate", path, "--name", "fuzzed", "--dataset", "digits", "--eval-arch", NET,
        "--protocol", "smoke", "--eval-nets", 1, "--json", "--device", "cpu", "--threads", 1,
        "--store", trial.folder / "store", "--data-dir", trial.sound.data,
    )  # fmt: skip
    return read_numbers(ended.stdout) if ended.exit_code == 0 else {}


def _odd_array(random: Random, array: Any) -> Any:
    """Return an array of another type, shape or range."""
    changes: list[Callable[[Any], Any]] = [
        lambda a: a.astype(np.float32), lambda a: a.astype(np.float64) * 1e300, lambda a: a[:0],
        lambda a: a[:-1], lambda a: a[None], lambda a: a.reshape(-1), lambda a: a.astype("U3"),
        lambda a: a.astype(bool), lambda a: a.astype(np.complex64), lambda a: -a.astype(np.int64),
        lambda a: np.full(a.shape, np.nan), lambda a: a.astype(np.uint64) + np.uint64(2**63),
        lambda a: np.array(3), lambda a: a.astype(">i2"), lambda a: a.T,
        lambda a: a.astype(np.float16) * np.float16(6e4), lambda a: a * 0,
    ]  # fmt: skip
    with np.errstate(all="ignore"):
        return random.choice(changes)(np.asarray(array))


def _change_arrays(trial: Trial, path: Path) -> None:
    arrays = dict(np.load(path))
    name = trial.random.choice(sorted(arrays))
    if trial.random.random() < 0.15:
        del arrays[name]
        trial.how = f"{path.name}: {name} deleted"
    else:
        arrays[name] = _odd_array(trial.random, arrays[name])
        trial.how = f"{path.name}: {name} of {arrays[name].dtype}, {arrays[name].shape}"
    np.savez(path, **arrays)


def _change_set(trial: Trial, path: Path) -> None:
    """Write a distilled set with other types or parts."""
    if path.suffix == ".npz":
        _change_arrays(trial, path)
        return
    saved = torch.load(path, weights_only=True)
    name = trial.random.choice(sorted(saved))
    odd = _odd_array(trial.random, saved[name].numpy())
    values = (None, 3, float("nan"), "text", [], {}, [saved[name]] * 2, {"a": saved[name]})
    with_tensor = trial.random.random() < 0.6 and odd.dtype.kind in "fiubc" and odd.dtype.isnative
    value = torch.from_numpy(odd.copy()) if with_tensor else trial.random.choice(values)
    saved[name] = value
    torch.save(saved, path)
    trial.how = f"{path.name}: {name} is a {type(value).__name__} ({str(value)[:40]})"


def _change_toml(trial: Trial, path: Path) -> None:
    """Give a key another value, or write a line twice, or none."""
    lines = CONFIG.splitlines()
    at = trial.random.choice([i for i, line in enumerate(lines) if "=" in line])
    values = (
        "nan", "-inf", "0", "-1", "1e9", "9" * 30, '""', "[]", "{}", "true", "1979-05-27", '"x"',
        "[[1]]", '["random", 1]', "[" * 200 + "]" * 200, '"\\u0000"', '"../x"', "0.5", "''",
        "100000",
    )  # fmt: skip
    how = trial.random.choice(("value", "value", "value", "delete", "twice"))
    if how == "value":
        lines[at] = f"{lines[at].split(' = ')[0]} = {trial.random.choice(values)}"
    elif how == "twice":
        lines.insert(at, lines[at])
    trial.how = f"{how}: {lines[at][:60]}"
    if how == "delete":
        del lines[at]
    path.write_text("\n".join(lines))


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
        whole.evaluated[name] = _evaluate(trial, whole.sources / name)
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_mutations(sound: Sound, tmp_path: Path, kind: str) -> None:
    fuzz(sound, tmp_path, kind, 6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_mutations(sound: Sound, tmp_path: Path, kind: str) -> None:
    fuzz(sound, tmp_path, kind, 100)
