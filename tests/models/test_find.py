"""Finding base models; the hub is a small server on this machine."""

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchbench.contract.model import Model
from benchbench.errors import ModelError
from benchbench.models.find import FoundModel, find_model

INDEX = "model.safetensors.index.json"

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the toy model, to be spoilt."""
    return Path(shutil.copytree(tiny_model, tmp_path / "copy"))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(text: str | Path, registered: dict[str, Model] | None = None) -> str:
    with pytest.raises(ModelError) as caught:
        find_model(str(text), registered or {})
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    return message


def test_a_folder_is_found_and_pinned_by_its_content(folder: Path) -> None:
    found = find_model(str(folder), {})
    assert found.folder == folder
    assert found.spec.name == "copy"
    assert found.learning_rate_factor == 1.0
    assert found.spec.revision.startswith("sha256:") and len(found.spec.revision) == 7 + 16
    assert found.spec.chat_template is None
    moved = find_model(str(folder.rename(folder.with_name("moved"))), {})
    assert moved.spec.revision == found.spec.revision
    assert moved.spec.tokenizer == found.spec.tokenizer


def test_other_weights_are_another_revision_and_another_tokenizer_another_hash(
    folder: Path,
) -> None:
    first = find_model(str(folder), {}).spec
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    second = find_model(str(folder), {}).spec
    assert second.revision != first.revision and second.tokenizer == first.tokenizer
    edit(folder / "tokenizer_config.json", padding_side="left")
    third = find_model(str(folder), {}).spec
    assert third.revision == second.revision and third.tokenizer != second.tokenizer


def test_the_chat_template_is_found_wherever_transformers_keeps_it(folder: Path) -> None:
    def digest(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    named = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
    edit(folder / "tokenizer_config.json", chat_template=named)
    assert find_model(str(folder), {}).spec.chat_template == digest("D")
    edit(folder / "tokenizer_config.json", chat_template="C")
    assert find_model(str(folder), {}).spec.chat_template == digest("C")
    (folder / "chat_template.jinja").write_text("J")
    assert find_model(str(folder), {}).spec.chat_template == digest("J")


def test_a_registered_name_comes_before_a_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    registered = {"copy": Model(name="copy", path=str(folder), learning_rate_factor=7.0)}
    assert find_model("copy", registered).learning_rate_factor == 7.0
    assert find_model("copy", {}).learning_rate_factor == 1.0


def test_a_relative_folder_has_a_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert find_model(".", {}).spec.name == "copy"


def test_an_unknown_name_says_what_was_meant() -> None:
    known = {"nano": Model(name="nano", path="nowhere")}
    assert "did you mean 'nano'?" in refused("nanoo", known)
    assert "known: nano" in refused("zzz", known)
    assert "known: none" in refused("zzz")
    assert "which does not exist" in refused("nano", known)


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def with_text(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).write_text(text), None][1]


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def sharded(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "x.safetensors"}}
    (folder / INDEX).write_text(json.dumps(index))


def own_code(folder: Path) -> None:
    edit(folder / "config.json", model_type="mine", auto_map={"AutoConfig": "code.Config"})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("config.json"), "has no config.json"),
        (without("tokenizer_config.json"), "has no tokenizer_config.json"),
        (without("model.safetensors"), "has no model.safetensors; save it"),
        (pickled, "are pickles, which are not read"),
        (sharded, "lacks model-00001-of-00002.safetensors; fetch or copy it again"),
        (with_text("config.json", "{"), "config.json of model 'copy' cannot be read"),
        (with_text("tokenizer_config.json", "[]"), "holds no JSON object"),
        (with_text(INDEX, '{"weight_map": []}'), f"{INDEX}' cannot be read"),
        (with_text(INDEX, "{}"), f"{INDEX}' cannot be read"),
        (own_code, "(model_type 'mine') needs code from its repository"),
    ],
)
def test_a_spoilt_folder_is_refused(
    spoil: Callable[[Path], None], message: str, folder: Path
) -> None:
    spoil(folder)
    assert message in refused(folder)


def test_code_that_transformers_has_itself_is_no_reason_to_refuse(folder: Path) -> None:
    edit(folder / "config.json", auto_map={"AutoConfig": "code.Config"})
    assert find_model(str(folder), {}).spec.name == "copy"


class Hub(BaseHTTPRequestHandler):
    """The few addresses of the hub that fetching a model needs."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = self.path.partition("?")[0].replace("%40", "@")
        self.asked.append(path)
        if path.startswith(("/api/models/toys/gated", "/toys/gated")):
            self.reply(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif path.endswith("/revision/nowhere"):
            self.reply(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith("/api/models/toys/tiny/tree/"):
            self.reply(200, json.dumps(self.tree()).encode(), {}, body)
        elif path.startswith("/api/models/toys/tiny"):
            facts = {"id": "toys/tiny", "sha": COMMIT, "private": False, "siblings": []}
            self.reply(200, json.dumps(facts).encode(), {}, body)
        elif path.startswith(f"/toys/tiny/resolve/{COMMIT}/"):
            content = (self.folder / path.rpartition("/")[2]).read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            self.reply(200, content, {"ETag": etag, "X-Repo-Commit": COMMIT}, body)
        else:
            self.reply(401, b"{}", {"X-Error-Code": "RepoNotFound"})

    def tree(self) -> list[dict[str, Any]]:
        return [
            {
                "type": "file",
                "path": path.name,
                "size": path.stat().st_size,
                "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
            }
            for path in sorted(self.folder.iterdir())
        ]

    def reply(
        self, status: int, content: bytes, headers: dict[str, str], body: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body and self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """A hub that has toys/tiny and, for those who may, toys/gated; an empty cache."""
    from huggingface_hub import constants

    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "modeling_mine.py").write_text("raise SystemExit")
    handler = type("ThisHub", (Hub,), {"folder": folder, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def fetched(text: str) -> FoundModel:
    return find_model(text, {})


def test_a_model_of_the_hub_is_fetched_and_pinned_to_its_commit(hub: type[Hub]) -> None:
    found = fetched("toys/tiny")
    assert found.spec.name == "toys/tiny"
    assert found.spec.revision == COMMIT
    assert found.spec == fetched("toys/tiny@main").spec
    assert (found.folder / "model.safetensors").is_file()
    names = {path.rpartition("/")[2] for path in hub.asked}
    assert not names & {"pytorch_model.bin", "modeling_mine.py"}


def test_a_pinned_model_is_fetched_once(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    registered = {"toy": Model(name="toy", path="toys/tiny", revision=COMMIT)}
    first = find_model("toy", registered)
    assert first.spec.name == "toy"
    asked = len(hub.asked)
    assert find_model("toy", registered) == first
    assert len(hub.asked) == asked
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert find_model("toy", registered) == first


def test_the_hub_s_refusals_say_what_to_do(hub: type[Hub]) -> None:
    assert "accept its licence" in refused("toys/gated") and "HF_TOKEN" in refused("toys/gated")
    assert "neither a folder 'toys/none' nor a model" in refused("toys/none")
    assert "has no revision 'nowhere'" in refused("toys/tiny@nowhere")
    assert "is no hub id" in refused("toys/--tiny")


def test_a_model_of_pickles_is_not_fetched(hub: type[Hub]) -> None:
    (hub.folder / "model.safetensors").unlink()
    assert "has no model.safetensors" in refused("toys/tiny")


def test_without_a_hub_the_switch_and_the_folder_are_named(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be reached" in refused("toys/tiny")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = refused("toys/tiny")
    assert "HF_HUB_OFFLINE=0" in message and "--model FOLDER" in message


def test_finding_a_folder_imports_no_torch(tiny_model: Path) -> None:
    code = (
        "import sys; from benchbench.models.find import find_model; find_model(sys.argv[1], {}); "
        "sys.exit(len({'torch', 'transformers'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code, str(tiny_model)], check=True)
