"""A Hugging Face hub on loopback: as much of its API as a push of a folder needs.

It knows one user, "ada", whose token is `TOKEN`; `repos` holds what was committed, as files.
"""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

TOKEN = "hf_loopbacktokenofada"
OWNER = "ada"


@dataclass
class Repo:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)  # their messages


class HubServer:
    """`large` files (by suffix) are asked for through LFS, as the real hub does with Parquet.

    `fails` maps the last part of a path ("commit", "create", ...) to a status and a body.
    """

    def __init__(self, *, large: tuple[str, ...] = ()) -> None:
        self.large = large
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.fails: dict[str, tuple[int, dict[str, str]]] = {}
        self.seen: list[str] = []  # "POST /api/repos/create"

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a request that carries the right token."""
        parts = path.split("?")[0].strip("/").split("/")
        for name, failure in self.fails.items():
            if name in parts:
                return failure
        if parts == ["api", "repos", "create"]:
            return self._create(json.loads(body))
        if parts == ["api", "validate-yaml"]:
            return 200, {"errors": [], "warnings": []}
        if parts[-4:] == ["info", "lfs", "objects", "batch"]:
            return 200, {"objects": [self._upload(each) for each in json.loads(body)["objects"]]}
        if parts[0] == "lfs":
            self.objects[parts[1]] = body
            return 200, {}
        repo = self.repos.get("/".join(parts[2:4]))
        if repo is None:
            return 404, {"error": "Repository not found"}
        if parts[4:5] == ["preupload"]:
            files = json.loads(body)["files"]
            return 200, {"files": [self._mode(each["path"]) for each in files]}
        if parts[4:5] == ["commit"]:
            self._commit(repo, [json.loads(line) for line in body.splitlines()])
            url = f"{self._url('/'.join(parts[2:4]))}/commit/{'0' * 40}"
            return 200, {"commitUrl": url, "commitOid": "0" * 40}
        return 200, {"id": "/".join(parts[2:4]), "private": repo.private, "sha": "0" * 40}

    def _create(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        name = f"{asked['organization'] or OWNER}/{asked['name']}"
        if name in self.repos:
            return 409, {"error": "You already created this dataset repo", "url": self._url(name)}
        if asked["organization"] not in (None, OWNER):
            return 403, {"error": f"You don't have the rights to create under {name}"}
        self.repos[name] = Repo(private=asked.get("visibility") == "private")
        return 200, {"url": self._url(name), "name": name}

    def _url(self, name: str) -> str:
        return f"{self.endpoint}/datasets/{name}"

    def _mode(self, path: str) -> dict[str, Any]:
        mode = "lfs" if path.endswith(self.large or ("\0",)) else "regular"
        return {"path": path, "uploadMode": mode, "shouldIgnore": False}

    def _upload(self, wanted: dict[str, Any]) -> dict[str, Any]:
        upload = {"href": f"{self.endpoint}/lfs/{wanted['oid']}"}
        return {**wanted, "actions": {"upload": upload}}

    def _commit(self, repo: Repo, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            value = row["value"]
            if row["key"] == "header":
                repo.commits.append(value["summary"])
            elif row["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                repo.files[value["path"]] = self.objects[value["oid"]]


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer

    def _handle(self) -> None:
        hub = self.hub
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        hub.seen.append(f"{self.command} {self.path}")
        said = self.headers.get("authorization", "")
        # As with the real hub, the address of an LFS upload is itself the permission.
        if said != f"Bearer {TOKEN}" and not self.path.startswith("/lfs/"):
            # Some servers repeat what they were sent.
            status, value = 401, {"error": f"Invalid credentials: {said}"}
        else:
            status, value = hub.answer(self.command, self.path, body)
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = _handle

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal."""
