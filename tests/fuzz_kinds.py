"""The kinds of input that are damaged, each with what bench must do with it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from fuzz_trials import (
    CONFIG,
    KERNELS,
    NET,
    FaultError,
    Numbers,
    Trial,
    check_numbers,
    read_numbers,
)
from mutations import change_json, change_safetensors_header
from PIL import Image
from store_contents import only_record

from bench.datasets.content import content_sha256
from bench.networks.cpu_kernels.cache import cached


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
    seen = evaluate(trial, path)
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


def evaluate(trial: Trial, path: Path) -> Numbers:
    """Return the accuracies of a distilled set from elsewhere; none if it is refused."""
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
