"""Stores of as many cells as a test wants, written without computing anything."""

from __future__ import annotations

import json
from pathlib import Path

from record_builders import distil_json, evaluate_json, failed_json, hashed

from bench.ledger.record import Record

METHODS = ("random", "herding", "dm", "dc", "mtt", "idc", "gan", "dim")


def cells(sets: int) -> list[Record]:
    """Return records of distilled sets, each with four evaluations; every 50th set failed."""
    made = []
    for i in range(sets):
        method, seed = METHODS[i % len(METHODS)], i // len(METHODS)
        named = {"method": method, "seed": seed, "title": f"{method} on digits seed {seed}"}
        data = failed_json(kind="distil") if i % 50 == 49 else distil_json()
        distil = hashed({**data, "labels": {**data["labels"], **named}}, method=method, seed=seed)
        made.append(distil)
        for arch in ("convnet3", "resnet18", "vgg11", "mlp"):
            data = evaluate_json() if distil.status == "ok" else failed_json()
            labels = {**data["labels"], **named}
            made.append(hashed({**data, "labels": labels}, distil=distil.id, arch=arch))
    return made


def fill(root: Path, records: list[Record]) -> None:
    """Write records as they are, without the flushes of a real run."""
    for each in records:
        folder = root / "cells" / each.id
        folder.mkdir(parents=True)
        for name, value in (("record", each.to_json()), ("request", dict(each.identity))):
            text = json.dumps(value, indent=2, sort_keys=True)
            (folder / f"{name}.json").write_text(text, encoding="utf-8")
        if each.kind == "distil":
            (folder / "artefact.safetensors").write_bytes(b"x")
