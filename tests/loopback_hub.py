"""A Hugging Face hub on this machine: one dataset, with the answers that huggingface_hub asks for."""

import hashlib
import json
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.loopback import Loopback, Reply

REPO = "some/streets"
COMMIT = "c" * 40
LARGE = 1000
"""Files from this size on are LFS objects, which lie elsewhere."""


@dataclass
class Hub:
    """A dataset and what is done to it.

    Attributes:
        files: contents by path.
        sends: other bytes that are sent for a path than the list says.
        stops: after so many bytes of a path the server falls silent.
        ranges: what was asked of each path, as `(path, Range header)`.
    """

    server: Loopback
    files: dict[str, bytes]
    sends: dict[str, bytes] = field(default_factory=dict)
    stops: dict[str, int] = field(default_factory=dict)
    ranges: list[tuple[str, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.routes[""] = self.answer

    def answer(self, request) -> Reply:
        path = urlsplit(request.path).path
        if path in (f"/api/datasets/{REPO}/revision/main", f"/api/datasets/{REPO}/revision/{COMMIT}"):
            return Reply(body=json.dumps({"id": REPO, "sha": COMMIT}).encode())
        if path == f"/api/datasets/{REPO}/tree/{COMMIT}":
            return self._page(request)
        if path.startswith("/api/"):
            code = "RevisionNotFound" if REPO in path else "RepoNotFound"
            return Reply(404, headers={"X-Error-Code": code, "X-Error-Message": "no"})
        for prefix in (f"/datasets/{REPO}/resolve/{COMMIT}/", "/cdn/"):
            if path.startswith(prefix) and path.removeprefix(prefix) in self.files:
                return self._file(request, path.removeprefix(prefix), prefix == "/cdn/")
        return Reply(404, headers={"X-Error-Code": "EntryNotFound"})

    def _page(self, request) -> Reply:
        """Answer with two entries of the list a page, as the hub does with a thousand."""
        start = int(parse_qs(urlsplit(request.path).query).get("cursor", ["0"])[0])
        entries = [{"type": "directory", "path": "images", "oid": "0" * 40}]
        for path, body in sorted(self.files.items()):
            oid = hashlib.sha1(f"blob {len(body)}\0".encode() + body).hexdigest()
            lfs = {"oid": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 134}
            large = {"lfs": lfs} if len(body) >= LARGE else {}
            entries.append({"type": "file", "path": path, "size": len(body), "oid": oid, **large})
        url = f"{self.server.url}/api/datasets/{REPO}/tree/{COMMIT}?recursive=True&cursor={start + 2}"
        link = {"Link": f'<{url}>; rel="next"'} if start + 2 < len(entries) else {}
        return Reply(body=json.dumps(entries[start : start + 2]).encode(), headers=link)

    def _file(self, request, path: str, elsewhere: bool) -> Reply:
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{path}"', "Accept-Ranges": "bytes"}
        if len(self.files[path]) >= LARGE and not elsewhere:
            return Reply(302, headers={**headers, "Location": f"/cdn/{path}"})
        asked = request.headers.get("Range")
        self.ranges.append((path, asked))
        body = self.sends.get(path, self.files[path])
        stop = self.stops.get(path)
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        if asked and start >= len(body):
            return Reply(416)
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        send = None if stop is None else max(0, stop - start)
        return Reply(206 if asked else 200, body[start:], headers, send=send, hang=stop is not None)
