"""``hf:OWNER/NAME``: fetched by the client libraries themselves, from a hub on this machine."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from foreign_files import Sample, digits_sample
from hub_server import serving

import bench
from bench.exchange.hub_name import HubName
from bench.exchange.opened import open_sets
from bench.exchange.request import check_name, default_name
from bench.support.errors import BenchError

datasets = pytest.importorskip("datasets")

# In a process of its own, because the client reads the hub's address when it is imported.
_CALLS = """
import json, sys
from click.testing import CliRunner
from bench.cli import main

results = {}
for name, words in json.loads(sys.argv[1]).items():
    result = CliRunner().invoke(main, words)
    results[name] = {"code": result.exit_code, "out": result.stdout, "err": result.stderr}
print("RESULTS" + json.dumps(results))
"""
_RUN = ("--protocol", "smoke", "--eval-arch", "mlp", "--json")
_SCRIPT = "import os\nopen(os.environ['BENCH_TEST_WITNESS'], 'w').close()\n"
_SEVERAL = b"""---
configs:
- config_name: first
  data_files: a/*.parquet
- config_name: second
  data_files: b/*.parquet
---
"""
# What each call that computes reads: the images, divided by this.
_EVALUATED = {"evaluated": 1, "words": 1, "configuration": 2, "revision": 3, "both": 4}
_NAMES = {"evaluated": "digits", "words": "words", "configuration": "several-second",
          "revision": "digits-v2", "both": "several-second-v2"}  # fmt: skip
CALLS: dict[str, tuple[str, ...]] = {
    "evaluated": ("someone/digits", *_RUN),
    "words": ("someone/words", *_RUN),
    "configuration": ("someone/several:second", *_RUN),
    "revision": ("someone/digits@v2", *_RUN),
    "both": ("someone/several@v2:second", *_RUN),
    "undecided": ("someone/several",),
    "undecided-before": ("someone/several@v2",),
    "no-configuration": ("someone/several:third",),
    "no-revision": ("someone/digits@v3",),
    "absent": ("someone/nothing",),
    "gated": ("someone/gated",),
    "script": ("someone/script",),
    "no-train": ("someone/no-train",),
    "no-image-column": ("someone/digits", "--image-column", "picture"),
    "no-label-column": ("someone/digits", "--label-column", "class"),
    "unknown-columns": ("someone/unusual",),
    "named-columns": (
        "someone/unusual",
        "--image-column",
        "scan",
        "--label-column",
        "digit",
        "--dry-run",
    ),
    "text-as-image": ("someone/digits", "--image-column", "text"),
    "class-as-image": ("someone/digits", "--image-column", "label"),
    "image-as-label": ("someone/digits", "--label-column", "image"),
}


@pytest.fixture(scope="module")
def sample() -> Sample:
    return digits_sample()


def parquet(sample: Sample, image: str, label: str, *, words: bool = False, dark: int = 1) -> bytes:
    """Return a table with a column of PNG images, one of classes, and one of text.

    Images are divided by ``dark``, so that tables differ.
    """
    from PIL import Image

    names = [str(c) for c in range(10)]
    kind = datasets.Value("string") if words else datasets.ClassLabel(names=names)
    features = {image: datasets.Image(), label: kind, "text": datasets.Value("string")}
    classes = sample.labels.tolist()
    rows = {
        image: [Image.fromarray(pixels[0].numpy()) for pixels in sample.bytes // dark],
        label: [names[c] for c in classes] if words else classes,
        "text": ["a digit"] * len(classes),
    }
    buffer = io.BytesIO()
    datasets.Dataset.from_dict(rows, features=datasets.Features(features)).to_parquet(buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def results(
    sample: Sample, data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Any]:
    """What each of the calls printed, and its exit code."""
    folder = tmp_path_factory.mktemp("hub")
    usual, train = parquet(sample, "image", "label"), "data/train-00000-of-00001.parquet"
    dark = {by: parquet(sample, "image", "label", dark=by) for by in (2, 3, 4)}
    card = b"---\nlicense: mit\n---\n# Digits\n"
    several = {"README.md": _SEVERAL, "a/train.parquet": usual, "b/train.parquet": dark[2]}
    repositories = {
        "someone/digits@v2": {train: dark[3]},
        "someone/several": several,
        "someone/several@v2": {**several, "b/train.parquet": dark[4]},
        "someone/digits": {"README.md": card, train: usual},
        "someone/words": {train: parquet(sample, "img", "target", words=True)},
        "someone/unusual": {train: parquet(sample, "scan", "digit")},
        "someone/no-train": {"data/test-00000-of-00001.parquet": usual},
        "someone/script": {"script.py": _SCRIPT.encode()},
    }
    calls = {
        name: ["evaluate", f"hf:{words[0]}", "--dataset", "digits", *words[1:],
               "--store", str(folder / "stores" / name)]
        for name, words in CALLS.items()
    }  # fmt: skip
    with serving(repositories, gated="someone/gated") as address:
        environment = {
            **os.environ, "HF_ENDPOINT": address, "HF_HOME": str(folder / "home"),
            "BENCH_DATA": str(data_dir), "BENCH_TEST_WITNESS": str(folder / "witness"),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", _CALLS, json.dumps(calls)],
            capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (folder / "witness").exists()
    written = sorted(each.name for each in (folder / "stores").iterdir())
    assert written == sorted(_EVALUATED)
    found: dict[str, Any] = json.loads(done.stdout.split("RESULTS")[1])
    return found


@pytest.mark.parametrize("name", _EVALUATED)
def test_a_fetched_set_has_the_number_of_its_images(
    name: str, sample: Sample, results: Mapping[str, Any]
) -> None:
    """Classes as numbers, and as the words that name them; the default state, and others."""
    assert results[name]["code"] == 0, results[name]["err"]
    from bench.distilled.image_set import ImageSet

    images = sample.bytes // _EVALUATED[name]
    ours = ImageSet(sample.real.spec, images, sample.labels, {})
    test = bench.load_dataset("digits").test
    expected = bench.evaluate(ours, test, arch="mlp", protocol="smoke", ipc=10)
    (row,) = json.loads(results[name]["out"])["results"]
    assert row["accuracies"] == list(expected.accuracies)
    assert (row["method"], row["origin"]) == (_NAMES[name], "imported")


def test_what_was_read_is_kept(results: Mapping[str, Any]) -> None:
    (reading,) = json.loads(results["both"]["out"])["read_as"]
    assert reading["facts"][0]["value"] == "Hugging Face dataset, configuration second, revision v2"
    (usual,) = json.loads(results["evaluated"]["out"])["read_as"]
    assert usual["facts"][0]["value"] == "Hugging Face dataset"


def test_columns_that_are_named(results: Mapping[str, Any]) -> None:
    assert results["named-columns"]["code"] == 0
    assert "Hugging Face dataset" in results["named-columns"]["err"]
    assert results["unknown-columns"]["code"] == 2
    assert (
        "has no image column that bench knows: name one of scan, digit, text with --image-column"
        in results["unknown-columns"]["err"]
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "undecided",
            "'hf:someone/several' has several configurations: name one as "
            "hf:someone/several:first; it has first, second",
        ),
        (
            "undecided-before",
            "'hf:someone/several@v2' has several configurations: name one as "
            "hf:someone/several@v2:first; it has first, second",
        ),
        ("no-configuration", "has no configuration 'third': name one as hf:someone/several:first"),
        ("no-revision", "'hf:someone/digits@v3' cannot be fetched: "),
        ("absent", "'hf:someone/nothing' cannot be fetched: Dataset 'someone/nothing' doesn't"),
        ("gated", "'hf:someone/gated' cannot be fetched: "),
        (
            "script",
            "'hf:someone/script' cannot be fetched: Dataset scripts are no longer supported",
        ),
        ("no-train", "'hf:someone/no-train' has no split 'train': it has test"),
        ("no-image-column", "has no column 'picture': it has image, label, text"),
        ("no-label-column", "has no column 'class': it has image, label, text"),
        ("text-as-image", "the column 'text' of 'hf:someone/digits' holds no images"),
        ("class-as-image", "the column 'label' of 'hf:someone/digits' holds no images"),
        ("image-as-label", "the column 'image' of 'hf:someone/digits' holds no classes"),
    ],
)
def test_what_cannot_be_fetched_or_read(name: str, words: str, results: Mapping[str, Any]) -> None:
    """One message, exit code 2, nothing written and no code of a dataset run."""
    assert results[name]["code"] == 2, results[name]
    assert words in results[name]["err"]
    assert results[name]["err"].count("error:") == 1
    assert "Traceback" not in results[name]["err"]


@pytest.mark.parametrize(
    "text", ["", "a/b/c", "a:", "a@", "a/b@v1@v2", "a:b:c", "/a", "a b", "../a"]
)
def test_what_names_no_dataset(text: str, sample: Sample) -> None:
    for call in (lambda: open_sets(f"hf:{text}", sample.real), lambda: default_name(f"hf:{text}")):
        with pytest.raises(
            BenchError, match=r"names no dataset: expected hf:OWNER/NAME, with @REV"
        ):
            call()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("digits", ["digits"]),
        ("someone/set-v1.0", ["set-v1.0"]),
        ("someone/set@refs/pr/3", ["set", "refs/pr/3"]),
        ("someone/set:all images", ["set", "all images"]),
        ("someone/set@v1.0:ipc-10", ["set", "ipc-10", "v1.0"]),
    ],
)
def test_the_parts_of_a_name(text: str, parts: list[str]) -> None:
    assert HubName.parse(text).parts == parts
    name = default_name(f"hf:{text}")
    check_name(name)
    assert name == re.sub(r"[^\w.-]+", "-", "-".join(parts))
