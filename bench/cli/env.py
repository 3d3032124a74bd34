"""``bench env``: the facts about this machine that a bug report or a paper needs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from bench.cli.options import data_dir_option, examples, store_option


@click.command(
    epilog=examples(
        "bench env",
        "bench env --json",
    )
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
@data_dir_option
def env(as_json: bool, store: Path, data_dir: Path | None) -> None:
    """Show versions, devices, threads, memory, kernels, commit, store and data folder.

    Each record has its own, those of its computation: `environment` in record.json.
    """
    facts = describe_machine(store, data_dir)
    for remark in _kernel_remarks():
        click.echo(remark, err=True)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), Text(_text(name, value)))
    Console().print(table)


def describe_machine(store: Path, data_dir: Path | None) -> dict[str, Any]:
    """Return the facts that ``bench env`` shows, as plain JSON values."""
    import platform

    from bench.datasets.data_folder import data_dir as data_folder
    from bench.datasets.data_folder import packed_names
    from bench.networks.cpu_kernels import describe_kernels
    from bench.support.cost_meter import describe_energy
    from bench.support.machine import (
        describe_environment,
        pick_device,
        usable_cpus,
    )
    from bench.support.untrusted import host_memory

    device = pick_device("auto")
    about = describe_environment(device, kernels=describe_kernels)
    folder = data_folder(data_dir)
    cells = store / "cells"
    return {
        "python": about["python"],
        "packages": about["packages"],
        "system": platform.platform(),
        "device": about["device"],
        "devices": _devices(platform.processor() or platform.machine()),
        "cpus": about["cpus"],
        "usable_cpus": usable_cpus(),
        "threads": about["threads"],
        "memory_bytes": host_memory(),
        "energy": describe_energy(device),
        "kernels": about.get("kernels", "those of PyTorch"),
        "git_commit": about["git_commit"],
        "git_dirty": about["git_dirty"],
        "store": str(store.resolve()),
        "store_cells": len(os.listdir(cells)) if cells.is_dir() else None,
        "data_folder": str(folder.resolve()),
        "datasets": packed_names(folder),
    }


def _kernel_remarks() -> tuple[str, ...]:
    from bench.networks.cpu_kernels import kernel_remarks

    return kernel_remarks()


def _devices(cpu: str) -> list[dict[str, Any]]:
    import torch

    devices: list[dict[str, Any]] = []
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            gpu = torch.cuda.get_device_properties(i)
            devices.append(
                {"name": f"cuda:{i}", "what": gpu.name, "memory_bytes": gpu.total_memory}
            )
    if torch.backends.mps.is_available():
        devices.append({"name": "mps", "what": "Apple GPU", "memory_bytes": None})
    return [*devices, {"name": "cpu", "what": cpu, "memory_bytes": None}]


def _text(name: str, value: Any) -> str:
    from bench.report.number_formats import size

    if name == "devices":
        return "\n".join(
            f"{d['name']}  {d['what']}{'  ' + size(d['memory_bytes']) if d['memory_bytes'] else ''}"
            for d in value
        )
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if name.endswith("bytes"):
        return size(value)
    if name == "git_dirty" and value is not None:
        return "yes: files differ from the commit" if value else "no"
    if value is None:
        return "no store there yet" if name == "store_cells" else "not a checkout"
    return str(value)
