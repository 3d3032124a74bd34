"""Files as someone with bad intentions would make them, and a small memory to read them in."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DEEP = 100_000
# What JSON text may hold that bench never writes; each in the place of a value.
JSON_VALUES = {
    "deep": "[" * DEEP + "]" * DEEP,
    "deep objects": '{"a":' * DEEP + "1" + "}" * DEEP,
    "NaN": "NaN",
    "infinity": "-Infinity",
    "a float beyond floats": "1e999",
    "a huge whole number": "9" * 5000,
    "a key twice": '{"a": 1, "a": 2}',
    "a million values": "[" + "0," * 2**20 + "0]",
}
# What JSON text may be instead of an object.
JSON_TEXTS = {
    "nothing": b"",
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "half a surrogate": b'{"a": "\\ud800"}',
    "a list": b"[]",
    "a text": b'"hello"',
    "null": b"null",
    "zeros": bytes(1000),
    **{name: text.encode() for name, text in JSON_VALUES.items()},
}
# Texts that would act on a terminal, a table or a formula if they were printed as they are.
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b31m\u202eexe.txt\r\b"
MARKUP = (
    "[bold red]x[/] |a|b| <script>alert(1)</script> $\\frac{ & % # _x_ ~ ^ \\input{x} `c` **b**"
)


class Bomb:
    """Makes a folder when it is unpickled, which is as bad as anything."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.fspath(self.marker),)


def pickled(path: Path, marker: Path) -> None:
    """Write a bare pickle."""
    path.write_bytes(pickle.dumps(Bomb(marker)))


def torch_pickled(path: Path, marker: Path) -> None:
    """Write what ``torch.save`` writes: a zip with a pickle."""
    import torch

    torch.save({"images": Bomb(marker), "labels": torch.zeros(1)}, path)


def legacy_torch_pickled(path: Path, marker: Path) -> None:
    """Write what old versions of ``torch.save`` wrote: pickles in a row."""
    import torch

    torch.save({"images": Bomb(marker)}, path, _use_new_zipfile_serialization=False)


PICKLES = [pickled, torch_pickled, legacy_torch_pickled]


def split_safetensors(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return a file's header and what follows it."""
    raw = path.read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    return json.loads(raw[8:end]), raw[end:]


def write_safetensors(path: Path, header: bytes | dict[str, Any], data: bytes) -> None:
    """Write a header as it is given, and what follows it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def sparse(path: Path, size: int) -> None:
    """Make a file longer without using the disk."""
    with path.open("r+b") as file:
        file.truncate(size)


def write_png(path: Path, width: int, height: int) -> None:
    """Write a grey PNG whose header claims a size, with a few of its pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(min((width + 1) * height, 100_000)))
    chunks = [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


_CHILD = """
import importlib, json, pathlib, resource, sys
module, function, before, *paths = sys.argv[1:]
for name in before.split(","):
    importlib.import_module(name)
load = getattr(importlib.import_module(module), function)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + {spare}
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in paths:
    try:
        load(pathlib.Path(path))
        print(json.dumps("loaded"))
    except Exception as error:
        print(json.dumps(type(error).__name__ + ": " + str(error)))
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) * 1024
print(json.dumps(grown))
"""


def read_images(root: Path) -> None:
    """Read a folder of images as an import does."""
    from bench.datasets.image_folder import read_folder
    from bench.datasets.source import no_progress

    read_folder(root, None, no_progress)


def in_small_memory(
    load: str, paths: Sequence[Path], *, imports: str = "bench.plugin", spare: int = 512 * 2**20
) -> list[str]:
    """Call ``load`` (``module:function``) with each path in a process of its own.

    It may take ``spare`` bytes of address space on top of what its imports took, and a minute of
    processor time.

    Returns:
        ``loaded``, or the type and message of the exception, for each path.
    """
    module, function = load.split(":")
    done = subprocess.run(
        [sys.executable, "-c", _CHILD.format(spare=spare), module, function, imports,
         *map(os.fspath, paths)],
        capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.fspath(Path(__file__).parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    *answers, grown = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(paths)
    assert grown < spare // 2
    return answers
