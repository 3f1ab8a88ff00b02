"""The command that trains each task of a run alone: alone."""

import json
from pathlib import Path
from typing import Annotated

import typer

from kontrast.cli.app import AsJson, Quiet, RunFolder, Trust, app, command, logger, say


@app.command()
def alone(
    run: RunFolder,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Seeds, from that of the run on.")] = 1,
    data: Annotated[str | None, typer.Option(help="The same data, if they have moved.")] = None,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of each interval.")] = 0.95,
    out: Annotated[Path | None, typer.Option(help="Folder of the trainings [RUN/alone].")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train each task of a run alone, and say which task helped which, with paired intervals.

    The same command again goes on where it was stopped; more seeds may be added.
    """
    from kontrast import api
    from kontrast.reporting.logger import NullLogger
    from kontrast.reporting.terminal import Bar

    found = api.alone(
        run,
        seeds=seeds,
        data=data,
        level=level,
        out=out,
        device=device,
        trust_code=trust,
        command=command(),
        logger=logger(quiet or as_json, False),
        bars=(lambda _: NullLogger()) if quiet or as_json else Bar,
    )
    if as_json:
        say(json.dumps(found.to_json(), ensure_ascii=False))
        return
    for line in ["", *found.words(), "", f"{run / 'report.html'}"]:
        say(line)
