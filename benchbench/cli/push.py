"""``benchbench push``: a trained run on the hub, with a model card."""

import json
from pathlib import Path
from typing import Annotated

import typer

from benchbench.cli.options import Json, NoPlugin, Out, Plugin, load_registry


def push(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or its first digits.")],
    repository: Annotated[
        str, typer.Argument(metavar="ORG/NAME", help="Repository of the hub; made if need be.")
    ],
    private: Annotated[bool, typer.Option("--private", help="Show it to nobody else.")] = False,
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Push to a branch; made if need be.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--license", metavar="ID", help="Licence, such as apache-2.0.")
    ] = None,
    samples: Annotated[
        bool, typer.Option("--samples", help="Prompts and answers of the tasks too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show card and files; send nothing.")
    ] = False,
    out: Out = Path("runs"),
    as_json: Json = False,
    plugin: Plugin = None,
    no_plugin: NoPlugin = None,
) -> None:
    """Put what a run trained on the Hugging Face hub, in one commit, with a model card.

    Files of the repository that have the same names are replaced, its README.md too.
    """
    from benchbench.boards import table
    from benchbench.cli import tables
    from benchbench.publish import card, push
    from benchbench.records.store import Store

    target = push.Target(repository=repository, branch=revision, private=private)
    found = push.gather(Store(out), run, samples)
    text = card.page(found, target, load_registry(no_plugin, plugin), licence)
    sizes = {push.CARD: len(text.encode())}
    sizes |= {name: path.stat().st_size for name, path in found.files.items()}
    commit = None
    if not dry_run:
        try:
            commit = push.push(found, text, target)
        except KeyboardInterrupt:
            typer.echo("stopped before the hub confirmed a commit.", err=True)
            raise typer.Exit(130) from None
    if as_json:
        facts = {
            "repository": repository,
            "revision": revision or "main",
            "private": private,
            "run_id": found.run.run_id,
            "files": [{"path": name, "bytes": size} for name, size in sizes.items()],
            "card": text,
            "commit": commit,
        }
        typer.echo(json.dumps(facts, indent=1))
        return
    if dry_run:
        typer.echo(text)
        shown = [{"file": name, "size": table.size(size)} for name, size in sizes.items()]
        tables.show("", shown, ("file", "size"))
        return
    typer.echo(f"{len(sizes)} files of run {found.run.run_id} are in {repository}: {commit}")
