"""Downloads one file with a checksum, a time limit on silence, and progress."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from bench.datasets.source import Progress
from bench.support.errors import BenchError

_CHUNK = 2**18
_SILENCE_SECONDS = 60
# The largest file that is fetched, SVHN's training part, has 182 MB.
_MOST_BYTES = 2**30


def download(urls: Sequence[str], path: Path, md5: str, progress: Progress) -> None:
    """Fetch a file from the first mirror that has it.

    Args:
        urls: where it may be found, best first.
        path: where it goes; folders are made.
        md5: what it must hash to, in hex.
        progress: called with bytes.

    Raises:
        BenchError: no mirror delivered it, with the reason of each.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for url in urls:
        try:
            found = _stream(url, path, progress)
        except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
            reasons.append(f"{url}: {getattr(error, 'reason', error) or type(error).__name__}")
            continue
        if found == md5:
            return
        path.unlink()
        reasons.append(f"{url}: the file's md5 is {found}, expected {md5}")
    raise BenchError(f"could not download {path.name} ({'; '.join(reasons)})")


def _stream(url: str, path: Path, progress: Progress) -> str:
    """Write what ``url`` delivers to ``path`` and return its md5."""
    digest = hashlib.md5(usedforsecurity=False)
    request = urllib.request.Request(url, headers={"User-Agent": "distillation-bench"})
    with (
        urllib.request.urlopen(request, timeout=_SILENCE_SECONDS) as answer,
        path.open("wb") as out,
    ):
        total = int(answer.headers.get("Content-Length") or 0) or None
        done = 0
        while chunk := answer.read(_CHUNK):
            out.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if done > _MOST_BYTES:
                raise OSError(f"more than {_MOST_BYTES:,} bytes came")
            progress(path.name, done, total)
    return digest.hexdigest()
