"""A server on this machine that answers as the Hugging Face hub does for datasets."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "a" * 40
Repositories = Mapping[str, Mapping[str, bytes]]


@contextmanager
def serving(repositories: Repositories, gated: str) -> Iterator[str]:
    """Serve files by repository (``OWNER/NAME``) and path; yield the address.

    ``OWNER/NAME@REVISION`` is another state of the repository, which its revision or its commit
    names. Any other repository or revision is unknown, and ``gated`` asks for a login.
    """

    class Hub(_Handler):
        served = repositories
        asks_for_login = gated

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """The routes that ``datasets`` and ``huggingface_hub`` ask for."""

    protocol_version = "HTTP/1.1"
    served: Repositories
    asks_for_login: str

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        api = parts[0] == "api"
        name = "/".join(parts[2:4] if api else parts[1:3])
        if name == self.asks_for_login:
            self.say(401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."})
        elif name not in self.served:
            self.say(404, {"X-Error-Code": "RepoNotFound"})
        elif api:  # api/datasets/OWNER/NAME, .../revision/REVISION, .../tree/COMMIT/PATH
            self.describe(name, parts[4:])
        else:  # datasets/OWNER/NAME/resolve/COMMIT/PATH
            self.file(self.state(name, parts[4]), "/".join(parts[5:]))

    def state(self, name: str, revision: str) -> str | None:
        """Return the key of a repository at a revision, ``None`` if it has none of that name."""
        for key in self.served:
            if key.partition("@")[0] == name and revision in _names_of(key):
                return key
        return None

    def describe(self, name: str, rest: list[str]) -> None:
        key = self.state(name, rest[1] if len(rest) > 1 else "main")
        if key is None:
            self.say(404, {"X-Error-Code": "RevisionNotFound"})
        elif rest and rest[0] == "tree":
            self.say_json(_entries(self.served[key], "/".join(rest[2:])))
        else:
            siblings = [{"rfilename": path} for path in self.served[key]]
            facts = {"id": name, "sha": _commit(key), "private": False, "gated": False, "tags": []}
            self.say_json({**facts, "downloads": 0, "likes": 0, "siblings": siblings})

    def file(self, key: str | None, path: str) -> None:
        data = None if key is None else self.served[key].get(path)
        if key is None or data is None:
            self.say(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": _commit(key or "")})
        else:
            self.say(200, {"ETag": f'"{_digest(data)}"', "X-Repo-Commit": _commit(key)}, data)

    def say_json(self, value: Any) -> None:
        self.say(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def say(self, code: int, headers: Mapping[str, str], data: bytes = b"") -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _commit(key: str) -> str:
    """Return the commit of a repository, or of another state of it."""
    return _digest(key.encode()) if "@" in key else COMMIT


def _names_of(key: str) -> set[str]:
    return {_commit(key), key.partition("@")[2] or "main"}


def _entries(files: Mapping[str, bytes], folder: str) -> list[dict[str, Any]]:
    """Return what lies in a folder, as the hub lists it."""
    parent = PurePosixPath(folder)
    entries: list[dict[str, Any]] = [
        {"type": "file", "oid": _digest(data), "size": len(data), "path": path}
        for path, data in files.items()
        if PurePosixPath(path).parent == parent
    ]
    folders = {PurePosixPath(path).parent for path in files} - {parent}
    return entries + [
        {"type": "directory", "oid": COMMIT, "size": 0, "path": str(each)}
        for each in folders
        if each.parent == parent
    ]


def _digest(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
