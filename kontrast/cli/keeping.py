"""Commands that keep runs: compare, runs, tag, prune, replay."""

import json
from pathlib import Path
from typing import Annotated

import typer

from kontrast.cli.app import AsJson, Quiet, RunFolder, Trust, app, logger, say

Runs = Annotated[list[Path], typer.Argument(metavar="RUN RUN ...", help="Run folders; the first is the one to beat.")]
Roots = Annotated[list[Path] | None, typer.Argument(metavar="[FOLDER] ...", help="Where runs lie [runs].")]


@app.command()
def compare(
    runs: Runs,
    every_pair: Annotated[bool, typer.Option("--every-pair", help="Every pair, not each against the first.")] = False,
    score: Annotated[list[str] | None, typer.Option(help="Only these evaluators: knn, retrieval ...")] = None,
    level: Annotated[float, typer.Option(help="Of each interval.")] = 0.95,
    html: Annotated[Path | None, typer.Option(help="Write a page with the table and all maps there.")] = None,
    brief: Annotated[bool, typer.Option("--brief", help="One line a pair.")] = False,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Say where runs stand on the held-out rows they share: BETTER, SAME or WORSE, with paired intervals."""
    from kontrast import api
    from kontrast.core.atomic_files import writable
    from kontrast.runs.comparison.compare import compare as compared

    if html is not None:
        writable(html)
    made = compared(
        [api.load(run, trust_code=trust) for run in runs], every_pair=every_pair, level=level, scores=score or ()
    )
    for line in [json.dumps(made.to_json(), ensure_ascii=False)] if as_json else made.words(every=not brief):
        say(line)
    if html is not None:
        from kontrast.runs.comparison.comparison_page import write_comparison

        write_comparison(made, html)
        if not as_json:
            say(f"{html}")


@app.command(name="runs")
def runs_(
    folders: Roots = None,
    sort: Annotated[
        str,
        typer.Option(help="Any column: run, data, score, steps, size ...; -score turns it."),
    ] = "run",
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs under a folder."""
    from kontrast.runs.folder.catalogue import catalogue, lines

    found = catalogue(folders or [Path("runs")], sort=sort, tag=tag)
    for line in (json.dumps(one.to_json(), ensure_ascii=False) for one in found) if as_json else lines(found):
        say(line)


@app.command()
def tag(
    run: RunFolder,
    tags: Annotated[list[str] | None, typer.Argument(metavar="[TAG] ...")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="Take this tag away.")] = None,
) -> None:
    """Tag a run; a tagged run is never pruned whole. Without a tag: show those it has."""
    from kontrast.runs.folder.catalogue import retag

    say(", ".join(retag(run, add=tags or (), remove=remove or ())) or "no tags")


@app.command()
def prune(
    folders: Roots = None,
    caches: Annotated[bool, typer.Option("--caches", help="Decoded rows of runs that stopped.")] = False,
    checkpoints: Annotated[bool, typer.Option("--checkpoints", help="Checkpoints of finished runs.")] = False,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Runs that were never evaluated.")] = False,
    best: Annotated[int | None, typer.Option(min=1, help="Keep this many of the best runs per set of rows.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; otherwise it is only listed.")] = False,
) -> None:
    """List what can be removed from the runs under a folder, and remove it with --yes."""
    from kontrast.runs.folder import prune as pruning
    from kontrast.runs.folder.catalogue import catalogue

    found = pruning.plan(
        catalogue(folders or [Path("runs")]), caches=caches, checkpoints=checkpoints, unfinished=unfinished, best=best
    )
    for line in pruning.remove(found) if yes else pruning.lines(found):
        say(line)
    if found and not yes:
        say("nothing is removed yet: add --yes")


@app.command()
def replay(
    run: RunFolder,
    data: Annotated[str | None, typer.Option(help="Where the rows are now, if not where they were.")] = None,
    out: Annotated[Path | None, typer.Option(help="The new run folder [runs/NAME-2].")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run a run once more from its folder, and say whether the same came of it. Exit code 1 where it differs."""
    from kontrast import api

    _, found = api.replay(
        run, data=data, out=out, device=device, trust_code=trust, logger=logger(quiet or as_json, False)
    )
    for line in [json.dumps(found.to_json())] if as_json else found.words():
        say(line)
    if not found.identical:
        raise typer.Exit(1)
