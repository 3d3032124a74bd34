"""The folders that keep compiled kernels, and which of their files are trusted.

A library is code: only one that this user (or root) stored, that others cannot write to, and whose
content has the digest at its end is returned. Everything else is compiled again.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from bench.support.atomic_files import replacing, writing
from bench.support.errors import CannotWriteError
from bench.support.untrusted import Limit, open_plain

# A process waits so long for another one that compiles, and then compiles too.
_PATIENCE = 150.0
_DIGEST_BYTES = 32

Remark = Callable[[str], None]


def cached(name: str, build: Callable[[], bytes], remark: Remark) -> bytes:
    """Return a library from the cache; build and store it where none there is good.

    Args:
        name: of the library; different content must have different names.
        build: returns the library's content; its errors are passed on.
        remark: hears which folder or file is not used, and why.
    """
    trusted = []
    for folder in _folders():
        if _is_trusted(folder, remark):
            image = _read(folder, name, remark)
            if image is not None:
                return image
            trusted.append(folder)
    build = cache(build)  # for a second folder where the first one is full
    obstacles = []
    for folder in trusted:
        try:
            return _stored(folder, name, build)
        except CannotWriteError as error:
            obstacles.append(str(error))
    image = build()
    remark("; ".join(["kernels are compiled by each process that needs them", *obstacles]))
    return image


def _stored(folder: Path, name: str, build: Callable[[], bytes]) -> bytes:
    """Store a library, unless another process is faster, and return its content.

    Raises:
        CannotWriteError: naming the folder or file.
    """
    with ExitStack() as stack:
        with writing(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):  # known before anything is compiled
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            stack.enter_context(_alone(folder))
        image = _read(folder, name, lambda _: None)  # what is bad there was reported before
        if image is None:
            image = build()
            path = folder / f"{name}.so"
            with writing(path):
                with replacing(path) as temporary:
                    temporary.write_bytes(image + _digest(name, image))
                path.chmod(0o600)  # whatever the umask: what a group can write is not used
        return image


def _folders() -> list[Path]:
    """Return where libraries may be: the user's cache, and a private temporary folder."""
    folders = [Path(tempfile.gettempdir()) / f"distillation-bench-{os.geteuid()}"]
    with suppress(RuntimeError):  # this user has no home
        folders.insert(0, user_cache_path("distillation-bench") / "native")
    return folders


def _is_trusted(folder: Path, remark: Remark) -> bool:
    """Return whether a folder does not exist yet, or only this user can write to it."""
    why: str | None
    try:
        if not os.path.lexists(folder):
            return True
        status = folder.stat()
        why = _foreign(folder.lstat()) or _distrust(status)  # of a link, and where it leads
        if why is None and not stat.S_ISDIR(status.st_mode):
            why = "it is not a folder"
    except OSError as error:
        why = error.strerror or str(error)
    if why is not None:
        remark(f"compiled kernels are not kept in '{folder}': {why}")
    return why is None


def _read(folder: Path, name: str, remark: Remark) -> bytes | None:
    """Return a library's content if it is trusted and undamaged, else ``None``."""
    path = folder / f"{name}.so"
    image, why = b"", None
    try:
        with open_plain(path, follow=False) as file:
            why = _distrust(os.fstat(file.fileno()))
            content = b"" if why else file.read(Limit.KERNEL_LIBRARY_BYTES)
        image, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
        if why is None and digest != _digest(name, image):
            why = "the file is damaged"
    except FileNotFoundError:
        return None
    except OSError as error:
        why = error.strerror or str(error)
    except ValueError as error:
        why = str(error)
    if why is None:
        return image
    remark(f"the compiled kernels '{path}' are not used but compiled again: {why}")
    return None


def _digest(name: str, image: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + image).digest()


def _distrust(status: os.stat_result) -> str | None:
    """Return why a file or folder is not trusted; ``None`` if it is."""
    if status.st_mode & 0o022:
        return f"others can write to it (its mode is {stat.S_IMODE(status.st_mode):04o})"
    return _foreign(status)


def _foreign(status: os.stat_result) -> str | None:
    """Return whose a file is if neither this user's nor root's, who can do anything anyway."""
    own = status.st_uid in (os.geteuid(), 0)
    return None if own else f"another user owns it (number {status.st_uid})"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, where the file system has locks; the system releases it at death."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    deadline = time.monotonic() + _PATIENCE
    try:
        with suppress(OSError):
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)
