"""The command line on what someone sent: one line, exit code 2, no traceback, no code run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from bad_files import ESCAPES, PICKLES, write_png
from click.testing import CliRunner
from record_builders import distil_json, evaluate_json, record

from bench.cli import main
from bench.datasets.spec import DatasetSpec
from bench.datasets.zca import ZCA
from bench.distilled.image_set import ImageSet
from bench.distilled.io import load_tensors, save, save_tensors
from bench.grid.request import Request
from bench.grid.site import Site
from bench.ledger.store import Store
from bench.support.untrusted import file_sha256

SPEC = DatasetSpec("digits", 2, 1, 4, 4, (0.5,), (0.25,), flip=False)
LABELS = torch.tensor([0, 1])
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def bench(*arguments: object, code: int = 2) -> str:
    """Run a command that is to fail; return the one line that it says."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    told = click.unstyle(result.stderr)
    assert "Traceback" not in told
    assert CONTROL.search(told) is None
    lines = [line for line in told.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, told
    assert len(lines[0]) < 4100
    return lines[0]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one evaluated artefact."""
    made = Store(tmp_path / "store")
    made.write(record(distil_json("d0")))
    data = evaluate_json("e0")
    data["identity"]["ipc"] = 1
    made.write(record(data))
    save(ImageSet(SPEC, torch.rand(2, 1, 4, 4), LABELS, {}), made.artefact("d0"))
    vouch(made)
    return made


def vouch(store: Store) -> None:
    """Let the record of the artefact say the artefact's sha256, as a hostile store would."""
    data = distil_json("d0")
    data["result"]["artefact_sha256"] = file_sha256(store.artefact("d0"))
    store.write(record(data))


# --- bench plot gallery --------------------------------------------------------------------------


def gallery(store: Store) -> str:
    out = store.root.parent / "plots"
    told = bench("plot", "gallery", "--store", store.root, "-o", out)
    assert str(store.artefact("d0")) in told
    assert not out.exists() or not list(out.iterdir())
    return told


def test_a_good_gallery_is_drawn(store: Store, tmp_path: Path) -> None:
    arguments = ["plot", "gallery", "--store", store.root, "-o", tmp_path / "plots"]
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "plots").iterdir())) == 3


@pytest.mark.parametrize("write", PICKLES)
def test_a_gallery_of_a_pickle(store: Store, write: Callable[[Path, Path], None]) -> None:
    write(store.artefact("d0"), store.root / "executed")
    vouch(store)
    assert "is not a readable bench file" in gallery(store)
    assert not (store.root / "executed").exists()


@pytest.mark.parametrize("at", [40, -1])
def test_a_gallery_names_a_damaged_artefact_and_leaves_it_out(store: Store, at: int) -> None:
    path = store.artefact("d0")
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert "is damaged: its sha256 is" in gallery(store)


def test_a_gallery_of_a_damaged_artefact_and_a_good_one(store: Store, tmp_path: Path) -> None:
    data = distil_json("d1")
    store.write(record(data))
    save(ImageSet(SPEC, torch.rand(2, 1, 4, 4), LABELS, {}), store.artefact("d1"))
    evaluated = evaluate_json("e1")
    evaluated["identity"] |= {"ipc": 1, "distil": "d1"}
    evaluated["labels"]["method"] = "dm"
    store.write(record(evaluated))
    arguments = ["plot", "gallery", "--store", str(store.root), "-o", str(tmp_path / "plots")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert str(store.artefact("d1")) in result.stderr
    assert "is damaged" in result.stderr
    assert str(store.artefact("d0")) not in result.stderr
    assert len(list((tmp_path / "plots").iterdir())) == 3


def test_a_gallery_of_classes_without_images(store: Store) -> None:
    save(ImageSet(SPEC, torch.rand(2, 1, 4, 4), LABELS * 0, {}), store.artefact("d0"))
    vouch(store)
    assert "one of its classes has no image" in gallery(store)


def test_a_gallery_whitened_by_nothing(store: Store) -> None:
    zca = ZCA(torch.zeros(16), torch.zeros(16, 16))
    made = ImageSet(SPEC, torch.rand(2, 1, 4, 4), LABELS, {}, zca=zca)
    save(made, store.artefact("d0"))
    vouch(store)
    assert "cannot be inverted" in gallery(store)


def test_a_gallery_of_a_hundred_thousand_classes(store: Store, tmp_path: Path) -> None:
    # Only the first ten are looked at.
    spec = DatasetSpec("digits", 100_000, 1, 4, 4, (0.5,), (0.25,), flip=False)
    labels = torch.arange(100_000)
    images = torch.zeros(100_000, 1, 4, 4, dtype=torch.uint8)
    save(ImageSet(spec, images, labels, {}), store.artefact("d0"))
    vouch(store)
    test_a_good_gallery_is_drawn(store, tmp_path)


def test_a_gallery_of_texts_that_would_act(store: Store, tmp_path: Path) -> None:
    spec = DatasetSpec(ESCAPES, 2, 1, 4, 4, (0.5,), (0.25,), False, ("$\\frac{", ESCAPES * 20))
    save(ImageSet(spec, torch.rand(2, 1, 4, 4), LABELS, {}), store.artefact("d0"))
    vouch(store)
    test_a_good_gallery_is_drawn(store, tmp_path)


def test_a_gallery_of_a_kind_that_would_act(store: Store) -> None:
    tensors, header = load_tensors(store.artefact("d0"))
    save_tensors(tensors, {**header, "kind": ESCAPES}, store.artefact("d0"))
    vouch(store)
    assert "holds a set of unknown kind" in gallery(store)


def test_a_record_that_leads_to_another_artefact(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    save(ImageSet(SPEC, torch.rand(2, 1, 4, 4), LABELS, {}), outside / "artefact.safetensors")
    path = store.folder("e0") / "record.json"
    data = json.loads(path.read_text())
    data["identity"]["distil"] = "../../outside"
    path.write_text(json.dumps(data))
    assert "no results in" in bench("plot", "gallery", "--store", store.root)


# --- bench data ----------------------------------------------------------------------------------


@pytest.mark.parametrize("write", PICKLES)
@pytest.mark.parametrize("name", ["x.npz", "x.safetensors", "x.pt", "x.pkl"])
def test_importing_a_pickle(tmp_path: Path, name: str, write: Callable[[Path, Path], None]) -> None:
    write(tmp_path / name, tmp_path / "executed")
    assert name in bench("data", "import", "mine", tmp_path / name, "--data-dir", tmp_path / "data")
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "\x1b[31mx", "x" * 10_000])
def test_importing_under_a_name_that_leads_elsewhere(tmp_path: Path, name: str) -> None:
    write_png(tmp_path / "train" / "cat" / "0.png", 5, 3)
    told = bench("data", "import", name, tmp_path, "--data-dir", tmp_path / "data")
    assert "dataset name" in told
    assert not (tmp_path / "data").exists()


def test_importing_an_image_bomb_and_a_long_note(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_png(tmp_path / "tree" / part / "cat" / "0.png", 50_000, 50_000)
    arguments = ["data", "import", "mine", tmp_path / "tree", "--data-dir", tmp_path / "data"]
    assert "cannot be read as an image" in bench(*arguments)
    assert "at most 1,000 are allowed" in bench(*arguments, "--note", "x" * 2000)


@pytest.mark.parametrize("write", PICKLES)
def test_data_someone_put_into_the_folder(
    tmp_path: Path, write: Callable[[Path, Path], None]
) -> None:
    write(tmp_path / "mine.safetensors", tmp_path / "executed")
    assert "is damaged" in bench("data", "verify", "--data-dir", tmp_path)
    run = ["run", "-m", "random", "-d", "mine", "--ipc", "1", "--profile", "smoke"]
    assert "is damaged" in bench(*run, "--data-dir", tmp_path, "--store", tmp_path / "store")
    result = CliRunner().invoke(main, ["data", "list", "--data-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert "unusable" in result.output
    assert not (tmp_path / "executed").exists()


# --- bench run --config --------------------------------------------------------------------------

GOOD = 'method = "random"\ndataset = "digits"\nipc = 1\nprofile = "smoke"\n'
CONFIGS: dict[str, tuple[bytes, str]] = {
    "not UTF-8": (b'method = "\xff"', "is not valid TOML"),
    "not TOML": (b"\x80\x04\x95", "is not valid TOML"),
    "deep": (b"ipc = " + b"[" * 60_000, "is not valid TOML"),
    "deep tables": (b"[" + b"a." * 10_000 + b"a]", "config"),
    "a huge number": (b"seeds = " + b"9" * 5000, "is not valid TOML"),
    "a key twice": (b"seeds = 1\nseeds = 2", "is not valid TOML"),
    "megabytes": (b"#" * 2**21, "has more than 65,536 bytes"),
    "a plugin": (b'plugin = "evil.py"', "'plugin' says which code runs"),
    "a store": (b'store = "/etc"', "'store' says which code runs"),
    "a folder": (b'data-dir = "/etc"', "'data-dir' says which code runs"),
    "a cluster": (b'address = "x:1"', "'address' says which code runs"),
    "options of sbatch": (b'slurm = "wrap=x"', "'slurm' says which code runs"),
    "a tracker": (b'track = "wandb"', "'track' says which code runs"),
    "a checkpoint never": (GOOD.encode() + b"checkpoint-every = inf", "is not float"),
    "no cores": (GOOD.encode() + b'executor = "ray"\ncpus-per-cell = 0', "must be more than 0"),
    "threads below zero": (GOOD.encode() + b"threads = -1", "--threads -1 is not allowed"),
    "a budget without unit": (GOOD.encode() + b'time-budget = "8"', "is not a length of time"),
    "seeds without end": (GOOD.encode() + b"seeds = 1000000000000", "at most 10,000 are"),
    "nets without end": (GOOD.encode() + b"eval-nets = 1000000000000", "at most 10,000 are"),
    "seeds that are true": (GOOD.encode() + b"seeds = true", "is not int"),
    "settings that are none": (GOOD.encode() + b"set = 5", "a table per method"),
    "settings of a number": (GOOD.encode() + b"[set]\nrandom = 5", "a table per method"),
    "settings of odd types": (GOOD.encode() + b"[set.random]\nx = [1]", "'x'"),
    "settings of a date": (b'method="dm"\ndataset="digits"\n[set.dm]\nlr_img=1979-05-27', "dm"),
    "a NaN": (b'method="dm"\ndataset="digits"\n[set.dm]\nlr_img = nan', "dm"),
    "a path for a dataset": (b'method="random"\ndataset="../../etc"', "unknown dataset"),
    "texts that would act": (b'method="\\u001b[31m\\u202e"\ndataset="digits"', "unknown method"),
    "a name of thousands": (b'method="' + b"x" * 50_000 + b'"\ndataset="digits"', "unknown method"),
    "a network of a billion channels": (
        GOOD.encode() + b'arch = "convnet3(width=1000000000)"',
        "is too large",
    ),
    "a network of a billion layers": (
        GOOD.encode() + b'eval-arch = "vit(depth=1000000000)"',
        "is too large",
    ),
    "tables of names": (b'method = [{a = 1}]\ndataset="digits"', "unknown method"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_that_someone_sent(tmp_path: Path, data_dir: Path, name: str) -> None:
    text, words = CONFIGS[name]
    (tmp_path / "grid.toml").write_bytes(text)
    told = bench("run", "--config", tmp_path / "grid.toml", "--data-dir", data_dir,
                 "--store", tmp_path / "store", "--dry-run")  # fmt: skip
    assert words in told
    assert not list((tmp_path / "store").glob("cells/*"))


# --- bench table, bench retry --------------------------------------------------------------------


def test_published_numbers_that_are_a_pickle(store: Store, tmp_path: Path) -> None:
    for write in PICKLES:
        write(tmp_path / "numbers.csv", tmp_path / "executed")
        told = bench("table", "--store", store.root, "--published-file", tmp_path / "numbers.csv")
        assert "published numbers" in told
    assert not (tmp_path / "executed").exists()


def _request(store: Store, **changes: Any) -> None:
    """Leave a request whose only cell was never reached."""
    plugin = store.root / "evil.py"
    plugin.write_text(f"import os\nos.mkdir({str(store.root / 'executed')!r})\n")
    site = Site(
        str(store.root), str(store.root / "data"),
        plugins=(str(plugin),), command=f"bench run {ESCAPES}",
    )  # fmt: skip
    request = Request(["evil"], ["digits"], (1,))
    cell = {"id": "c9", "kind": "evaluate", "title": ESCAPES, "dataset": "digits",
            "method": "evil", "rests_on": None, "seconds": None}  # fmt: skip
    text = {**asdict(site), "request": asdict(request), **changes}
    data = {"spec": text, "cells": [cell], "asked": "2025-01-01T00:00:00+00:00"}
    (store.root / "requests").mkdir()
    (store.root / "requests" / "0123.json").write_text(json.dumps(data))


def test_a_store_does_not_say_which_code_to_run(store: Store) -> None:
    _request(store)
    told = bench("retry", "--store", store.root)
    assert "no store says which code to run" in told
    assert not (store.root / "executed").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 10**9}, {"threads": -1}, {"device": "evil"}, {"device": 5}, {"more": 1},
        {"data_dir": 5}, {"request": {"methods": 5, "datasets": []}}, {"checkpoint_every": -1},
        {"request": {"methods": ["random"], "datasets": ["digits"], "seeds": 10**12}},
        {"request": {"methods": ["random"], "datasets": ["digits"], "overrides": {"random": 5}}},
        {"request": {"methods": ["random"], "datasets": ["../../x"], "ipcs": [1],
                     "archs": ["convnet3"], "eval_archs": [], "modes": [], "overrides": {}}},
    ],
    ids=str,
)  # fmt: skip
def test_a_request_that_bench_never_leaves(store: Store, change: dict[str, Any]) -> None:
    _request(store, **change)
    bench("retry", "--store", store.root, "--data-dir", store.root / "data")
    assert not (store.root / "executed").exists()


def test_status_shows_texts_without_effect(store: Store) -> None:
    _request(store)
    store.write_request("c8", {"kind": "distil", "method": ESCAPES, "dataset": ESCAPES})
    result = CliRunner().invoke(main, ["status", "--all", "--store", str(store.root)])
    assert result.exit_code == 0, result.output
    assert "owned" in result.output
    assert CONTROL.search(click.unstyle(result.output)) is None
