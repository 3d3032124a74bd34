"""Reading of files that somebody else may have made, and the limits on them.

Stores come from other machines, distilled sets and images from downloads. A file among them may be
a link to a secret, a pipe on which a read never returns, or a few bytes that claim to hold a
terabyte. Such input is checked here, once, against the table :class:`Limit`; code behind this
module trusts what it is given.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final

from bench.support.errors import BenchError

_KIB, _MIB, _GIB = 2**10, 2**20, 2**30


class Limit:
    """The largest sizes and counts that bench accepts from outside; units are in the names.

    Each is several times what honest input needs, and small enough to do no harm.
    """

    # Files that are read whole.
    CHECKSUM_FILE_BYTES: Final = 4 * _KIB
    LOCK_FILE_BYTES: Final = 4 * _KIB
    CONFIG_BYTES: Final = 64 * _KIB  # the time to parse TOML grows with the square of its depth
    CELL_BYTES: Final = 1 * _MIB  # request.json, the identity of a cell
    RECORD_BYTES: Final = 8 * _MIB
    SLURM_BATCH_BYTES: Final = 16 * _MIB
    PUBLISHED_BYTES: Final = 16 * _MIB
    INDEX_BYTES: Final = 2 * _GIB  # of a store; about a kilobyte per cell
    RUN_REQUEST_BYTES: Final = 64 * _MIB  # lists every cell of a run

    # Headers of safetensors files: names, shapes and JSON; thousands of tensors need less.
    PACKED_HEADER_BYTES: Final = 8 * _MIB
    DISTILLED_HEADER_BYTES: Final = 16 * _MIB
    CHECKPOINT_HEADER_BYTES: Final = 32 * _MIB

    USER_CACHE_BYTES: Final = 64 * _MIB  # measured rates and counted work
    KERNEL_LIBRARY_BYTES: Final = 64 * _MIB
    WORKER_OUTPUT_BYTES: Final = 64 * _KIB  # what a worker printed last goes to the log of its cell

    # Downloads and imports. SVHN's training part, the largest file that is fetched, has 182 MB.
    DOWNLOAD_BYTES: Final = 1 * _GIB
    IMPORT_BYTES: Final = 8 * _GIB
    # Images shrink to a tenth at best, sorted labels to less. An archive that unpacks to more than
    # a hundred times its size, and to more than the second limit, was made to fill a memory.
    UNPACKING_RATIO: Final = 100
    UNPACKED_HARMLESS_BYTES: Final = 64 * _MIB

    # Requests. A configuration from elsewhere must not ask for endless work.
    CELLS: Final = 1_000_000
    SEEDS: Final = 10_000
    NETS: Final = 10_000
    THREADS: Final = 1024
    CHAIN_CELLS: Final = 32  # a cell and those that it depends on, each on the next
    PERCENTAGES: Final = 20  # of the steps of a distillation, after which its set is evaluated

    # Datasets. Networks are built from these numbers: more classes and larger images (2048x2048
    # grey, 1182x1182 RGB) than any dataset that is distilled.
    CLASSES: Final = 100_000
    VALUES_PER_IMAGE: Final = 2**22
    # Labels are held in memory, eight bytes each; ImageNet-21k has a ninth of this.
    IMAGES: Final = 2**27
    NOTE_LETTERS: Final = 1000  # a note that a user gives; bench adds to it

    # Distilled sets. An evaluation must not run for years because a file asks for it.
    EPOCHS: Final = 100_000
    LEARNING_RATE: Final = 1e9
    TEMPERATURE: Final = 1e6
    TENSOR_DIMENSIONS: Final = 16
    # Modules, weights and buffers that a generator may have besides those in its file.
    SPARE_GENERATOR_PARTS: Final = 1000
    GENERATOR_PARTS_PER_WEIGHT: Final = 10

    # JSON, records and texts. A JSON value takes two bytes of text and up to a hundred of memory.
    JSON_VALUES: Final = 2**20
    AMOUNT: Final = 2**63  # seconds, bytes and counts; the columns of a data frame have 64 bits
    ERROR_LETTERS: Final = 4000  # an error on a screen may quote what a file holds
    REASON_LETTERS: Final = 2000  # why a cell failed; its log has all of it
    FILE_NAME_LETTERS: Final = 200
    LABEL_LETTERS: Final = 80  # how a method asks to be named in tables
    DIFFERENCES_LETTERS: Final = 300  # how a method says that it differs from the published one
    TABLE_ORDER: Final = 10**6
    RECORD_TEXT_LETTERS: Final = 4000
    PARAMETER_LETTERS: Final = 500  # records and tables show the parameters that were changed
    IPC: Final = 10**9


def is_own_folder(path: str | Path) -> bool:
    """Return whether a path is a folder, and not a link to one, which could lie anywhere."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def refuse_link(path: str | Path, why: str) -> None:
    """Raise :class:`BenchError` if a path in a store is a link: what is written would leave it."""
    if os.path.islink(path):
        raise BenchError(f"'{path}' is a link: {why}")


def refuse_outside(path: Path, root: Path) -> None:
    """Raise :class:`BenchError` if a path below ``root`` leads out of it, by a link."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise BenchError(f"'{path}' is a link to a file outside '{root}'")


def open_plain(path: str | Path, *, follow: bool = True) -> BufferedReader:
    """Open a file for reading, unless a read from it could block or never end.

    Args:
        path: the file.
        follow: whether it may be a symbolic link. Files that users name may be links; files inside
            a store must not be, because a link in a copied store could point anywhere.

    Raises:
        OSError: the file cannot be opened, or is a folder.
        ValueError: it is a pipe, a device or a socket, or a link that must not be followed.
    """
    no_follow = 0 if follow else os.O_NOFOLLOW
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | no_follow)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:
            raise ValueError("it is a link, not a file") from None
        if error.errno == errno.ENXIO:
            raise ValueError("it is a socket, not a file") from None
        raise
    try:
        # The open file is examined, not its path, which could change in between.
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if not stat.S_ISREG(mode):
            raise ValueError("it is a pipe or a device, not a file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_plain(path: str | Path, limit: int, *, follow: bool = True) -> bytes:
    """Read a whole file of at most ``limit`` bytes; see :func:`open_plain`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is larger, or not a plain file.
    """
    with open_plain(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise ValueError(f"it has {size:,} bytes, at most {limit:,} are read")
        return file.read(limit)


def read_named(path: Path, limit: int) -> bytes:
    """Read a file that a user named on the command line; unlike :func:`read_plain`, also a pipe.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has more than ``limit`` bytes.
    """
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {limit:,} bytes")
    return content


def open_without_links(path: str, flags: int) -> int:
    """Open a file for writing, unless it is a link or a pipe; an ``opener`` for :func:`open`.

    A log that somebody replaced by a link would otherwise let bench write to another file.
    """
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)


def header_length(file: BinaryIO, limit: int) -> int:
    """Read the length of a safetensors header; the file then stands at the header's first byte.

    Raises:
        ValueError: the file claims a header of more than ``limit`` bytes.
    """
    length = int.from_bytes(file.read(8), "little")
    if length > limit:
        raise ValueError(f"its header claims {length:,} bytes, at most {limit:,} are read")
    return length


def host_memory() -> int:
    """Return the size of this machine's memory in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_fits_memory(size: int) -> None:
    """Raise ``ValueError`` if ``size`` bytes are more than this machine's memory.

    A sparse file takes no room on a disk, whatever size it claims, until it is read or copied.
    """
    if size > host_memory():
        raise ValueError(f"its {size:,} bytes are more than this machine's memory")


def most_unpacked(packed: int) -> int:
    """Return to how many bytes an honest archive of ``packed`` bytes can unpack."""
    return max(Limit.UNPACKED_HARMLESS_BYTES, Limit.UNPACKING_RATIO * packed)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, in hex (about 0.15 s for 184 MB).

    Raises:
        OSError: the file cannot be read.
        ValueError: it is a pipe or a device.
    """
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
