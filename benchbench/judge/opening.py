"""Opens a judge by what the user calls it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchbench.engines import EngineSettings, choose_engine, open_engine
from benchbench.errors import BadParameter
from benchbench.hardware import precision
from benchbench.hub import find_model
from benchbench.judge import Judge
from benchbench.judge.endpoint import EndpointJudge
from benchbench.judge.serving import EngineJudge
from benchbench.model import Model
from benchbench.prompt import Renderer
from benchbench.record import Checkpoint

RUN_ID = "judge"


@contextmanager
def open_judge(name: str, models: Mapping[str, Model], engine: str) -> Iterator[Judge]:
    """Open ``NAME@URL``, a model at an OpenAI-compatible endpoint, or a model of our own.

    Raises BadParameter, or what finding the model and opening its engine raise.
    """
    model, _, url = name.partition("@http")
    if url:
        if not model or not url.startswith(("://", "s://")):
            raise BadParameter(
                f"--judge is {name!r}; an endpoint is NAME@URL, such as "
                "my-judge@http://127.0.0.1:8000/v1."
            )
        yield EndpointJudge(model=model, base_url=f"http{url}")
        return
    found = find_model(name, models)
    kind, _ = choose_engine(engine, found.folder)
    renderer = Renderer.of(found.folder)
    checkpoint = Checkpoint(run_id=RUN_ID, route="base", sha256="", folder=found.folder)
    settings = EngineSettings(
        model=found.folder, precision=precision(), max_tokens=renderer.context
    )
    server = open_engine(kind, settings, [checkpoint])
    try:
        server.load([checkpoint])
        yield EngineJudge(
            engine=server,
            checkpoint=RUN_ID,
            model=found.spec,
            render=renderer.ranking,
            longest=renderer.context,
        )
    finally:
        server.close()
