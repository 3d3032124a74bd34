"""The C++ compiler: its command for the kernels, what its output depends on, and that output."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

_FOLDER = Path(__file__).parent
_SOURCES = ("winograd.cpp", "block.cpp", "columns.cpp", "layer_norm.cpp")
_HEADERS = ("common.h", "lanes.h", "schemes.h")
# Sums may be reordered, which lets the compiler use vectors; NaN and infinity stay what they are.
_FLAGS = (
    "-O3", "-std=c++17", "-fPIC", "-pthread",
    "-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno",
)  # fmt: skip
_COMPILERS = ("c++", "g++", "clang++")
SECONDS = 120


def choose_compiler() -> str | None:
    """Return ``$CXX``, or the first C++ compiler that this machine has; ``None`` without one."""
    return os.environ.get("CXX") or next(filter(shutil.which, _COMPILERS), None)


def compiler_command(compiler: str) -> list[str]:
    """Return a compiler's command for the kernels, without its sources and outputs.

    Args:
        compiler: its name, with options if need be.

    Raises:
        ValueError: its quotes do not match.
    """
    # Vectors as wide as this processor has; elsewhere the compiler's default is as wide already.
    native = ["-march=native"] if platform.machine() in ("x86_64", "AMD64") else []
    return [*shlex.split(compiler), *_FLAGS, *native]


def fingerprint(command: list[str]) -> str:
    """Return a hash of all that the library depends on: sources, options, compiler, processor.

    Raises:
        subprocess.SubprocessError: the compiler does not say its version.
        OSError: it cannot be started.
    """
    version = _run([command[0], "--version"])
    # Libraries of versions of bench that stored them without a digest have other names.
    digest = hashlib.sha256(b"stored with a digest\0")
    for part in (*command, version, platform.machine(), processor_features()):
        digest.update(part.encode(errors="surrogateescape") + b"\0")
    for name in (*_SOURCES, *_HEADERS):
        digest.update((_FOLDER / name).read_bytes() + b"\0")
    return digest.hexdigest()[:32]


def compile_kernels(command: list[str]) -> bytes:
    """Return the content of the shared library.

    Raises:
        subprocess.CalledProcessError: the compiler failed.
        subprocess.TimeoutExpired: it takes more than :data:`SECONDS`.
        OSError: it cannot be started, or its output cannot be written.
    """
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "kernels.so"
        objects = {name: str(output.with_name(f"{name}.o")) for name in _SOURCES}
        _run_together(
            [*command, "-c", str(_FOLDER / source), "-o", made] for source, made in objects.items()
        )
        _run([*command, "-shared", *objects.values(), "-o", str(output)])
        return output.read_bytes()


def _run(command: list[str]) -> str:
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, errors="replace", timeout=SECONDS
    )
    return done.stdout


def _run_together(commands: Iterable[list[str]]) -> None:
    """Run commands side by side; if one fails, the others are ended."""
    with ExitStack() as stack:
        running = []
        for command in commands:
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                errors="replace",
            )  # fmt: skip
            running.append(stack.enter_context(process))
            stack.callback(process.kill)
        for process in running:
            _, said = process.communicate(timeout=SECONDS)
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, process.args, stderr=said)


def processor_features() -> str:
    """Return the features of the processor, as the operating system lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("flags")), "")
