"""The command that looks at data before a run: doctor."""

import json
from pathlib import Path
from typing import Annotated

import typer

from kontrast.cli import options
from kontrast.cli.app import AsJson, Outside, Quiet, app, logger, pairs, say, value


@app.command()
def doctor(
    data: Annotated[str | None, typer.Argument(metavar="DATA", help="What to examine; a recipe may bring it.")] = None,
    label: Annotated[str | None, typer.Option(help="The column that holds the label.")] = None,
    field: Annotated[list[str] | None, typer.Option(help="COLUMN=KIND where inference is wrong.")] = None,
    series: options.SeriesColumn = None,
    time: options.TimeColumn = None,
    recipe: Annotated[str | None, typer.Option(help="Examine for this recipe instead of the chosen one.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting, as in train: plan.batch=128")] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for doctor.json and views.png; a run's: its report shows them.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 for warnings too, not only for errors.")
    ] = False,
    outside: Outside = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Examine data before training: copies, leaks, balance, lengths, forecast, one-batch overfit, recipe and why.

    Exit code 0 where nothing forbids a run, 1 where an error was found (--strict: or a warning), 2 where DATA cannot be
    read.
    """
    from kontrast.doctor.examine import examine, exit_code, to_json
    from kontrast.doctor.tell import next_command, tell

    hearing = logger(quiet or as_json, False)
    chosen = pairs(field, "--field")
    asked = pairs(set_, "--set", value) | ({"source.outside": True} if outside else {})
    asked |= {f"source.{name}": column for name, column in (("series", series), ("time", time)) if column is not None}
    findings = examine(data, label=label, fields=chosen, recipe=recipe, settings=asked, out=out, logger=hearing)
    if as_json:
        say(json.dumps(to_json(findings), ensure_ascii=False))
    else:
        given = {"--label": label, "--series": series, "--time": time}
        given |= {"--field": field, "--recipe": recipe, "--set": set_}
        tell(findings, hearing, next_command(data, given) + " --allow-outside" * outside)
    if code := exit_code(findings, strict=strict):
        raise typer.Exit(code)
