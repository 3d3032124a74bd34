"""Results frozen before the redesign: every built-in method must still give the same bits.

``golden/frozen.json`` holds, for every method in the ``smoke`` profile on the digits, a digest of
the artefact's tensors and the accuracies of its networks. Sums are rounded differently by another
processor, torch or thread count, so the numbers hold only where they were recorded; elsewhere the
tests skip by name. To record anew after a method's version was raised, run this file as a script.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

import bench

GOLDEN = Path(__file__).parent / "golden" / "frozen.json"
# Methods that share a prerequisite run together, so that it is computed once.
GROUPS = (
    ["random", "herding", "k-center", "k-means", "forgetting", "whole"],
    ["dm", "dc", "dsa", "mtt", "cafe", "cafe-dsa"],
    ["idc"],
    ["gan", "dim"],
)


def machine() -> dict[str, str]:
    """Return what the rounding of a sum depends on."""
    return {
        "processor": platform.machine() + " " + torch.backends.cpu.get_cpu_capability(),
        "model": _processor_model(),
        "torch": torch.__version__.split("+")[0],
    }


def _processor_model() -> str:
    wanted = ("vendor_id", "cpu family", "model", "model name")
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    first = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    found = {key.strip(): value.strip() for key, value in first.items()}
    return " ".join(found.get(key, "") for key in wanted)


def tensors_digest(path: Path) -> str:
    """Return the SHA-256 of every tensor of a safetensors file: name, type, shape and bytes."""
    digest = hashlib.sha256()
    with safe_open(path, "pt") as file:
        for name in sorted(file.keys()):
            tensor = file.get_tensor(name).contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def compute(methods: list[str], ipcs: list[int], store: Path, data_dir: Path) -> dict[str, Any]:
    """Run the methods with one thread; return digests and accuracies by title."""
    bench.run(methods, "digits", ipcs, profile="smoke", threads=1, store=store, data_dir=data_dir)
    results: dict[str, Any] = {}
    for path in store.glob("cells/*/record.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        assert record["status"] == "ok", record["reason"]
        assert "warnings" not in record["result"], record["result"]["warnings"]
        value = record["result"].get("accuracies")
        if record["kind"] == "distil":
            value = tensors_digest(path.with_name("artefact.safetensors"))
        ipc = record["identity"]["ipc"]
        key = (
            f"{record['kind']} {record['labels']['method']} {ipc} {record['identity'].get('mode')}"
        )
        results[key] = value
    return results


def check(methods: list[str], ipcs: list[int], store: Path, data_dir: Path) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    if golden["machine"] != machine():
        pytest.skip(f"recorded on another machine: {golden['machine']}")
    computed = compute(methods, ipcs, store, data_dir)
    expected = {key: golden["results"][key] for key in computed}
    assert computed == expected


@pytest.mark.usefixtures("no_diagnostics")
@pytest.mark.parametrize("methods", GROUPS, ids=lambda group: group[0])
def test_one_image_per_class(methods: list[str], tmp_path: Path, data_dir: Path) -> None:
    check(methods, [1], tmp_path, data_dir)


@pytest.mark.slow
@pytest.mark.parametrize("methods", GROUPS, ids=lambda group: group[0])
def test_ten_images_per_class(methods: list[str], tmp_path: Path, data_dir: Path) -> None:
    check(methods, [10], tmp_path, data_dir)


def main() -> None:
    """Record the results of this code on this machine."""
    import tempfile

    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for group in GROUPS:
            store = Path(folder) / group[0]
            results |= compute(group, [1, 10], store, Path(folder) / "data")
    content = {"machine": machine(), "results": dict(sorted(results.items()))}
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
