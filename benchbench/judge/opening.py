"""Opens a judge by what the user calls it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from benchbench.contract.model import Model
from benchbench.contract.task import Task
from benchbench.engines.choice import choose_engine, open_engine
from benchbench.engines.engine import EngineSettings
from benchbench.errors import BadParameter
from benchbench.hub import HUB_ID
from benchbench.judge.endpoint import EndpointJudge
from benchbench.judge.judge import Judge
from benchbench.judge.own import EngineJudge
from benchbench.machine import precision
from benchbench.models.find import FoundModel, find_model
from benchbench.models.prompt import Renderer
from benchbench.records.record import Checkpoint
from benchbench.specs import typed

ENDPOINT = re.compile(r"(?P<model>.+?)@(?P<url>https?://[^@]*)")
SECRET = re.compile(r"key|token$|secret|password|authorization|credential", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class JudgeRequest:
    """Who shall judge, as the user says it."""

    name: str
    """``NAME@URL``, a model at an OpenAI-compatible endpoint, or a model of our own."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of an endpoint, as text; fields that it does not know go into each request, read as JSON."""

    def find(self, models: Mapping[str, Model]) -> Judge | FoundModel:
        """Return an endpoint, or a model of our own that is to be served.

        Raises what is wrong with it, before hours are spent on what it is to judge.
        """
        if (judge := _endpoint(self)) is None:
            return find_model(self.name, models)
        judge.check()
        return judge


def find_judge(
    request: JudgeRequest | None, tasks: Sequence[Task], models: Mapping[str, Model]
) -> Judge | FoundModel | None:
    """Return who shall judge the outputs of tasks; None where nobody was named."""
    if request is None:
        return None
    if not any(task.judged for task in tasks):
        raise BadParameter(
            f"--judge {request.name} is given, and none of the tasks is judged; add one, such as "
            "alpaca-eval, or leave the judge out."
        )
    return request.find(models)


@contextmanager
def opened(found: Judge | FoundModel, engine: str) -> Iterator[Judge]:
    """Yield a judge that answers; raises what opening an engine for a model of our own raises."""
    if not isinstance(found, FoundModel):
        yield found
        return
    kind, _ = choose_engine(engine, found)
    renderer = Renderer.of(found)
    checkpoint = Checkpoint(run_id="judge", route="base", sha256="", folder=found.folder)
    settings = EngineSettings(model=found, precision=precision(), max_tokens=renderer.context)
    with closing(open_engine(kind, settings, [checkpoint])) as server:
        server.load([checkpoint])
        yield EngineJudge(
            engine=server,
            checkpoint=checkpoint.run_id,
            model=found.spec,
            render=renderer.ranking,
            longest=renderer.context,
        )


def endpoint_of(request: JudgeRequest) -> EndpointJudge:
    """Return the endpoint that is asked for; BadParameter where it is a model of our own."""
    if (judge := _endpoint(request)) is None:
        raise BadParameter(f"{request.name!r} is not at an endpoint; write NAME@URL.")
    return judge


def _endpoint(request: JudgeRequest) -> EndpointJudge | None:
    """Return the endpoint that is asked for; None for a model of our own."""
    name = request.name
    if found := ENDPOINT.fullmatch(name):
        return EndpointJudge(
            model=found["model"], base_url=found["url"], **_settings(request.settings)
        )
    # A hub id has a revision after its @, in which no colon stands.
    own = HUB_ID.fullmatch(name) and ":" not in name
    if "@" in name and not own and not Path(name).is_dir():
        raise BadParameter(
            f"--judge is {name!r}; an endpoint is NAME@URL with http:// or https://, such as "
            "my-judge@http://127.0.0.1:8000/v1, and its key is in OPENAI_API_KEY."
        )
    if request.settings:
        raise BadParameter(
            f"--judge {name} is a model of our own, which has no settings "
            f"({', '.join(request.settings)} is for an endpoint, NAME@URL)."
        )
    return None


def _settings(texts: Mapping[str, str]) -> dict[str, Any]:
    """Read an endpoint's settings."""
    hints = get_type_hints(EndpointJudge)
    own = {f.name for f in fields(EndpointJudge)} - {"model", "base_url", "settings"}
    found: dict[str, Any] = {"settings": {}}
    for key, text in texts.items():
        if SECRET.search(key):
            raise BadParameter(
                f"--judge-set {key} would be kept in every record; an endpoint's key is read from "
                "OPENAI_API_KEY alone."
            )
        if key in own:
            found[key] = typed("--judge-set", key, text, hints[key])
            continue
        try:
            found["settings"][key] = json.loads(text)
        except ValueError as error:
            raise BadParameter(
                f"--judge-set {key}={text} is neither one of {', '.join(sorted(own))} nor JSON for "
                f"the endpoint ({error}); write text in double quotes."
            ) from error
    return found
