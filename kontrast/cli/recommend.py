"""The command that recommends items."""

import json
from typing import Annotated

import typer

from kontrast.cli.app import AsJson, Data, Outside, Quiet, RunFolder, Trust, app, logger, say


@app.command()
def recommend(
    run: RunFolder,
    data: Data,
    k: Annotated[int, typer.Option("--k", min=1, help="Items per row.")] = 10,
    seen: Annotated[bool, typer.Option("--seen", help="Recommend items that a row already holds, too.")] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Leave out the last item of each row, and say how well it is found.")
    ] = False,
    outside: Outside = False,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Recommend items after histories with a run that learned it (--recipe cl4srec, --task next_item)."""
    from kontrast import api
    from kontrast.runs import recommendations

    opened, heard = api.load(run, trust_code=trust), logger(quiet or as_json, False)
    if measure:
        table = recommendations.measure(opened, data, outside=outside, logger=heard)
        say("\n".join(map(json.dumps, table)) if as_json else recommendations.words(table))
        return
    for row in recommendations.recommend(opened, data, k=k, seen=seen, outside=outside, logger=heard):
        say(json.dumps(row, ensure_ascii=False) if as_json else f"{row['id']}\t{' '.join(row['items'])}")
