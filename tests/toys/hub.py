"""A hub of data sets on this machine: the few addresses that fetching a file needs."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "89abcdef0123456789abcdef0123456789abcdef"


@dataclass
class ToyHub:
    """Has the data set toys/words at two commits."""

    files: dict[str, bytes] = field(default_factory=dict)
    """At ``COMMIT``."""
    other: dict[str, bytes] = field(default_factory=dict)
    """At ``OTHER``."""
    address: str = ""
    stalls: set[str] = field(default_factory=set)
    """Files of which half is sent, and then nothing until ``go``."""
    stalled: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    gated: bool = False
    asked: list[str] = field(default_factory=list)
    """Addresses without host."""
    sent: list[str] = field(default_factory=list)
    """Files whose content was asked for."""


class Handler(BaseHTTPRequestHandler):
    hub: ToyHub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        hub, path = self.hub, self.path.partition("?")[0]
        hub.asked.append(path)
        repository, _, rest = path.removeprefix("/datasets/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        files = {COMMIT: hub.files, OTHER: hub.other}.get(revision)
        if repository != "toys/words":
            self.refuse(401, "RepoNotFound")
        elif hub.gated:
            self.refuse(403, "GatedRepo")
        elif files is None:
            self.refuse(404, "RevisionNotFound")
        elif name not in files:
            self.refuse(404, "EntryNotFound")
        else:
            self.send(name, files[name], revision, body)

    def send(self, name: str, content: bytes, revision: str, body: bool) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", revision)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.hub.sent.append(name)
            if name in self.hub.stalls:
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self.hub.stalled.set()
                self.hub.go.wait(60)
                self.close_connection = True
            else:
                self.wfile.write(content)

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToyHub]:
    """Stand in for the hub, with an empty cache."""
    from huggingface_hub import constants

    hub = ToyHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("ThisHub", (Handler,), {"hub": hub}))
    address = f"http://127.0.0.1:{server.server_port}"
    hub.address = address
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield hub
    finally:
        hub.go.set()
        server.shutdown()
        server.server_close()
        thread.join()
