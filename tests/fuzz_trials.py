"""Trials of damaged input: what is sound, a damaged copy of it, and the commands that read it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import click
from click.testing import CliRunner, Result
from mutations import BYTES, Mutation

from bench.cli import main

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
