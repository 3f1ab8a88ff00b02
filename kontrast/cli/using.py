"""Commands that use a run: embed, score, index, search, report."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from kontrast.cli.app import AsJson, Data, Quiet, RunFolder, app, listener, say


@app.command()
def embed(
    run: RunFolder,
    data: Data,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")] = Path("embeddings.parquet"),
    batch: Annotated[int, typer.Option(min=1, help="Rows at once; changes speed and memory only.")] = 256,
    precision: Annotated[
        Literal["32", "bf16"], typer.Option(help="bf16 is faster where the machine computes it; cosine above .999.")
    ] = "32",
    quiet: Quiet = False,
) -> None:
    """Embed data with a run's encoder: ids, embeddings, labels and metadata in one Parquet file."""
    from kontrast import api

    heard = listener(quiet, False)
    bank = api.load(run).embed(data, batch=batch, precision=precision, listener=heard)
    bank.save(out)
    widths = ", ".join(f"{name} {z.shape[1]}" for name, z in bank.z.items())
    heard.fact("embedded", f"{len(bank):,} rows ({widths}) -> {out}")


@app.command()
def score(run: RunFolder, data: Data, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Judge a run on other data, beside raw features and the untrained encoder."""
    from kontrast import api
    from kontrast.runs import words

    table = api.load(run).score(data, listener=listener(quiet or as_json, False))
    say(json.dumps(table, ensure_ascii=False) if as_json else words.scores(table))


@app.command()
def index(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="What to search; the run's own rows if not named.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Build the search index of a run over data."""
    from kontrast import api

    heard = listener(quiet, False)
    heard.fact("index", str(api.load(run).index(data, listener=heard)))


@app.command()
def search(
    run: RunFolder,
    query: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="What to look for, in words.")] = None,
    like: Annotated[str | None, typer.Option(help="Look for what is like this file.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many to find.")] = 5,
    field: Annotated[str | None, typer.Option(help="Which field of the run the query is one of.")] = None,
    among: Annotated[str | None, typer.Option(help="Which field to find.")] = None,
    where: Annotated[str | None, typer.Option(help="A filter in SQL: \"label = 'animals'\".")] = None,
    as_json: AsJson = False,
) -> None:
    """Find the rows nearest to a text, a picture or a series."""
    from kontrast import api
    from kontrast.runs.showing import hit_lines

    hits = api.load(run).search(query, like=like, k=k, field=field, among=among, where=where)
    if as_json:
        for hit in hits:
            say(json.dumps(vars(hit), ensure_ascii=False, default=str))
    else:
        for line in hit_lines(hits):
            say(line)


@app.command()
def report(
    run: RunFolder, open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False
) -> None:
    """Write report.html anew: one self-contained file with verdict, scores, map, neighbours and views."""
    from kontrast import api

    path = api.load(run).report()
    say(str(path))
    if open_:
        typer.launch(str(path.resolve()))
