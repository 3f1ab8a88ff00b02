"""Commands that use a run: embed, evaluate, caption, index, search, report."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kontrast.cli.app import AsJson, Data, Outside, Quiet, RunFolder, Trust, app, logger, pairs, say, value

if TYPE_CHECKING:
    from kontrast.core.embedding_table import EmbeddingTable
    from kontrast.reporting.logger import Logger
    from kontrast.runs.run import Run


@app.command()
def embed(
    run: RunFolder,
    data: Data,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")] = Path("embeddings.parquet"),
    batch: Annotated[int, typer.Option(min=1, help="Rows at once; changes speed and memory only.")] = 256,
    precision: Annotated[
        Literal["32", "bf16"], typer.Option(help="bf16 is faster where the machine computes it; cosine above .999.")
    ] = "32",
    form: Annotated[
        Literal["float32", "float16", "int8", "binary"],
        typer.Option("--as", help="Fewer bytes a row: float16, int8 (4 times fewer), binary (32 times)."),
    ] = "float32",
    width: Annotated[int | None, typer.Option(min=1, help="Keep the first dimensions only (Matryoshka).")] = None,
    outside: Outside = False,
    trust: Trust = False,
    quiet: Quiet = False,
) -> None:
    """Embed data with a run's encoder: ids, embeddings, labels and metadata in one Parquet file."""
    from kontrast import api
    from kontrast.core.atomic_files import writable

    heard, out = logger(quiet, False), writable(out)
    if width is not None:
        from kontrast.exports.compressed import fitting_width

        fitting_width(api.load(run, trust_code=trust).embeddings(), width)
    bank = api.load(run, trust_code=trust).embed(data, batch=batch, precision=precision, outside=outside, logger=heard)
    if form == "float32" and width is None:
        bank.save(out)
    else:
        _smaller(api.load(run, trust_code=trust), bank, form, width, out, heard)
    widths = ", ".join(f"{name} {z.shape[1]}" for name, z in bank.z.items())
    heard.fact("embedded", f"{len(bank):,} rows ({widths}) -> {out}")


@app.command()
def evaluate(
    run: RunFolder,
    data: Data,
    outside: Outside = False,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate a run on other data, beside raw features and the untrained encoder."""
    from kontrast import api
    from kontrast.runs import messages

    table = api.load(run, trust_code=trust).evaluate(data, outside=outside, logger=logger(quiet or as_json, False))
    say(json.dumps(table, ensure_ascii=False) if as_json else messages.scores(table))


@app.command()
def caption(
    run: RunFolder,
    data: Data,
    outside: Outside = False,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write captions of data with a run that learned them (--recipe coca, --task captioning)."""
    from kontrast import api

    for row in api.load(run, trust_code=trust).caption(data, outside=outside, logger=logger(quiet or as_json, False)):
        say(json.dumps(row, ensure_ascii=False) if as_json else f"{row['id']}\t{row['field']}\t{row['caption']}")


def _smaller(run: "Run", bank: "EmbeddingTable", form: Any, width: int | None, out: Path, heard: "Logger") -> None:
    """Saved in fewer bytes, and what that costs, on the run's held-out rows."""
    from kontrast.exports.compressed import compress, losses

    compress(bank, form, width).save(out)
    for row in losses(run.embeddings(), [(form, width)]):
        heard.fact(
            "recall@10",
            f"{row['field']} as {row['form']}, {row['width']} wide: {row['recall@10']:.3f} of the exact search's, "
            f"on held-out rows; {row['smaller']:.0f} times smaller",
        )


@app.command()
def index(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="What to search; the run's own rows if not named.")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="lancedb, faiss or pgvector [lancedb].")] = None,
    uri: Annotated[
        str | None,
        typer.Option(help="Where it lies: a folder, s3://bucket/folder, postgresql://user@host/db [the run folder]."),
    ] = None,
    table: Annotated[str | None, typer.Option(help="pgvector: what its tables' names begin with [kontrast].")] = None,
    add: Annotated[bool, typer.Option("--add", help="Add DATA to the index there is; same ids are replaced.")] = False,
    delete: Annotated[str | None, typer.Option(metavar="FILTER", help="Delete rows: \"label = 'animals'\".")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --delete: even if nothing is left.")] = False,
    outside: Outside = False,
    trust: Trust = False,
    quiet: Quiet = False,
) -> None:
    """Build the search index of a run over data, or change it."""
    from kontrast import api

    heard, opened = logger(quiet, False), api.load(run, trust_code=trust)
    if delete is not None:
        heard.fact("index", f"{opened.unindex(delete, everything=yes):,} records deleted")
        return
    settings = {name: chosen for name, chosen in (("uri", uri), ("table", table)) if chosen is not None}
    made = opened.index(data, engine=engine or "lancedb", settings=settings, add=add, outside=outside, logger=heard)
    recalls = ", ".join(f"{fields}: {recall:.3f}" for fields, recall in made.recalls.items())
    heard.fact("index", f"{len(made):,} records in {made.folder} · recall@10 against exact when built: {recalls}")


@app.command()
def search(
    run: RunFolder,
    query: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="What to look for, in words.")] = None,
    like: Annotated[str | None, typer.Option(help="Look for what is like this file.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many to find.")] = 5,
    field: Annotated[str | None, typer.Option(help="Which field of the run the query is one of.")] = None,
    among: Annotated[str | None, typer.Option(help="Which field to find.")] = None,
    where: Annotated[str | None, typer.Option(help="A filter in SQL: \"label = 'animals'\".")] = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Find the rows nearest to a text, a picture or a series."""
    from kontrast import api
    from kontrast.cli.demo import hit_lines

    hits = api.load(run, trust_code=trust).search(query, like=like, k=k, field=field, among=among, where=where)
    if as_json:
        for hit in hits:
            say(json.dumps(vars(hit), ensure_ascii=False, default=str))
    else:
        for line in hit_lines(hits):
            say(line)


@app.command()
def report(
    run: RunFolder,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    trust: Trust = False,
) -> None:
    """Rewrite report.html: one self-contained file with verdict, scores, map, neighbours and views."""
    from kontrast import api

    path = api.load(run, trust_code=trust).report()
    say(str(path))
    if open_:
        typer.launch(str(path.resolve()))


@app.command()
def export(
    run: RunFolder,
    to: Annotated[str, typer.Option(help="onnx, sentence-transformers, hub or state-dict.")],
    out: Annotated[Path | None, typer.Option(help="A new folder [RUN/exports/TARGET, which is replaced].")] = None,
    data: Annotated[str | None, typer.Option(help="Rows to check an ONNX graph on [the run's own].")] = None,
    field: Annotated[str | None, typer.Option(help="One field only (onnx, sentence-transformers).")] = None,
    push: Annotated[str | None, typer.Option(metavar="NAME", help="hub: send the folder to me/my-model.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting of the target: opset=18")] = None,
    trust: Trust = False,
    quiet: Quiet = False,
) -> None:
    """Write a run for other libraries: ONNX, sentence-transformers, the Hugging Face hub, plain weights."""
    from kontrast import api
    from kontrast.exports.exporting import export as write

    given = {"field": field, "push": push, **pairs(set_, "--set", value)}
    settings = {name: chosen for name, chosen in given.items() if chosen is not None}
    made, heard = write(api.load(run, trust_code=trust), to, out, settings=settings, data=data), logger(quiet, False)
    for name, words in made.facts.items():
        heard.fact(name, str(words))
    heard.fact("exported", str(made.folder))
