"""Only compiled kernels that this user stored, and that are undamaged, are used."""

from __future__ import annotations

import os
import pwd
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_disk import fill, make_read_only, small_disk

from bench.networks.cpu_kernels.cache import cached

IMAGE = bytes(range(256)) * 40
STRANGER = 54321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


class Use:
    """Uses of one library: how often it was built, and what was said of the cache."""

    def __init__(self, folder: Path, private: Path) -> None:
        self.folder, self.private = folder, private
        self.builds = 0
        self.remarks: list[str] = []

    def build(self) -> bytes:
        self.builds += 1
        return IMAGE

    def get(self, name: str = "name") -> bytes:
        return cached(name, self.build, self.remarks.append)

    @property
    def file(self) -> Path:
        return self.folder / "name.so"


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Use:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    folder = tmp_path / "cache/distillation-bench/native"
    return Use(folder, tmp_path / f"temporary/distillation-bench-{os.geteuid()}")


def test_built_once_and_stored_for_this_user_alone(use: Use) -> None:
    assert use.get() == use.get() == IMAGE
    assert (use.builds, use.remarks) == (1, [])
    assert list(use.folder.iterdir()) == [use.file], "nothing half-made is left"
    assert use.file.stat().st_mode & 0o777 == 0o600
    assert use.folder.stat().st_mode & 0o777 == 0o700
    assert not use.private.exists()


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o077])
def test_any_umask(use: Use, umask: int) -> None:
    former = os.umask(umask)
    try:
        assert use.get() == use.get() == IMAGE
    finally:
        os.umask(former)
    assert (use.builds, use.remarks) == (1, [])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)


def link_elsewhere(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda p: os.truncate(p, 5000),
    "empty": lambda p: os.truncate(p, 0),
    "only a digest": lambda p: p.write_bytes(p.read_bytes()[-32:]),
    "a flipped bit": flip,
    "a byte more": lambda p: p.write_bytes(p.read_bytes() + b"x"),
    "no digest": lambda p: p.write_bytes(IMAGE),
    "of another name": lambda p: p.with_name("other.so").replace(p),
    "a link": link_elsewhere,
    "a pipe": make_pipe,
    "others can write": lambda p: p.chmod(0o666),
    "a group can write": lambda p: p.chmod(0o660),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_bad_file_is_made_again_and_that_is_said_once(use: Use, damage: str) -> None:
    use.get("other")
    use.get()
    DAMAGE[damage](use.file)
    assert use.get() == IMAGE
    assert use.builds == 3
    assert len(use.remarks) == 1
    assert f"'{use.file}' are not used but compiled again: " in use.remarks[0]
    assert use.get() == IMAGE
    assert (use.builds, len(use.remarks)) == (3, 1)


@needs_root
def test_the_file_of_another_user_is_not_used(use: Use) -> None:
    use.get()
    os.chown(use.file, STRANGER, STRANGER)
    assert use.get() == IMAGE
    assert use.builds == 2
    assert f"another user owns it (number {STRANGER})" in use.remarks[0]


@needs_root
def test_the_folder_of_another_user_is_not_used(use: Use) -> None:
    use.get()
    os.chown(use.folder, STRANGER, STRANGER)
    use.file.write_bytes(b"planted")
    assert use.get() == use.get() == IMAGE
    assert use.builds == 2, "the private folder has it now"
    assert f"'{use.folder}': another user owns it (number {STRANGER})" in use.remarks[0]
    assert use.file.read_bytes() == b"planted"


@needs_root
def test_a_link_of_another_user_is_not_followed(use: Use, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    use.private.symlink_to(tmp_path / "elsewhere")
    os.chown(use.private, STRANGER, STRANGER, follow_symlinks=False)
    use.folder.mkdir(parents=True, mode=0o777)
    use.folder.chmod(0o777)
    assert use.get() == IMAGE
    assert not list((tmp_path / "elsewhere").iterdir())
    assert any(f"'{use.private}': another user owns it" in remark for remark in use.remarks)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_a_folder_that_others_can_write_to_is_not_used(use: Use, mode: int) -> None:
    use.get()
    use.folder.chmod(mode)
    assert use.get() == use.get() == IMAGE
    assert use.builds == 2
    assert f"'{use.folder}': others can write to it (its mode is {mode:04o})" in use.remarks[0]
    assert use.private.stat().st_mode & 0o777 == 0o700


def test_no_folder_can_be_trusted(use: Use) -> None:
    for folder in use.folder, use.private:
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    assert use.get() == use.get() == IMAGE
    assert use.builds == 2
    assert "each process" in use.remarks[2]
    assert not [*use.folder.iterdir(), *use.private.iterdir()]
    assert list(use.private.parent.iterdir()) == [use.private], "no folder is left per process"


def test_a_link_to_an_own_folder_is_followed(use: Use, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    use.folder.parent.mkdir(parents=True)
    use.folder.symlink_to(tmp_path / "elsewhere")
    assert use.get() == use.get() == IMAGE
    assert (use.builds, use.remarks) == (1, [])
    assert (tmp_path / "elsewhere/name.so").exists()


@pytest.mark.parametrize("obstacle", ["a file", "a dangling link"])
def test_no_folder_at_all(use: Use, obstacle: str) -> None:
    use.folder.parent.mkdir(parents=True)
    if obstacle == "a file":
        use.folder.touch(mode=0o600)
    else:
        use.folder.symlink_to("nowhere")
    assert use.get() == use.get() == IMAGE
    assert use.builds == 1
    assert str(use.folder) in use.remarks[0]


def test_a_folder_in_the_place_of_the_file(use: Use) -> None:
    use.file.mkdir(parents=True)
    assert use.get() == use.get() == IMAGE
    assert use.builds == 1
    assert (use.private / "name.so").exists()


def test_without_a_home_the_private_folder_is_used(
    use: Use, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert use.get() == use.get() == IMAGE
    assert use.builds == 1
    assert (use.private / "name.so").exists()


def test_a_read_only_cache_is_read(
    use: Use, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        monkeypatch.setenv("XDG_CACHE_HOME", str(disk))
        use.get()
        make_read_only(disk)
        assert use.get() == IMAGE
        assert (use.builds, use.remarks) == (1, [])
        assert use.get("other") == use.get("other") == IMAGE
        assert use.builds == 2, "the private folder has it"
        assert list(use.private.parent.iterdir()) == [use.private]


def test_a_full_cache(use: Use, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        monkeypatch.setenv("XDG_CACHE_HOME", str(disk))
        use.get()
        fill(disk)
        assert use.get("other") == use.get("other") == IMAGE
        assert (use.builds, use.remarks) == (2, [])
        names = [path.name for path in (disk / "distillation-bench/native").iterdir()]
        assert names == ["name.so"], "nothing half-made is left"


def test_two_builds_at_once_are_one(use: Use) -> None:
    begun = threading.Event()

    def slowly() -> bytes:
        begun.set()
        time.sleep(0.3)
        return use.build()

    first = threading.Thread(target=cached, args=("name", slowly, use.remarks.append))
    first.start()
    begun.wait()
    assert use.get() == IMAGE
    first.join()
    assert (use.builds, use.remarks) == (1, [])


def test_a_failed_build_stores_nothing(use: Use) -> None:
    def fail() -> bytes:
        raise OSError("no compiler after all")

    with pytest.raises(OSError, match="no compiler after all"):
        cached("name", fail, use.remarks.append)
    assert list(use.folder.iterdir()) == []
    assert use.get() == IMAGE
