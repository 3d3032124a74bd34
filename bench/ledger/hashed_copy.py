"""Copies of a store's files, checked by sha256 while they are made."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bench.support.untrusted import check_fits_memory, open_plain

_BLOCK = 1 << 20


def copy_hashed(path: Path, target: IO[bytes], sha256: str | None = None) -> None:
    """Copy a file of a store into an open one.

    Args:
        path: the file; a link is not followed.
        target: receives its bytes.
        sha256: what the file must have; ``None`` for any.

    Raises:
        ValueError: it cannot be read, or its sha256 is another; ``target`` holds a part of it then.
    """
    digest = hashlib.sha256()
    for block in blocks(path):
        digest.update(block)
        target.write(block)
    if sha256 is not None and digest.hexdigest() != sha256:
        raise ValueError("it is not what its record says, by its sha256")


def blocks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file of a store, a block at a time.

    Raises:
        ValueError: it cannot be read, is a link, or claims more bytes than the memory has.
    """
    try:
        with open_plain(path, follow=False) as file:
            check_fits_memory(os.fstat(file.fileno()).st_size)
            while block := file.read(_BLOCK):
                yield block
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from error
