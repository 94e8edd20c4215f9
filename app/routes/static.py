"""Files of a page: read once, sent with the policy that the page is held to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, abort, request

_MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class StaticFile:
    """A file with its media type, its Content-Security-Policy and its digest."""

    content: bytes
    media: str
    policy: str
    etag: str

    @classmethod
    def read(cls, path: Path, policy: str) -> StaticFile:
        """Read a file of a kind that pages are made of."""
        content = path.read_bytes()
        return cls(content, _MEDIA[path.suffix], policy, hashlib.sha256(content).hexdigest()[:32])

    @classmethod
    def read_all(cls, folder: Path, policy: str) -> dict[str, StaticFile]:
        """Read a folder's files by name; what an editor or a system has left there is none of them."""
        return {path.name: cls.read(path, policy) for path in folder.iterdir() if path.suffix in _MEDIA}

    def response(self) -> Response:
        """Answer the current request with the file, or with 304 who has it already."""
        response = Response(self.content, content_type=self.media)
        response.headers["Content-Security-Policy"] = self.policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        # Kept, but asked for again each time: page and modules of two releases never meet.
        response.headers["Cache-Control"] = "no-cache"
        response.set_etag(self.etag)
        response.make_conditional(request)
        return response


def add_files(routes: Blueprint, folder: str, files: Mapping[str, StaticFile]) -> None:
    """Serve files below `folder`; a request names one of them, and never a path."""

    @routes.get(f"{folder}/<file>")
    def asset(file: str) -> Response:
        if file not in files:
            abort(404)
        return files[file].response()
