"""The command line: parses, calls, prints. Nothing heavy is imported before a command needs it."""

import os
import re
import sys
from typing import Any, cast

import typer

from benchbench.cli import check, data, judge, leaderboard, push, run, show
from benchbench.errors import BenchbenchError

UsageError = cast("type[Exception]", typer.BadParameter.__base__)
"""What typer raises for any wrong request; its releases share no public name for it."""

app = typer.Typer(
    name="benchbench",
    help="Compare finetuning methods with full finetuning on your model and tasks.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("list")(show.list_names)
app.command("show")(show.show)
app.command("check")(check.check)
app.command("push")(push.push)
app.add_typer(data.app, name="data")
app.add_typer(judge.app, name="judge")
app.add_typer(leaderboard.app, name="leaderboard")


def version(wanted: bool) -> None:
    if wanted:
        from benchbench import __version__

        typer.echo(f"benchbench {__version__}")
        raise typer.Exit


@app.callback()
def benchbench(
    _version: bool = typer.Option(
        False, "--version", callback=version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Compare finetuning methods with full finetuning on your model and tasks."""


def main() -> None:
    """Run the command line.

    Exit code 0: done; 1: something failed; 2: the request was wrong; 130: stopped by Ctrl-C.
    """
    # Before torch is loaded: its threads would spin while they wait for one another. On two cores
    # with busy neighbours that made vLLM 65 times slower (32.7 s against 0.5 s).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        sys.exit(app(standalone_mode=False))  # which raises what typer would print itself
    except BenchbenchError as error:
        print(f"benchbench: {error}", file=sys.stderr)
    except UsageError as error:
        print(sentence(error), file=sys.stderr)
    sys.exit(2)


def sentence(error: Any) -> str:
    """Return in one sentence what typer would say of a wrong request in four lines."""
    text = error.format_message()
    if text.startswith("Usage:"):  # nothing was asked for, and all of it is help
        return str(text)
    # The two words are pydantic's, by which typer reads values.
    text = " ".join(text.replace("Value error, ", "").split()).rstrip(".")
    text = re.sub(r"\. (Choose|Did)", lambda more: f"; {more[1].lower()}", text)
    command = error.ctx.command_path if error.ctx else "benchbench"
    see = " See" if text.endswith("?") else "; see"
    return f"benchbench: {text[:1].lower()}{text[1:]}{see} `{command} --help`."
