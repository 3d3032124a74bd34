"""The download of one file, with a checksum, a time limit on silence, and progress."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from bench.datasets.source import Progress
from bench.support.errors import BenchError
from bench.support.untrusted import Limit

_CHUNK = 2**18
# A connection that delivers nothing for this long is given up.
_SILENCE_SECONDS = 60


def download(urls: Sequence[str], path: Path, md5: str, progress: Progress) -> None:
    """Fetch a file from the first mirror that has it.

    Args:
        urls: the mirrors, best first.
        path: where to write the file; missing folders are created.
        md5: the expected md5, in hex.
        progress: called with the number of bytes so far.

    Raises:
        BenchError: no mirror delivered the file; the message has the reason of each.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for url in urls:
        try:
            actual = _stream(url, path, progress)
        except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
            reasons.append(f"{url}: {getattr(error, 'reason', error) or type(error).__name__}")
            continue
        if actual == md5:
            return
        path.unlink()
        reasons.append(f"{url}: the file's md5 is {actual}, expected {md5}")
    raise BenchError(f"could not download {path.name} ({'; '.join(reasons)})")


def _stream(url: str, path: Path, progress: Progress) -> str:
    """Write the content of ``url`` to ``path`` and return its md5, in hex."""
    # torchvision publishes md5 sums; they detect damage, not an attack.
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
            if done > Limit.DOWNLOAD_BYTES:
                raise OSError(f"more than {Limit.DOWNLOAD_BYTES:,} bytes came")
            progress(path.name, done, total)
    return digest.hexdigest()
