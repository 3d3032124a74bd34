"""Headers and weights that do not fit: each is refused with the words that say why."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sample_sets import image_set
from toy_generator import SPEC, toy_set

from bench.distilled.base import DistilledSet
from bench.distilled.io import load, load_tensors, save, save_tensors
from bench.support.errors import BenchError


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    tensors, header = load_tensors(path)
    header = copy.deepcopy(header)
    change(header)
    save_tensors(tensors, header, path)


def put(value: Any, *keys: str) -> Callable[[dict[str, Any]], Any]:
    def change(header: dict[str, Any]) -> None:
        for key in keys[:-1]:
            header = header[key]
        header[keys[-1]] = value

    return change


def drop(*keys: str) -> Callable[[dict[str, Any]], Any]:
    def change(header: dict[str, Any]) -> None:
        for key in keys[:-1]:
            header = header[key]
        del header[keys[-1]]

    return change


BOTH = [
    (put(2, "format"), "has format 2; this bench reads 1"),
    (put("1", "format"), "has format '1'"),
    (drop("format"), "has format None"),
    (put("latents", "kind"), "holds a set of unknown kind 'latents'"),
    (put(["image"], "kind"), "unknown kind ['image']"),
    (drop("kind"), "unknown kind None"),
    (drop("spec"), "its header has no spec"),
    (put([], "spec"), "its header has no spec"),
    (put("x", "config"), "its header has no config"),
    (drop("provenance"), "its header has no provenance"),
    (drop("spec", "mean"), "mean"),
    (put(1, "spec", "extra"), "extra"),
    (put(0, "spec", "num_classes"), ">= 1 - at `$.num_classes`"),
    (put(2.0, "spec", "num_classes"), "got `float` - at `$.num_classes`"),
    (put("3", "spec", "num_classes"), "got `str` - at `$.num_classes`"),
    (put(10**30, "spec", "num_classes"), "<= 100000 - at `$.num_classes`"),
    (put(-4, "spec", "height"), ">= 1 - at `$.height`"),
    (put([0.5, 0.5, 0.5], "spec", "mean"), "one number per channel"),
    (put([], "spec", "std"), "one number per channel"),
    (put(0.5, "spec", "std"), "is not a valid"),
    (put([0.0], "spec", "std"), "> 0.0 - at `$.std[0]`"),
    (put([-1.0], "spec", "std"), "> 0.0 - at `$.std[0]`"),
    (put(["x"], "spec", "std"), "is not a valid"),
    (put(["x"], "spec", "mean"), "got `str` - at `$.mean[0]`"),
    (put([None], "spec", "std"), "is not a valid"),
    (put([10**400], "spec", "std"), "out of range - at `$.std[0]`"),
    (put([1e300], "spec", "mean"), "<= 1.0 - at `$.mean[0]`"),
]
IMAGE = [
    (put("generator", "kind"), "it lacks 'factory'"),
    (put(2, "spec", "num_classes"), "labels must lie in 0..1"),
    (put(5, "spec", "height"), "do not fit tiny"),
    (put(1, "config", "extra"), "extra"),
    (put("fast", "config", "learning_rate"), "learning_rate must be a positive number"),
    (put(-1.0, "config", "learning_rate"), "learning_rate must be a positive number"),
    (put(0, "config", "epochs"), "epochs must be a whole number"),
    (put([1], "config", "images"), "images"),
]
GENERATOR = [
    (put("image", "kind"), "an image set holds images and labels"),
    (put("os:system", "config", "factory"), "unknown generator 'os:system'"),
    (put("test-tied", "config", "factory"), "the weights do not fit generator 'test-tied'"),
    (drop("config", "factory"), "it lacks 'factory'"),
    (drop("config", "arguments"), "it lacks 'arguments'"),
    (put([], "config", "arguments"), "is not a valid generator set"),
    (put({"depth": 3}, "config", "arguments"), "depth"),
    (put("wide", "config", "arguments", "width"), "is not a valid generator set"),
    (put(10**15, "config", "arguments", "width"), "the weights do not fit"),
    (put(-1, "config", "arguments", "width"), "the weights do not fit"),
    (put(4, "spec", "num_classes"), "the weights do not fit"),
]


@pytest.mark.parametrize(
    ("make", "change", "words"),
    [
        *((make, *case) for make in (image_set, toy_set) for case in BOTH),
        *((image_set, *case) for case in IMAGE),
        *((toy_set, *case) for case in GENERATOR),
    ],
)
def test_a_header_that_does_not_fit(
    path: Path, make: Callable[[], DistilledSet], change: Callable[[Any], Any], words: str
) -> None:
    save(make(), path)
    rewrite(path, change)
    with pytest.raises(BenchError) as caught:
        load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_weights_that_diverged_are_refused_on_reading(path: Path) -> None:
    made = toy_set()
    save_tensors(
        {**made.tensors(), "level": torch.tensor([0.0, float("nan"), 0.0])},
        {"format": 1, "kind": "generator", "spec": SPEC.to_json(), "config": made.config(),
         "provenance": {}},
        path,
    )  # fmt: skip
    with pytest.raises(BenchError, match="weights 'level' hold NaN or infinity"):
        load(path)
