"""A hub on this machine that models are pushed to: the addresses that a commit needs."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

TOKEN = "hf_" + "a" * 34
READER = "hf_" + "b" * 34
"""May read only."""


@dataclass
class Repository:
    """A model's repository: files of each branch."""

    private: bool = False
    branches: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: list[tuple[str, str]] = field(default_factory=list)
    """Branch and message."""


@dataclass
class ToyRepositories:
    """A hub with the organisation toys."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    """Large files by SHA-256."""
    breaks_at: str = ""
    """Part of an address that is answered by status 400."""
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def add(self, name: str, private: bool = False) -> Repository:
        made = Repository(private, {"main": {".gitattributes": b"*.safetensors filter=lfs\n"}})
        self.repositories[name] = made
        return made

    def files(self, name: str, branch: str = "main") -> dict[str, bytes]:
        return self.repositories[name].branches[branch]


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    hub: ToyRepositories

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        path = self.path.partition("?")[0]
        self.hub.asked.append(f"{self.command} {path}")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if path.startswith("/stored/"):  # another host's, which is shown no token
            assert not token
            self.hub.stored[path.rpartition("/")[2]] = body
            return self.reply(200, {})
        if token not in (TOKEN, READER):
            return self.reply(401, {"error": "Invalid username or password."})
        if self.hub.breaks_at and self.hub.breaks_at in path:
            return self.reply(400, {"error": "out of order"})
        if path == "/api/validate-yaml":
            return self.validate(json.loads(body)["content"])
        if path == "/api/repos/create":
            return self.create(json.loads(body), token)
        if token != TOKEN and self.command != "GET":
            return self.reply(403, {"error": "Forbidden"})
        return self.within(path, body)

    def within(self, path: str, body: bytes) -> None:
        """Answer what is asked of one repository."""
        found = re.fullmatch(r"(?:/api/models)?/(\w+/[\w.-]+?)(\.git)?(?:/(.+))?", path)
        assert found is not None, path
        name, _, rest = found.groups()
        repository = self.hub.repositories.get(name)
        if repository is None:
            return self.reply(404, {"error": "Repository not found"}, "RepoNotFound")
        action, _, branch = (rest or "").partition("/")
        branch = branch.replace("%2F", "/")
        files = repository.branches.get(branch)
        if action == "branch":
            if files is not None:
                return self.reply(409, {"error": "Reference already exists"})
            repository.branches[branch] = dict(repository.branches["main"])
            return self.reply(200, {})
        if rest is None or action == "revision":
            facts = {"id": name, "private": repository.private, "sha": "c" * 40, "siblings": []}
            return self.reply(200, facts)
        if action == "info":
            return self.batch(json.loads(body))
        if files is None:
            return self.reply(404, {"error": "Invalid rev"}, "RevisionNotFound")
        if action == "tree":
            return self.reply(
                200,
                [
                    {"type": "file", "path": each, "size": len(content), "oid": git_hash(content)}
                    for each, content in files.items()
                ],
            )
        if action == "preupload":
            return self.preupload(json.loads(body), files)
        assert action == "commit", path
        return self.commit(name, repository, branch, files, body)

    def validate(self, card: str) -> None:
        """Refuse what is no front matter, and warn of what the hub would like to have."""
        front = yaml.safe_load(card.split("---\n")[1])
        if not isinstance(front, dict):
            return self.reply(400, {"errors": [{"message": "no metadata"}], "warnings": []})
        return self.reply(200, {"errors": [], "warnings": [{"message": "no license"}]})

    def create(self, wanted: dict[str, Any], token: str) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        if token != TOKEN or wanted["organization"] != "toys":
            return self.reply(403, {"error": "You don't have the rights"})
        url = {"url": f"{self.hub.address}/{name}"}
        if name in self.hub.repositories:
            return self.reply(409, {"error": "You already created this model repo", **url})
        self.hub.add(name, wanted.get("visibility") == "private")
        return self.reply(200, url)

    def preupload(self, asked: dict[str, Any], files: dict[str, bytes]) -> None:
        answers = []
        for file in asked["files"]:
            large = file["path"].endswith(".safetensors")
            there = files.get(file["path"])
            oid = there and (hashlib.sha256(there).hexdigest() if large else git_hash(there))
            mode = "lfs" if large else "regular"
            answers.append(
                {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}
            )
        self.reply(200, {"files": answers})

    def batch(self, asked: dict[str, Any]) -> None:
        answers = [
            {
                **each,
                "actions": {"upload": {"href": f"{self.hub.address}/stored/{each['oid']}"}},
            }
            for each in asked["objects"]
        ]
        self.reply(200, {"transfer": "basic", "objects": answers})

    def commit(
        self, name: str, repository: Repository, branch: str, files: dict[str, bytes], body: bytes
    ) -> None:
        lines = [json.loads(line) for line in body.splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                content = self.hub.stored[value["oid"]]
                assert hashlib.sha256(content).hexdigest() == value["oid"]
                files[value["path"]] = content
        repository.commits.append((branch, header["summary"]))
        oid = f"{len(repository.commits):040x}"
        url = f"{self.hub.address}/{name}/commit/{oid}"
        self.reply(200, {"commitUrl": url, "commitOid": oid})

    def reply(self, status: int, facts: Any, code: str = "") -> None:
        content = json.dumps(facts).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToyRepositories]:
    """Stand in for the hub, with a token that may write."""
    from huggingface_hub import constants

    hub = ToyRepositories()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("ThisHub", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
