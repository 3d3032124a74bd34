"""What the plan of a run depends on, as one hash: the request, its data, the code, the machine.

None of it needs torch. What is hashed is rather too much than too little: a plan that is not
found is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from bench.datasets.checksum_file import recorded_source
from bench.datasets.content import content_sha256
from bench.datasets.data_folder import DatasetInfo, info
from bench.grid.request import Request
from bench.grid.site import Site
from bench.registry.registry import REGISTRIES
from bench.support.errors import BenchError
from bench.support.machine import EXTRAS, PACKAGES, cpu_model, usable_cpus

_CODE = ("bench", "methods", "architectures")
# Devices that torch may find; where one appears or goes, ``auto`` can mean another device.
_DEVICE_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
# Variables that say how torch computes here, and which compiler makes the kernels.
_VARIABLES = ("OMP_", "MKL_", "KMP_", "CUDA_", "HIP_", "ROCR_", "TORCH_", "PYTORCH_", "ATEN_",
              "BENCH_NATIVE", "CXX", "PATH")  # fmt: skip


def data_of(request: Request, site: Site) -> list[DatasetInfo] | None:
    """Return the facts of a request's datasets; ``None`` if one must be fetched first.

    Raises:
        BenchError: a dataset is damaged.
    """
    facts = []
    for name in dict.fromkeys(request.datasets):
        packed = info(name, Path(site.data_dir))
        if packed is None or recorded_source(packed.path) is not None:
            return None
        facts.append(replace(packed, content=content_sha256(packed.path)))
    return facts


def plan_key(request: Request, site: Site, data: Sequence[DatasetInfo]) -> str | None:
    """Return the hash of all that a plan depends on but the store.

    ``None`` where that cannot be known without torch: plugin files take part, or the device might
    be another than the CPU.

    Args:
        request: what is asked for, with the names of its methods.
        site: where it would be computed.
        data: what :func:`data_of` returned.
    """
    if site.plugins or site.device not in ("auto", "cpu"):
        return None
    if site.device == "auto" and sys.platform == "darwin":
        return None
    try:
        plugins = _plugins()
    except BenchError:  # two packages claim a name, which the run says if it uses that
        return None
    facts = {
        "request": asdict(request),
        "site": [site.device, site.threads, site.deterministic],
        "data": list(map(_facts, data)),
        "plugins": plugins,
        "code": list(_code()),
        "packages": [_version(name) for name in (*PACKAGES, *EXTRAS)],
        "machine": [sys.version, cpu_model(), usable_cpus(), *_device_files(), *_variables()],
    }
    # A request that was not checked yet can hold values that JSON does not have, such as dates.
    text = json.dumps(facts, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _facts(packed: DatasetInfo) -> list[object]:
    counts = packed.n_train, packed.n_test, packed.class_counts
    return [packed.spec.to_json(), packed.sha256, packed.content, counts]


def _plugins() -> list[list[str]]:
    return [
        [kind, name, entry.origin, entry.target]
        for kind, registry in REGISTRIES.items()
        for name, entry in registry.entries().items()
    ]


def _code() -> Iterator[tuple[str, int, int, int]]:
    """Yield the size and times of every file of bench and its plugins."""
    for package in _CODE:
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec is not None else ():
            for folder, folders, names in os.walk(root):
                folders[:] = sorted(each for each in folders if each != "__pycache__")
                for name in sorted(names):
                    path = os.path.join(folder, name)
                    stat = os.lstat(path)
                    # A program can set mtime, but not ctime.
                    yield path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _device_files() -> list[str]:
    return list(filter(os.path.exists, _DEVICE_FILES))


def _variables() -> list[str]:
    return sorted(
        f"{name}={os.environ[name]}" for name in os.environ if name.startswith(_VARIABLES)
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
