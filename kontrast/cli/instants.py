"""The command that embeds each instant of series."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kontrast.cli.app import Data, Outside, Quiet, RunFolder, Trust, app, logger


@app.command()
def instants(
    run: RunFolder,
    data: Data,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")] = Path("instants.parquet"),
    window: Annotated[
        Literal["whole", "sliding", "causal"],
        typer.Option(help="What the encoder sees: the row, a window that slides, or the past alone."),
    ] = "whole",
    length: Annotated[int, typer.Option(min=1, help="Instants that a sliding window embeds at a time.")] = 1,
    padding: Annotated[int, typer.Option(min=0, help="Instants of context beside those of a window.")] = 200,
    field: Annotated[str | None, typer.Option(help="The field of series [the only one].")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Instants at once; changes speed and memory only.")] = 65_536,
    outside: Outside = False,
    trust: Trust = False,
    quiet: Quiet = False,
) -> None:
    """Embed each instant of series: row, instant and vector in one Parquet file."""
    from kontrast import api
    from kontrast.core.atomic_files import writable

    heard, out = logger(quiet, False), writable(out)
    table = api.load(run, trust_code=trust).embed_instants(
        data,
        window=window,
        length=length,
        padding=padding,
        field=field,
        batch=batch,
        outside=outside,
        logger=heard,
    )
    table.save(out)
    heard.fact(
        "embedded", f"{len(table):,} vectors of {len(table.ids):,} rows ({table.field} {table.z.shape[1]}) -> {out}"
    )
