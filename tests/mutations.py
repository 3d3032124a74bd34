"""Seeded damage to files: of their bytes, of JSON values, of the header of a safetensors file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from untrusted.bad_files import split_safetensors, write_safetensors

# Damages a file, and says how. A mutation leaves at least one byte different.
Mutation = Callable[[Path, Random], str]

# Text that takes the place of a JSON value.
_VALUES = (
    "null", "true", "-1", "0", "0.5", "1e400", "-Infinity", "NaN", "9" * 400, "9" * 5000, '""',
    '"x"', '"\\u0000"', '"\\ud800"', "[]", "{}", "[[]]", '{"a": 1}', "[" * 5000 + "]" * 5000,
)  # fmt: skip
_MARK = "the place of the mutation"
# Mutations of a header are aimed at so many bytes.
_HEADER_BYTES = 128


def flip(path: Path, random: Random) -> str:
    """Flip a bit anywhere."""
    return _flip(path, random, len(path.read_bytes()))


def flip_in_header(path: Path, random: Random) -> str:
    """Flip a bit among the first bytes."""
    return _flip(path, random, _HEADER_BYTES)


def truncate(path: Path, random: Random) -> str:
    """Cut the end off."""
    data = path.read_bytes()
    size = random.randrange(len(data))
    path.write_bytes(data[:size])
    return f"cut to {size} bytes"


def empty(path: Path, random: Random) -> str:
    """Leave nothing."""
    path.write_bytes(b"")
    return "emptied"


def delete_bytes(path: Path, random: Random) -> str:
    """Take some bytes out."""
    data, start, end = _stretch(path, random)
    path.write_bytes(data[:start] + data[end:])
    return f"bytes {start} to {end} deleted"


def repeat_bytes(path: Path, random: Random) -> str:
    """Write some bytes twice."""
    data, start, end = _stretch(path, random)
    path.write_bytes(data[:end] + data[start:])
    return f"bytes {start} to {end} repeated"


def overwrite(path: Path, random: Random) -> str:
    """Put ones, as of a huge size, in the place of some bytes."""
    data, start, end = _stretch(path, random)
    path.write_bytes(data[:start] + b"\xff" * (end - start) + data[end:])
    return f"bytes {start} to {end} set to 255"


def append(path: Path, random: Random) -> str:
    """Add bytes at the end."""
    path.write_bytes(path.read_bytes() + random.randbytes(random.randint(1, 64)))
    return "bytes appended"


BYTES: tuple[Mutation, ...] = (
    flip, flip_in_header, truncate, empty, delete_bytes, repeat_bytes, overwrite, append,
)  # fmt: skip


def change_json(path: Path, random: Random) -> str:
    """Replace, delete, swap or repeat a value of a JSON file."""
    text, how = _changed(json.loads(path.read_text()), random)
    path.write_text(text)
    return how


def change_safetensors_header(path: Path, random: Random) -> str:
    """Change a value of the header of a safetensors file, or of the JSON text in its metadata."""
    header, data = split_safetensors(path)
    if random.random() < 0.5:
        text, how = _changed(json.loads(header["__metadata__"]["bench"]), random)
        header["__metadata__"]["bench"] = text
        write_safetensors(path, header, data)
    else:
        text, how = _changed(header, random)
        write_safetensors(path, text.encode(), data)
    return f"header: {how}"


def _flip(path: Path, random: Random, within: int) -> str:
    data = bytearray(path.read_bytes())
    at, bit = random.randrange(min(within, len(data))), random.randrange(8)
    data[at] ^= 1 << bit
    path.write_bytes(data)
    return f"bit {bit} of byte {at} flipped"


def _stretch(path: Path, random: Random) -> tuple[bytes, int, int]:
    data = path.read_bytes()
    start = random.randrange(len(data))
    return data, start, min(len(data), start + random.randint(1, 32))


def _changed(value: Any, random: Random) -> tuple[str, str]:
    """Return the text of a JSON value with one change, and what was changed."""
    before = json.dumps(value)
    while True:
        text, how = _changed_once(json.loads(before), random)
        if text != before:  # two equal values may have been swapped
            return text, how


def _changed_once(value: Any, random: Random) -> tuple[str, str]:
    places = list(_places(value, ""))
    holder, key, name = random.choice(places)
    old = holder[key]
    what = random.choice(("value", "value", "value", "delete", "twice", "swap"))
    if what == "delete":
        del holder[key]
        return json.dumps(value), f"{name} deleted"
    if what == "swap":
        other, other_key, other_name = random.choice(places)
        swapped = json.loads(json.dumps([other[other_key], old]))  # copies: one may hold the other
        holder[key], other[other_key] = swapped
        return json.dumps(value), f"{name} and {other_name} swapped"
    new = random.choice((*_VALUES, *_relatives(old)))
    how = f"{name} set to {new[:20]}"
    if what == "twice" and isinstance(holder, dict):
        new, how = f"{json.dumps(old)}, {json.dumps(key)}: {new}", f"{how} a second time"
    holder[key] = _MARK
    return json.dumps(value).replace(f'"{_MARK}"', new, 1), how


def _relatives(old: Any) -> list[str]:
    """Return text of values that are near an old one, of its type and of others."""
    if isinstance(old, bool):
        return [json.dumps(not old)]
    if isinstance(old, int | float):
        return [json.dumps(v) for v in (old + 1, -old, old * 2, old / 3, str(old), [old])]
    if isinstance(old, str):
        return [json.dumps(v) for v in (old[:-1], old + "x", [old], "../" + old, old.upper())]
    return [json.dumps([old]), json.dumps(str(old))]


def _places(value: Any, name: str) -> Any:
    """Yield container, key and name of each value inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        here = f"{name}.{key}" if name else str(key)
        yield value, key, here
        if isinstance(inner, dict | list):
            yield from _places(inner, here)
