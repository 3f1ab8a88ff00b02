"""The command that scores how unlike training rows or instants are."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kontrast.cli.app import Data, Outside, Quiet, RunFolder, Trust, app, logger

if TYPE_CHECKING:
    from kontrast.core.anomaly_table import AnomalyTable


@app.command()
def anomalies(
    run: RunFolder,
    data: Data,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")] = Path("scores.parquet"),
    score: Annotated[
        Literal["rows", "instants", "masked"],
        typer.Option(help="What is scored: rows, instants of series, or how an instant surprises when it is hidden."),
    ] = "rows",
    train: Annotated[
        str | None, typer.Option(metavar="DATA", help="Data to compare with [what the run was trained on].")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column with 1 for known anomalies: gives AUROC and AUPRC.")
    ] = None,
    field: Annotated[str | None, typer.Option(help="The field to score [of rows, all].")] = None,
    neighbours: Annotated[int, typer.Option(min=1, help="Nearest rows or instants that are compared with.")] = 5,
    window: Annotated[
        Literal["whole", "sliding", "causal"],
        typer.Option(help="What the encoder sees of an instant; masked instants have causal windows."),
    ] = "whole",
    padding: Annotated[int, typer.Option(min=0, help="Instants of context beside those of a window.")] = 200,
    past: Annotated[
        int, typer.Option(min=0, help="masked: divide by the mean of this many scores before (TS2Vec: 21).")
    ] = 0,
    share: Annotated[float, typer.Option(help="Share of training scores above the threshold.")] = 0.01,
    outside: Outside = False,
    trust: Trust = False,
    quiet: Quiet = False,
) -> None:
    """Score how unlike training rows or instants are; flag those above a threshold from training data."""
    from kontrast import api
    from kontrast.core.atomic_files import writable

    heard, out = logger(quiet, False), writable(out)
    table = api.load(run, trust_code=trust).anomalies(
        data,
        score=score,
        train=train,
        labels=labels,
        field=field,
        neighbours=neighbours,
        window=window,
        padding=padding,
        past=past,
        share=share,
        outside=outside,
        logger=heard,
    )
    table.save(out)
    heard.fact("anomalies", f"{_flagged(table)} -> {out}")
    if labels is not None:
        heard.fact("labelled", _found(table))


def _flagged(table: "AnomalyTable") -> str:
    """Number and share of what is flagged, and the threshold."""
    from kontrast.core.number_format import number, share

    flagged, kind = int(table.flagged.sum()), "rows" if table.instant is None else "instants"
    part = share(flagged / max(len(table), 1))
    return f"{flagged:,} of {len(table):,} {kind} ({part}) score above {number(table.threshold)}"


def _found(table: "AnomalyTable") -> str:
    """AUROC and AUPRC over all of it."""
    from kontrast.core.number_format import number
    from kontrast.evaluation.detection import detection

    found = None if table.labels is None else detection(table.score, table.labels)
    if found is None:
        return "only one kind of label, so there is nothing to tell apart"
    chance = number(found.share)
    return f"AUROC {number(found.auroc)} (chance .5) · AUPRC {number(found.auprc)} (chance {chance})"
