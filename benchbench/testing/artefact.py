"""Checks of what a training leaves: the artefact, what engines make of it, and the base model."""

from benchbench.engines.choice import engine_names, reference_engine
from benchbench.records.record import Artefact
from benchbench.testing.behaviour import trains
from benchbench.testing.trial import Trial
from benchbench.testing.verdict import Failed, NotTried, line

REMEDY = (
    "export() writes safetensors and JSON that its route can serve, and returns the route; or it "
    "returns None and leaves both to the suite"
)


def exports(trial: Trial) -> str:
    """Return the artefact's route and size."""
    outcome, folder = trial.run.outcome, trial.run.job.checkpoint
    if outcome.artefact is None:
        raise Failed(f"export ended with {outcome.reason}; {REMEDY}")
    for path in sorted(folder.rglob("*.json")):
        if str(trial.folder) in path.read_text(errors="replace"):
            raise Failed(
                f"{path.name} names a folder of this machine, and checkpoints are published; "
                "write no paths in export()"
            )
    files = ", ".join(sorted(p.name for p in folder.rglob("*") if p.is_file()))
    return f"route {outcome.artefact.route}, {outcome.artefact.bytes:,} bytes: {files}"


def is_served(engine: str, trial: Trial) -> str:
    """Return how far what an engine serves is from what was trained."""
    artefact = _artefact(trial)
    try:
        parity = trial.served(engine).parity
    except NotTried:
        raise
    except Exception as error:  # an artefact may be wrong in as many ways as there are formats
        raise Failed(
            f"{engine} cannot serve route {artefact.route!r}: {line(error)}; {REMEDY}"
        ) from error
    if not parity.passed:
        served = "numbers that are none" if parity.max_difference is None else (
            f"log-probabilities up to {parity.max_difference:.2g} from the trained model's (at "
            f"most {parity.tolerance:g})"
        )  # fmt: skip
        base = "" if parity.effect is None else f" and up to {parity.effect:.2g} from the base's"
        raise Failed(
            f"{engine} serves something other than what was trained, or the base model again: "
            f"{served}{base}, for route {artefact.route!r}; export() must write all that was "
            "trained, or return None"
        )
    return (
        f"route {artefact.route}; largest difference of a log-probability to the trained model "
        f"{parity.max_difference:.1e}, to the base model {parity.effect:.2g}"
    )


def same_tokens(trial: Trial) -> str:
    """Return how many completions all engines give alike."""
    reference = reference_engine().name
    wanted = trial.served(reference).answers
    for other in engine_names():
        found = trial.served(other).answers
        if unlike := [name for name in wanted if wanted[name] != found.get(name)]:
            raise Failed(
                f"{len(unlike)} of {len(wanted)} greedy completions differ between {reference} and "
                f"{other}, first {wanted[unlike[0]]} and {found.get(unlike[0])}; the route "
                f"{_artefact(trial).route!r} does not serve this method alike: let export() return "
                "another, or None"
            )
    return f"{len(wanted)} greedy completions"


def on_encoder_decoder(trial: Trial) -> str:
    """Return how a small T5 that was trained is served."""
    other = trial.on_encoder_decoder()
    outcome = other.run.outcome
    if outcome.status == "skipped":
        raise NotTried(f"the method does not take an encoder-decoder model: {outcome.reason}")
    try:
        return f"{trains(other)}; {exports(other)}; {is_served(reference_engine().name, other)}"
    except Failed as error:
        raise Failed(
            f"{error}. Where a method cannot be used on encoder-decoder models, let adapt() raise "
            "benchbench.Unsuited with the reason"
        ) from error


def leaves_the_base(trial: Trial) -> str:
    """Return that the base model's files are what they were."""
    if trial.hash_base() != trial.digest:
        raise Failed(
            "the files in the base model's folder are not what they were; other methods train "
            "from them, so write to the folder that export() is given and nowhere else"
        )
    return "every file as before"


def _artefact(trial: Trial) -> Artefact:
    artefact = trial.run.outcome.artefact
    assert artefact
    return artefact
