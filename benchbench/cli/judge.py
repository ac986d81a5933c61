"""``benchbench judge``: what a judge is worth, before it judges."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchbench.cli import options

app = typer.Typer(help="Try judges of long-form outputs.", no_args_is_help=True)


@app.command()
def check(
    judge: Annotated[
        str, typer.Argument(metavar="NAME@URL|MODEL", help="A model at an endpoint, or our own.")
    ],
    engine: Annotated[
        str, typer.Option(help=f"{options.ENGINES}, or auto (default), for a model of our own.")
    ] = "auto",
    judge_set: options.JudgeSet = None,
    as_json: options.Json = False,
    plugin: options.Plugin = None,
    no_plugin: options.NoPlugin = None,
) -> None:
    """Ask a judge about pairs of which one answer is plainly better.

    Exit code 0: it is good enough to judge; 1: it is not; 2: the request was wrong.
    """
    from benchbench.cli.progress import reporter
    from benchbench.judge.agreement import ENOUGH, check, pairs
    from benchbench.judge.opening import opened

    registry, number = options.load_registry(no_plugin, plugin), len(pairs())
    with (
        opened(options.judge_request(judge, judge_set).find(registry.models), engine) as asked,
        reporter().bar(f"asking {asked.spec.model}", number) as update,
    ):
        found = check(asked, lambda done: update(done, number, ""))
        spec = asked.spec
    if as_json:
        facts = asdict(found) | {"rate": found.rate._asdict(), "enough": found.enough}
        typer.echo(json.dumps({"judge": asdict(spec), **facts}, indent=1))
    else:
        low, high = (f"{100 * each:.0f}" for each in (found.rate.low or 0, found.rate.high or 0))
        lines = {
            "prefers the better answer": f"{100 * found.rate.value:.1f} % ({low} to {high})",
            "prefers the longer answer": f"{100 * found.for_longer:.1f} % (50 is fair)",
            "prefers the first answer": f"{100 * found.for_place:.1f} % (50 is fair)",
            "says the same in both orders": f"{100 * found.steady:.1f} %",
            "names neither answer": f"{100 * found.no_verdict:.1f} %",
        }
        typer.echo(f"{spec.model}, {number} pairs in both orders:")
        for name, value in lines.items():
            typer.echo(f"  {name:<30}{value}")
        for why in found.missing:
            typer.echo(f"  no answer: {why}")
        verdict = "good enough" if found.enough else "not good enough"
        typer.echo(
            f"{verdict} to judge (at least {100 * ENOUGH:.0f} % and an answer to everything)"
        )
    if not found.enough:
        raise typer.Exit(1)


@app.command("alpaca-eval")
def alpaca_eval(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="Folder of a judged result: RUN/tasks/KEY.")
    ],
    judge: Annotated[str, typer.Argument(metavar="NAME@URL", help="A model at an endpoint.")],
    judge_set: options.JudgeSet = None,
    data: options.Data = None,
    as_json: options.Json = False,
    plugin: options.Plugin = None,
    no_plugin: options.NoPlugin = None,
) -> None:
    """Have AlpacaEval's own package ask about the outputs of a judged result, for parity.

    Its wording and order are its own, and so is the win rate; no record is written.
    """
    from benchbench.judge.alpaca_eval import published_preferences
    from benchbench.judge.opening import endpoint_of
    from benchbench.judge.preferences import win_rate
    from benchbench.judge.results import judged_comparisons

    registry = options.load_registry(no_plugin, plugin)
    opened = endpoint_of(options.judge_request(judge, judge_set))
    comparisons = judged_comparisons(result, registry, data)
    found = published_preferences(opened, comparisons)
    known = [value for value in found.values() if value is not None]
    rate = win_rate(known) if known else None
    if as_json:
        facts = {"win_rate": rate.value, "ci": [rate.low, rate.high]} if rate else {}
        typer.echo(json.dumps({**facts, "n": len(found), "n_missing": len(found) - len(known)}))
    else:
        shown = f"{100 * rate.value:.2f}" if rate else "unknown"
        typer.echo(f"win rate by alpaca-eval: {shown}, {len(known)} of {len(found)} judged")
    if len(known) < len(found):
        raise typer.Exit(1)
